package api

import (
	"context"
	"sync"
	"time"

	"hayloft/scheduler"
)

// How often the status of the farm is read: now and then in any case, and soon after something changed.
const (
	farmStatusEvery = 30 * time.Second
	farmStatusSoon  = 500 * time.Millisecond
)

// farmStatus watches the status of the farm for all event streams together, so that a change of a job costs one look
// however many pages are open.
type farmStatus struct {
	server *Server

	mu        sync.Mutex
	last      scheduler.FarmStatus
	listeners map[chan scheduler.FarmStatus]struct{}
}

func newFarmStatus(s *Server) *farmStatus {
	return &farmStatus{server: s, listeners: make(map[chan scheduler.FarmStatus]struct{})}
}

// listen delivers each new status. A listener that is slow misses all but the newest. The caller calls leave at the end.
func (f *farmStatus) listen() (changes <-chan scheduler.FarmStatus, leave func()) {
	c := make(chan scheduler.FarmStatus, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[c] = struct{}{}
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, c)
	}
}

func (f *farmStatus) run(ctx context.Context) error {
	changes := f.server.Scheduler.Subscribe(scheduler.JobNotices|scheduler.WorkerNotices, func(n scheduler.Notice) bool {
		switch n := n.(type) {
		case scheduler.JobChanged:
			return n.Previous != "" || n.Deleted || n.Job.Status == scheduler.JobQueued
		case scheduler.WorkerChanged:
			return true
		}
		return false
	})
	defer changes.Close()
	look := time.NewTimer(0)
	defer look.Stop()
	for soon := false; ; {
		select {
		case <-changes.C:
			if !soon {
				soon = true
				look.Reset(farmStatusSoon)
			}
		case <-look.C:
			soon = false
			f.look(ctx)
			look.Reset(farmStatusEvery)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *farmStatus) look(ctx context.Context) {
	status, err := f.server.Scheduler.FarmStatus(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.server.log.Error("status of the farm could not be read", "error", err)
		}
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if status == f.last {
		return
	}
	f.last = status
	for c := range f.listeners {
		select {
		case <-c: // room for the newest
		default:
		}
		c <- status
	}
}
