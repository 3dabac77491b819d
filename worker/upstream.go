package worker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

const (
	callLimit   = 30 * time.Second // for a request that the manager answers at once
	holdSlack   = 15 * time.Second // beyond the time for which it was asked to hold one
	answerLimit = 16 << 20         // bytes of an answer that are read
)

// upstream speaks to one manager over the generated client.
type upstream struct {
	api   *wire.ClientWithResponses
	wait  time.Duration
	creds atomic.Pointer[credentials]
}

// newUpstream gives an upstream without credentials, good for registering only.
func newUpstream(managerURL, software string, wait time.Duration, doer wire.HttpRequestDoer) (*upstream, error) {
	u := &upstream{wait: wait}
	api, err := wire.NewClientWithResponses(strings.TrimRight(managerURL, "/"), wire.WithHTTPClient(boundedDoer{doer}),
		wire.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.Header.Set("User-Agent", software)
			if c := u.creds.Load(); c != nil {
				req.SetBasicAuth(c.ID.String(), c.Secret)
			}
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to manager %s: %w", managerURL, err)
	}
	u.api = api
	return u, nil
}

// boundedDoer cuts answers off that are longer than anything a manager has to say.
type boundedDoer struct{ wire.HttpRequestDoer }

func (d boundedDoer) Do(req *http.Request) (*http.Response, error) {
	resp, err := d.HttpRequestDoer.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, answerLimit), resp.Body}
	return resp, nil
}

// answer is what all generated responses have in common.
type answer interface {
	StatusCode() int
	GetBody() []byte
}

// refused makes an error of an answer. Both error shapes, of the validator and of handlers, have a message.
func refused(attempt string, a answer, parsed *wire.Error) error {
	r := &refusal{attempt: attempt, status: a.StatusCode(), message: "no explanation given"}
	switch body := bytes.TrimSpace(a.GetBody()); {
	case parsed != nil && parsed.Message != "":
		r.message = parsed.Message
	case len(body) > 0:
		r.message = string(body[:min(len(body), 200)])
	}
	return r
}

func (u *upstream) prefer() *wire.Prefer {
	p := fmt.Sprintf("wait=%d", int(u.wait/time.Second))
	return &p
}

func held(resp *http.Response) bool {
	return strings.Contains(strings.ToLower(resp.Header.Get("Preference-Applied")), "wait")
}

func (u *upstream) Register(ctx context.Context, r wire.WorkerRegistration) (uuid.UUID, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	resp, err := u.api.RegisterWorkerWithResponse(ctx, r)
	if err != nil {
		return uuid.Nil, fmt.Errorf("register worker %q: %w", r.Name, err)
	}
	if resp.JSON200 == nil {
		return uuid.Nil, refused(fmt.Sprintf("register worker %q", r.Name), resp, resp.JSONDefault)
	}
	return resp.JSON200.Uuid, nil
}

func (u *upstream) SignOn(ctx context.Context, s wire.WorkerSignOn) (wire.WorkerStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	resp, err := u.api.SignOnWithResponse(ctx, s)
	if err != nil {
		return "", fmt.Errorf("sign on: %w", err)
	}
	if resp.JSON200 == nil {
		return "", refused("sign on", resp, resp.JSONDefault)
	}
	return resp.JSON200.StatusRequested, nil
}

// Variable implements registry. The platform is that of this program.
func (u *upstream) Variable(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	resp, err := u.api.GetVariablesWithResponse(ctx, "workers", runtime.GOOS)
	if err != nil {
		return "", fmt.Errorf("ask for variables: %w", err)
	}
	if resp.JSON200 == nil {
		return "", refused("ask for variables", resp, nil)
	}
	return (*resp.JSON200)[name].Value, nil
}

func (u *upstream) StateChanged(ctx context.Context, status wire.WorkerStatus) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	resp, err := u.api.WorkerStateChangedWithResponse(ctx, wire.WorkerStateChanged{Status: status})
	if err != nil {
		return fmt.Errorf("report state %s: %w", status, err)
	}
	if resp.StatusCode() != http.StatusNoContent {
		return refused("report state "+string(status), resp, resp.JSONDefault)
	}
	return nil
}

func (u *upstream) SignOff(ctx context.Context) error {
	resp, err := u.api.SignOffWithResponse(ctx)
	if err != nil {
		return fmt.Errorf("sign off: %w", err)
	}
	if resp.StatusCode() != http.StatusNoContent {
		return refused("sign off", resp, resp.JSONDefault)
	}
	return nil
}

func (u *upstream) Claim(ctx context.Context) (claimed, error) {
	ctx, cancel := context.WithTimeout(ctx, u.wait+holdSlack)
	defer cancel()
	resp, err := u.api.ScheduleTaskWithResponse(ctx, &wire.ScheduleTaskParams{Prefer: u.prefer()})
	switch {
	case err != nil:
		return claimed{}, fmt.Errorf("claim a task: %w", err)
	case resp.JSON200 != nil:
		return claimed{task: resp.JSON200}, nil
	case resp.JSON423 != nil:
		return claimed{state: resp.JSON423.StatusRequested}, nil
	case resp.StatusCode() == http.StatusNoContent:
		return claimed{held: held(resp.HTTPResponse)}, nil
	case resp.JSON409 != nil:
		return claimed{}, refused("claim a task", resp, resp.JSON409)
	}
	return claimed{}, refused("claim a task", resp, resp.JSONDefault)
}

func (u *upstream) RequestedState(ctx context.Context, hold bool) (requested, error) {
	params := &wire.WorkerStateParams{}
	limit := callLimit
	if hold {
		params.Prefer, limit = u.prefer(), u.wait+holdSlack
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	resp, err := u.api.WorkerStateWithResponse(ctx, params)
	switch {
	case err != nil:
		return requested{}, fmt.Errorf("ask for the wanted state: %w", err)
	case resp.JSON200 != nil:
		return requested{state: resp.JSON200.StatusRequested}, nil
	case resp.StatusCode() == http.StatusNoContent:
		return requested{held: held(resp.HTTPResponse)}, nil
	}
	return requested{}, refused("ask for the wanted state", resp, resp.JSONDefault)
}

func (u *upstream) Update(ctx context.Context, task uuid.UUID, update wire.TaskUpdate) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	resp, err := u.api.TaskUpdateWithResponse(ctx, task, update)
	if err != nil {
		return fmt.Errorf("update task %s: %w", task, err)
	}
	if resp.StatusCode() == http.StatusNoContent {
		return nil
	}
	if resp.JSON409 != nil {
		return refused("update task "+task.String(), resp, resp.JSON409)
	}
	return refused("update task "+task.String(), resp, resp.JSONDefault)
}

func (u *upstream) MayRun(ctx context.Context, task uuid.UUID) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, u.wait+holdSlack)
	defer cancel()
	resp, err := u.api.MayWorkerRunWithResponse(ctx, task, &wire.MayWorkerRunParams{Prefer: u.prefer()})
	if err != nil {
		return verdict{}, fmt.Errorf("ask whether task %s may run: %w", task, err)
	}
	if resp.JSON200 == nil {
		return verdict{}, refused(fmt.Sprintf("ask whether task %s may run", task), resp, resp.JSONDefault)
	}
	return verdict{MayKeepRunning: *resp.JSON200, held: held(resp.HTTPResponse)}, nil
}

func (u *upstream) Preview(ctx context.Context, task uuid.UUID, jpeg []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	resp, err := u.api.TaskOutputProducedWithBodyWithResponse(ctx, task, "image/jpeg", bytes.NewReader(jpeg))
	if err != nil {
		return fmt.Errorf("send preview of task %s: %w", task, err)
	}
	if resp.StatusCode() != http.StatusAccepted {
		return refused(fmt.Sprintf("send preview of task %s", task), resp, resp.JSONDefault)
	}
	return nil
}
