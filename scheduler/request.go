package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// jobRequests tells which event a person means by asking for a status.
var jobRequests = map[JobStatus]Event{
	JobCancelRequested: EvCancel,
	JobCanceled:        EvCancel,
	JobPauseRequested:  EvPause,
	JobPaused:          EvPause,
	JobRequeueing:      EvRequeue,
	JobQueued:          EvRequeue,
}

// RequestJobStatus carries out what a person wants of a job: cancel-requested, pause-requested, requeueing (also the way
// on from a pause), queued. Asking for the status that the job has is no error. [ErrTransition] when the job cannot go
// there, [ErrInvalid] for a status that is not a person's to ask for.
func (s *Scheduler) RequestJobStatus(ctx context.Context, id JobID, status JobStatus, reason string) error {
	ev, ok := jobRequests[status]
	if !ok {
		return fmt.Errorf("job %s: %w: status %q cannot be asked for; use cancel-requested, pause-requested or requeueing",
			id.ShortID(), ErrInvalid, status)
	}
	return s.update(ctx, func(c *change) error {
		job, err := c.JobState(id)
		if err != nil {
			return fmt.Errorf("job %s: %w", id.ShortID(), err)
		}
		if job.Status == status {
			return nil
		}
		if job.Status == JobUnderConstruction && ev == EvRequeue {
			ev = EvQueue
		}
		return c.moveJob(job, ev, reason)
	})
}

// SetJobPriority changes a job's priority, 0 to 100.
func (s *Scheduler) SetJobPriority(ctx context.Context, id JobID, priority int) error {
	if priority < MinPriority || priority > MaxPriority {
		return fmt.Errorf("job %s: %w: priority %d is not between %d and %d", id.ShortID(), ErrInvalid, priority, MinPriority, MaxPriority)
	}
	return s.update(ctx, func(c *change) error {
		if err := c.SetJobPriority(id, priority); err != nil {
			return fmt.Errorf("job %s: set priority: %w", id.ShortID(), err)
		}
		c.jobs = append(c.jobs, jobNews{id: id})
		return nil
	})
}

// RequestJobDeletion cancels what the job still has to do and notes that it shall be deleted. What else belongs to the
// job (its checkout) is removed by the caller before [Scheduler.DeleteJob].
func (s *Scheduler) RequestJobDeletion(ctx context.Context, id JobID) error {
	return s.update(ctx, func(c *change) error {
		job, err := c.JobState(id)
		if err != nil {
			return fmt.Errorf("job %s: %w", id.ShortID(), err)
		}
		if _, _, err := NextJob(job.Status, EvCancel); err == nil {
			if err := c.moveJob(job, EvCancel, "the job is being deleted"); err != nil {
				return err
			}
		}
		c.jobs = append(c.jobs, jobNews{id: id})
		return c.RequestDeletion(id)
	})
}

// RequestMassDeletion requests the deletion of every job that last changed at that time or before, and returns how many
// there are.
func (s *Scheduler) RequestMassDeletion(ctx context.Context, until time.Time) (int, error) {
	ids, err := view(ctx, s, func(tx ReadTx) ([]JobID, error) { return tx.JobsUpdatedUntil(until) })
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := s.RequestJobDeletion(ctx, id); err != nil && !isNotFound(err) {
			return 0, err
		}
	}
	return len(ids), nil
}

// SetJobTag binds a job to the workers with a tag; zero: to none. [ErrNotFound] if there is no such job or tag.
func (s *Scheduler) SetJobTag(ctx context.Context, id JobID, tag TagID) error {
	return s.changeJob(ctx, id, func(c *change) error { return c.SetJobTag(id, tag) })
}

// Unblock takes entries off a job's blocklist; those that are not on it are passed over.
func (s *Scheduler) Unblock(ctx context.Context, id JobID, entries []BlockEntry) error {
	return s.changeJob(ctx, id, func(c *change) error {
		for _, e := range entries {
			if err := c.Unblock(id, e.Worker, e.TaskType); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeJob changes who may run a job's tasks, and wakes those who wait for it.
func (s *Scheduler) changeJob(ctx context.Context, id JobID, fn func(*change) error) error {
	return s.update(ctx, func(c *change) error {
		job, err := c.JobState(id)
		if err != nil {
			return fmt.Errorf("job %s: %w", id.ShortID(), err)
		}
		if err := fn(c); err != nil {
			return fmt.Errorf("job %s: %w", id.ShortID(), err)
		}
		if job.Status.Claimable() {
			c.runnable += job.Runnable
		}
		c.jobs = append(c.jobs, jobNews{id: id})
		return nil
	})
}

// JobsToDelete returns the jobs whose deletion was requested, oldest request first.
func (s *Scheduler) JobsToDelete(ctx context.Context) ([]JobID, error) {
	return view(ctx, s, ReadTx.JobsToDelete)
}

// deletePiece is how many rows one transaction deletes, so that other requests get their turn in between.
const deletePiece = 2000

// DeleteJob removes a job whose deletion was requested, with its tasks, logs and outputs.
func (s *Scheduler) DeleteJob(ctx context.Context, id JobID) error {
	job, err := s.Job(ctx, id)
	if err != nil {
		return err
	}
	if job.DeleteRequestedAt.IsZero() {
		return fmt.Errorf("job %s: %w: its deletion was not requested", id.ShortID(), ErrInvalid)
	}
	for done := false; !done; {
		err := s.store.Update(ctx, func(tx Tx) (err error) {
			done, err = tx.DeleteJobPart(id, deletePiece)
			return err
		})
		if err != nil {
			return fmt.Errorf("delete job %s: %w", id.ShortID(), err)
		}
	}
	s.hub.send([]Notice{JobChanged{Job: job, Deleted: true}})
	return nil
}

// taskRequests tells which event a person means by asking for a status.
var taskRequests = map[TaskStatus]Event{
	TaskCanceled: EvCancel,
	TaskQueued:   EvRequeue,
	TaskPaused:   EvPause,
}

// RequestTaskStatus carries out what a person wants of one task: canceled, queued, paused. Errors are those of
// [Scheduler.RequestJobStatus].
func (s *Scheduler) RequestTaskStatus(ctx context.Context, id TaskID, status TaskStatus, reason string) error {
	ev, ok := taskRequests[status]
	if !ok {
		return fmt.Errorf("task %s: %w: status %q cannot be asked for; use canceled, queued or paused",
			id.ShortID(), ErrInvalid, status)
	}
	return s.update(ctx, func(c *change) error {
		t, err := c.TaskState(id)
		if err != nil {
			return fmt.Errorf("task %s: %w", id.ShortID(), err)
		}
		if t.Status == status {
			return nil
		}
		move := TaskMove{Worker: t.Worker, Activity: reason}
		if ev == EvRequeue {
			move.ResetFailures, move.StepsDone = true, new(int)
		}
		return c.moveTask(t, ev, move)
	})
}

// PreviewReady notes that a job has a new last-rendered image.
func (s *Scheduler) PreviewReady(ctx context.Context, id JobID) error {
	return s.update(ctx, func(c *change) error {
		if err := c.SetPreview(id); err != nil {
			return fmt.Errorf("job %s: note preview: %w", id.ShortID(), err)
		}
		c.notices = append(c.notices, PreviewChanged{Job: id})
		return nil
	})
}
