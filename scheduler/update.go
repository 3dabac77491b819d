package scheduler

import (
	"context"
	"fmt"
	"time"
)

// UpdateTask takes a worker's report on its task. It returns [ErrNotOwner] when the task is not, or no longer, this
// worker's, or when the report belongs to an earlier claim; [ErrInvalid] for a status that is not a worker's to set.
// A report whose Seq was applied before changes nothing and is no error.
func (s *Scheduler) UpdateTask(ctx context.Context, worker WorkerID, id TaskID, u TaskUpdate) error {
	switch u.Status {
	case "", TaskActive, TaskCompleted, TaskFailed:
	default:
		return fmt.Errorf("update task %s: %w: a worker cannot set status %q; it may send active, completed or failed",
			id.ShortID(), ErrInvalid, u.Status)
	}
	err := s.update(ctx, func(c *change) error { return c.report(worker, id, u) })
	if err != nil {
		return fmt.Errorf("update task %s: %w", id.ShortID(), err)
	}
	if u.Status == TaskCompleted || u.Status == TaskFailed {
		s.presence.ended(id)
	} else {
		s.presence.touched(id, s.now())
	}
	return nil
}

func (c *change) report(worker WorkerID, id TaskID, u TaskUpdate) error {
	t, err := c.TaskState(id)
	if err != nil {
		return err
	}
	if err := checkClaim(t, worker, u); err != nil {
		return err
	}
	if u.Seq != 0 && u.Seq <= t.Seq {
		return nil
	}
	if t.Status != TaskActive {
		return fmt.Errorf("%w: it is %s now", ErrNotOwner, t.Status)
	}
	if err := c.keepResults(t, u); err != nil {
		return err
	}
	move := TaskMove{Worker: worker, StepsDone: u.StepsDone, Seq: u.Seq}
	if u.Activity != nil {
		move.Activity = *u.Activity
	}
	switch u.Status {
	case TaskCompleted:
		move.StepsDone = &t.Steps
		return c.moveTask(t, EvComplete, move)
	case TaskFailed:
		return c.failTask(t, move)
	default:
		return c.progress(t, u)
	}
}

// checkClaim refuses what does not come from the current claim of a task.
func checkClaim(t TaskState, worker WorkerID, u TaskUpdate) error {
	switch {
	case t.Worker.IsZero():
		return fmt.Errorf("%w: nobody has it", ErrNotOwner)
	case t.Worker != worker:
		return fmt.Errorf("%w: worker %s has it", ErrNotOwner, t.Worker.ShortID())
	case u.Claim != 0 && u.Claim != t.Claim:
		return fmt.Errorf("%w: claim %d is over, the current one is %d", ErrNotOwner, u.Claim, t.Claim)
	}
	return nil
}

func (c *change) keepResults(t TaskState, u TaskUpdate) error {
	if u.Log != "" {
		if err := c.AppendLog(t.ID, u.Log); err != nil {
			return err
		}
		c.notices = append(c.notices, LogAppended{Task: t.ID, Job: t.Job, Text: u.Log})
	}
	if len(u.Outputs) == 0 {
		return nil
	}
	for i := range u.Outputs {
		u.Outputs[i].Task = t.ID
	}
	return c.AddOutputs(t.Job, u.Outputs)
}

func (c *change) progress(t TaskState, u TaskUpdate) error {
	if u.Status == "" && u.Activity == nil && u.StepsDone == nil && u.Log == "" && u.Seq == 0 {
		return nil
	}
	if _, err := NextTask(t.Status, EvProgress); err != nil {
		return err
	}
	if err := c.TouchTask(t, u.Activity, u.StepsDone, u.Seq); err != nil {
		return err
	}
	if u.Activity != nil || u.StepsDone != nil {
		c.tasks = append(c.tasks, taskNews{id: t.ID})
		c.jobs = append(c.jobs, jobNews{id: t.Job})
	}
	return nil
}

// MayRun tells whether a task may go on running on a worker. While the answer is yes it waits for up to wait, so that a
// no arrives at once.
func (s *Scheduler) MayRun(ctx context.Context, worker WorkerID, id TaskID, wait time.Duration) (Verdict, error) {
	me := s.waiting.join(worker, false)
	defer s.waiting.leave(me, true)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		s.presence.seen(worker, s.now())
		v, err := view(ctx, s, func(tx ReadTx) (Verdict, error) { return verdict(tx, worker, id) })
		if err != nil {
			return Verdict{}, fmt.Errorf("may task %s run: %w", id.ShortID(), err)
		}
		if v.KeepRunning {
			s.presence.touched(id, s.now())
		}
		if wait <= 0 || !v.KeepRunning {
			return v, nil
		}
		select {
		case <-me.woken:
		case <-deadline.C:
			return v, nil
		case <-ctx.Done():
			return Verdict{}, ctx.Err()
		}
	}
}

func verdict(tx ReadTx, workerID WorkerID, id TaskID) (Verdict, error) {
	worker, err := tx.Worker(workerID)
	if err != nil {
		return Verdict{}, err
	}
	if worker.Requested != "" && !worker.RequestedLazy {
		return Verdict{Reason: "worker status change requested", StatusChangeRequested: true}, nil
	}
	t, err := tx.TaskState(id)
	switch {
	case isNotFound(err):
		return Verdict{Reason: "Task not found"}, nil
	case err != nil:
		return Verdict{}, err
	case t.Worker != workerID:
		return Verdict{Reason: "task is assigned to another worker"}, nil
	case t.Status != TaskActive:
		return Verdict{Reason: fmt.Sprintf("task is %s", t.Status)}, nil
	}
	return Verdict{KeepRunning: true}, nil
}

// CheckOwner returns the job of a task that is active on the worker; [ErrNotOwner] if it is not.
func (s *Scheduler) CheckOwner(ctx context.Context, worker WorkerID, id TaskID) (JobID, error) {
	t, err := view(ctx, s, func(tx ReadTx) (TaskState, error) { return tx.TaskState(id) })
	if err != nil {
		return JobID{}, fmt.Errorf("task %s: %w", id.ShortID(), err)
	}
	if t.Worker != worker {
		return JobID{}, fmt.Errorf("task %s: %w", id.ShortID(), ErrNotOwner)
	}
	return t.Job, nil
}
