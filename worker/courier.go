package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// courier is the one sender of updates, so that they arrive in order. It sends what it is handed directly while nothing
// waits in the outbox, and empties the outbox first otherwise.
type courier struct {
	up    updater
	box   *outbox
	reach *reach
	log   *slog.Logger
	wait  backoff

	direct  chan entry
	wake    chan struct{} // something was put into the outbox
	barrier chan struct{} // received from only when nothing is under way

	mu     sync.Mutex
	flight *entry // sent directly and not yet answered
	lost   map[claimKey]func(error)
}

// claimKey names one claim of a task. A manager that does not number claims gives zero.
type claimKey struct {
	task  uuid.UUID
	claim int64
}

func keyOf(e entry) claimKey {
	k := claimKey{task: e.Task}
	if e.Update.Claim != nil {
		k.claim = *e.Update.Claim
	}
	return k
}

func newCourier(up updater, box *outbox, r *reach, log *slog.Logger, wait backoff) *courier {
	return &courier{up: up, box: box, reach: r, log: log, wait: wait, direct: make(chan entry), wake: make(chan struct{}, 1),
		barrier: make(chan struct{}), lost: map[claimKey]func(error){}}
}

// run sends until ctx ends. What is not delivered by then is in the outbox.
func (c *courier) run(ctx context.Context) {
	for ctx.Err() == nil {
		e, waiting, err := c.box.head()
		switch {
		case err != nil:
			c.log.Error("an update of a task is lost", "error", err)
		case waiting && c.post(ctx, e):
			c.done(e)
		case waiting:
			c.rest(ctx)
		default:
			c.idle(ctx)
		}
	}
}

// idle waits for something to do while the outbox is empty.
func (c *courier) idle(ctx context.Context) {
	select {
	case e := <-c.direct:
		c.setFlight(&e)
		delivered := c.post(ctx, e)
		if !delivered {
			c.keep(e)
		}
		c.setFlight(nil)
		if delivered {
			// A submission beside the flight may have stored a copy, or be about to.
			c.done(e)
		} else {
			c.rest(ctx)
		}
	case <-c.wake:
	case <-c.barrier:
	case <-ctx.Done():
	}
}

// rest pauses between two attempts and takes in what arrives meanwhile.
func (c *courier) rest(ctx context.Context) {
	t := time.NewTimer(c.wait.pause())
	defer t.Stop()
	for {
		select {
		case e := <-c.direct:
			c.keep(e)
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// post sends one update and reports whether it is settled: any answer settles it but those that blame the moment.
func (c *courier) post(ctx context.Context, e entry) bool {
	err := c.up.Update(ctx, e.Task, e.Update)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return false
	case passing(err):
		c.reach.failed(err)
		return false
	default:
		c.log.Warn("the manager refused an update; it is not sent again", "task", e.Task, "error", err)
		c.giveUp(e, err)
	}
	c.reach.answered()
	c.wait.reset()
	return true
}

// giveUp tells a running task that it is not this worker's any more.
func (c *courier) giveUp(e entry, err error) {
	if !errors.Is(err, errConflict) && !errors.Is(err, errNoSuchTask) && !errors.Is(err, errUnknownWorker) {
		return
	}
	c.mu.Lock()
	lost := c.lost[keyOf(e)]
	c.mu.Unlock()
	if lost != nil {
		lost(err)
	}
}

// onLost registers what to call when the manager takes a claim away, until the returned function is called.
func (c *courier) onLost(k claimKey, lost func(error)) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[k] = lost
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.lost, k)
	}
}

// submit puts an update into the outbox and has it sent from there. An update that is under way is stored first, so that
// nothing stored is ever newer than something that is not. It reports whether the update is stored.
func (c *courier) submit(e entry) bool {
	c.mu.Lock()
	flight := c.flight
	c.mu.Unlock()
	if flight != nil {
		c.keep(*flight)
	}
	stored := c.keep(e)
	signal(c.wake)
	return stored
}

func (c *courier) keep(e entry) bool {
	err := c.box.put(e)
	if err != nil {
		c.log.Error("an update cannot be kept on disk; check the free space of the worker's data directory", "task", e.Task, "error", err)
	}
	return err == nil
}

func (c *courier) done(e entry) {
	if err := c.box.remove(e.ordinal); err != nil {
		c.log.Error("the outbox cannot be cleared; check the permissions of the worker's data directory", "error", err)
	}
}

func (c *courier) setFlight(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = e
}

// drain returns when every update is delivered, or with the cause of ctx.
func (c *courier) drain(ctx context.Context) error {
	for {
		select {
		case c.barrier <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if c.box.len() == 0 {
			return nil
		}
		// Stored just before the courier came here; it finds the update on its next round.
		signal(c.wake)
	}
}
