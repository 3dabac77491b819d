package scheduler_test

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hayloft/scheduler"
)

// actors is what a random run knows: three workers that forget nothing, and the jobs that were sent.
type actors struct {
	*farm
	workers []scheduler.WorkerID
	held    map[scheduler.WorkerID]scheduler.Assignment // what each worker believes to have
	jobs    []scheduler.JobID
}

// tolerated are the answers that a worker or a person may get when somebody else was faster.
func tolerated(err error) bool {
	var asked scheduler.StatusRequested
	for _, ok := range []error{scheduler.ErrNoWork, scheduler.ErrNotOwner, scheduler.ErrNotAwake, scheduler.ErrTransition, scheduler.ErrNotFound} {
		if errors.Is(err, ok) {
			return true
		}
	}
	return err == nil || errors.As(err, &asked)
}

func (a *actors) anyWorker(t *rapid.T) scheduler.WorkerID {
	return rapid.SampledFrom(a.workers).Draw(t, "worker")
}

func (a *actors) must(t *rapid.T, err error) {
	t.Helper()
	if !tolerated(err) {
		t.Fatal(err)
	}
}

func (a *actors) submit(t *rapid.T) {
	if len(a.jobs) >= 4 {
		return
	}
	a.jobs = append(a.jobs, a.job(t, rapid.IntRange(1, 12).Draw(t, "tasks"), func(j *scheduler.Job) {
		j.Priority = rapid.SampledFrom([]int{10, 50, 90}).Draw(t, "priority")
		j.Requires = rapid.SampledFrom([][]string{nil, {"blender:3.4"}, {"blender:4.2", "usd"}, {"osl"}}).Draw(t, "requires")
		j.Share = rapid.SampledFrom([]scheduler.Share{scheduler.ShareByPulling, scheduler.ShareBySpeed}).Draw(t, "share")
	}))
}

func (a *actors) claimOne(t *rapid.T) {
	w := a.anyWorker(t)
	got, err := a.Claim(context.Background(), w, 0)
	a.must(t, err)
	if err == nil {
		a.held[w] = got
		a.checkAble(t, w, got)
	}
}

// checkAble holds a claim against what the worker can do.
func (a *actors) checkAble(t *rapid.T, w scheduler.WorkerID, got scheduler.Assignment) {
	job, err := a.Job(context.Background(), got.Job)
	a.must(t, err)
	worker, err := a.Worker(context.Background(), w)
	a.must(t, err)
	if lacking := scheduler.Lacking(worker.Abilities, job.Requires); len(lacking) > 0 {
		t.Fatalf("worker %s, which lacks %v, got task %s", worker.Name, lacking, got.Name)
	}
}

// upgrade starts a worker's process anew with another Blender, be it while a task is active on it.
func (a *actors) upgrade(t *rapid.T) {
	abilities := rapid.SampledFrom([][]string{nil, {}, {"blender:3.4.1", "osl"}, {"blender:4.2", "usd"}, {"blender:5.0"}}).Draw(t, "abilities")
	a.signOn(t, a.anyWorker(t), abilities...)
}

func (a *actors) reportOne(t *rapid.T) {
	w := a.anyWorker(t)
	task, ok := a.held[w]
	if !ok {
		return
	}
	status := rapid.SampledFrom([]scheduler.TaskStatus{scheduler.TaskActive, scheduler.TaskCompleted, scheduler.TaskCompleted, scheduler.TaskFailed}).Draw(t, "report")
	err := a.UpdateTask(context.Background(), w, task.ID, scheduler.TaskUpdate{Status: status, Claim: task.Claim})
	a.must(t, err)
	if err == nil && status != scheduler.TaskActive {
		after, err := a.Task(context.Background(), task.ID)
		if err == nil && after.Status == scheduler.TaskActive {
			t.Fatalf("a reported end left the task active")
		}
	}
}

func (a *actors) ask(t *rapid.T) {
	if len(a.jobs) == 0 {
		return
	}
	job := rapid.SampledFrom(a.jobs).Draw(t, "job")
	status := rapid.SampledFrom([]scheduler.JobStatus{scheduler.JobCancelRequested, scheduler.JobPauseRequested, scheduler.JobRequeueing}).Draw(t, "wish")
	a.must(t, a.RequestJobStatus(context.Background(), job, status, "random"))
}

func (a *actors) askTask(t *rapid.T) {
	if len(a.jobs) == 0 {
		return
	}
	job := rapid.SampledFrom(a.jobs).Draw(t, "job")
	tasks, err := a.Tasks(context.Background(), job, 0, 0)
	a.must(t, err)
	if len(tasks) == 0 {
		return
	}
	task := rapid.SampledFrom(tasks).Draw(t, "task")
	status := rapid.SampledFrom([]scheduler.TaskStatus{scheduler.TaskCanceled, scheduler.TaskQueued, scheduler.TaskPaused}).Draw(t, "wish")
	a.must(t, a.RequestTaskStatus(context.Background(), task.ID, status, "random"))
}

func (a *actors) comeAndGo(t *rapid.T) {
	w := a.anyWorker(t)
	ctx := context.Background()
	switch rapid.IntRange(0, 6).Draw(t, "worker event") {
	case 0:
		a.must(t, a.SignOff(ctx, w))
	case 1:
		a.wake(t, w)
	case 2:
		a.must(t, a.StatusChanged(ctx, w, scheduler.WorkerAsleep))
	case 3:
		a.must(t, a.RequestWorkerStatus(ctx, w, scheduler.WorkerAsleep, rapid.Bool().Draw(t, "lazy")))
	case 4:
		a.upgrade(t)
	case 5:
		a.clock.advance(90 * time.Second)
		a.must(t, a.CheckTimeouts(ctx))
	case 6:
		a.tellPerformance(t, w)
	}
}

func (a *actors) tellPerformance(t *rapid.T, id scheduler.WorkerID) {
	w, err := a.Worker(context.Background(), id)
	a.must(t, err)
	on := scheduler.SignOn{Name: w.Name, TaskTypes: w.TaskTypes, Abilities: w.Abilities,
		Performance: rapid.SampledFrom([]float64{0, 0.25, 1, 4}).Draw(t, "performance")}
	_, err = a.SignOn(context.Background(), id, on)
	a.must(t, err)
	a.must(t, a.StatusChanged(context.Background(), id, scheduler.WorkerAwake))
}

// settle lets all workers ask until nobody gets anything, and looks whether something was left that one of them could do.
func (a *actors) settle(t *rapid.T) {
	ctx := context.Background()
	for _, w := range a.workers {
		a.wake(t, w)
		a.must(t, a.RequestWorkerStatus(ctx, w, scheduler.WorkerAwake, false))
	}
	for busy := true; busy; {
		a.clock.advance(5 * time.Second)
		busy = false
		for _, w := range a.workers {
			task, err := a.Claim(ctx, w, 0)
			a.must(t, err)
			if err == nil {
				busy = true
				a.must(t, a.UpdateTask(ctx, w, task.ID, scheduler.TaskUpdate{Status: scheduler.TaskCompleted, Claim: task.Claim}))
			}
		}
	}
	for _, id := range a.workers {
		w, err := a.Worker(ctx, id)
		a.must(t, err)
		err = a.db.Update(ctx, func(tx scheduler.Tx) error { _, err := tx.NextRunnable(w, nil); return err })
		if !errors.Is(err, scheduler.ErrNoWork) {
			t.Fatalf("nobody takes what worker %s could do: %v", w.Name, err)
		}
	}
}

func (a *actors) deleteOne(t *rapid.T) {
	if len(a.jobs) < 2 {
		return
	}
	id := a.jobs[0]
	a.jobs = a.jobs[1:]
	a.must(t, a.RequestJobDeletion(context.Background(), id))
	a.must(t, a.DeleteJob(context.Background(), id))
}

// check holds what must be true whatever happened.
func (a *actors) check(t *rapid.T) {
	ctx := context.Background()
	if err := a.db.Check(ctx); err != nil {
		t.Fatal(err)
	}
	busy := make(map[scheduler.WorkerID]scheduler.TaskID)
	for _, id := range a.jobs {
		job, err := a.Job(ctx, id)
		a.must(t, err)
		tasks, err := a.Tasks(ctx, id, 0, 0)
		a.must(t, err)
		for _, task := range tasks {
			if task.Status != scheduler.TaskActive {
				continue
			}
			if other, ok := busy[task.Worker]; ok {
				t.Fatalf("worker has %s and %s active", other, task.ID)
			}
			busy[task.Worker] = task.ID
		}
		checkJob(t, job)
	}
}

// checkJob compares a job's status with its tasks.
func checkJob(t *rapid.T, job scheduler.Job) {
	n := job.Tasks
	wrong := ""
	switch {
	case n.Completed == n.Total() && job.Status != scheduler.JobCompleted:
		wrong = "all tasks are completed"
	case job.Status == scheduler.JobCompleted && n.Completed != n.Total():
		wrong = "not all tasks are completed"
	case job.Status == scheduler.JobCanceled && n.Unfinished() > 0, job.Status == scheduler.JobFailed && n.Unfinished() > 0:
		wrong = "tasks may still run"
	case job.Status == scheduler.JobPaused && n.Active > 0:
		wrong = "a task is active"
	case job.Status == scheduler.JobPauseRequested && n.Active == 0:
		wrong = "nothing is left to wait for"
	case job.Status == scheduler.JobCancelRequested || job.Status == scheduler.JobRequeueing:
		wrong = "a passing status stayed"
	case job.Status.Claimable() && n.Active == 0 && job.Runnable == 0 && n.Paused == 0:
		wrong = "nothing runs and nothing can"
	}
	if wrong != "" {
		t.Fatalf("job is %s but %s: %+v, runnable %d", job.Status, wrong, n, job.Runnable)
	}
}

func TestRandomFarm(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); randomFarms != "" && checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set(randomFarms); err != nil {
			t.Fatal(err)
		}
		defer checks.Value.Set(checks.DefValue) //nolint:errcheck // It took that one before.
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, remove := tempDir(t)
		defer remove()
		f := openFarm(t, filepath.Join(dir, "farm.sqlite"), &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
		defer f.db.Close() //nolint:errcheck // The check that matters ran before.
		a := &actors{farm: f, held: make(map[scheduler.WorkerID]scheduler.Assignment)}
		for _, name := range []string{"a", "b", "c"} {
			a.workers = append(a.workers, f.worker(t, name))
		}
		t.Repeat(map[string]func(*rapid.T){
			"submit": a.submit, "claim": a.claimOne, "claim more": a.claimOne, "report": a.reportOne, "report more": a.reportOne,
			"ask": a.ask, "ask task": a.askTask, "worker": a.comeAndGo, "delete": a.deleteOne,
			"": a.check,
		})
		a.settle(t)
	})
}
