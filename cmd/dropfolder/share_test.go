package dropfolder

import (
	"os"
	"path/filepath"
	"testing"

	"hayloft/api/wire"
)

// TestFewFramesGoToTheFastWorker has two workers of which one says that it is a hundred times faster: while nothing says
// otherwise, four frames are its own. When it is killed the other one takes over what it leaves.
func TestFewFramesGoToTheFastWorker(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(scenes(t), "plain.blend"))
	if err != nil {
		t.Fatal(err)
	}
	f := startFarm(t, "--worker-timeout", "3s")
	hayloft, err := buildHayloft()
	if err != nil {
		t.Fatal(err)
	}
	workers := make(map[string]*process)
	for name, performance := range map[string]string{"slow": "1", "fast": "100"} {
		workers[name] = start(t, "worker "+name, nil, hayloft, "worker", "--manager", f.url, "--data", filepath.Join(t.TempDir(), name),
			"--name", name, "--performance", performance)
	}
	for name := range workers {
		f.waitAwake(t, name)
	}
	dir := t.TempDir()
	f.startWatch(t, dir)

	put(t, filepath.Join(dir, "first.blend"), content)
	waitEnded(t, dir, "first.blend")
	checkFrames(t, filepath.Join(dir, "first.blend"+framesSuffix), 4)
	if by := f.framesBy(t, "first.blend"); by["fast"] != 4 {
		t.Errorf("frames by worker: %v, want all by the fast one", by)
	}

	put(t, filepath.Join(dir, "second.blend"), content)
	frames := filepath.Join(dir, "second.blend"+framesSuffix)
	waitFor(t, filepath.Join(frames, "any"), func() bool { return exists(frames) && len(filesIn(t, frames)) > 0 })
	workers["fast"].kill()
	waitEnded(t, dir, "second.blend")
	checkFrames(t, frames, 4)
	if by := f.framesBy(t, "second.blend"); by["slow"] == 0 || by["fast"]+by["slow"] != 4 {
		t.Errorf("frames by worker: %v, want those that the fast one left by the slow one", by)
	}
}

// framesBy counts the frames of a drop's job by the names of the workers that rendered them.
func (f *farm) framesBy(t *testing.T, drop string) map[string]int {
	t.Helper()
	job := f.jobsOf(t)[drop][0]
	if job.Share == nil || *job.Share != wire.JobShareSpeed {
		t.Errorf("the job of %s is not shared by speed", drop)
	}
	by := make(map[string]int)
	err := f.Tasks(t.Context(), job.Id, func(task wire.TaskSummary) error {
		if task.TaskType == "blender" && task.Worker != nil {
			by[task.Worker.Name]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return by
}
