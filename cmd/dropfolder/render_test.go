package dropfolder

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
