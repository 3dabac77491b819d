package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"hayloft/scheduler"
)

// Run tries everything that the port promises. open makes an empty store for one test and closes it when that ends.
func Run(t *testing.T, open func(t *testing.T) scheduler.Store) {
	topics := []struct {
		name string
		test func(*farm)
	}{
		{"JobRoundTrip", jobRoundTrip}, {"JobList", jobList}, {"JobChanges", jobChanges}, {"JobUnknown", jobUnknown}, {"JobRefused", jobRefused},
		{"Preview", preview}, {"Blocklist", blocklist}, {"Unblock", unblock}, {"JobTag", jobTag}, {"JobLimits", jobLimits},
		{"JobsUpdatedUntil", jobsUpdatedUntil}, {"Schedule", schedule},
		{"TaskRoundTrip", taskRoundTrip}, {"TaskList", taskList}, {"TaskProgress", taskProgress}, {"Failures", failures},
		{"CapableWorkers", capableWorkers}, {"Logs", logs}, {"LogsTogether", logsTogether}, {"Outputs", outputs},
		{"ClaimOrder", claimOrder}, {"ClaimFilters", claimFilters}, {"Requirements", requirements}, {"RequirementsTogether", requirementsTogether},
		{"Waiting", waiting}, {"Pace", pace}, {"Sharing", sharing}, {"PaceFollows", paceFollows},
		{"ContenderFilters", contenderFilters}, {"Leaving", leaving}, {"ClaimsTogether", claimsTogether},
		{"ClaimAgainstCancel", claimAgainstCancel}, {"LateUpdate", lateUpdate}, {"Reclaim", reclaim},
		{"Dependencies", dependencies}, {"StaleMove", staleMove}, {"MassMoves", massMoves}, {"MassMoveNeeds", massMoveNeeds},
		{"Workers", workers}, {"Tags", tags}, {"Deletion", deletion}, {"DeletionBesideReaders", deletionBesideReaders},
		{"Rollback", rollback}, {"PanicStaysAlone", panicStaysAlone}, {"Canceled", canceled}, {"OneTime", oneTime},
		{"Snapshot", snapshot},
	}
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			f := &farm{T: t, store: open(t), ids: new(ids)}
			topic.test(f)
			f.check()
		})
	}
	t.Run("Closed", func(t *testing.T) { closed(&farm{T: t, store: open(t), ids: new(ids)}) })
	t.Run("Model", func(t *testing.T) { againstModel(t, open(t)) })
}

// ids makes UUIDs that grow.
type ids struct{ next atomic.Uint64 }

func (g *ids) uuid() (u uuid.UUID) {
	n := g.next.Add(1)
	binary.BigEndian.PutUint64(u[:8], n)
	u[6], u[8] = 0x70, 0x80
	binary.BigEndian.PutUint32(u[12:], uint32(n))
	return u
}

// farm is a store under test with short ways to use it.
type farm struct {
	*testing.T
	store scheduler.Store
	ids   *ids
}

func (f *farm) update(fn func(scheduler.Tx) error) {
	f.Helper()
	if err := f.store.Update(context.Background(), fn); err != nil {
		f.Fatal(err)
	}
}

func (f *farm) try(fn func(scheduler.Tx) error) error {
	return f.store.Update(context.Background(), fn)
}

func isNotFound(err error) bool { return errors.Is(err, scheduler.ErrNotFound) }

// refused runs an Update that must fail with want.
func (f *farm) refused(want error, fn func(scheduler.Tx) error) {
	f.Helper()
	if err := f.store.Update(context.Background(), fn); !errors.Is(err, want) {
		f.Errorf("got error %v, want %v", err, want)
	}
}

// checker is a store that can look for contradictions in itself.
type checker interface{ Check(context.Context) error }

func (f *farm) check() {
	f.Helper()
	if c, ok := f.store.(checker); ok && !f.Failed() {
		if err := c.Check(context.Background()); err != nil {
			f.Error(err)
		}
	}
}

// read returns one value of a snapshot.
func read[T any](f *farm, fn func(scheduler.ReadTx) (T, error)) T {
	f.Helper()
	v, err := tryRead(f, fn)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

func tryRead[T any](f *farm, fn func(scheduler.ReadTx) (T, error)) (v T, err error) {
	err = f.store.View(context.Background(), func(tx scheduler.ReadTx) (err error) {
		v, err = fn(tx)
		return err
	})
	return v, err
}

// diff reports a difference; an empty list is as good as none.
func (f *farm) diff(what string, want, got any) {
	f.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		f.Errorf("%s: -want +got\n%s", what, d)
	}
}

func (f *farm) wantErr(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("got error %v, want %v", err, want)
	}
}

func (f *farm) job(id scheduler.JobID) scheduler.Job {
	f.Helper()
	return read(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.Job(id) })
}

func (f *farm) task(id scheduler.TaskID) scheduler.Task {
	f.Helper()
	return read(f, func(tx scheduler.ReadTx) (scheduler.Task, error) { return tx.Task(id) })
}

// newWorker stores a worker that is awake.
func (f *farm) newWorker(name string, types ...string) scheduler.Worker {
	f.Helper()
	if types == nil {
		types = []string{"blender"}
	}
	w := scheduler.Worker{
		ID: scheduler.WorkerID{UUID: f.ids.uuid()}, Name: name, Address: "10.0.0.1", Platform: "linux", Software: "1.0",
		TaskTypes: types, Status: scheduler.WorkerAwake, SecretHash: []byte("hash of " + name), Performance: 1,
	}
	f.update(func(tx scheduler.Tx) error { return tx.PutWorker(w) })
	return w
}

func (f *farm) newTag(name string) scheduler.Tag {
	f.Helper()
	g := scheduler.Tag{ID: scheduler.TagID{UUID: f.ids.uuid()}, Name: name, Description: "about " + name}
	f.update(func(tx scheduler.Tx) error { return tx.PutTag(g) })
	return g
}

func (f *farm) blankJob() scheduler.Job {
	return scheduler.Job{
		ID: scheduler.JobID{UUID: f.ids.uuid()}, Name: "job", Type: "simple-blender-render", Priority: scheduler.DefaultPriority,
		Status: scheduler.JobQueued,
	}
}

// newTasks makes n render tasks of one step.
func (f *farm) newTasks(n int) []scheduler.NewTask {
	tasks := make([]scheduler.NewTask, n)
	for i := range tasks {
		tasks[i] = scheduler.NewTask{
			ID: scheduler.TaskID{UUID: f.ids.uuid()}, Name: fmt.Sprintf("render-%d", i+1), Type: "blender",
			Priority: scheduler.DefaultPriority, Steps: 1,
			Commands: fmt.Appendf(nil, `[{"name":"blender-render","parameters":{"frame":%d,"again":%d}}]`, i+1, i+1),
		}
	}
	return tasks
}

func (f *farm) insert(job scheduler.Job, tasks []scheduler.NewTask) scheduler.JobID {
	f.Helper()
	f.update(func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
	return job.ID
}

// claim takes the worker's next task.
func claim(tx scheduler.Tx, w scheduler.Worker) (scheduler.TaskState, error) {
	return claimLeaving(tx, w, nil)
}

func claimLeaving(tx scheduler.Tx, w scheduler.Worker, leaves func(scheduler.TaskState, int) (bool, error)) (scheduler.TaskState, error) {
	task, err := tx.NextRunnable(w, leaves)
	if err != nil {
		return task, err
	}
	move := scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true, StepsDone: new(int)}
	if _, err := tx.MoveTask(task, move); err != nil {
		return task, err
	}
	return tx.TaskState(task.ID)
}

func (f *farm) claim(w scheduler.Worker) (task scheduler.TaskState) {
	f.Helper()
	f.update(func(tx scheduler.Tx) (err error) {
		task, err = claim(tx, w)
		return err
	})
	return task
}

// move changes a task and returns how many became runnable.
func (f *farm) move(id scheduler.TaskID, m scheduler.TaskMove) (runnable int) {
	f.Helper()
	f.update(func(tx scheduler.Tx) error {
		task, err := tx.TaskState(id)
		if err != nil {
			return err
		}
		runnable, err = tx.MoveTask(task, m)
		return err
	})
	return runnable
}

func (f *farm) nothingFor(w scheduler.Worker) {
	f.Helper()
	f.refused(scheduler.ErrNoWork, func(tx scheduler.Tx) error {
		task, err := tx.NextRunnable(w, nil)
		if err == nil {
			f.Errorf("worker %s got task %s", w.Name, task.ID)
		}
		return err
	})
}

// together runs n functions at once, waits for all of them and reports their errors.
func (f *farm) together(n int, fn func(i int) error) {
	f.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			f.Errorf("caller %d: %v", i, err)
		}
	}
}
