package api_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hayloft/api/wire"
	"hayloft/cas"
)

// TestJobArchive has outputs that lie where they should, are gone, are not to be shown, and bear awkward names.
func TestJobArchive(t *testing.T) {
	f := newFarm(t)
	job := f.submit(func(j *wire.SubmittedJob) { j.Name = `sh/ot: "1"` })
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	root := filepath.Join(f.storage, "output", "shot")
	outside := filepath.Join(t.TempDir(), "secret.png")
	must(t, os.WriteFile(outside, []byte("secret"), 0o644))
	outputs := *produce(t, root, "0001.png", "a?b.png", "gone.png", "STDOUT.txt")
	outputs = append(outputs, *produce(t, filepath.Join(root, "other"), "0001.png")...)
	outputs = append(outputs, wire.ProducedOutput{Root: filepath.Dir(outside), Path: "secret.png", Size: 6, Sha256: strings.Repeat("a", 64)})
	must(t, os.Remove(filepath.Join(root, "gone.png")))
	log := "a line\npid=7 > out\npid=7 2> err\n"
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: &outputs, Log: &log}))

	resp, body := f.do("GET", "/api/v3/jobs/"+job.Id.String()+"/outputs.zip", nil)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Disposition") != `attachment; filename="sh_ot_ _1_.zip"` {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	got := archived(t, body)
	folder := "0001-" + task.Name + "/"
	want := map[string]string{
		folder + "0001.png": "0001.png", folder + "a_b.png": "a?b.png", folder + "2/0001.png": "0001.png",
		folder + "2/STDOUT.txt": "STDOUT.txt", folder + "log.txt": log, folder + "stdout.txt": "out\n", folder + "stderr.txt": "err\n",
		"missing.txt": folder + "secret.png\n" + folder + "gone.png\n",
	}
	for _, other := range []string{"0002-sleep/", "0003-sleep/"} {
		for _, name := range []string{"log.txt", "stdout.txt", "stderr.txt"} {
			want[other+name] = ""
		}
	}
	got["missing.txt"] = sortedLines(got["missing.txt"])
	want["missing.txt"] = sortedLines(want["missing.txt"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if resp, body := f.do("GET", "/api/v3/jobs/"+uuid.NewString()+"/outputs.zip", nil); resp.StatusCode != 404 {
		t.Errorf("no such job: %d %s", resp.StatusCode, body)
	}
}

// archived reads a zip, by the names in it.
func archived(t *testing.T, body []byte) map[string]string {
	t.Helper()
	archive := try(zip.NewReader(bytes.NewReader(body), int64(len(body))))(t)
	got := map[string]string{}
	for _, file := range archive.File {
		if _, there := got[file.Name]; there {
			t.Errorf("%s is there twice", file.Name)
		}
		r := try(file.Open())(t)
		got[file.Name] = string(try(io.ReadAll(r))(t))
	}
	return got
}

// TestJobArchiveOfLogs has a log that is read in several pieces and comes in updates that end amidst lines, and none.
func TestJobArchiveOfLogs(t *testing.T) {
	f := newFarm(t)
	job := f.submit(func(j *wire.SubmittedJob) {
		j.Type, j.Settings = "echo-sleep-test", &wire.JobSettings{"message": "x", "sleep_duration_seconds": 0}
	})
	w := f.worker(0)
	first := try(w.Claim(t.Context()))(t)
	var log, stdout, stderr strings.Builder
	for i := range 30_000 {
		line := fmt.Sprintf("line %d of many, each of which is as long as most", i)
		fmt.Fprintf(&log, "pid=7 > %s\npid=7 2> %s\npid=7 2>> %s\n", line, line, line)
		fmt.Fprintln(&stdout, line)
		fmt.Fprintln(&stderr, line+line)
	}
	whole := log.String()
	for rest := whole; rest != ""; {
		piece := rest[:min(len(rest), 60_001)]
		must(t, w.UpdateTask(t.Context(), first.Uuid, wire.TaskUpdate{Log: &piece}))
		rest = rest[len(piece):]
	}
	_, body := f.do("GET", "/api/v3/jobs/"+job.Id.String()+"/outputs.zip", nil)
	want := map[string]string{"log.txt": whole, "stdout.txt": stdout.String(), "stderr.txt": stderr.String()}
	got := archived(t, body)
	if len(whole) < 3<<20 || len(got) != 6 {
		t.Errorf("the log has %d bytes, the archive %d files", len(whole), len(got))
	}
	for name, text := range want {
		if got["0001-echo/"+name] != text {
			t.Errorf("%s has %d bytes instead of %d", name, len(got["0001-echo/"+name]), len(text))
		}
		if text, there := got["0002-sleep/"+name]; !there || text != "" {
			t.Errorf("%s of a task that did not run: %v, %q", name, there, text)
		}
	}
}

// TestOutputOfSeveralWithOnePath names the one that is meant by its bytes.
func TestOutputOfSeveralWithOnePath(t *testing.T) {
	f := newFarm(t)
	job := f.submit()
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	root := filepath.Join(f.storage, "output", "shot")
	outputs := append(*produce(t, filepath.Join(root, "a"), "0001.png"), *produce(t, filepath.Join(root, "b"), "0001.png")...)
	for i, o := range outputs {
		text := []byte("the picture of " + filepath.Base(o.Root))
		must(t, os.WriteFile(filepath.Join(o.Root, o.Path), text, 0o644))
		outputs[i].Size, outputs[i].Sha256 = int64(len(text)), cas.SumBytes(text).String()
	}
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: &outputs}))
	for i, name := range []string{"a", "b"} {
		resp, body := f.do("GET", "/api/v3/jobs/"+job.Id.String()+"/output?path=0001.png&sha256="+outputs[i].Sha256, nil)
		if resp.StatusCode != 200 || string(body) != "the picture of "+name {
			t.Errorf("%s: %d %q", name, resp.StatusCode, body)
		}
	}
	if resp, body := f.do("GET", "/api/v3/jobs/"+job.Id.String()+"/output?path=0001.png&sha256="+strings.Repeat("0", 64), nil); resp.StatusCode != 404 {
		t.Errorf("bytes that none has: %d %q", resp.StatusCode, body)
	}
}

// TestJobFiles reads a checkout back, and says of a job without one that there is none.
func TestJobFiles(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	want := []wire.ShamanFileSpec{}
	for _, name := range []string{"deep/er/b.txt", "scene.blend"} {
		blob := cas.Blob{Digest: cas.SumBytes([]byte(name)), Size: int64(len(name))}
		try(c.Upload(ctx, blob, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(name)), nil }, nil))(t)
		want = append(want, wire.ShamanFileSpec{Sha: blob.Digest.String(), Size: blob.Size, Path: name})
	}
	name := try(c.Checkout(ctx, "film/shot", want))(t)
	with := func(checkout string) wire.Job {
		return f.submit(func(j *wire.SubmittedJob) { j.Storage = &wire.JobStorageInfo{ShamanCheckoutId: &checkout} })
	}
	var listed wire.JobFiles
	f.json("GET", "/api/v3/jobs/"+with(name).Id.String()+"/files", nil, &listed, 200)
	if diff := cmp.Diff(wire.JobFiles{Checkout: name, Files: want}, listed); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	must(t, os.Symlink("/etc/passwd", filepath.Join(f.storage, "jobs", name, "link")))
	for what, id := range map[string]uuid.UUID{
		"no checkout": f.submit().Id, "no such checkout": with("elsewhere").Id, "a folder of checkouts": with("film").Id,
		"what leads elsewhere": with(name).Id, "no such job": uuid.New(),
	} {
		if resp, body := f.do("GET", "/api/v3/jobs/"+id.String()+"/files", nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", what, resp.StatusCode, body)
		}
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
