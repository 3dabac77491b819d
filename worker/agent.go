package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"hayloft/api/wire"
	"hayloft/worker/process"
)

var (
	// ErrOffline says that the manager asked the worker to go offline.
	ErrOffline = errors.New("the manager asked the worker to go offline")
	// ErrRestart says that the manager asked the worker to restart.
	ErrRestart = errors.New("the manager asked the worker to restart")
	// ErrInUse says that another agent works in the data directory.
	ErrInUse = errors.New("the data directory is in use by another worker; stop that worker or give this one a directory of its own")

	// errSignOn says that the worker has to sign on again.
	errSignOn = errors.New("the manager wants the worker to sign on again")
)

// minHold is the shortest answer of a manager that holds requests which is taken as held. A quicker one, from a manager
// that is shutting down for example, must not turn into a storm of requests.
const minHold = 200 * time.Millisecond

// Agent is one worker.
type Agent struct {
	cfg    Config
	timing timing
	log    *slog.Logger
	reach  *reach

	upstream   *upstream
	registry   registry
	dispatcher dispatcher
	referee    referee
	gallery    gallery

	ledger  *process.Ledger
	courier *courier
}

// New checks the configuration and makes an agent. Nothing is written or sent before Run.
func New(cfg Config) (*Agent, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.HTTP == nil {
		cfg.HTTP = newHTTPClient()
	}
	up, err := newUpstream(cfg.ManagerURL, cfg.Software, cfg.Wait, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	return &Agent{cfg: cfg, timing: defaultTiming, log: cfg.Logger, reach: &reach{log: cfg.Logger},
		upstream: up, registry: up, dispatcher: up, referee: up, gallery: up}, nil
}

// Run works until ctx ends, which gives nil, or the manager wants an end, which gives ErrOffline or ErrRestart. In all
// three cases running processes are ended, updates are delivered as far as the manager takes them within 5 s, and the
// worker signs off. A data directory in use gives ErrInUse; a manager that refuses the worker for good gives its answer.
// A manager that cannot be reached is waited for without limit. Run must be called once.
func (a *Agent) Run(ctx context.Context) error {
	unlock, err := a.lockDataDir()
	if err != nil {
		return err
	}
	defer unlock()
	if err := a.recover(); err != nil {
		return err
	}
	defer a.closeIdle()

	// The courier outlives ctx, since the last updates are sent after its end.
	courierCtx, stopCourier := context.WithCancel(context.WithoutCancel(ctx))
	courierDone := make(chan struct{})
	go func() {
		defer close(courierDone)
		a.courier.run(courierCtx)
	}()
	defer func() {
		stopCourier()
		<-courierDone
	}()

	err = a.work(ctx)
	if ctx.Err() != nil || errors.Is(err, ErrOffline) || errors.Is(err, ErrRestart) {
		a.leave(context.WithoutCancel(ctx))
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *Agent) closeIdle() {
	if c, ok := a.cfg.HTTP.(*http.Client); ok {
		c.CloseIdleConnections()
	}
}

// lockDataDir makes the data directory and takes its lock.
func (a *Agent) lockDataDir() (unlock func(), err error) {
	if err := os.MkdirAll(a.cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the worker's data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(a.cfg.DataDir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the worker's data directory: %w", err)
	}
	taken, err := tryLock(f)
	if err == nil && !taken {
		err = ErrInUse
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", a.cfg.DataDir, err)
	}
	return func() { f.Close() }, nil
}

// recover clears what a killed predecessor left and opens what it kept.
func (a *Agent) recover() error {
	var err error
	if a.ledger, err = process.OpenLedger(filepath.Join(a.cfg.DataDir, "running")); err != nil {
		return err
	}
	killed, err := a.ledger.Clear()
	if err != nil {
		return err
	}
	if len(killed) > 0 {
		a.log.Warn("ended processes that an earlier run of this worker left", "groups", killed)
	}
	if err := os.RemoveAll(filepath.Join(a.cfg.DataDir, "tasks")); err != nil {
		return fmt.Errorf("remove unfinished files of an earlier run: %w", err)
	}
	creds, err := loadCredentials(a.cfg.DataDir)
	if err != nil {
		return err
	}
	a.upstream.creds.Store(creds)
	box, err := openOutbox(filepath.Join(a.cfg.DataDir, "outbox"), a.cfg.OutboxLimit)
	if err != nil {
		return err
	}
	if n := box.len(); n > 0 {
		a.log.Info("updates of an earlier run will be sent first", "count", n)
	}
	a.courier = newCourier(a.upstream, box, a.reach, a.log, a.backoff())
	return nil
}

func (a *Agent) backoff() backoff {
	return backoff{min: a.timing.backoffMin, max: a.timing.backoffMax}
}

// leave delivers what can be delivered and signs off.
func (a *Agent) leave(ctx context.Context) {
	flush, cancel := context.WithTimeout(ctx, a.timing.flush)
	defer cancel()
	if err := a.courier.drain(flush); err != nil {
		a.log.Warn("some updates could not be delivered; they are sent when this worker starts again", "count", a.courier.box.len())
	}
	if a.upstream.creds.Load() == nil {
		return
	}
	off, cancel := context.WithTimeout(ctx, a.timing.signOff)
	defer cancel()
	if err := a.registry.SignOff(off); err != nil {
		a.log.Warn("could not sign off; the manager will notice by itself", "error", err)
		return
	}
	a.log.Info("signed off")
}

// work signs on and follows the manager from state to state.
func (a *Agent) work(ctx context.Context) error {
	again := a.backoff()
	for {
		state, err := a.signOn(ctx)
		for err == nil {
			switch state {
			case wire.WorkerStatusOffline:
				return ErrOffline
			case wire.WorkerStatusRestart:
				return ErrRestart
			case wire.WorkerStatusAwake:
				state, err = a.awake(ctx, &again)
			default:
				state, err = a.asleep(ctx)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, errSignOn) {
			return err
		}
		a.log.Info("signing on again", "reason", err)
		if err := pause(ctx, again.pause()); err != nil {
			return err
		}
	}
}

// enter tells the manager which state the worker is in now.
func (a *Agent) enter(ctx context.Context, state wire.WorkerStatus) error {
	err := a.persist(ctx, func(ctx context.Context) error { return a.registry.StateChanged(ctx, state) })
	if err != nil {
		return a.signOnAgain(err)
	}
	a.log.Info("worker is " + string(state))
	return nil
}

// signOnAgain turns a refusal that a new sign-on may cure into errSignOn.
func (a *Agent) signOnAgain(err error) error {
	if errors.Is(err, errUnknownWorker) || errors.Is(err, errConflict) {
		return fmt.Errorf("%w: %w", errSignOn, err)
	}
	return err
}

// awake claims and runs tasks until another state is wanted. Work is asked for only when every update is delivered, so
// that a task does not come back whose end is still on its way.
func (a *Agent) awake(ctx context.Context, signOns *backoff) (wire.WorkerStatus, error) {
	if err := a.enter(ctx, wire.WorkerStatusAwake); err != nil {
		return "", err
	}
	for {
		if err := a.courier.drain(ctx); err != nil {
			return "", err
		}
		asked := time.Now()
		var c claimed
		err := a.persist(ctx, func(ctx context.Context) (err error) {
			asked = time.Now()
			c, err = a.dispatcher.Claim(ctx)
			return err
		})
		if err != nil {
			return "", a.signOnAgain(err)
		}
		signOns.reset()
		switch {
		case c.state != "":
			return c.state, nil
		case c.task != nil:
			state, err := a.handle(ctx, *c.task)
			if err != nil || state != "" {
				return state, err
			}
		default:
			if err := pause(ctx, a.again(c.held, asked, a.timing.poll)); err != nil {
				return "", err
			}
		}
	}
}

// handle runs a task and then looks for the state that the manager wants, if it wants one.
func (a *Agent) handle(ctx context.Context, task wire.AssignedTask) (wire.WorkerStatus, error) {
	wanted, err := a.runTask(ctx, task)
	if err != nil || !wanted {
		return "", err
	}
	var r requested
	err = a.persist(ctx, func(ctx context.Context) (err error) {
		r, err = a.dispatcher.RequestedState(ctx, false)
		return err
	})
	if err != nil {
		return "", a.signOnAgain(err)
	}
	return r.state, nil
}

// asleep waits until another state is wanted.
func (a *Agent) asleep(ctx context.Context) (wire.WorkerStatus, error) {
	if err := a.enter(ctx, wire.WorkerStatusAsleep); err != nil {
		return "", err
	}
	for {
		var r requested
		asked := time.Now()
		err := a.persist(ctx, func(ctx context.Context) (err error) {
			asked = time.Now()
			r, err = a.dispatcher.RequestedState(ctx, true)
			return err
		})
		if err != nil {
			return "", a.signOnAgain(err)
		}
		if r.state != "" && r.state != wire.WorkerStatusAsleep {
			return r.state, nil
		}
		if err := pause(ctx, a.again(r.held, asked, a.timing.poll)); err != nil {
			return "", err
		}
	}
}

// again gives the pause before a question is asked again: none when the manager held it, poll when it does not hold.
func (a *Agent) again(held bool, asked time.Time, poll time.Duration) time.Duration {
	switch {
	case !held:
		return poll
	case time.Since(asked) < minHold:
		return minHold
	}
	return 0
}
