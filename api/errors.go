package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"hayloft/api/octets"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/cas/pack"
	"hayloft/checkout"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
)

// Errors that only HTTP knows.
var (
	errInvalid         = errors.New("request refused")
	errTooLarge        = errors.New("body is too large")
	errLengthRequired  = errors.New("the request needs a Content-Length header")
	errUnsupportedType = errors.New("body has a type that is not taken here")
	errQueueFull       = errors.New("too many images are waiting; the next one may be sent in a moment")
	errStopping        = errors.New("the manager is stopping; ask again when it is back")
	errShamanOff       = errors.New("the farm takes no files by the Shaman API; copy them to the shared storage")
	errFixedConfig     = errors.New("the manager has no configuration file that it may write; change its flags and start it anew")
	errNoMatch         = errors.New("nothing matches")
	errNoTag           = errors.New("no such worker tag")
	errStalled         = errors.New("the body stopped coming")
	errCutShort        = errors.New("the body ended before its end")
	errTooManyStreams  = errors.New("too many event streams are open; close one and ask again")
)

// meaning says how an error travels: its status and its reason word. Flamenco leaves code and reason out of some
// answers; bare rows do so too.
type meaning struct {
	err    error
	status int
	reason wire.ErrorReason
	bare   bool
}

// meanings is the one table from errors to answers. The first row that fits counts.
var meanings = []meaning{
	{err: scheduler.ErrUnauthorized, status: http.StatusForbidden, reason: wire.ReasonUnauthorized, bare: true},
	{err: scheduler.ErrNotAwake, status: http.StatusConflict, reason: wire.ReasonNotAwake},
	{err: scheduler.ErrNotOwner, status: http.StatusConflict, reason: wire.ReasonNotOwner},
	{err: scheduler.ErrConflict, status: http.StatusConflict, reason: wire.ReasonAlreadyExists},
	{err: scheduler.ErrTransition, status: http.StatusUnprocessableEntity, reason: wire.ReasonTransitionRefused},
	{err: scheduler.ErrInvalid, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: errInvalid, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: scheduler.ErrCannotRestart, status: http.StatusPreconditionFailed, reason: wire.ReasonCannotRestart},
	{err: scheduler.ErrBusy, status: http.StatusServiceUnavailable, reason: wire.ReasonBusy},
	{err: errTooManyStreams, status: http.StatusServiceUnavailable, reason: wire.ReasonBusy},
	{err: errStopping, status: http.StatusServiceUnavailable, reason: wire.ReasonStopping},
	{err: errShamanOff, status: http.StatusServiceUnavailable, reason: wire.ReasonShamanOff},
	{err: errFixedConfig, status: http.StatusNotImplemented, reason: wire.ReasonNotSupported},
	{err: errNoMatch, status: http.StatusRequestedRangeNotSatisfiable, reason: wire.ReasonNoMatch},
	{err: errNoTag, status: http.StatusNotAcceptable, reason: wire.ReasonNotFound},
	{err: scheduler.ErrNoSpace, status: http.StatusInsufficientStorage, reason: wire.ReasonNoSpace},
	{err: cas.ErrNoSpace, status: http.StatusInsufficientStorage, reason: wire.ReasonNoSpace},

	{err: jobtype.ErrEtagMismatch, status: http.StatusPreconditionFailed, reason: wire.ReasonEtagMismatch},
	{err: jobtype.ErrUnknownJobType, status: http.StatusNotFound, reason: wire.ReasonUnknownJobType},
	{err: jobtype.ErrBadSetting, status: http.StatusBadRequest, reason: wire.ReasonBadSetting},
	{err: jobtype.ErrTimeLimit, status: http.StatusBadRequest, reason: wire.ReasonTimeLimit},
	{err: jobtype.ErrCompile, status: http.StatusBadRequest, reason: wire.ReasonCompileFailed},
	{err: jobtype.ErrBrokenJobType, status: http.StatusBadRequest, reason: wire.ReasonBrokenJobType},

	{err: checkout.ErrMissingBlobs, status: http.StatusFailedDependency, reason: wire.ReasonMissingBlobs},
	{err: checkout.ErrBadManifest, status: http.StatusBadRequest, reason: wire.ReasonBadManifest},
	{err: checkout.ErrNewerManifest, status: http.StatusBadRequest, reason: wire.ReasonBadManifest},
	{err: checkout.ErrTooLarge, status: http.StatusRequestEntityTooLarge, reason: wire.ReasonTooLarge},
	{err: checkout.ErrNameTaken, status: http.StatusConflict, reason: wire.ReasonAlreadyExists},
	{err: checkout.ErrBadEntry, status: http.StatusBadRequest, reason: wire.ReasonBadManifest},
	{err: checkout.ErrConflict, status: http.StatusBadRequest, reason: wire.ReasonBadPath},
	{err: checkout.ErrBadPath, status: http.StatusBadRequest, reason: wire.ReasonBadPath},
	{err: cas.ErrBadDigest, status: http.StatusBadRequest, reason: wire.ReasonBadDigest},
	{err: cas.ErrBadRefName, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: cas.ErrSizeMismatch, status: http.StatusExpectationFailed, reason: wire.ReasonSizeMismatch},
	{err: cas.ErrDigestMismatch, status: http.StatusExpectationFailed, reason: wire.ReasonDigestMismatch},
	{err: cas.ErrNotFound, status: http.StatusNotFound, reason: wire.ReasonBlobNotFound},
	{err: cas.ErrRefNotFound, status: http.StatusNotFound, reason: wire.ReasonNotFound},
	{err: scheduler.ErrNotFound, status: http.StatusNotFound, reason: wire.ReasonNotFound},

	{err: intake.ErrUnknownBase, status: http.StatusConflict, reason: wire.ReasonUnknownBase},
	{err: intake.ErrNoSession, status: http.StatusNotFound, reason: wire.ReasonNoSession},
	{err: intake.ErrLaneBusy, status: http.StatusLocked, reason: wire.ReasonLaneBusy},
	{err: intake.ErrOtherRecipe, status: http.StatusServiceUnavailable, reason: wire.ReasonBusy},
	{err: intake.ErrTooMany, status: http.StatusServiceUnavailable, reason: wire.ReasonBusy},
	{err: intake.ErrTooLarge, status: http.StatusRequestEntityTooLarge, reason: wire.ReasonTooLarge},
	{err: intake.ErrBadLane, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: intake.ErrBadSessionID, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: disk.ErrAssembling, status: http.StatusServiceUnavailable, reason: wire.ReasonBusy},
	{err: disk.ErrUnknownChunk, status: http.StatusBadRequest, reason: wire.ReasonBadFrames},
	{err: cas.ErrClosed, status: http.StatusServiceUnavailable, reason: wire.ReasonStopping},
	{err: pack.ErrBadFrame, status: http.StatusBadRequest, reason: wire.ReasonBadFrames},
	{err: pack.ErrWrongID, status: http.StatusExpectationFailed, reason: wire.ReasonDigestMismatch},
	{err: chunk.ErrBadRecipe, status: http.StatusBadRequest, reason: wire.ReasonBadRecipe},
	{err: chunk.ErrBadID, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: octets.ErrMalformed, status: http.StatusBadRequest, reason: wire.ReasonInvalid},
	{err: errStalled, status: http.StatusRequestTimeout, reason: wire.ReasonStalled},
	{err: errCutShort, status: http.StatusBadRequest, reason: wire.ReasonInvalid},

	{err: errTooLarge, status: http.StatusRequestEntityTooLarge, reason: wire.ReasonTooLarge},
	{err: errLengthRequired, status: http.StatusLengthRequired, reason: wire.ReasonLengthRequired},
	{err: errUnsupportedType, status: http.StatusUnsupportedMediaType, reason: wire.ReasonUnsupportedMediaType},
	{err: errQueueFull, status: http.StatusTooManyRequests, reason: wire.ReasonQueueFull},
}

// retryAfter is the Retry-After header of answers that say "not now", in seconds.
const retryAfter = "1"

// smallBody is the size in bytes up to which the rest of a refused body is read to keep the connection.
const smallBody = 16 << 10

// writeError answers for every error of every handler. It is echo's error handler.
func (s *Server) writeError(err error, c echo.Context) {
	r := c.Request()
	if c.Response().Committed || (errors.Is(err, context.Canceled) && r.Context().Err() != nil) {
		s.log.Debug("request ended early", "method", r.Method, "path", c.Path(), "error", err)
		return
	}
	status, body := answer(err)
	if status >= http.StatusInternalServerError && strings.HasPrefix(c.Path(), workerPaths) {
		// Flamenco's worker takes some 5xx for "go and register anew"; 503 is the one that says the fault is passing.
		status = http.StatusServiceUnavailable
		body.Code = &status
	}
	if status >= http.StatusInternalServerError && mistakesRefusals(r, c.Path()) {
		s.log.Warn("connection cut instead of an answer that the worker would misread", "path", c.Path(), "error", err)
		panic(http.ErrAbortHandler)
	}
	if status >= http.StatusInternalServerError {
		s.log.Error("request failed", "method", r.Method, "path", c.Path(), "status", status, "error", err)
	}
	comeBack := status == http.StatusTooManyRequests || (status == http.StatusServiceUnavailable && !errors.Is(err, errShamanOff))
	if err := writeRefusal(c, status, body, comeBack); err != nil {
		s.log.Debug("error answer was not taken", "method", r.Method, "path", c.Path(), "error", err)
	}
}

// writeRefusal sends an error; comeBack says that asking again soon may help.
func writeRefusal(c echo.Context, status int, body wire.Error, comeBack bool) error {
	header := c.Response().Header()
	header.Del(preferenceApplied)
	if comeBack {
		header.Set(echo.HeaderRetryAfter, retryAfter)
	}
	leaveBody(c.Request(), header)
	header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	c.Response().WriteHeader(status)
	return json.NewEncoder(c.Response()).Encode(body)
}

// leaveBody gives up the connection of a request whose body nobody wants: the server would first read on in it, and wait for
// a client that stalls.
func leaveBody(r *http.Request, answer http.Header) {
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		answer.Set("Connection", "close")
	}
}

// mistakesRefusals tells whether the caller takes a passing fault for a final one. Flamenco's worker registers anew after
// any refusal of its sign-on, and stops reading from its child after one of a task update; when the connection breaks it
// signs on again, and keeps the update to send it later (fact sheet, section 4, items 3 and 8).
func mistakesRefusals(r *http.Request, path string) bool {
	return flamencoAgent.MatchString(r.UserAgent()) &&
		(path == workerPaths+"sign-on" || (path == workerPaths+"task/:task_id" && r.Method == http.MethodPost))
}

// answer finds status and body for an error. An error that nobody foresaw is told in short; the log has all of it.
func answer(err error) (int, wire.Error) {
	var refused *echo.HTTPError
	if errors.As(err, &refused) && refused.Internal != nil {
		err = refused.Internal
	}
	var limit *http.MaxBytesError
	if errors.As(err, &limit) {
		err = fmt.Errorf("%w: at most %d bytes are taken here", errTooLarge, limit.Limit)
	}
	for _, m := range meanings {
		if !errors.Is(err, m.err) {
			continue
		}
		if m.bare {
			return m.status, wire.Error{Message: err.Error()}
		}
		return m.status, wire.Error{Code: &m.status, Message: err.Error(), Reason: &m.reason, Files: missingFiles(err)}
	}
	var invalid *openapi3filter.RequestError
	switch {
	case errors.As(err, &invalid):
		return http.StatusBadRequest, wire.Error{Message: invalid.Error()}
	case refused != nil:
		return refused.Code, wire.Error{Message: fmt.Sprint(refused.Message)}
	}
	status, reason := http.StatusInternalServerError, wire.ReasonInternal
	return status, wire.Error{Code: &status, Reason: &reason,
		Message: "something failed inside of the manager; its log has the details"}
}
