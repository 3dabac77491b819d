package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// reach keeps track of whether the manager answers and logs only when that changes.
type reach struct {
	log   *slog.Logger
	mu    sync.Mutex
	since time.Time // when the manager went away; zero while it answers
}

func (r *reach) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		r.since = time.Now()
		r.log.Warn("manager cannot be reached; running tasks go on, their updates are kept and sent later", "error", err)
	}
}

func (r *reach) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.since.IsZero() {
		r.log.Info("manager can be reached again", "after", time.Since(r.since).Round(time.Millisecond))
		r.since = time.Time{}
	}
}

// backoff gives growing pauses between attempts, spread so that a farm's workers do not return all at once.
type backoff struct {
	min, max time.Duration
	next     time.Duration
}

// pause gives the next pause: between half and all of a duration that doubles each time.
func (b *backoff) pause() time.Duration {
	b.next = min(max(b.next*2, b.min), b.max)
	return b.next/2 + rand.N(b.next/2+1)
}

func (b *backoff) reset() { b.next = 0 }

// pause waits, or returns the cause of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// persist calls until the manager gives an answer that will not change by waiting, or ctx ends.
func (a *Agent) persist(ctx context.Context, call func(context.Context) error) error {
	wait := a.backoff()
	for {
		err := call(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil || !passing(err):
			a.reach.answered()
			return err
		}
		a.reach.failed(err)
		if err := pause(ctx, wait.pause()); err != nil {
			return err
		}
	}
}
