package scheduler

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// waiting holds the requests that wait for work, for another status, or for the end of a task's permission to run.
//
// New work wakes as many waiters as there are new tasks, not all of them. A waiter that finds nothing for itself (other
// task types, other tags, or somebody was faster) passes its wake-up on to one that was not woken for this work yet, so
// that no task lies while somebody who could take it sleeps.
type waiting struct {
	mu       sync.Mutex
	round    uint64     // counts the arrivals of work
	forWork  *list.List // of *waiter, who waited longest first
	byWorker map[WorkerID]map[*waiter]struct{}
	left     map[WorkerID]JobID // who got nothing when it asked last, and left tasks of a job to faster ones
}

type waiter struct {
	woken  chan struct{} // has room for one wake-up, so that none is lost and nobody waits to send it
	worker WorkerID
	round  uint64 // the last arrival of work that it was woken for
	place  *list.Element
}

func newWaiting() *waiting {
	return &waiting{forWork: list.New(), byWorker: make(map[WorkerID]map[*waiter]struct{}),
		left: make(map[WorkerID]JobID)}
}

// join starts to wait. Join first and look for work after it: what happens in between then wakes the waiter.
func (w *waiting) join(worker WorkerID, wantsWork bool) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	me := &waiter{woken: make(chan struct{}, 1), worker: worker, round: w.round}
	if wantsWork {
		me.place = w.forWork.PushBack(me)
	}
	if w.byWorker[worker] == nil {
		w.byWorker[worker] = make(map[*waiter]struct{})
	}
	w.byWorker[worker][me] = struct{}{}
	return me
}

// leave ends the wait. A wake-up that was not used is passed on.
func (w *waiting) leave(me *waiter, satisfied bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if me.place != nil {
		w.forWork.Remove(me.place)
	}
	delete(w.byWorker[me.worker], me)
	if len(w.byWorker[me.worker]) == 0 {
		delete(w.byWorker, me.worker)
	}
	if !satisfied && len(me.woken) > 0 {
		w.wakeOneLocked()
	}
}

// work wakes up to n waiters for n new tasks.
func (w *waiting) work(n int) {
	if n <= 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.round++
	for ; n > 0 && w.wakeOneLocked(); n-- {
	}
}

// passOn wakes somebody else after a waiter found nothing for itself.
func (w *waiting) passOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeOneLocked()
}

// wakeOneLocked wakes who waited longest among those not yet woken in this round, and puts it at the end of the line.
func (w *waiting) wakeOneLocked() bool {
	front := w.forWork.Front()
	if front == nil {
		return false
	}
	me := front.Value.(*waiter)
	if me.round == w.round {
		return false // the line is ordered by round: everybody behind was woken too
	}
	me.round = w.round
	w.forWork.MoveToBack(front)
	me.wake()
	return true
}

// nudge wakes the requests of one worker, because something about that worker or its tasks changed.
func (w *waiting) nudge(workers []WorkerID) {
	if len(workers) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range workers {
		for me := range w.byWorker[id] {
			me.wake()
		}
	}
}

func (me *waiter) wake() {
	select {
	case me.woken <- struct{}{}:
	default:
	}
}

// sleep waits until there may be work, but for no longer than again (0: for ever). It returns [ErrNoWork] at the deadline.
func (me *waiter) sleep(ctx context.Context, deadline <-chan time.Time, again time.Duration) error {
	var look <-chan time.Time
	if again > 0 {
		t := time.NewTimer(again)
		defer t.Stop()
		look = t.C
	}
	select {
	case <-me.woken:
	case <-look:
	case <-deadline:
		return fmt.Errorf("worker %s asks for a task: %w", me.worker.ShortID(), ErrNoWork)
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// leftTasks notes whose tasks a worker without work left to faster ones; zero: nobody's.
func (w *waiting) leftTasks(worker WorkerID, job JobID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if job.IsZero() {
		delete(w.left, worker)
	} else {
		w.left[worker] = job
	}
}

// leftBy gives what leftTasks noted.
func (w *waiting) leftBy(worker WorkerID) JobID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left[worker]
}

// askAgain wakes all that left tasks to faster ones, because one of these may be gone.
func (w *waiting) askAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.left {
		for me := range w.byWorker[id] {
			me.wake()
		}
	}
}

// wantsWork tells whether a request of the worker for work is waiting here.
func (w *waiting) wantsWork(worker WorkerID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for me := range w.byWorker[worker] {
		if me.place != nil {
			return true
		}
	}
	return false
}

// holds tells whether a request of the worker is waiting here.
func (w *waiting) holds(worker WorkerID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byWorker[worker]) > 0
}
