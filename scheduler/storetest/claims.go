package storetest

import (
	"errors"
	"slices"

	"hayloft/scheduler"
)

// claimOrder builds jobs out of order and claims everything: job priority, task priority, age of the job, index.
func claimOrder(f *farm) {
	w := f.newWorker("one", "blender", "misc")
	var want []scheduler.TaskID
	place := func(priority int) (scheduler.Job, []scheduler.NewTask) {
		job, tasks := f.blankJob(), f.newTasks(4)
		job.Priority = priority
		tasks[1].Type, tasks[3].Priority = "misc", 70 // the types take turns by index; the last one comes first
		return job, tasks
	}
	low, lowTasks := place(10)
	older, olderTasks := place(50)
	younger, youngerTasks := place(50)
	high, highTasks := place(90)
	for _, job := range []struct {
		job   scheduler.Job
		tasks []scheduler.NewTask
	}{{low, lowTasks}, {older, olderTasks}, {younger, youngerTasks}, {high, highTasks}} {
		f.insert(job.job, job.tasks)
	}
	order := func(tasks []scheduler.NewTask, at ...int) {
		for _, i := range at {
			want = append(want, tasks[i].ID)
		}
	}
	order(highTasks, 3, 0, 1, 2)
	order(olderTasks, 3)
	order(youngerTasks, 3)
	order(olderTasks, 0, 1, 2)
	order(youngerTasks, 0, 1, 2)
	order(lowTasks, 3, 0, 1, 2)
	var got []scheduler.TaskID
	for range want {
		got = append(got, f.claim(w).ID)
	}
	f.diff("order of claims", want, got)
	f.nothingFor(w)
}

func claimFilters(f *farm) {
	tag := f.newTag("gpu")
	job, tasks := f.blankJob(), f.newTasks(3)
	job.WorkerTag = tag.ID
	tasks[0].Type = "ffmpeg"
	tasks[1].Needs = []int{0}
	id := f.insert(job, tasks)
	plain := f.newWorker("plain", "blender", "ffmpeg")
	f.nothingFor(plain)
	w := f.newWorker("tagged", "blender")
	f.update(func(tx scheduler.Tx) error { return tx.SetWorkerTags(w.ID, []scheduler.TagID{tag.ID}) })
	f.diff("the type and the needs decide", tasks[2].ID, f.claim(w).ID)
	f.nothingFor(w)
	f.move(tasks[2].ID, scheduler.TaskMove{To: scheduler.TaskSoftFailed})
	f.update(func(tx scheduler.Tx) error { return tx.AddFailure(tasks[2].ID, w.ID) })
	f.nothingFor(w)
	f.update(func(tx scheduler.Tx) error { return tx.ForgetFailedBy(tasks[2].ID) })
	f.diff("a soft-failed task waits, too", tasks[2].ID, f.claim(w).ID)
	f.move(tasks[2].ID, scheduler.TaskMove{To: scheduler.TaskQueued})
	f.update(func(tx scheduler.Tx) error { return tx.Block(id, w.ID, "blender") })
	f.nothingFor(w)
	f.update(func(tx scheduler.Tx) error { return tx.SetWorkerTags(plain.ID, []scheduler.TagID{tag.ID}) })
	f.diff("others are not blocked", tasks[0].ID, f.claim(plain).ID)
	f.move(tasks[0].ID, scheduler.TaskMove{To: scheduler.TaskCompleted})
	f.diff("its dependent is next", tasks[1].ID, f.claim(plain).ID)
}

// claimsTogether lets many workers claim everything at once: each task goes to exactly one.
func claimsTogether(f *farm) {
	const claimants, jobs, each = 8, 3, 40
	var order []scheduler.TaskID
	for range jobs {
		tasks := f.newTasks(each)
		f.insert(f.blankJob(), tasks)
		for _, task := range tasks {
			order = append(order, task.ID)
		}
	}
	var all []scheduler.Worker
	for range claimants {
		all = append(all, f.newWorker("claimant"))
	}
	type handout struct {
		task  scheduler.TaskID
		owner scheduler.WorkerID
	}
	handouts := make(chan handout, 2*len(order)) // filled inside the transactions, so in their order
	f.together(claimants, func(i int) error {
		for {
			err := f.try(func(tx scheduler.Tx) error {
				task, err := claim(tx, all[i])
				if err == nil {
					handouts <- handout{task.ID, all[i].ID}
				}
				return err
			})
			if errors.Is(err, scheduler.ErrNoWork) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	close(handouts)
	var got []scheduler.TaskID
	owners := make(map[scheduler.TaskID]scheduler.WorkerID)
	for h := range handouts {
		got = append(got, h.task)
		if owner, taken := owners[h.task]; taken {
			f.Errorf("task %s was given to %s and to %s", h.task, owner, h.owner)
		}
		owners[h.task] = h.owner
	}
	f.diff("all tasks, in the total order", order, got)
	for id, owner := range owners {
		if task := f.task(id); task.Worker != owner || task.Claim != 1 || task.Status != scheduler.TaskActive {
			f.Errorf("task %s: %s for %s under claim %d, want active for %s under claim 1", id, task.Status, task.Worker, task.Claim, owner)
		}
	}
}

// claimAgainstCancel has workers claim while the job is cancelled: no task is active in a cancelled job.
func claimAgainstCancel(f *farm) {
	a, b := f.newWorker("a"), f.newWorker("b")
	for range 10 {
		tasks := f.newTasks(30)
		id := f.insert(f.blankJob(), tasks)
		var mass scheduler.Mass
		f.together(3, func(i int) error {
			if i < 2 {
				return f.claimSome([]scheduler.Worker{a, b}[i], 15)
			}
			return f.try(func(tx scheduler.Tx) (err error) {
				if err := tx.SetJobStatus(id, scheduler.JobCanceled, ""); err != nil {
					return err
				}
				from := []scheduler.TaskStatus{scheduler.TaskQueued, scheduler.TaskActive}
				mass, err = tx.MoveTasks(id, from, scheduler.TaskMove{To: scheduler.TaskCanceled})
				return err
			})
		})
		f.diff("tasks", scheduler.TaskCounts{Canceled: 30}, f.job(id).Tasks)
		f.diff("moved", 30, mass.Moved)
		f.nothingFor(a)
		held := make(map[scheduler.WorkerID]bool)
		for _, task := range tasks {
			if t := f.task(task.ID); t.Claim > 0 {
				held[t.Worker] = true
			}
		}
		for _, w := range []scheduler.Worker{a, b} {
			if held[w.ID] != slices.Contains(mass.Workers, w.ID) {
				f.Errorf("worker %s had a task: %v; the move names %v", w.Name, held[w.ID], mass.Workers)
			}
		}
	}
}

// claimSome claims up to n tasks, one transaction each, until there is nothing.
func (f *farm) claimSome(w scheduler.Worker, n int) error {
	for range n {
		err := f.try(func(tx scheduler.Tx) error { _, err := claim(tx, w); return err })
		if errors.Is(err, scheduler.ErrNoWork) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lateUpdate has two owners finish one task at once: only the claim that holds it gets through.
func lateUpdate(f *farm) {
	a, b := f.newWorker("a"), f.newWorker("b")
	f.insert(f.blankJob(), f.newTasks(1))
	first := f.claim(a)
	f.move(first.ID, scheduler.TaskMove{To: scheduler.TaskQueued})
	second := f.claim(b)
	if second.ID != first.ID || second.Claim != first.Claim+1 || second.Seq != 0 {
		f.Fatalf("second claim: %+v", second)
	}
	text := "late"
	f.refused(scheduler.ErrTransition, func(tx scheduler.Tx) error { return tx.TouchTask(first, &text, nil, 1) })
	var won [2]bool
	f.together(2, func(i int) error {
		owner := []scheduler.TaskState{first, second}[i]
		to := []scheduler.TaskStatus{scheduler.TaskFailed, scheduler.TaskCompleted}[i]
		err := f.try(func(tx scheduler.Tx) error { _, err := tx.MoveTask(owner, scheduler.TaskMove{To: to}); return err })
		won[i] = err == nil
		if errors.Is(err, scheduler.ErrTransition) {
			return nil
		}
		return err
	})
	f.diff("who got through", [2]bool{false, true}, won)
	f.diff("status", scheduler.TaskCompleted, f.task(first.ID).Status)
}

func reclaim(f *farm) {
	w := f.newWorker("one")
	id := f.insert(f.blankJob(), f.newTasks(1))
	task := f.claim(w)
	two := 2
	f.update(func(tx scheduler.Tx) error { return tx.TouchTask(task, nil, &two, 5) })
	n := f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true, StepsDone: new(int)})
	f.diff("runnable", 0, n)
	again := f.task(task.ID)
	if again.Claim != 2 || again.Seq != 0 || again.StepsDone != 0 || again.Worker != w.ID {
		f.Errorf("claimed again: %+v", again)
	}
	f.diff("counts", scheduler.TaskCounts{Active: 1}, f.job(id).Tasks)
	active := read(f, func(tx scheduler.ReadTx) ([]scheduler.TaskState, error) { return tx.ActiveTasks(w.ID) })
	f.diff("active tasks", []scheduler.TaskState{again.TaskState}, active)
	unknown := scheduler.WorkerID{UUID: f.ids.uuid()}
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error {
		_, err := tx.MoveTask(again.TaskState, scheduler.TaskMove{To: scheduler.TaskActive, Worker: unknown, NewClaim: true})
		return err
	})
}
