package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hayloft/scheduler"
	"hayloft/scheduler/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// farm is a scheduler on a real database.
type farm struct {
	*scheduler.Scheduler
	db    *store.SQLite
	clock *clock
	path  string
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func openFarm(t fataler, path string, clock *clock) *farm {
	t.Helper()
	db, err := store.OpenSQLite(context.Background(), path, store.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &farm{Scheduler: scheduler.New(db, scheduler.Options{Now: clock.Now}), db: db, clock: clock, path: path}
}

func newFarm(t *testing.T) *farm {
	t.Helper()
	f := openFarm(t, filepath.Join(t.TempDir(), "farm.sqlite"), &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	t.Cleanup(func() {
		if err := f.db.Check(context.Background()); err != nil {
			t.Errorf("the database contradicts itself: %v", err)
		}
		if err := f.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// restart closes the database and opens it again, as a new manager process would.
func (f *farm) restart(t fataler) {
	t.Helper()
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	*f = *openFarm(t, f.path, f.clock)
}

// worker registers a worker and takes it to awake.
func (f *farm) worker(t fataler, name string, tags ...string) scheduler.WorkerID {
	t.Helper()
	ctx := context.Background()
	w, err := f.Register(ctx, scheduler.Registration{Name: name, Secret: "secret of " + name, Platform: "linux", TaskTypes: []string{"blender", "misc"}, TagNames: tags})
	if err != nil {
		t.Fatal(err)
	}
	f.wake(t, w.ID)
	return w.ID
}

func (f *farm) wake(t fataler, id scheduler.WorkerID) {
	t.Helper()
	ctx := context.Background()
	w, err := f.Worker(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	on := scheduler.SignOn{Name: w.Name, Software: "test", TaskTypes: []string{"blender", "misc"}, Abilities: w.Abilities}
	if _, err := f.SignOn(ctx, id, on); err != nil {
		t.Fatal(err)
	}
	if err := f.StatusChanged(ctx, id, scheduler.WorkerAwake); err != nil {
		t.Fatal(err)
	}
}

// able registers a worker that tells what it can do, and takes it to awake.
func (f *farm) able(t fataler, name string, abilities ...string) scheduler.WorkerID {
	t.Helper()
	id := f.worker(t, name)
	f.signOn(t, id, abilities...)
	return id
}

// signOn starts a worker's process anew, with other abilities, and takes it to awake.
func (f *farm) signOn(t fataler, id scheduler.WorkerID, abilities ...string) {
	t.Helper()
	w, err := f.Worker(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	on := scheduler.SignOn{Name: w.Name, Software: "test", TaskTypes: w.TaskTypes, Abilities: abilities}
	if _, err := f.SignOn(context.Background(), id, on); err != nil {
		t.Fatal(err)
	}
	if err := f.StatusChanged(context.Background(), id, scheduler.WorkerAwake); err != nil {
		t.Fatal(err)
	}
}

// requiring lets a job require abilities.
func requiring(requires ...string) func(*scheduler.Job) {
	return func(j *scheduler.Job) { j.Requires = requires }
}

// job submits n blender tasks and, if wanted, one that needs them all.
func (f *farm) job(t fataler, n int, change ...func(*scheduler.Job)) scheduler.JobID {
	t.Helper()
	job := scheduler.Job{ID: f.NewJobID(), Name: fmt.Sprintf("%d tasks", n), Type: "test", Priority: scheduler.DefaultPriority}
	for _, c := range change {
		c(&job)
	}
	tasks := make([]scheduler.NewTask, n)
	for i := range tasks {
		tasks[i] = scheduler.NewTask{ID: f.NewTaskID(), Name: fmt.Sprintf("render-%d", i+1), Type: "blender", Priority: 50, Commands: []byte(`[]`), Steps: 1}
	}
	if _, err := f.SubmitJob(context.Background(), job, tasks); err != nil {
		t.Fatal(err)
	}
	return job.ID
}

func (f *farm) claim(t fataler, w scheduler.WorkerID) scheduler.Assignment {
	t.Helper()
	a, err := f.Claim(context.Background(), w, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (f *farm) idle(t fataler, w scheduler.WorkerID) {
	t.Helper()
	if a, err := f.Claim(context.Background(), w, 0); !errors.Is(err, scheduler.ErrNoWork) {
		t.Fatalf("worker got task %v, %v; want no work", a.Name, err)
	}
}

func (f *farm) report(t fataler, w scheduler.WorkerID, task scheduler.Assignment, status scheduler.TaskStatus) {
	t.Helper()
	if err := f.UpdateTask(context.Background(), w, task.ID, scheduler.TaskUpdate{Status: status, Claim: task.Claim}); err != nil {
		t.Fatal(err)
	}
}

func (f *farm) wantJob(t fataler, id scheduler.JobID, status scheduler.JobStatus) scheduler.Job {
	t.Helper()
	job, err := f.Job(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if job.Status != status {
		t.Fatalf("job is %s (%s), want %s; tasks %+v", job.Status, job.Activity, status, job.Tasks)
	}
	return job
}

func (f *farm) wantTask(t fataler, id scheduler.TaskID, status scheduler.TaskStatus) scheduler.Task {
	t.Helper()
	task, err := f.Task(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if task.Status != status {
		t.Fatalf("task %s is %s (%s), want %s", task.Name, task.Status, task.Activity, status)
	}
	return task
}

// tempDir is for rapid's runs, which have no directories of their own.
func tempDir(t fataler) (dir string, remove func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hayloft-scheduler-*")
	if err != nil {
		t.Fatal(err)
	}
	return dir, func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
