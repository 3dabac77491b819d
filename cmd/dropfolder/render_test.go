package dropfolder

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// TestRenderedBesideTheDrop puts a zip, a folder and a .blend into a watched folder, kills the manager and the watching in the
// middle of rendering, and finds all frames beside the drops in the end, of one job each.
func TestRenderedBesideTheDrop(t *testing.T) {
	t.Parallel()
	made := scenes(t)
	f := startFarm(t)
	f.startWorker(t, "one")
	dir := t.TempDir()
	watching := f.startWatch(t, dir)
	put(t, filepath.Join(dir, "shot.zip"), zipFolder(t, filepath.Join(made, "project")))
	copyFolder(t, filepath.Join(made, "project"), filepath.Join(dir, "folder"))
	plain, err := os.ReadFile(filepath.Join(made, "plain.blend"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "plain.blend"), plain)
	drops := []string{"shot.zip", "folder", "plain.blend"}
	for range drops {
		watching.says("a drop is a job now")
	}

	first := filepath.Join(dir, "folder.frames", "000001.png")
	waitFor(t, first, func() bool { return exists(first) })
	f.manager.kill()
	watching.kill()
	f.restartManager(t)
	f.startWatch(t, dir)
	waitEnded(t, dir, drops...)
	for _, name := range drops {
		checkFrames(t, filepath.Join(dir, name+framesSuffix), 4)
	}
	for name, jobs := range f.jobsOf(t) {
		if len(jobs) != 1 || jobs[0].Status != wire.JobStatusCompleted || !slices.Contains(drops, name) {
			t.Errorf("the jobs of %s are %+v", name, jobs)
		}
	}
	if left := unpackedIn(t, dir); len(left) > 0 {
		t.Errorf("there is left %q", left)
	}
	for _, name := range drops {
		if exists(filepath.Join(dir, name+errorSuffix)) {
			t.Errorf("%s has an error", name)
		}
	}
}

// waitEnded waits until the records of the drops say that their jobs have ended.
func waitEnded(t *testing.T, dir string, drops ...string) {
	t.Helper()
	waitFor(t, filepath.Join(dir, ownFolder, "any"), func() bool {
		for _, name := range drops {
			if recordOf(t, dir, name).Ended == "" {
				return false
			}
		}
		return true
	})
}

// recordOf reads the record of a drop; the zero record if there is none.
func recordOf(t *testing.T, dir, name string) record {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := readRecord(root, recordFile(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return r
}

// checkFrames finds exactly these frames, whole and all different, and the video.
func checkFrames(t *testing.T, dir string, frames int) {
	t.Helper()
	var want []string
	pictures := map[string]string{}
	for i := range frames {
		name := fmt.Sprintf("%06d.png", i+1)
		want = append(want, name)
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		decoded, _, err := image.Decode(bytes.NewReader(text))
		if err != nil || decoded.Bounds().Size() != (image.Point{X: 32, Y: 24}) {
			t.Errorf("%s/%s is no such picture: %v", dir, name, err)
			continue
		}
		pictures[fmt.Sprint(decoded)] = name
	}
	if len(pictures) != frames {
		t.Errorf("%s: there are %d different pictures in %d frames", dir, len(pictures), frames)
	}
	got := slices.DeleteFunc(filesIn(t, dir), func(name string) bool { return filepath.Ext(name) == ".mp4" })
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

// TestFramesOfAllFormats drops scenes whose frames have names of their own, or of which no preview video can be made.
func TestFramesOfAllFormats(t *testing.T) {
	t.Parallel()
	made := scenes(t)
	f := startFarm(t)
	f.startWorker(t, "one")
	dir := t.TempDir()
	f.startWatch(t, dir)
	want := map[string][]string{
		"formats/TARGA.blend": {"000001.tga", "TARGA #1-1.mp4"}, "formats/JPEG2000.blend": {"000001.jp2"}, "formats/HDR.blend": {"000001.hdr"},
		"formats/CINEON.blend": {"000001.cin"}, "formats/WEBP.blend": {"000001.webp", "WEBP #1-1.mp4"},
		"formats/codestream.blend": {"000001.j2c"},
		"stereo.blend":             {"000001_L.png", "000001_R.png"},
	}
	drops := map[string]string{}
	for from := range want {
		content, err := os.ReadFile(filepath.Join(made, filepath.FromSlash(from)))
		if err != nil {
			t.Fatal(err)
		}
		drops[from] = strings.TrimSuffix(filepath.Base(from), ".blend") + " #1.blend" // To Blender, # is a place for a number.
		put(t, filepath.Join(dir, drops[from]), content)
	}
	waitEnded(t, dir, slices.Collect(maps.Values(drops))...)
	for from, files := range want {
		name := drops[from]
		if got := filesIn(t, filepath.Join(dir, name+framesSuffix)); !slices.Equal(got, files) || exists(filepath.Join(dir, name+errorSuffix)) {
			t.Errorf("beside %s there is %q, want %q", name, got, files)
		}
	}
}

// TestKilledWorkerLosesNothing kills a worker in the middle of a frame, and compares all frames with those of a Blender alone.
func TestKilledWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	scene := filepath.Join(scenes(t), "plain.blend")
	f := startFarm(t, "--worker-timeout", "3s")
	dir := t.TempDir()
	workers := map[string]*process{"one": f.startWorker(t, "one"), "two": f.startWorker(t, "two")}
	f.startWatch(t, dir)
	content, err := os.ReadFile(scene)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "shot.blend"), content)
	frames := filepath.Join(dir, "shot.blend"+framesSuffix)
	waitFor(t, filepath.Join(frames, "any"), func() bool { return exists(frames) && len(filesIn(t, frames)) > 0 })
	job := f.jobsOf(t)["shot.blend"][0].Id
	victim := f.busyWorker(t, job)
	if victim == "" {
		t.Fatal("all frames were rendered before a worker could be killed")
	}
	workers[victim].kill()
	waitEnded(t, dir, "shot.blend")
	checkFrames(t, frames, 4)

	alone := t.TempDir()
	out, err := exec.Command("blender", "-b", scene, "-o", filepath.Join(alone, "######"), "-a").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range filesIn(t, alone) {
		if got, want := picture(t, filepath.Join(frames, name)), picture(t, filepath.Join(alone, name)); !reflect.DeepEqual(got, want) {
			t.Errorf("the frame %s is another one than a Blender alone renders", name)
		}
	}
}

// TestSceneThatNoWorkerCanRender drops a scene that says it comes from a newer Blender than the worker's.
func TestSceneThatNoWorkerCanRender(t *testing.T) {
	t.Parallel()
	f, dir := startFarm(t), t.TempDir()
	f.startWorker(t, "one")
	f.waitAwake(t, "one")
	f.startWatch(t, dir)
	content, err := os.ReadFile(filepath.Join(scenes(t), "plain.blend"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "shot.blend"), bytes.Replace(content, []byte("BLENDER-v304"), []byte("BLENDER-v405"), 1))
	sentence := filepath.Join(dir, "shot.blend"+errorSuffix)
	waitFor(t, sentence, func() bool { return exists(sentence) })
	if text, err := os.ReadFile(sentence); err != nil || !strings.HasPrefix(string(text), "shot.blend waits: no worker can render it now (one: ") ||
		!strings.Contains(string(text), "blender:4.5") {
		t.Errorf("the explanation is %q, %v", text, err)
	}
	if err := f.SetJobStatus(t.Context(), f.jobsOf(t)["shot.blend"][0].Id, wire.JobStatusCancelRequested, "enough"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, sentence, func() bool { return !exists(sentence) })
}

// busyWorker is the name of a worker that has a task of the job; empty if none has.
func (f *farm) busyWorker(t *testing.T, job uuid.UUID) string {
	t.Helper()
	name := ""
	err := f.Tasks(t.Context(), job, func(task wire.TaskSummary) error {
		if task.Status == wire.TaskStatusActive && task.Worker != nil {
			name = task.Worker.Name
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func picture(t *testing.T, path string) image.Image {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoded, _, err := image.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

// TestFailedJobIsExplained renders a scene without a camera, which fails, and then one in its place that does not.
func TestFailedJobIsExplained(t *testing.T) {
	t.Parallel()
	made := scenes(t)
	f := startFarm(t)
	f.startWorker(t, "one")
	dir := t.TempDir()
	f.startWatch(t, dir)
	drop := func(name string) {
		content, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "shot.blend"), content)
	}
	drop("blind.blend")
	sentence := filepath.Join(dir, "shot.blend"+errorSuffix)
	waitFor(t, sentence, func() bool { return exists(sentence) })
	text, err := os.ReadFile(sentence)
	jobs := f.jobsOf(t)["shot.blend"]
	if err != nil || len(jobs) != 1 || jobs[0].Status != wire.JobStatusFailed || jobs[0].Activity == "" ||
		!strings.Contains(string(text), jobs[0].Activity) || !strings.Contains(string(text), f.url+"/app/jobs/"+jobs[0].Id.String()) {
		t.Errorf("the explanation is %q, %v; the jobs are %+v", text, err, jobs)
	}
	drop("single.blend")
	frame := filepath.Join(dir, "shot.blend"+framesSuffix, "000007.jpg")
	waitFor(t, sentence, func() bool { return !exists(sentence) })
	if exists(frame) {
		t.Error("there is a frame before there is a job")
	}
}
