package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Claim gives the worker a task. Without work it waits for up to wait and then returns [ErrNoWork]. It returns
// [StatusRequested] when the worker shall go to another status first, and [ErrNotAwake] when it is not awake.
//
// A task that is active on this worker is given again, under a new claim number: the worker has forgotten it.
func (s *Scheduler) Claim(ctx context.Context, id WorkerID, wait time.Duration) (Assignment, error) {
	a, _, err := s.tryClaim(ctx, id)
	if wait <= 0 || !errors.Is(err, ErrNoWork) {
		return a, err
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	me := s.waiting.join(id, true)
	defer func() { s.waiting.leave(me, err == nil) }()
	for {
		var again time.Duration
		a, again, err = s.tryClaim(ctx, id)
		if err == nil {
			return a, nil
		}
		// What woke this one may be for another.
		s.waiting.passOn()
		if !errors.Is(err, ErrNoWork) {
			return a, err
		}
		if err = me.sleep(ctx, deadline.C, again); err != nil {
			return Assignment{}, err
		}
	}
}

// tryClaim claims without waiting. With [ErrNoWork], again is after which time it is worth another try although nothing
// happens; 0: never.
func (s *Scheduler) tryClaim(ctx context.Context, id WorkerID) (a Assignment, again time.Duration, err error) {
	s.presence.seen(id, s.now())
	var refused error
	var passed left
	err = s.update(ctx, func(c *change) (err error) {
		a, err = c.claim(id)
		passed = c.left
		if errors.Is(err, ErrNoWork) {
			// Tasks that were taken from the worker on the way stay taken.
			refused, err = err, nil
		}
		return err
	})
	if err = cmp.Or(err, refused); err != nil {
		s.waiting.leftTasks(id, passed.job)
		return Assignment{}, passed.again, fmt.Errorf("worker %s asks for a task: %w", id.ShortID(), err)
	}
	s.waiting.leftTasks(id, JobID{})
	s.presence.touched(a.ID, s.now())
	return a, 0, nil
}

func (c *change) claim(id WorkerID) (Assignment, error) {
	worker, err := c.Worker(id)
	if err != nil {
		return Assignment{}, err
	}
	if worker.Requested != "" {
		return Assignment{}, StatusRequested{worker.Requested}
	}
	if worker.Status != WorkerAwake {
		return Assignment{}, fmt.Errorf("%w: it is %s", ErrNotAwake, worker.Status)
	}
	task, ev, err := c.pick(worker)
	if err != nil {
		return Assignment{}, err
	}
	if err := c.moveTask(task, ev, TaskMove{Worker: id, NewClaim: true, StepsDone: new(int)}); err != nil {
		return Assignment{}, err
	}
	return c.assignment(task, worker)
}

// pick chooses a task: one that the worker already has, else the first in line.
func (c *change) pick(worker Worker) (TaskState, Event, error) {
	mine, err := c.ActiveTasks(worker.ID)
	if err != nil {
		return TaskState{}, "", err
	}
	for _, t := range mine {
		job, err := c.JobState(t.Job)
		if err != nil {
			return TaskState{}, "", err
		}
		reason := "its worker asked for other work"
		if job.Status.Claimable() {
			lacking := Lacking(worker.Abilities, job.Requires)
			if len(lacking) == 0 {
				return t, EvReclaim, nil
			}
			reason = "its worker cannot do it any more: " + whyLacking(worker.Abilities, lacking)
		}
		if err := c.releaseTask(t, reason); err != nil {
			return TaskState{}, "", err
		}
	}
	t, err := c.NextRunnable(worker, c.leaves(worker.ID))
	return t, EvClaim, err
}

// assignment is what the worker is told of a task, as it is after the claim.
func (c *change) assignment(t TaskState, worker Worker) (Assignment, error) {
	content, err := c.TaskContent(t.ID)
	if err != nil {
		return Assignment{}, err
	}
	t.Status, t.Worker, t.StepsDone = TaskActive, worker.ID, 0
	t.Claim, t.Seq = t.Claim+1, 0
	return Assignment{
		TaskState: t, TaskContent: content, JobType: c.job.Type, JobPriority: c.job.Priority,
		Platform: worker.Platform, WorkerName: worker.Name,
	}, nil
}
