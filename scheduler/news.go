package scheduler

import (
	"context"
	"sync"
	"time"
)

type jobNews struct {
	id       JobID
	previous JobStatus // empty: the status did not change
	refresh  bool
}

type taskNews struct {
	id       TaskID
	previous TaskStatus
}

type workerNews struct {
	id       WorkerID
	previous WorkerStatus
}

// newsLimit is how many changed tasks may wait to be told; past it their jobs ask for a refresh instead.
const newsLimit = 4096

// news gathers what changed until it is told. What changes many times in between is told once, in its newest state, so
// that the cost of telling follows the speed of the listeners and not that of the farm.
type news struct {
	hub   *broadcast
	ready chan struct{}

	mu       sync.Mutex
	jobs     map[JobID]jobNews
	tasks    map[TaskID]taskNews
	workers  map[WorkerID]workerNews
	notices  []Notice
	overflow bool
}

func newNews(hub *broadcast) *news {
	n := &news{hub: hub, ready: make(chan struct{}, 1)}
	n.clearLocked()
	return n
}

func (n *news) clearLocked() {
	n.jobs, n.tasks, n.workers = make(map[JobID]jobNews), make(map[TaskID]taskNews), make(map[WorkerID]workerNews)
	n.notices, n.overflow = nil, false
}

// add takes in what a change did, as far as somebody listens.
func (n *news) add(c *change) {
	kinds := n.hub.wanted()
	if kinds&JobNotices == 0 {
		c.jobs = nil
	}
	if kinds&TaskNotices == 0 {
		c.tasks = nil
	}
	if kinds&WorkerNotices == 0 {
		c.workers = nil
	}
	if kinds&(TagNotices|LogNotices|PreviewNotices|WorkerNotices) == 0 {
		c.notices = nil
	}
	if len(c.jobs)+len(c.tasks)+len(c.workers)+len(c.notices) == 0 {
		return
	}
	n.mu.Lock()
	for _, j := range c.jobs {
		n.addJobLocked(j)
	}
	for _, t := range c.tasks {
		n.addTaskLocked(t)
	}
	for _, w := range c.workers {
		if old, ok := n.workers[w.id]; ok && old.previous != "" {
			w.previous = old.previous
		}
		n.workers[w.id] = w
	}
	if len(n.notices) < newsLimit {
		n.notices = append(n.notices, c.notices...)
	} else {
		n.overflow = true
	}
	n.mu.Unlock()
	select {
	case n.ready <- struct{}{}:
	default:
	}
}

func (n *news) addJobLocked(j jobNews) {
	if old, ok := n.jobs[j.id]; ok {
		j.refresh = j.refresh || old.refresh
		if old.previous != "" {
			j.previous = old.previous
		}
	}
	n.jobs[j.id] = j
}

func (n *news) addTaskLocked(t taskNews) {
	old, known := n.tasks[t.id]
	switch {
	case known && old.previous != "":
		t.previous = old.previous
	case !known && len(n.tasks) >= newsLimit:
		n.overflow = true
		return
	}
	n.tasks[t.id] = t
}

type newsBatch struct {
	jobs     map[JobID]jobNews
	tasks    map[TaskID]taskNews
	workers  map[WorkerID]workerNews
	notices  []Notice
	overflow bool
}

func (n *news) take() newsBatch {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := newsBatch{n.jobs, n.tasks, n.workers, n.notices, n.overflow}
	n.clearLocked()
	return b
}

// newsPace is the least time between two tellings. A person does not see a shorter one, and under load it lets many
// changes of one job be told as one.
const newsPace = 25 * time.Millisecond

// tellNews sends notices until ctx ends.
func (s *Scheduler) tellNews(ctx context.Context) {
	pace := time.NewTicker(newsPace)
	defer pace.Stop()
	for {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.news.ready:
		case <-ctx.Done():
			return
		}
		batch := s.news.take()
		notices, err := view(ctx, s, func(tx ReadTx) ([]Notice, error) { return batch.describe(tx) })
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("changes could not be told to listeners", "error", err)
			}
			continue
		}
		s.hub.send(s.withPresence(notices))
	}
}

func (s *Scheduler) withPresence(notices []Notice) []Notice {
	for i, n := range notices {
		if w, ok := n.(WorkerChanged); ok {
			w.Worker.LastSeen = latest(w.Worker.LastSeen, s.presence.seenAt(w.Worker.ID))
			notices[i] = w
		}
	}
	return notices
}

// describe reads the newest state of everything in the batch. What is gone by now is left out.
func (b newsBatch) describe(tx ReadTx) ([]Notice, error) {
	notices := b.notices
	for id, n := range b.tasks {
		t, err := tx.Task(id)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t.Commands = nil
		notices = append(notices, TaskChanged{Task: t, Previous: changedFrom(n.previous, t.Status)})
	}
	for id, n := range b.jobs {
		j, err := explainedJob(tx, id)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		notices = append(notices, JobChanged{Job: j, Previous: changedFrom(n.previous, j.Status), RefreshTasks: n.refresh || b.overflow})
	}
	for id, n := range b.workers {
		w, err := tx.Worker(id)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		notices = append(notices, WorkerChanged{Worker: w, Previous: changedFrom(n.previous, w.Status)})
	}
	return notices, nil
}

// changedFrom is the previous status, or nothing if the thing is there again.
func changedFrom[S comparable](previous, now S) S {
	if previous == now {
		var none S
		return none
	}
	return previous
}
