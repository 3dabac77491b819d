package storetest

import (
	"slices"

	"hayloft/scheduler"
)

// dependencies walks a diamond: 0 before 1 and 2, both before 3.
func dependencies(f *farm) {
	tasks := f.newTasks(4)
	tasks[1].Needs, tasks[2].Needs, tasks[3].Needs = []int{0}, []int{0}, []int{1, 2}
	id := f.insert(f.blankJob(), tasks)
	steps := []struct {
		task     int
		to       scheduler.TaskStatus
		became   int // by this move
		runnable int // after it
	}{
		{0, scheduler.TaskCompleted, 2, 2},
		{1, scheduler.TaskCompleted, 0, 1},
		{2, scheduler.TaskFailed, 0, 0},
		{2, scheduler.TaskCompleted, 1, 1},
		{0, scheduler.TaskQueued, 1, 2}, // what it made runnable is done, so only itself
		{1, scheduler.TaskQueued, 0, 1}, // waits for 0 again, and takes 3 back
		{0, scheduler.TaskCompleted, 1, 1},
		{1, scheduler.TaskSoftFailed, 0, 1},
		{1, scheduler.TaskPaused, 0, 0},
		{1, scheduler.TaskCompleted, 1, 1},
		{3, scheduler.TaskCanceled, 0, 0},
		{1, scheduler.TaskCompleted, 0, 0},
	}
	for i, s := range steps {
		became := f.move(tasks[s.task].ID, scheduler.TaskMove{To: s.to})
		if runnable := f.job(id).Runnable; became != s.became || runnable != s.runnable {
			f.Errorf("step %d, task %d to %s: %d became runnable, %d are; want %d and %d", i, s.task, s.to, became, runnable,
				s.became, s.runnable)
		}
		f.check()
	}
}

// staleMove says that a state read in one transaction is worth nothing in another once the task has changed.
func staleMove(f *farm) {
	tasks := f.newTasks(1)
	f.insert(f.blankJob(), tasks)
	old := read(f, func(tx scheduler.ReadTx) (scheduler.TaskState, error) { return tx.TaskState(tasks[0].ID) })
	f.move(tasks[0].ID, scheduler.TaskMove{To: scheduler.TaskPaused})
	f.refused(scheduler.ErrTransition, func(tx scheduler.Tx) error {
		_, err := tx.MoveTask(old, scheduler.TaskMove{To: scheduler.TaskCanceled})
		return err
	})
	f.refused(scheduler.ErrTransition, func(tx scheduler.Tx) error {
		now, err := tx.TaskState(tasks[0].ID)
		if err != nil {
			return err
		}
		if _, err := tx.MoveTask(now, scheduler.TaskMove{To: scheduler.TaskQueued}); err != nil {
			return err
		}
		_, err = tx.MoveTask(now, scheduler.TaskMove{To: scheduler.TaskCompleted})
		return err
	})
	f.diff("status", scheduler.TaskPaused, f.task(tasks[0].ID).Status)
}

func massMoves(f *farm) {
	a, b := f.newWorker("a"), f.newWorker("b")
	tasks := f.newTasks(10)
	id := f.insert(f.blankJob(), tasks)
	other := f.insert(f.blankJob(), f.newTasks(3))
	first, second := f.claim(a), f.claim(b)
	one := 1
	f.move(first.ID, scheduler.TaskMove{To: scheduler.TaskCompleted, StepsDone: &one})
	third := f.claim(a)
	f.move(third.ID, scheduler.TaskMove{To: scheduler.TaskFailed, StepsDone: &one})
	mass := func(to scheduler.TaskMove, from ...scheduler.TaskStatus) (m scheduler.Mass) {
		f.Helper()
		f.update(func(tx scheduler.Tx) (err error) {
			m, err = tx.MoveTasks(id, from, to)
			return err
		})
		f.check()
		return m
	}
	f.diff("nothing in that status", scheduler.Mass{}, mass(scheduler.TaskMove{To: scheduler.TaskQueued}, scheduler.TaskPaused))
	got := mass(scheduler.TaskMove{To: scheduler.TaskCanceled, Activity: "no more"},
		scheduler.TaskQueued, scheduler.TaskActive, scheduler.TaskQueued)
	f.diff("cancel", scheduler.Mass{Moved: 8, Workers: []scheduler.WorkerID{b.ID}}, got)
	f.diff("counts", scheduler.TaskCounts{Canceled: 8, Completed: 1, Failed: 1}, f.job(id).Tasks)
	cancelled := f.task(second.ID)
	if cancelled.Activity != "no more" || cancelled.Worker != b.ID || cancelled.Claim != 1 {
		f.Errorf("cancelled task: %+v", cancelled)
	}
	f.diff("steps", int64(2), f.job(id).StepsCompleted)
	got = mass(scheduler.TaskMove{To: scheduler.TaskQueued, StepsDone: new(int), ResetFailures: true},
		scheduler.TaskCanceled, scheduler.TaskFailed)
	f.diff("queue again", scheduler.Mass{Moved: 9, Runnable: 9}, got)
	f.diff("steps", int64(1), f.job(id).StepsCompleted)
	f.diff("the first again", second.ID, f.claim(b).ID)
	f.diff("the other job", scheduler.TaskCounts{Queued: 3}, f.job(other).Tasks)
	for _, bad := range []scheduler.TaskMove{{To: scheduler.TaskActive}, {To: scheduler.TaskQueued, NewClaim: true},
		{To: scheduler.TaskQueued, Worker: a.ID}, {To: scheduler.TaskQueued, Seq: 1}} {
		f.refused(scheduler.ErrInvalid, func(tx scheduler.Tx) error {
			_, err := tx.MoveTasks(id, scheduler.TaskStatuses, bad)
			return err
		})
	}
}

// massMoveNeeds moves the tasks of a chain and a fan together, so that needs open and close by the dozen.
func massMoveNeeds(f *farm) {
	tasks := f.newTasks(12)
	for i := 1; i < 6; i++ {
		tasks[i].Needs = []int{i - 1}
	}
	tasks[11].Needs = []int{5, 6, 7, 8, 9, 10}
	id := f.insert(f.blankJob(), tasks)
	mass := func(to scheduler.TaskStatus, from ...scheduler.TaskStatus) (m scheduler.Mass) {
		f.Helper()
		f.update(func(tx scheduler.Tx) (err error) {
			m, err = tx.MoveTasks(id, from, scheduler.TaskMove{To: to})
			return err
		})
		f.check()
		return m
	}
	f.diff("runnable", 6, f.job(id).Runnable)
	f.move(tasks[11].ID, scheduler.TaskMove{To: scheduler.TaskSoftFailed})
	f.diff("the needs of the last are completed", scheduler.Mass{Moved: 11, Runnable: 1}, mass(scheduler.TaskCompleted, scheduler.TaskQueued))
	f.diff("runnable", 1, f.job(id).Runnable)
	f.diff("and are queued again", scheduler.Mass{Moved: 11, Runnable: 6}, mass(scheduler.TaskQueued, scheduler.TaskCompleted))
	f.diff("runnable", 6, f.job(id).Runnable)
	for _, i := range []int{0, 6, 7} {
		f.move(tasks[i].ID, scheduler.TaskMove{To: scheduler.TaskCompleted})
	}
	f.diff("all at once", scheduler.Mass{Moved: 12, Runnable: 3}, mass(scheduler.TaskQueued, slices.Clone(scheduler.TaskStatuses)...))
}
