package flamencotest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

var (
	// ErrOffline says that the manager sent the worker away.
	ErrOffline = errors.New("the manager asked the worker to go offline")
	// ErrRestart says that the manager asked the worker to restart.
	ErrRestart = errors.New("the manager asked the worker to restart")
)

// WorkerConfig says who a simulated worker is. Manager, Name, HTTP and Fault are required.
type WorkerConfig struct {
	Manager    string // address, such as http://127.0.0.1:8080
	Name       string
	TaskTypes  []string // blender, ffmpeg, file-management and misc by default
	CanRestart bool
	Scale      float64 // of all waits; 1, the original's, by default
	HTTP       *http.Client
	Fault      Fault
	Observe    func(Exchange) // may be nil; called by several goroutines
}

// Tally counts what happened to a worker.
type Tally struct {
	Registrations int
	SignOns       int
	Assigned      []string // tasks in the order in which they came
	Completed     []string // tasks whose completion was answered with 204
	Failed        []string // tasks whose failure was answered with 204
	GivenUp       []string // tasks that were taken away: may-i-run said no, or an update was answered with 409
	Refusals      int      // 409 to a request for a task
	Outages       int      // requests without an answer
	Previews      int      // images that were taken with 202
}

// Worker is a simulated worker of Flamenco 3.9. It keeps its credentials and its unsent updates between runs, as the
// original does on disk. Run it in one goroutine at a time.
type Worker struct {
	cfg      WorkerConfig
	pace     pace
	caller   caller
	upstream upstream
	previews chan preview

	mu     sync.Mutex
	id     string
	secret string
	tally  Tally
}

// pace holds the waits of section 16.
type pace struct {
	first, idle, trouble, afterTask, mayRun, asleep, signOn, logFlush, bufferFlush, lastFlush, signOff time.Duration
}

func paceAt(scale float64) pace {
	at := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	return pace{
		first: at(3 * time.Second), idle: at(20 * time.Second), trouble: at(time.Minute), afterTask: at(2 * time.Second),
		mayRun: at(10 * time.Second), asleep: at(3 * time.Second), signOn: at(5 * time.Second),
		logFlush: at(30 * time.Second), bufferFlush: at(30 * time.Second),
		// Limits, not waits: they stay what they are on a farm.
		lastFlush: 5 * time.Second, signOff: 3 * time.Second,
	}
}

// NewWorker makes a worker. Nothing is sent before Run.
func NewWorker(cfg WorkerConfig) *Worker {
	if cfg.Scale == 0 {
		cfg.Scale = 1
	}
	if len(cfg.TaskTypes) == 0 {
		cfg.TaskTypes = []string{"blender", "ffmpeg", "file-management", "misc"}
	}
	w := &Worker{cfg: cfg, pace: paceAt(cfg.Scale), previews: make(chan preview, 1)}
	w.caller = newCaller(cfg.Manager, "Flamenco/"+AddonVersion+" (simulated)", cfg.HTTP, cfg.Observe)
	w.upstream = upstream{worker: w, turn: make(chan struct{}, 1)}
	return w
}

// ID is what the manager named the worker; empty before its registration.
func (w *Worker) ID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id
}

// Tally gives a copy of the counts.
func (w *Worker) Tally() Tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tally
	t.Assigned, t.Completed = slices.Clone(t.Assigned), slices.Clone(t.Completed)
	t.Failed, t.GivenUp = slices.Clone(t.Failed), slices.Clone(t.GivenUp)
	return t
}

// Done is the number of completed tasks, cheaper than a whole Tally.
func (w *Worker) Done() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tally.Completed)
}

func (w *Worker) count(change func(*Tally)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.tally)
}

// Run registers the worker if it has no credentials, signs on, and works until ctx ends, which gives nil, or the manager
// wants an end, which gives ErrOffline or ErrRestart. It then delivers what it can and signs off.
func (w *Worker) Run(ctx context.Context) error {
	status, err := w.signOn(ctx)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	var aside sync.WaitGroup
	background, stop := context.WithCancel(ctx)
	aside.Go(func() { w.upstream.flushEvery(background, w.pace.bufferFlush) })
	aside.Go(func() { w.sendPreviews(background) })
	for err == nil {
		status, err = w.enter(ctx, status)
	}
	stop()
	aside.Wait()
	w.leave(context.WithoutCancel(ctx))
	if errors.Is(err, ErrOffline) || errors.Is(err, ErrRestart) {
		return err
	}
	return nil // ctx ended
}

// unlessEnded drops an error that only says that the context ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func (w *Worker) leave(ctx context.Context) {
	flush, cancel := context.WithTimeout(ctx, w.pace.lastFlush)
	w.upstream.flush(flush)
	cancel()
	ctx, cancel = context.WithTimeout(ctx, w.pace.signOff)
	defer cancel()
	if a, err := w.call(ctx, message{method: http.MethodPost, path: "/worker/sign-off"}); err == nil && a.status != http.StatusNoContent {
		w.cfg.Fault("sign-off wants 204: %v", a)
	}
}

// call sends a request in the worker's name. An answer that says the manager is broken is a fault wherever it comes.
func (w *Worker) call(ctx context.Context, m message) (answer, error) {
	w.mu.Lock()
	m.user, m.secret = w.id, w.secret
	w.mu.Unlock()
	a, err := w.caller.call(ctx, m)
	switch {
	case err != nil && ctx.Err() == nil:
		w.count(func(t *Tally) { t.Outages++ })
	case err == nil && a.status >= http.StatusInternalServerError:
		w.cfg.Fault("a manager that runs must not answer 5xx: %v", a)
	case err == nil && a.status == http.StatusConflict && a.read(errorShape, nil) != nil:
		w.cfg.Fault("a refusal wants a code and a message: %v", a)
	case err == nil && a.status == http.StatusForbidden:
		w.cfg.Fault("a worker that signed on must not be sent away: %v", a)
	}
	return a, err
}

// rest waits; it says whether the time passed before ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// about varies a wait by 10 % to either side.
func about(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*mathrand.Float64())) //nolint:gosec // it spreads requests, it hides nothing
}

func (w *Worker) register(ctx context.Context) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	body := map[string]any{"name": w.cfg.Name, "secret": hex.EncodeToString(secret), "platform": runtime.GOOS, "supported_task_types": w.cfg.TaskTypes}
	a, err := w.caller.call(ctx, asJSON("/worker/register-worker", body))
	if err != nil {
		return fmt.Errorf("register worker %s: %w", w.cfg.Name, err)
	}
	var registered struct {
		UUID string `json:"uuid"`
	}
	err = a.read(registeredShape, &registered)
	if a.status != http.StatusOK || err != nil {
		w.cfg.Fault("a registration wants 200 with a worker, anything else ends the process: %v (%v)", a, err)
		return fmt.Errorf("register worker %s: %v", w.cfg.Name, a)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.id, w.secret = registered.UUID, hex.EncodeToString(secret)
	w.tally.Registrations++
	return nil
}

// signOn gives the status to begin with. As the original does, it takes any answer but 200 for credentials that are no
// longer valid, and registers a new worker; the test hears of it as a fault.
func (w *Worker) signOn(ctx context.Context) (string, error) {
	if w.ID() == "" {
		if err := w.register(ctx); err != nil {
			return "", err
		}
	}
	body := map[string]any{
		"name": w.cfg.Name, "supported_task_types": w.cfg.TaskTypes, "software_version": AddonVersion, "can_restart": w.cfg.CanRestart,
	}
	for {
		a, err := w.call(ctx, asJSON("/worker/sign-on", body))
		if err != nil {
			if !rest(ctx, about(w.pace.signOn)) {
				return "", ctx.Err()
			}
			continue
		}
		var requested struct {
			Status string `json:"status_requested"`
		}
		err = a.read(requestedShape, &requested)
		if a.status == http.StatusOK && err == nil {
			w.count(func(t *Tally) { t.SignOns++ })
			return requested.Status, nil
		}
		w.cfg.Fault("a sign-on wants 200 with a status, now the worker registers anew: %v (%v)", a, err)
		if err := w.register(ctx); err != nil {
			return "", err
		}
	}
}

// enter lives in one status and gives the next.
func (w *Worker) enter(ctx context.Context, status string) (string, error) {
	switch status {
	case "offline":
		return "", ErrOffline
	case "restart":
		return "", ErrRestart
	case "awake":
		w.acknowledge(ctx, "awake")
		return w.awake(ctx)
	default:
		w.acknowledge(ctx, "asleep")
		return w.asleep(ctx)
	}
}

func (w *Worker) acknowledge(ctx context.Context, status string) {
	a, err := w.call(ctx, asJSON("/worker/state-changed", map[string]string{"status": status}))
	if err == nil && (a.status != http.StatusNoContent || a.empty() != nil) {
		w.cfg.Fault("state-changed wants 204: %v", a)
	}
}

func (w *Worker) asleep(ctx context.Context) (string, error) {
	for rest(ctx, about(w.pace.asleep)) {
		a, err := w.call(ctx, message{method: http.MethodGet, path: "/worker/state"})
		switch {
		case err != nil:
		case a.status == http.StatusOK:
			if next := w.requested(a); next != "" && next != "asleep" {
				return next, nil
			}
		case a.status != http.StatusNoContent:
			w.cfg.Fault("state wants 200 or 204: %v", a)
		}
	}
	return "", ctx.Err()
}

// requested reads the status that an answer asks for; empty when the worker would not find one.
func (w *Worker) requested(a answer) string {
	var body struct {
		Status string `json:"status_requested"`
	}
	if err := a.read(requestedShape, &body); err != nil {
		w.cfg.Fault("the status that is asked for cannot be read: %v (%v)", a, err)
	}
	return body.Status
}

func (w *Worker) awake(ctx context.Context) (string, error) {
	wait := w.pace.first
	for rest(ctx, about(wait)) {
		a, err := w.call(ctx, message{method: http.MethodPost, path: "/worker/task"})
		wait = w.pace.trouble
		switch {
		case err != nil:
		case a.status == http.StatusOK:
			var task assignedTask
			if err := a.read(assignedTaskShape, &task); err != nil {
				w.cfg.Fault("the task cannot be read: %v (%v)", a, err)
				break
			}
			w.run(ctx, task)
			if !rest(ctx, w.pace.afterTask) {
				return "", ctx.Err()
			}
			wait = w.pace.first
		case a.status == http.StatusNoContent:
			wait = w.pace.idle
		case a.status == http.StatusLocked:
			if next := w.requested(a); next != "" {
				return next, nil
			}
		case a.status == http.StatusConflict:
			w.count(func(t *Tally) { t.Refusals++ })
		default:
			w.cfg.Fault("a request for a task wants 200, 204, 423 or 409: %v", a)
		}
	}
	return "", ctx.Err()
}
