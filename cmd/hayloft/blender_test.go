package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRender sends a project through a whole farm: frames, video, log, download, and nothing to send the second time.
func TestRender(t *testing.T) {
	t.Parallel()
	const frames = 4
	blend := project(t, frames)
	f := startFarm(t, "--workers", "2")
	submit := []string{"submit", "--manager", f.url, "--json", blend, "--setting", "frames=1-4", "--setting", "chunk_size=2"}
	r := hayloft(t.Context(), append(submit, "--wait")...)
	first := lastLine[submitted](t, r)
	if r.code != 0 || first.Status != "completed" || first.Files != 3 || first.FilesUploaded != 3 || first.BytesUploaded != first.BytesTotal {
		t.Fatalf("exit code %d, %+v\n%s", r.code, first, r.stderr)
	}
	folder := checkOutput(t, f.data, renderAlone(t, blend, frames))
	video, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames",
		"-of", "csv=p=0", filepath.Join(folder, "scene-1-4.mp4")).CombinedOutput()
	if got := strings.TrimSpace(string(video)); err != nil || got != "4" {
		t.Errorf("the video has %q frames: %v", got, err)
	}

	r = hayloft(t.Context(), append(submit, "--paused")...)
	if second := lastLine[submitted](t, r); second.FilesUploaded != 0 || second.BytesUploaded != 0 || second.Checkout == first.Checkout {
		t.Errorf("sent again: %+v", second)
	}
	r = hayloft(t.Context(), "job", "log", "--manager", f.url, first.JobID)
	if !strings.Contains(r.stdout, "== render-1,2\n") || !strings.Contains(r.stdout, "Saved: ") {
		t.Errorf("the log is\n%s", r.stdout)
	}
	checkDownload(t, f, first.JobID, folder)
}

// checkDownload compares what a download brings with what was rendered, and refuses a file that was changed since.
func checkDownload(t *testing.T, f farm, job, folder string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "frames")
	download := func() result {
		return hayloft(t.Context(), "job", "download", "--manager", f.url, "--json", "--no-logs", job, "-d", dir)
	}
	got := lastLine[downloaded](t, download())
	if got.Files != 5 || got.New != 5 {
		t.Errorf("downloaded %+v", got)
	}
	if again := lastLine[downloaded](t, download()); again.Files != 5 || again.New != 0 {
		t.Errorf("downloaded again %+v", again)
	}
	here := filesIn(t, dir)
	for _, name := range here {
		want, err := os.ReadFile(filepath.Join(folder, filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		fetched, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !slices.Equal(fetched, want) {
			t.Errorf("%s is not what was rendered: %v", name, err)
		}
	}
	if len(here) != 5 {
		t.Fatalf("the download holds %q", here)
	}
	checkChangedFile(t, folder, dir, here, download)
}

// checkChangedFile changes one rendered file and downloads it again: it is refused by name, and nothing is left of it.
func checkChangedFile(t *testing.T, folder, dir string, here []string, download func() result) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, here[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, filepath.Base(here[0])), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := download()
	if got := lastLine[downloaded](t, r); r.code != 1 || !strings.Contains(r.stderr, here[0]) || got.Files != len(here)-1 {
		t.Errorf("a changed file: exit code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if diff := cmp.Diff(here[1:], filesIn(t, dir)); diff != "" {
		t.Errorf("after a refused file (- wanted, + there):\n%s", diff)
	}
}

// TestBlendersThatFail holds that whatever is wrong with a Blender, the job fails, says why in one sentence, and leaves
// no file in the output folder.
func TestBlendersThatFail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, blender, blend string
		says                 []string
	}{
		{name: "not installed", blender: "no-such-blender", says: []string{"no-such-blender", "install Blender or set the variable 'blender'"}},
		{name: "exits 0 without a frame", blender: "#!/bin/sh\nexit 0\n", says: []string{"frames 1..3 are missing although Blender ended with exit code 0"}},
		{name: "exits 11", blender: "#!/bin/sh\necho 'Error: out of memory'\nexit 11\n",
			says: []string{"exit code 11", "frames 1..3 are missing", "out of memory"}},
		{name: "crashes", blender: "#!/bin/sh\nkill -9 $$\n", says: []string{"killed", "frames 1..3 are missing"}},
		{name: "writes half a file", blender: halfBlender, says: []string{"frames 1..3 are missing"}},
		{name: "no such .blend", blend: "{jobs}/elsewhere/missing.blend", says: []string{"elsewhere/missing.blend is not there"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			blender := "blender"
			if test.blender != "" {
				blender = test.blender
			}
			if strings.HasPrefix(blender, "#!") {
				blender = writeFile(t, "blender.sh", blender, 0o755)
			}
			config := variablesFile(t, map[string]string{"blender": blender})
			f := startFarm(t, "--workers", "1", "--config", config, "--task-attempts", "2")
			job := failingJob(t, f, test.blend)
			for _, word := range test.says {
				if !strings.Contains(job.stdout, word) {
					t.Errorf("the log does not say %q:\n%s", word, job.stdout)
				}
			}
			if files := filesIn(t, filepath.Join(f.data, "storage", "output")); len(files) > 0 {
				t.Errorf("left behind: %q", files)
			}
			if files := filesIn(t, filepath.Join(f.data, "workers", "local-1", "tasks")); len(files) > 0 {
				t.Errorf("left behind at the worker: %q", files)
			}
		})
	}
}

// halfBlender saves the beginning of a PNG for each frame, as a full disk would leave it.
const halfBlender = `#!/bin/sh
while [ $# -gt 1 ]; do
  if [ "$1" = --render-output ]; then out="${2%%#*}"; fi
  shift
done
[ -n "$out" ] || exit 1 # it was only asked what it can do
printf '\211PNG\r\n\032\n' >"${out}000001.png"
echo "Saved: '${out}000001.png'"
`

// failingJob submits a job that has to fail and returns its logs.
func failingJob(t *testing.T, f farm, blend string) result {
	t.Helper()
	scene := writeFile(t, "scene.blend", "a scene", 0o644)
	args := []string{"submit", "--whole-folder", "--manager", f.url, "--json", "--wait", "--setting", "frames=1-3", "--setting", "chunk_size=3"}
	if blend == "" {
		args = append(args, scene)
	} else {
		args = append(args, "--setting", "blendfile="+blend)
	}
	r := hayloft(t.Context(), args...)
	job := lastLine[submitted](t, r)
	if r.code != 3 || job.Status != "failed" || !strings.Contains(r.stderr, "hayloft job log "+job.JobID+"` shows why") {
		t.Errorf("exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	return hayloft(t.Context(), "job", "log", "--manager", f.url, job.JobID)
}

// TestCrashIsRetried lets Blender die in its first run and work in its second: the job completes with every frame.
func TestCrashIsRetried(t *testing.T) {
	t.Parallel()
	blend := project(t, 2)
	crashed := filepath.Join(t.TempDir(), "crashed")
	blender := writeFile(t, "blender.sh", fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *.blend*) if [ ! -e %[1]s ]; then touch %[1]s; kill -9 $$; fi;; esac\nexec blender \"$@\"\n", crashed), 0o755)
	f := startFarm(t, "--workers", "1", "--config", variablesFile(t, map[string]string{"blender": blender}))
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", blend, "--setting", "frames=1-2", "--setting", "chunk_size=2")
	job := lastLine[submitted](t, r)
	if r.code != 0 || job.Status != "completed" {
		t.Fatalf("exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	checkOutput(t, f.data, renderAlone(t, blend, 2))
	log := hayloft(t.Context(), "job", "log", "--manager", f.url, job.JobID)
	if !strings.Contains(log.stdout, "Blender did not end by itself (signal: killed); starting it again for frames 1,2") {
		t.Errorf("the log does not tell of the crash:\n%s", log.stdout)
	}
}

// TestInterruptedSubmitResumes interrupts a submission in the middle of its upload. The second one sends the rest.
func TestInterruptedSubmitResumes(t *testing.T) {
	t.Parallel()
	const files, before = 30, 5
	dir := t.TempDir()
	for i := range files {
		// Above a mebibyte, so that each file has a session of its own.
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.blend", i)), []byte(strings.Repeat(fmt.Sprint(i), 1<<20)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := startFarm(t, "--workers", "0")
	ctx, interrupt := context.WithCancel(t.Context())
	stored, proxy := countingProxy(t, f.url, before, interrupt)
	args := []string{"--json", "--whole-folder", "--project", dir, filepath.Join(dir, "00.blend"), "--setting", "frames=1"}
	r := hayloft(ctx, append([]string{"submit", "--manager", proxy}, args...)...)
	if r.code != 130 || !strings.HasSuffix(r.stderr, "\nhayloft: interrupted\n") || r.stdout != "" {
		t.Fatalf("exit code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if jobs := hayloft(t.Context(), "job", "list", "--manager", f.url, "--json"); jobs.stdout != "" {
		t.Errorf("half a submission became a job: %s", jobs.stdout)
	}
	if n := len(filesIn(t, filepath.Join(f.data, "storage", "jobs"))); n > 0 {
		t.Errorf("half a submission has a checkout with %d files", n)
	}
	r = hayloft(t.Context(), append([]string{"submit", "--manager", f.url}, args...)...)
	second := lastLine[submitted](t, r)
	if r.code != 0 || second.Files != files || second.FilesUploaded > files-int(stored.Load()) || second.FilesUploaded == 0 {
		t.Errorf("exit code %d after %d stored files: %+v", r.code, stored.Load(), second)
	}
	if err := filepath.WalkDir(filepath.Join(f.data, "storage", "blobs", "incoming"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("half a blob was left: %s", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// countingProxy passes requests on and calls enough when a number of uploads was acknowledged.
func countingProxy(t *testing.T, manager string, number int64, enough func()) (stored *atomic.Int64, address string) {
	t.Helper()
	target, err := url.Parse(manager)
	if err != nil {
		t.Fatal(err)
	}
	stored = &atomic.Int64{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(answer *http.Response) error {
		upload := answer.Request.Method == http.MethodPost && strings.HasSuffix(answer.Request.URL.Path, "/commit")
		if upload && answer.StatusCode < 300 && stored.Add(1) == number {
			enough()
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return stored, server.URL
}
