package scheduler

import (
	"context"
	"maps"
	"sync"
	"time"
)

// presence remembers when workers and tasks were last heard of, until that is written down. It is kept in memory since
// it changes with every request; losing the last seconds of it loses nothing, because after a start everybody counts as
// just heard of.
type presence struct {
	start time.Time

	mu      sync.Mutex
	workers map[WorkerID]time.Time
	tasks   map[TaskID]time.Time
}

func newPresence(start time.Time) *presence {
	return &presence{start: start, workers: make(map[WorkerID]time.Time), tasks: make(map[TaskID]time.Time)}
}

func (p *presence) seen(id WorkerID, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers[id] = at
}

func (p *presence) touched(id TaskID, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tasks[id] = at
}

// ended drops what is known of a task that nobody will ask about.
func (p *presence) ended(id TaskID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tasks, id)
}

// take gives what is not written down yet, and forgets it.
func (p *presence) take() (map[WorkerID]time.Time, map[TaskID]time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	workers, tasks := p.workers, p.tasks
	p.workers, p.tasks = make(map[WorkerID]time.Time), make(map[TaskID]time.Time)
	return workers, tasks
}

// putBack takes in again what could not be written, unless something newer is known.
func (p *presence) putBack(workers map[WorkerID]time.Time, tasks map[TaskID]time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(workers, p.workers)
	maps.Copy(tasks, p.tasks)
	p.workers, p.tasks = workers, tasks
}

// lastSeen gives the latest of what is stored, what is in memory, and the start of the manager.
func (p *presence) lastSeen(id WorkerID, stored time.Time) time.Time {
	return latest(stored, p.seenAt(id), p.start)
}

func (p *presence) lastTouched(id TaskID, stored time.Time) time.Time {
	return latest(stored, p.touchedAt(id), p.start)
}

// seenAt gives what is in memory; zero if nothing is.
func (p *presence) seenAt(id WorkerID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workers[id]
}

func (p *presence) touchedAt(id TaskID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tasks[id]
}

func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func (s *Scheduler) flushPresence(ctx context.Context) {
	workers, tasks := s.presence.take()
	if len(workers) == 0 && len(tasks) == 0 {
		return
	}
	err := s.store.Update(ctx, func(tx Tx) error {
		if err := tx.SeeWorkers(workers); err != nil {
			return err
		}
		return tx.TouchTasks(tasks)
	})
	if err != nil {
		s.presence.putBack(workers, tasks)
		s.log.Warn("presence of workers could not be written down; it stays in memory", "error", err)
	}
}
