package storetest

import (
	"time"

	"hayloft/scheduler"
)

// newShared stores a job that is shared by speed.
func (f *farm) newShared(tasks []scheduler.NewTask) scheduler.Job {
	f.Helper()
	job := f.blankJob()
	job.Share = scheduler.ShareBySpeed
	f.insert(job, tasks)
	return job
}

func (f *farm) contenders(task scheduler.TaskID) []scheduler.Contender {
	f.Helper()
	return read(f, func(tx scheduler.ReadTx) ([]scheduler.Contender, error) { return tx.Contenders(task) })
}

// complete ends a task that is active and returns it as it is then.
func (f *farm) complete(task scheduler.TaskState) scheduler.Task {
	f.Helper()
	f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskCompleted})
	return f.task(task.ID)
}

func took(t scheduler.Task) time.Duration { return t.Updated.Sub(t.ClaimedAt) }

// sharing keeps how a job is shared, and tells of its workers what they did and do.
func sharing(f *farm) {
	a, b := f.newWorker("a"), f.newWorker("b")
	b.Performance = 2.5
	f.update(func(tx scheduler.Tx) error { return tx.PutWorker(b) })
	stored := read(f, func(tx scheduler.ReadTx) (scheduler.Worker, error) { return tx.Worker(b.ID) })
	f.diff("performance", 2.5, stored.Performance)
	untold := a
	untold.Performance = 0
	f.update(func(tx scheduler.Tx) error { return tx.PutWorker(untold) })
	stored = read(f, func(tx scheduler.ReadTx) (scheduler.Worker, error) { return tx.Worker(a.ID) })
	f.diff("performance that was not told", 1.0, stored.Performance)

	tasks := f.newTasks(8)
	tasks[0].Steps, tasks[1].Steps = 5, 0
	job := f.newShared(tasks)
	f.diff("share", scheduler.ShareBySpeed, f.job(job.ID).Share)
	state := read(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.JobState(job.ID) })
	f.diff("share, for decisions", scheduler.ShareBySpeed, state.Share)
	last := tasks[7].ID
	idleA, idleB := scheduler.Contender{Worker: a.ID, Performance: 1, Can: true}, scheduler.Contender{Worker: b.ID, Performance: 2.5, Can: true}
	f.diff("nothing done yet", []scheduler.Contender{idleA, idleB}, f.contenders(last))

	busy := idleA
	active := f.claim(a)
	busy.Busy, busy.Since, busy.ActiveSteps = true, f.task(active.ID).ClaimedAt, 5
	f.diff("one is at it", []scheduler.Contender{busy, idleB}, f.contenders(last))
	one := f.complete(active)
	two := f.complete(f.claim(a)) // which has no steps and counts as one
	idleA.Steps, idleA.Elapsed, idleA.Ended = 6, took(one)+took(two), two.Updated
	f.diff("two done", []scheduler.Contender{idleA, idleB}, f.contenders(last))

	f.move(f.claim(b).ID, scheduler.TaskMove{To: scheduler.TaskFailed})
	f.move(f.claim(b).ID, scheduler.TaskMove{To: scheduler.TaskCanceled})
	f.move(last, scheduler.TaskMove{To: scheduler.TaskCompleted}) // by nobody
	f.diff("failures and cancels do not count", []scheduler.Contender{idleA, idleB}, f.contenders(last))
	_, err := tryRead(f, func(tx scheduler.ReadTx) ([]scheduler.Contender, error) {
		return tx.Contenders(scheduler.TaskID{UUID: f.ids.uuid()})
	})
	f.wantErr(err, scheduler.ErrNotFound)
}

// paceFollows lets the newer tasks count more: every eighth halves what was before.
func paceFollows(f *farm) {
	w := f.newWorker("one")
	tasks := f.newTasks(20)
	f.newShared(tasks)
	count, want := 0, scheduler.Contender{Worker: w.ID, Performance: 1, Can: true}
	for range 19 {
		if count == 8 {
			count, want.Steps = 4, want.Steps/2
			want.Elapsed = (want.Elapsed / 2).Truncate(time.Microsecond)
		}
		done := f.complete(f.claim(w))
		count, want.Steps, want.Elapsed, want.Ended = count+1, want.Steps+1, want.Elapsed+took(done), done.Updated
		f.diff("after a task", []scheduler.Contender{want}, f.contenders(tasks[19].ID))
	}
	plain := f.newTasks(2)
	job := f.blankJob()
	job.Priority = 90
	f.insert(job, plain)
	f.complete(f.claim(w))
	f.diff("of a job that is pulled nothing is noted",
		[]scheduler.Contender{{Worker: w.ID, Performance: 1, Can: true}}, f.contenders(plain[1].ID))
	other := f.newTasks(1)
	f.newShared(other)
	f.claim(w)
	f.diff("another job is another race",
		[]scheduler.Contender{{Worker: w.ID, Performance: 1, Can: true, Busy: true}}, f.contenders(other[0].ID))
}

// contenderFilters: who can be given a task is who NextRunnable would give it to.
func contenderFilters(f *farm) {
	tag := f.newTag("gpu")
	tagged := func(w scheduler.Worker) scheduler.Worker {
		f.update(func(tx scheduler.Tx) error { return tx.SetWorkerTags(w.ID, []scheduler.TagID{tag.ID}) })
		return w
	}
	changed := func(name string, change func(*scheduler.Worker)) {
		w := f.newWorker(name)
		change(&w)
		f.update(func(tx scheduler.Tx) error { return tx.PutWorker(w) })
		tagged(w)
	}
	fit := tagged(f.newAble("fit", "usd", "blender:4.2"))
	silent := tagged(f.newWorker("silent"))
	f.newAble("without the tag", "usd")
	tagged(f.newAble("unable", "osl"))
	tagged(f.newWorker("other types", "ffmpeg"))
	changed("asleep", func(w *scheduler.Worker) { w.Status = scheduler.WorkerAsleep })
	changed("asked to go", func(w *scheduler.Worker) { w.Requested = scheduler.WorkerOffline })
	blocked, failed := tagged(f.newWorker("blocked")), tagged(f.newWorker("failed"))
	deleted := tagged(f.newWorker("deleted"))

	job, tasks := f.blankJob(), f.newTasks(4)
	job.Share, job.WorkerTag, job.Requires = scheduler.ShareBySpeed, tag.ID, []string{"usd"}
	f.insert(job, tasks)
	gone := f.complete(f.claim(deleted))
	f.update(func(tx scheduler.Tx) error {
		if err := tx.Block(job.ID, blocked.ID, "blender"); err != nil {
			return err
		}
		if err := tx.AddFailure(tasks[2].ID, failed.ID); err != nil {
			return err
		}
		return tx.DeleteWorker(deleted.ID)
	})
	can := make(map[scheduler.WorkerID]bool)
	for _, c := range f.contenders(tasks[2].ID) {
		can[c.Worker] = c.Can
	}
	f.diff("who can, or did", map[scheduler.WorkerID]bool{fit.ID: true, silent.ID: true, gone.Worker: false}, can)
	can = make(map[scheduler.WorkerID]bool)
	for _, c := range f.contenders(tasks[3].ID) {
		can[c.Worker] = c.Can
	}
	f.diff("a task that nobody failed", true, can[failed.ID])
	f.claim(fit)
	for _, c := range f.contenders(tasks[3].ID) {
		if c.Worker == fit.ID && (!c.Busy || c.Since.IsZero()) {
			f.Errorf("at work: %+v", c)
		}
	}
}

// leaving asks of each lane of jobs that are shared by speed, with its first task and its number, and passes over what is
// left.
func leaving(f *farm) {
	w := f.newWorker("one", "blender", "misc")
	plain, shared, low := f.newTasks(2), f.newTasks(4), f.newTasks(1)
	plainJob := f.blankJob()
	plainJob.Priority = 90
	f.insert(plainJob, plain)
	shared[2].Type, shared[3].Type = "misc", "misc"
	f.newShared(shared)
	lowJob := f.blankJob()
	lowJob.Priority = 10
	f.insert(lowJob, low)
	f.update(func(tx scheduler.Tx) error { return tx.AddFailure(shared[0].ID, w.ID) })

	type question struct {
		task     scheduler.TaskID
		runnable int
	}
	next := func(leaves map[scheduler.TaskID]bool) (got scheduler.TaskState, asked []question) {
		f.Helper()
		f.update(func(tx scheduler.Tx) (err error) {
			got, err = tx.NextRunnable(w, func(task scheduler.TaskState, runnable int) (bool, error) {
				asked = append(asked, question{task.ID, runnable})
				return leaves[task.ID], nil
			})
			return err
		})
		return got, asked
	}
	got, asked := next(nil)
	if got.ID != plain[0].ID || len(asked) > 0 {
		f.Errorf("got task %s after %d questions, want one that is pulled and none", got.ID, len(asked))
	}
	f.claim(w)
	f.claim(w)
	got, asked = next(nil)
	if got.ID != shared[1].ID || len(asked) != 1 || asked[0] != (question{shared[1].ID, 2}) {
		f.Errorf("got task %s after %v, want the first that the worker has not failed", got.ID, asked)
	}
	got, asked = next(map[scheduler.TaskID]bool{shared[1].ID: true})
	if got.ID != shared[2].ID || len(asked) != 2 || asked[1] != (question{shared[2].ID, 2}) {
		f.Errorf("got task %s after %v, want the first of the other type", got.ID, asked)
	}
	got, _ = next(map[scheduler.TaskID]bool{shared[1].ID: true, shared[2].ID: true})
	if got.ID != low[0].ID {
		f.Errorf("got task %s, want that of the next job", got.ID)
	}
	f.refused(scheduler.ErrConflict, func(tx scheduler.Tx) error {
		_, err := tx.NextRunnable(w, func(scheduler.TaskState, int) (bool, error) { return false, scheduler.ErrConflict })
		return err
	})
}
