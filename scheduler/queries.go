package scheduler

import (
	"context"
	"fmt"
)

// Job returns one job.
func (s *Scheduler) Job(ctx context.Context, id JobID) (Job, error) {
	job, err := view(ctx, s, func(tx ReadTx) (Job, error) { return explainedJob(tx, id) })
	if err != nil {
		return Job{}, fmt.Errorf("job %s: %w", id.ShortID(), err)
	}
	return job, nil
}

// Jobs returns jobs, newest first.
func (s *Scheduler) Jobs(ctx context.Context, q JobQuery) ([]Job, error) {
	return view(ctx, s, func(tx ReadTx) ([]Job, error) {
		jobs, err := tx.Jobs(q)
		if err != nil {
			return nil, err
		}
		return jobs, explainWaiting(tx, pointers(jobs))
	})
}

// Tasks returns tasks of a job by index, without commands: those with a larger index than after, at most limit (0: all).
func (s *Scheduler) Tasks(ctx context.Context, id JobID, after, limit int) ([]Task, error) {
	return ofJob(ctx, s, id, func(tx ReadTx) ([]Task, error) { return tx.Tasks(id, after, limit) })
}

// Outputs returns what the tasks of a job produced.
func (s *Scheduler) Outputs(ctx context.Context, id JobID) ([]Output, error) {
	return ofJob(ctx, s, id, func(tx ReadTx) ([]Output, error) { return tx.Outputs(id) })
}

// OutputsAt returns what the tasks of a job produced under one path: several if they have several roots, and none if nothing
// is there.
func (s *Scheduler) OutputsAt(ctx context.Context, id JobID, path string) ([]Output, error) {
	return ofJob(ctx, s, id, func(tx ReadTx) ([]Output, error) { return tx.OutputsAt(id, path) })
}

// Blocklist returns which workers get no more tasks of which types of a job.
func (s *Scheduler) Blocklist(ctx context.Context, id JobID) ([]BlockEntry, error) {
	return ofJob(ctx, s, id, func(tx ReadTx) ([]BlockEntry, error) { return tx.Blocklist(id) })
}

// HasPreview tells whether the job has a last-rendered image.
func (s *Scheduler) HasPreview(ctx context.Context, id JobID) (bool, error) {
	return ofJob(ctx, s, id, func(tx ReadTx) (bool, error) { return tx.HasPreview(id) })
}

// ofJob reads something that belongs to a job, which must be there.
func ofJob[T any](ctx context.Context, s *Scheduler, id JobID, read func(ReadTx) (T, error)) (T, error) {
	value, err := view(ctx, s, func(tx ReadTx) (T, error) {
		if _, err := tx.JobState(id); err != nil {
			var none T
			return none, err
		}
		return read(tx)
	})
	if err != nil {
		return value, fmt.Errorf("job %s: %w", id.ShortID(), err)
	}
	return value, nil
}

// LastRendered returns the job that got a preview last; zero if none did.
func (s *Scheduler) LastRendered(ctx context.Context) (JobID, error) {
	return view(ctx, s, ReadTx.LastRendered)
}

// Task returns one task with its commands.
func (s *Scheduler) Task(ctx context.Context, id TaskID) (Task, error) {
	return ofTask(ctx, s, id, func(tx ReadTx) (Task, error) {
		t, err := tx.Task(id)
		t.LastTouched = latest(t.LastTouched, s.presence.touchedAt(id))
		return t, err
	})
}

// FailedBy returns the workers that failed the task and shall not get it again.
func (s *Scheduler) FailedBy(ctx context.Context, id TaskID) ([]Worker, error) {
	return ofTask(ctx, s, id, func(tx ReadTx) ([]Worker, error) { return tx.FailedBy(id) })
}

// LogSize returns the length of a task's log in bytes.
func (s *Scheduler) LogSize(ctx context.Context, id TaskID) (int64, error) {
	return ofTask(ctx, s, id, func(tx ReadTx) (int64, error) { return tx.LogSize(id) })
}

// Log returns up to limit bytes of a task's log from an offset on.
func (s *Scheduler) Log(ctx context.Context, id TaskID, from int64, limit int) ([]byte, error) {
	return ofTask(ctx, s, id, func(tx ReadTx) ([]byte, error) { return tx.Log(id, from, limit) })
}

func ofTask[T any](ctx context.Context, s *Scheduler, id TaskID, read func(ReadTx) (T, error)) (T, error) {
	value, err := view(ctx, s, read)
	if err != nil {
		return value, fmt.Errorf("task %s: %w", id.ShortID(), err)
	}
	return value, nil
}

// Worker returns one worker.
func (s *Scheduler) Worker(ctx context.Context, id WorkerID) (Worker, error) {
	w, err := view(ctx, s, func(tx ReadTx) (Worker, error) { return tx.Worker(id) })
	if err != nil {
		return Worker{}, fmt.Errorf("worker %s: %w", id.ShortID(), err)
	}
	w.LastSeen = latest(w.LastSeen, s.presence.seenAt(id))
	return w, nil
}

// Workers returns all workers by name.
func (s *Scheduler) Workers(ctx context.Context) ([]Worker, error) {
	workers, err := view(ctx, s, ReadTx.Workers)
	for i := range workers {
		workers[i].LastSeen = latest(workers[i].LastSeen, s.presence.seenAt(workers[i].ID))
	}
	return workers, err
}

// WhyIdle says why a worker got no task when it asked last, although one waits that it could do; empty: that is not so.
func (s *Scheduler) WhyIdle(ctx context.Context, w Worker) (string, error) {
	id := s.waiting.leftBy(w.ID)
	if id.IsZero() || w.Status != WorkerAwake {
		return "", nil
	}
	job, err := s.Job(ctx, id)
	if isNotFound(err) || err == nil && (!job.Status.Claimable() || job.Runnable == 0) {
		return "", nil
	}
	return fmt.Sprintf("Faster workers finish the rest of job %q first", job.Name), err
}

// CurrentTask returns the task that is active on a worker, else the one it had last; [ErrNotFound] if it had none.
func (s *Scheduler) CurrentTask(ctx context.Context, id WorkerID) (Task, error) {
	t, err := view(ctx, s, func(tx ReadTx) (Task, error) {
		active, err := tx.ActiveTasks(id)
		if err != nil {
			return Task{}, err
		}
		if len(active) > 0 {
			return tx.Task(active[0].ID)
		}
		return tx.LastTask(id)
	})
	if err != nil {
		return Task{}, fmt.Errorf("task of worker %s: %w", id.ShortID(), err)
	}
	return t, nil
}

// Tag returns one tag.
func (s *Scheduler) Tag(ctx context.Context, id TagID) (Tag, error) {
	t, err := view(ctx, s, func(tx ReadTx) (Tag, error) { return tx.Tag(id) })
	if err != nil {
		return Tag{}, fmt.Errorf("tag %s: %w", id.ShortID(), err)
	}
	return t, nil
}

// Tags returns all tags by name.
func (s *Scheduler) Tags(ctx context.Context) ([]Tag, error) { return view(ctx, s, ReadTx.Tags) }

// FarmStatus tells what the farm as a whole is doing; the words are Flamenco's (fact sheet, section 6.6).
type FarmStatus string

// The statuses of a farm.
const (
	FarmActive      FarmStatus = "active"      // a job is active and a worker is awake
	FarmIdle        FarmStatus = "idle"        // no work
	FarmWaiting     FarmStatus = "waiting"     // work, but nobody awake
	FarmAsleep      FarmStatus = "asleep"      // no work, and only sleepers
	FarmInoperative FarmStatus = "inoperative" // no worker, or all are offline or in error
)

// FarmStatus reads what the farm is doing.
func (s *Scheduler) FarmStatus(ctx context.Context) (FarmStatus, error) {
	return view(ctx, s, func(tx ReadTx) (FarmStatus, error) {
		workers, err := tx.Workers()
		if err != nil {
			return "", err
		}
		jobs, err := tx.JobCounts()
		if err != nil {
			return "", err
		}
		return farmStatus(workers, jobs), nil
	})
}

func farmStatus(workers []Worker, jobs map[JobStatus]int) FarmStatus {
	awake, asleep := 0, 0
	for _, w := range workers {
		switch w.Status {
		case WorkerAwake:
			awake++
		case WorkerAsleep:
			asleep++
		default:
		}
	}
	work := jobs[JobActive]+jobs[JobQueued] > 0
	switch {
	case awake+asleep == 0:
		return FarmInoperative
	case jobs[JobActive] > 0 && awake > 0:
		return FarmActive
	case work:
		return FarmWaiting
	case awake == 0:
		return FarmAsleep
	}
	return FarmIdle
}
