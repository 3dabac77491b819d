package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// Workers lists all workers by name.
func (c *Client) Workers(ctx context.Context) ([]wire.WorkerSummary, error) {
	resp, err := c.wire.ListWorkers(ctx)
	list, err := decode[wire.WorkerList]("list workers", resp, err)
	return list.Workers, err
}

// Worker describes one worker with its tags and its task.
func (c *Client) Worker(ctx context.Context, id uuid.UUID) (wire.Worker, error) {
	resp, err := c.wire.GetWorker(ctx, id)
	return decode[wire.Worker]("ask for worker "+id.String(), resp, err)
}

// SetWorkerStatus asks a worker to go to a status; lazy: after its current task.
func (c *Client) SetWorkerStatus(ctx context.Context, id uuid.UUID, status wire.WorkerStatus, lazy bool) error {
	resp, err := c.wire.RequestWorkerStatusChange(ctx, id, wire.WorkerStatusChangeRequest{Status: status, IsLazy: lazy})
	return done(fmt.Sprintf("ask worker %s to be %s", id, status), resp, err, http.StatusNoContent)
}

// DeleteWorker makes the manager forget a worker.
func (c *Client) DeleteWorker(ctx context.Context, id uuid.UUID) error {
	resp, err := c.wire.DeleteWorker(ctx, id)
	return done("delete worker "+id.String(), resp, err, http.StatusNoContent)
}

// Tags lists the worker tags by name.
func (c *Client) Tags(ctx context.Context) ([]wire.WorkerTag, error) {
	resp, err := c.wire.ListWorkerTags(ctx)
	list, err := decode[wire.WorkerTagList]("list worker tags", resp, err)
	return list.Tags, err
}

// CreateTag makes a worker tag; [ErrExists] if the name is taken.
func (c *Client) CreateTag(ctx context.Context, tag wire.WorkerTag) (wire.WorkerTag, error) {
	resp, err := c.wire.CreateWorkerTag(ctx, tag)
	return decode[wire.WorkerTag](fmt.Sprintf("make worker tag %q", tag.Name), resp, err)
}

// ErrNoWork: nothing that the worker may run was queued while its request was held.
var ErrNoWork = errors.New("no work")

// StatusRequested tells a worker that it shall go to another status first.
type StatusRequested struct{ Status wire.WorkerStatus }

func (e StatusRequested) Error() string {
	return "the worker is asked to go to status " + string(e.Status)
}

// Register makes a new worker known and returns its id; the secret in the registration is its password from now on.
func (c *Client) Register(ctx context.Context, r wire.WorkerRegistration) (uuid.UUID, error) {
	resp, err := c.wire.RegisterWorker(ctx, r)
	registered, err := decode[wire.RegisteredWorker](fmt.Sprintf("register worker %q", r.Name), resp, err)
	return registered.Uuid, err
}

// WorkerCalls are what a worker asks of its manager. Get one from [Client.AsWorker].
type WorkerCalls struct {
	wire    *wire.ClientWithResponses
	signIn  string
	waiting time.Duration
}

// AsWorker signs all calls in as a worker. Requests that may be held wait at the manager for up to wait, in whole seconds.
func (c *Client) AsWorker(id uuid.UUID, secret string, wait time.Duration) *WorkerCalls {
	signIn := base64.StdEncoding.EncodeToString([]byte(id.String() + ":" + secret))
	return &WorkerCalls{wire: c.wire, signIn: "Basic " + signIn, waiting: wait}
}

func (w *WorkerCalls) sign(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", w.signIn)
	return nil
}

// prefer is the header of RFC 7240 that lets the manager hold a request; nil without a wait.
func (w *WorkerCalls) prefer() *string {
	if w.waiting < time.Second {
		return nil
	}
	preference := fmt.Sprintf("wait=%d", int(w.waiting.Seconds()))
	return &preference
}

// SignOn tells that the worker starts and returns the status that it shall go to.
func (w *WorkerCalls) SignOn(ctx context.Context, on wire.WorkerSignOn) (wire.WorkerStatus, error) {
	resp, err := w.wire.SignOn(ctx, on, w.sign)
	change, err := decode[wire.WorkerStateChange]("sign on", resp, err)
	return change.StatusRequested, err
}

// SignOff tells that the worker ends.
func (w *WorkerCalls) SignOff(ctx context.Context) error {
	resp, err := w.wire.SignOff(ctx, w.sign)
	return done("sign off", resp, err, http.StatusNoContent)
}

// StatusChanged tells which status the worker went to.
func (w *WorkerCalls) StatusChanged(ctx context.Context, status wire.WorkerStatus) error {
	resp, err := w.wire.WorkerStateChanged(ctx, wire.WorkerStateChanged{Status: status}, w.sign)
	return done("report status "+string(status), resp, err, http.StatusNoContent)
}

// StatusRequested returns the status that the worker is asked to go to, empty for none.
func (w *WorkerCalls) StatusRequested(ctx context.Context) (wire.WorkerStatus, error) {
	resp, err := w.wire.WorkerState(ctx, &wire.WorkerStateParams{Prefer: w.prefer()}, w.sign)
	if err == nil && resp.StatusCode == http.StatusNoContent {
		drain(resp)
		return "", nil
	}
	change, err := decode[wire.WorkerStateChange]("ask for the status wanted", resp, err)
	return change.StatusRequested, err
}

// Claim asks for a task. Errors: [ErrNoWork], [StatusRequested], [ErrNotAwake].
func (w *WorkerCalls) Claim(ctx context.Context) (wire.AssignedTask, error) {
	const what = "ask for a task"
	resp, err := w.wire.ScheduleTask(ctx, &wire.ScheduleTaskParams{Prefer: w.prefer()}, w.sign)
	if err != nil {
		return wire.AssignedTask{}, fmt.Errorf("%s: %w", what, unreachable(err))
	}
	switch resp.StatusCode {
	case http.StatusNoContent:
		drain(resp)
		return wire.AssignedTask{}, ErrNoWork
	case http.StatusLocked:
		resp.StatusCode = http.StatusOK
		change, err := decode[wire.WorkerStateChange](what, resp, nil)
		if err == nil {
			err = StatusRequested{change.StatusRequested}
		}
		return wire.AssignedTask{}, err
	}
	return decode[wire.AssignedTask](what, resp, nil)
}

// UpdateTask reports on a task; [ErrNotOwner] when it is not this worker's any more.
func (w *WorkerCalls) UpdateTask(ctx context.Context, task uuid.UUID, update wire.TaskUpdate) error {
	resp, err := w.wire.TaskUpdate(ctx, task, update, w.sign)
	return done("report on task "+task.String(), resp, err, http.StatusNoContent)
}

// MayRun tells whether a task may go on; while it may, the answer is held.
func (w *WorkerCalls) MayRun(ctx context.Context, task uuid.UUID) (wire.MayKeepRunning, error) {
	resp, err := w.wire.MayWorkerRun(ctx, task, &wire.MayWorkerRunParams{Prefer: w.prefer()}, w.sign)
	return decode[wire.MayKeepRunning]("ask whether task "+task.String()+" may go on", resp, err)
}
