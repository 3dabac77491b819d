package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Register stores a new worker and returns it. Names need not be unique.
func (s *Scheduler) Register(ctx context.Context, r Registration) (Worker, error) {
	hash, err := HashSecret(r.Secret)
	if err != nil {
		return Worker{}, fmt.Errorf("register worker %q: %w", r.Name, err)
	}
	abilities, err := cleanAbilities("abilities", r.Abilities)
	if err != nil {
		return Worker{}, fmt.Errorf("register worker %q: %w", r.Name, err)
	}
	performance, err := cleanPerformance(r.Performance)
	if err != nil {
		return Worker{}, fmt.Errorf("register worker %q: %w", r.Name, err)
	}
	w := Worker{
		ID: WorkerID{UUID: s.newID()}, Name: r.Name, Address: r.Address, Platform: strings.ToLower(r.Platform),
		TaskTypes: cleanTaskTypes(r.TaskTypes), Abilities: abilities, Status: WorkerOffline, SecretHash: hash,
		Performance: performance,
	}
	err = s.update(ctx, func(c *change) error {
		w.Created, w.Updated = c.Now(), c.Now()
		if err := c.PutWorker(w); err != nil {
			return err
		}
		c.workers = append(c.workers, workerNews{id: w.ID})
		if err := c.setTagsByName(w.ID, r.TagNames, s.newTagID); err != nil {
			return err
		}
		return c.eligibilityChanged()
	})
	if err != nil {
		return Worker{}, fmt.Errorf("register worker %q: %w", r.Name, err)
	}
	return w, nil
}

func (s *Scheduler) newTagID() TagID { return TagID{UUID: s.newID()} }

// cleanTaskTypes trims, lower-cases, sorts and folds, as task types are compared exactly.
func cleanTaskTypes(types []string) []string {
	clean := make([]string, 0, len(types))
	for _, t := range types {
		if t = strings.ToLower(strings.TrimSpace(t)); t != "" {
			clean = append(clean, t)
		}
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// setTagsByName gives a worker the tags of these names, made where absent; nil keeps the tags that it has.
func (c *change) setTagsByName(id WorkerID, names []string, newID func() TagID) error {
	if names == nil {
		return nil
	}
	known, err := c.Tags()
	if err != nil {
		return err
	}
	var tags []TagID
	for _, name := range names {
		at := slices.IndexFunc(known, func(t Tag) bool { return t.Name == name })
		if at < 0 {
			tag := Tag{ID: newID(), Name: name}
			if err := c.PutTag(tag); err != nil {
				return err
			}
			c.notices = append(c.notices, TagChanged{Tag: tag})
			known = append(known, tag)
			at = len(known) - 1
		}
		tags = append(tags, known[at].ID)
	}
	return c.SetWorkerTags(id, tags)
}

// SignOn notes that a worker's process starts and returns the status that it shall go to.
func (s *Scheduler) SignOn(ctx context.Context, id WorkerID, on SignOn) (WorkerStatus, error) {
	wanted := WorkerAwake
	abilities, err := cleanAbilities("abilities", on.Abilities)
	if err != nil {
		return "", fmt.Errorf("worker %s: %w", id.ShortID(), err)
	}
	performance, err := cleanPerformance(on.Performance)
	if err != nil {
		return "", fmt.Errorf("worker %s: %w", id.ShortID(), err)
	}
	err = s.changeWorker(ctx, id, func(c *change, w *Worker) error {
		if w.Schedule != nil && w.Schedule.Active {
			wanted = w.Schedule.Wants(c.Now(), s.local)
		}
		w.Name, w.Address, w.Software, w.CanRestart = on.Name, on.Address, on.Software, on.CanRestart
		types := cleanTaskTypes(on.TaskTypes)
		told := (w.Abilities == nil) == (abilities == nil) && slices.Equal(w.Abilities, abilities)
		news := on.TagNames != nil || !slices.Equal(w.TaskTypes, types) || !told
		w.TaskTypes, w.Abilities, w.Performance = types, abilities, performance
		if w.Requested != "" {
			wanted = w.Requested
		}
		if err := c.setTagsByName(id, on.TagNames, s.newTagID); err != nil {
			return err
		}
		if news {
			if err := c.eligibilityChanged(); err != nil {
				return err
			}
		}
		return c.moveWorker(w, EvSignOn)
	})
	return wanted, err
}

// SignOff notes that a worker's process ends; its active tasks are queued again. A worker that was asleep will be asked
// to sleep when it comes back.
func (s *Scheduler) SignOff(ctx context.Context, id WorkerID) error {
	return s.changeWorker(ctx, id, func(c *change, w *Worker) error {
		if w.Requested == WorkerOffline || w.Requested == WorkerRestart {
			w.Requested, w.RequestedLazy = "", false
		}
		if w.Requested == "" && w.Status == WorkerAsleep {
			w.Requested = WorkerAsleep
		}
		return c.moveWorker(w, EvSignOff)
	})
}

// statusEvents tells which event it is that a worker went to a status.
var statusEvents = map[WorkerStatus]Event{
	WorkerStarting: EvSignOn,
	WorkerAwake:    EvWake,
	WorkerAsleep:   EvSleep,
	WorkerError:    EvBreak,
	WorkerTesting:  EvSelfTest,
	WorkerOffline:  EvSignOff,
	WorkerRestart:  EvRestart,
}

// StatusChanged notes the status that a worker says it went to. A request for that status is fulfilled by it.
func (s *Scheduler) StatusChanged(ctx context.Context, id WorkerID, status WorkerStatus) error {
	ev, ok := statusEvents[status]
	if !ok {
		return fmt.Errorf("worker %s: %w: no status %q", id.ShortID(), ErrInvalid, status)
	}
	return s.changeWorker(ctx, id, func(c *change, w *Worker) error {
		if w.Requested == status {
			w.Requested, w.RequestedLazy = "", false
		}
		return c.moveWorker(w, ev)
	})
}

// RequestWorkerStatus asks a worker to go to a status: awake, asleep, offline or restart; lazy: after its current task.
// Asking for the status that it has takes back an earlier request.
func (s *Scheduler) RequestWorkerStatus(ctx context.Context, id WorkerID, status WorkerStatus, lazy bool) error {
	switch status {
	case WorkerAwake, WorkerAsleep, WorkerOffline, WorkerRestart:
	default:
		return fmt.Errorf("worker %s: %w: status %q cannot be asked for; use awake, asleep, offline or restart",
			id.ShortID(), ErrInvalid, status)
	}
	return s.changeWorker(ctx, id, func(c *change, w *Worker) error {
		switch {
		case status == WorkerRestart && !w.CanRestart:
			return fmt.Errorf("%w: it cannot restart by itself; start it with a restart exit code", ErrCannotRestart)
		case status == w.Status:
			w.Requested, w.RequestedLazy = "", false
		default:
			w.Requested, w.RequestedLazy = status, lazy
		}
		c.nudges, c.gone = append(c.nudges, id), true
		c.workers = append(c.workers, workerNews{id: id})
		return nil
	})
}

// RequestedStatus returns the status that the worker is asked to go to, empty for none; it waits for a request for up to
// wait.
func (s *Scheduler) RequestedStatus(ctx context.Context, id WorkerID, wait time.Duration) (WorkerStatus, error) {
	me := s.waiting.join(id, false)
	defer s.waiting.leave(me, true)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		w, err := s.Worker(ctx, id)
		if err != nil || w.Requested != "" || wait <= 0 {
			return w.Requested, err
		}
		select {
		case <-me.woken:
		case <-deadline.C:
			return "", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// changeWorker reads a worker, lets fn change it, and writes it, in one transaction.
func (s *Scheduler) changeWorker(ctx context.Context, id WorkerID, fn func(*change, *Worker) error) error {
	err := s.update(ctx, func(c *change) error {
		w, err := c.Worker(id)
		if err != nil {
			return err
		}
		if err := fn(c, &w); err != nil {
			return err
		}
		w.Updated = c.Now()
		return c.PutWorker(w)
	})
	if err != nil {
		return fmt.Errorf("worker %s: %w", id.ShortID(), err)
	}
	return nil
}

// moveWorker carries out one event of a worker through the table. The caller writes the worker.
func (c *change) moveWorker(w *Worker, ev Event) error {
	to, effect, err := NextWorker(w.Status, ev)
	if err != nil {
		return err
	}
	c.workers = append(c.workers, workerNews{id: w.ID, previous: w.Status})
	previous := w.Status
	w.Status = to
	c.gone = c.gone || previous == WorkerAwake && to != WorkerAwake
	if effect != ReleaseTasks {
		return nil
	}
	// Written before its tasks are released, so that a worker in its new status is not counted as able to run them.
	if err := c.PutWorker(*w); err != nil {
		return err
	}
	return c.releaseTasks(w.ID, fmt.Sprintf("worker %s went from %s to %s", w.Name, previous, to))
}

// DeleteWorker forgets a worker; its active tasks are queued again.
func (s *Scheduler) DeleteWorker(ctx context.Context, id WorkerID) error {
	err := s.update(ctx, func(c *change) error {
		w, err := c.Worker(id)
		if err != nil {
			return err
		}
		if err := c.releaseTasks(id, fmt.Sprintf("worker %s was deleted", w.Name)); err != nil {
			return err
		}
		c.notices = append(c.notices, WorkerChanged{Worker: w, Deleted: true})
		c.nudges, c.gone = append(c.nudges, id), true
		if err := c.DeleteWorker(id); err != nil {
			return err
		}
		return c.eligibilityChanged()
	})
	if err != nil {
		return fmt.Errorf("delete worker %s: %w", id.ShortID(), err)
	}
	s.secrets.forget(id)
	s.waiting.leftTasks(id, JobID{})
	return nil
}

// SetWorkerTags replaces the tags of a worker; ids of no tag are ignored.
func (s *Scheduler) SetWorkerTags(ctx context.Context, id WorkerID, tags []TagID) error {
	return s.changeWorker(ctx, id, func(c *change, _ *Worker) error {
		c.workers = append(c.workers, workerNews{id: id})
		c.nudges = append(c.nudges, id)
		if err := c.SetWorkerTags(id, tags); err != nil {
			return err
		}
		return c.eligibilityChanged()
	})
}

// PutTag stores a tag, under a new id if it has none, and returns it. [ErrConflict] if another tag has the name.
func (s *Scheduler) PutTag(ctx context.Context, t Tag) (Tag, error) {
	if t.ID.IsZero() {
		t.ID = s.newTagID()
	}
	err := s.update(ctx, func(c *change) error {
		c.notices = append(c.notices, TagChanged{Tag: t})
		return c.PutTag(t)
	})
	if err != nil {
		return Tag{}, fmt.Errorf("tag %q: %w", t.Name, err)
	}
	return t, nil
}

// DeleteTag removes a tag from workers and jobs, too.
func (s *Scheduler) DeleteTag(ctx context.Context, id TagID) error {
	err := s.update(ctx, func(c *change) error {
		t, err := c.Tag(id)
		if err != nil {
			return err
		}
		c.notices = append(c.notices, TagChanged{Tag: t, Deleted: true})
		return c.DeleteTag(id)
	})
	if err != nil {
		return fmt.Errorf("delete tag %s: %w", id.ShortID(), err)
	}
	return nil
}
