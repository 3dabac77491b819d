package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"hayloft/api/client"
	"hayloft/api/octets"
	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/cas/pack"
	"hayloft/cas/transfer"
	"hayloft/checkout"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
)

// TestErrorsTravelBothWays sends each meaning through HTTP and wants the same meaning at the client.
func TestErrorsTravelBothWays(t *testing.T) {
	arrive := map[error]error{
		scheduler.ErrUnauthorized: client.ErrUnauthorized, scheduler.ErrNotAwake: client.ErrNotAwake,
		scheduler.ErrNotOwner: client.ErrNotOwner, scheduler.ErrConflict: client.ErrExists,
		scheduler.ErrTransition: client.ErrTransition, scheduler.ErrInvalid: client.ErrInvalid, errInvalid: client.ErrInvalid,
		scheduler.ErrCannotRestart: client.ErrCannotRestart, scheduler.ErrBusy: client.ErrUnavailable,
		errTooManyStreams: client.ErrUnavailable, errStopping: client.ErrUnavailable,
		scheduler.ErrNoSpace: client.ErrNoSpace, cas.ErrNoSpace: client.ErrNoSpace,
		jobtype.ErrEtagMismatch: client.ErrEtagMismatch, jobtype.ErrUnknownJobType: client.ErrUnknownJobType,
		jobtype.ErrBadSetting: client.ErrBadSetting, jobtype.ErrTimeLimit: client.ErrTimeLimit,
		jobtype.ErrCompile: client.ErrCompile, jobtype.ErrBrokenJobType: client.ErrBrokenJobType,
		checkout.ErrMissingBlobs: client.ErrMissingBlobs, checkout.ErrBadManifest: client.ErrBadManifest,
		checkout.ErrNewerManifest: client.ErrBadManifest, checkout.ErrTooLarge: client.ErrTooLarge,
		checkout.ErrBadEntry: client.ErrBadManifest, checkout.ErrNameTaken: client.ErrExists, checkout.ErrConflict: client.ErrBadPath, checkout.ErrBadPath: client.ErrBadPath,
		cas.ErrBadDigest: cas.ErrBadDigest, cas.ErrBadRefName: client.ErrInvalid, cas.ErrSizeMismatch: cas.ErrSizeMismatch,
		cas.ErrDigestMismatch: cas.ErrDigestMismatch, cas.ErrNotFound: cas.ErrNotFound, cas.ErrRefNotFound: client.ErrNotFound,
		scheduler.ErrNotFound: client.ErrNotFound, errTooLarge: client.ErrTooLarge, errLengthRequired: client.ErrNoLength,
		errShamanOff: client.ErrShamanOff, errFixedConfig: client.ErrNotSupported, errNoMatch: client.ErrNoMatch, errNoTag: client.ErrNotFound,
		errUnsupportedType: client.ErrUnsupported, errQueueFull: client.ErrQueueFull,
		errStalled: client.ErrStalled, errCutShort: client.ErrInvalid, octets.ErrMalformed: client.ErrInvalid,
		intake.ErrUnknownBase: transfer.ErrUnknownBase, intake.ErrNoSession: transfer.ErrNoSession, intake.ErrLaneBusy: transfer.ErrLaneBusy,
		intake.ErrOtherRecipe: transfer.ErrUnavailable, intake.ErrTooMany: transfer.ErrUnavailable, intake.ErrTooLarge: client.ErrTooLarge,
		intake.ErrBadLane: client.ErrInvalid, intake.ErrBadSessionID: client.ErrInvalid,
		disk.ErrAssembling: transfer.ErrUnavailable, disk.ErrUnknownChunk: client.ErrBadFrames, cas.ErrClosed: transfer.ErrUnavailable,
		pack.ErrBadFrame: client.ErrBadFrames, pack.ErrWrongID: cas.ErrDigestMismatch,
		chunk.ErrBadRecipe: client.ErrBadRecipe, chunk.ErrBadID: client.ErrInvalid,
	}
	server, err := New(Config{SharedStorage: t.TempDir(), JobFiles: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meanings {
		wanted, ok := arrive[m.err]
		if !ok {
			t.Errorf("no expectation for %v", m.err)
			continue
		}
		sent := fmt.Errorf("attempt on 42: %w", m.err)
		err := throughHTTP(t, server, sent)
		var answered *client.Error
		if !errors.As(err, &answered) || answered.Status != m.status || answered.Message != sent.Error() {
			t.Errorf("%v arrived as %#v; want status %d", m.err, err, m.status)
		}
		if !errors.Is(err, wanted) {
			t.Errorf("%v arrived as %v, which is not %v", m.err, err, wanted)
		}
		if m.bare != (answered.Reason == "") {
			t.Errorf("%v: reason word is %q, bare is %t", m.err, answered.Reason, m.bare)
		}
	}
}

// throughHTTP answers a request with an error and returns what a client makes of it.
func throughHTTP(t *testing.T, server *Server, sent error) error {
	t.Helper()
	e := echo.New()
	e.HTTPErrorHandler = server.writeError
	e.GET("/api/v3/version", func(echo.Context) error { return sent })
	listener := httptest.NewServer(e)
	defer listener.Close()
	c, err := client.New(listener.URL, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Version(t.Context())
	return err
}

func TestUnforeseenErrorsTellNothingOfTheInside(t *testing.T) {
	server, err := New(Config{SharedStorage: t.TempDir(), JobFiles: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/api/v3/jobs": http.StatusInternalServerError, "/api/v3/worker/sign-on": http.StatusServiceUnavailable} {
		recorder := httptest.NewRecorder()
		c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, path, nil), recorder)
		c.SetPath(path)
		server.writeError(errors.New("the secret is 1234"), c)
		if recorder.Code != want {
			t.Errorf("%s: status %d, want %d", path, recorder.Code, want)
		}
		if body := recorder.Body.String(); body == "" || strings.Contains(body, "1234") {
			t.Errorf("%s: body %q", path, body)
		}
		if retry := recorder.Header().Get("Retry-After"); (want == http.StatusServiceUnavailable) != (retry == "1") {
			t.Errorf("%s: Retry-After %q", path, retry)
		}
	}
}

// TestFlamencosWorkerNeverMisreadsAFault breaks the connection where an answer would make the worker register anew or
// hang, and only there.
func TestFlamencosWorkerNeverMisreadsAFault(t *testing.T) {
	server, err := New(Config{SharedStorage: t.TempDir(), JobFiles: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const flamenco, task = "Flamenco/3.8 (abc123)", "/api/v3/worker/task/:task_id"
	for _, c := range []struct {
		agent, method, path string
		fault               error
		status              int // 0: the connection breaks
	}{
		{flamenco, "POST", "/api/v3/worker/sign-on", scheduler.ErrBusy, 0},
		{flamenco, "POST", task, scheduler.ErrBusy, 0},
		{flamenco, "POST", task, scheduler.ErrNoSpace, 0},
		{flamenco, "POST", task, scheduler.ErrNotOwner, 409},
		{flamenco, "GET", task, scheduler.ErrBusy, 503},
		{flamenco, "POST", "/api/v3/worker/task", scheduler.ErrBusy, 503},
		{flamenco, "POST", "/api/v3/worker/register-worker", scheduler.ErrNoSpace, 503},
		{"hayloft-worker/1.0", "POST", "/api/v3/worker/sign-on", scheduler.ErrBusy, 503},
		{"hayloft-worker/1.0", "POST", task, scheduler.ErrBusy, 503},
	} {
		e := echo.New()
		e.HTTPErrorHandler = server.writeError
		e.Add(c.method, c.path, func(echo.Context) error { return c.fault })
		listener := httptest.NewServer(e)
		r, err := http.NewRequestWithContext(t.Context(), c.method, listener.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", c.agent)
		resp, err := listener.Client().Do(r)
		got := 0
		if err == nil {
			got = resp.StatusCode
			_ = resp.Body.Close()
		}
		if got != c.status {
			t.Errorf("%s %s %s: %v: %d, %v; want %d", c.agent, c.method, c.path, c.fault, got, err, c.status)
		}
		listener.Close()
	}
}
