package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// checkTimeouts puts silent workers in error, whose tasks are queued again, and ends tasks that nobody speaks of.
func (s *Scheduler) checkTimeouts(ctx context.Context) error {
	return errors.Join(s.checkWorkers(ctx), s.checkTasks(ctx))
}

func (s *Scheduler) checkWorkers(ctx context.Context) error {
	workers, err := s.Workers(ctx)
	if err != nil {
		return err
	}
	for _, w := range workers {
		if _, _, err := NextWorker(w.Status, EvSilence); err != nil || !s.silent(w) {
			continue
		}
		err := s.changeWorker(ctx, w.ID, func(c *change, w *Worker) error {
			if !s.silent(*w) {
				return nil
			}
			if w.Requested == "" {
				w.Requested, w.RequestedLazy = afterSilence(w.Status), true
			}
			return c.moveWorker(w, EvSilence)
		})
		if err != nil && !isNotFound(err) && !errors.Is(err, ErrTransition) {
			return fmt.Errorf("time-out of worker %s: %w", w.ID.ShortID(), err)
		}
		s.log.Warn("worker is silent; its tasks are queued again", "worker", w.Name, "timeout", s.limits.WorkerTimeout)
	}
	return nil
}

// afterSilence is the status that a worker is asked to go to when it speaks again, so that nothing stays in error after an
// outage. One that restarts signs on, and is asked then.
func afterSilence(before WorkerStatus) WorkerStatus {
	switch before {
	case WorkerAsleep:
		return WorkerAsleep
	case WorkerRestart:
		return ""
	default:
		return WorkerAwake
	}
}

// silent tells whether nothing was heard of a worker for too long. One whose request is being held is there.
func (s *Scheduler) silent(w Worker) bool {
	if s.waiting.holds(w.ID) {
		return false
	}
	return s.now().Sub(s.presence.lastSeen(w.ID, w.LastSeen)) > s.limits.WorkerTimeout
}

func (s *Scheduler) checkTasks(ctx context.Context) error {
	watched, err := view(ctx, s, watchedTasks)
	if err != nil {
		return err
	}
	for _, t := range watched {
		reason := s.overdue(t)
		if reason == "" {
			continue
		}
		if err := s.timeOutTask(ctx, t.Task, reason); err != nil {
			return err
		}
	}
	return nil
}

// watchedTask is an active task and the limits of its job.
type watchedTask struct {
	Task
	limits JobLimits
}

func watchedTasks(tx ReadTx) ([]watchedTask, error) {
	tasks, err := tx.AllActiveTasks()
	if err != nil {
		return nil, err
	}
	limits := make(map[JobID]JobLimits)
	watched := make([]watchedTask, len(tasks))
	for i, t := range tasks {
		if _, known := limits[t.Job]; !known {
			job, err := tx.JobState(t.Job)
			if err != nil {
				return nil, err
			}
			limits[t.Job] = job.Limits
		}
		watched[i] = watchedTask{t, limits[t.Job]}
	}
	return watched, nil
}

// overdue says why a task has to be ended; empty: it may go on.
func (s *Scheduler) overdue(t watchedTask) string {
	silence, total := cmp.Or(t.limits.Silence, s.limits.TaskSilence), cmp.Or(t.limits.Total, s.limits.TaskTotal)
	since := func(at time.Time) time.Duration { return s.now().Sub(at) }
	switch {
	case since(s.presence.lastTouched(t.ID, t.LastTouched)) > s.limits.TaskTimeout:
		return fmt.Sprintf("its worker said nothing about it for %s", s.limits.TaskTimeout)
	case silence > 0 && since(latest(t.Updated, s.presence.start)) > silence:
		return fmt.Sprintf("it printed nothing and made no progress for %s", silence)
	case total > 0 && since(t.ClaimedAt) > total:
		return fmt.Sprintf("it ran for more than %s", total)
	}
	return ""
}

func (s *Scheduler) timeOutTask(ctx context.Context, t Task, reason string) error {
	activity := "Task timed out: " + reason
	err := s.update(ctx, func(c *change) error {
		now, err := c.TaskState(t.ID)
		if err != nil || now.Status != TaskActive || now.Claim != t.Claim {
			return err
		}
		if err := c.AppendLog(t.ID, c.stamp(activity)); err != nil {
			return err
		}
		return c.failTask(now, TaskMove{Worker: now.Worker, Activity: activity})
	})
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("time-out of task %s: %w", t.ID.ShortID(), err)
	}
	s.log.Warn("task timed out", "task", t.ID, "worker", t.Worker, "reason", reason)
	return nil
}
