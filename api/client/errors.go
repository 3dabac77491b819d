package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/transfer"
)

// Errors by meaning; test with [errors.Is]. Blobs have finer ones in package cas: a missing blob is [cas.ErrNotFound] as
// well as ErrNotFound; ErrMismatch is [cas.ErrSizeMismatch] or [cas.ErrDigestMismatch]; and there is [cas.ErrBadDigest]. Those of uploads are in
// package cas/transfer: [transfer.ErrUnknownBase], [transfer.ErrNoSession], [transfer.ErrLaneBusy], [transfer.ErrOffset];
// and [transfer.ErrUnavailable] is every error that may be over soon.
var (
	ErrUnreachable    error = passing("the manager cannot be reached")
	ErrMismatch             = errors.New("bytes do not have the announced size and SHA-256")
	ErrNotFound             = errors.New("not found")
	ErrInvalid              = errors.New("request refused")
	ErrTooLarge             = errors.New("too large")
	ErrNoLength             = errors.New("length required")
	ErrUnsupported          = errors.New("type of the body is not taken")
	ErrNotAwake             = errors.New("worker is not awake")
	ErrNotOwner             = errors.New("task is not assigned to this worker")
	ErrExists               = errors.New("already exists")
	ErrTransition           = errors.New("status change not allowed")
	ErrUnauthorized         = errors.New("not signed in")
	ErrUnavailable    error = passing("the manager is busy or stopping")
	ErrStalled        error = passing("the body took too long to come")
	ErrShamanOff            = errors.New("the farm takes no files over its API")
	ErrNoMatch              = errors.New("nothing matches")
	ErrNotSupported         = errors.New("not supported by this manager")
	ErrNoSpace              = errors.New("no space left at the manager")
	ErrCannotRestart        = errors.New("worker cannot restart")
	ErrQueueFull            = errors.New("queue is full")
	ErrEtagMismatch         = errors.New("job type has changed")
	ErrCompile              = errors.New("job does not compile")
	ErrBrokenJobType        = errors.New("job type cannot be used")
	ErrTimeLimit            = errors.New("job type script took too long")
	ErrBadSetting           = errors.New("setting refused")
	ErrUnknownJobType       = errors.New("unknown job type")
	ErrBadPath              = errors.New("bad path")
	ErrBadManifest          = errors.New("bad manifest")
	ErrMissingBlobs         = errors.New("blobs are missing from the store")
	ErrBadFrames            = errors.New("bad frames")
	ErrBadRecipe            = errors.New("bad recipe")
	ErrInternal             = errors.New("the manager failed")
)

// passing is an error that may be over soon: it is [transfer.ErrUnavailable].
type passing string

func (p passing) Error() string { return string(p) }

func (passing) Unwrap() error { return transfer.ErrUnavailable }

// byReason is the way back from the words of the contract to meanings.
var byReason = map[wire.ErrorReason]error{
	wire.ReasonNotFound:             ErrNotFound,
	wire.ReasonBlobNotFound:         cas.ErrNotFound,
	wire.ReasonInvalid:              ErrInvalid,
	wire.ReasonTooLarge:             ErrTooLarge,
	wire.ReasonLengthRequired:       ErrNoLength,
	wire.ReasonUnsupportedMediaType: ErrUnsupported,
	wire.ReasonNotAwake:             ErrNotAwake,
	wire.ReasonNotOwner:             ErrNotOwner,
	wire.ReasonAlreadyExists:        ErrExists,
	wire.ReasonTransitionRefused:    ErrTransition,
	wire.ReasonUnauthorized:         ErrUnauthorized,
	wire.ReasonBusy:                 ErrUnavailable,
	wire.ReasonStopping:             ErrUnavailable,
	wire.ReasonShamanOff:            ErrShamanOff,
	wire.ReasonNoMatch:              ErrNoMatch,
	wire.ReasonNotSupported:         ErrNotSupported,
	wire.ReasonNoSpace:              ErrNoSpace,
	wire.ReasonCannotRestart:        ErrCannotRestart,
	wire.ReasonQueueFull:            ErrQueueFull,
	wire.ReasonEtagMismatch:         ErrEtagMismatch,
	wire.ReasonCompileFailed:        ErrCompile,
	wire.ReasonBrokenJobType:        ErrBrokenJobType,
	wire.ReasonTimeLimit:            ErrTimeLimit,
	wire.ReasonBadSetting:           ErrBadSetting,
	wire.ReasonUnknownJobType:       ErrUnknownJobType,
	wire.ReasonBadDigest:            cas.ErrBadDigest,
	wire.ReasonSizeMismatch:         cas.ErrSizeMismatch,
	wire.ReasonDigestMismatch:       cas.ErrDigestMismatch,
	wire.ReasonBadPath:              ErrBadPath,
	wire.ReasonBadManifest:          ErrBadManifest,
	wire.ReasonMissingBlobs:         ErrMissingBlobs,
	wire.ReasonUnknownBase:          transfer.ErrUnknownBase,
	wire.ReasonNoSession:            transfer.ErrNoSession,
	wire.ReasonLaneBusy:             transfer.ErrLaneBusy,
	wire.ReasonWrongOffset:          transfer.ErrOffset,
	wire.ReasonBadRecipe:            ErrBadRecipe,
	wire.ReasonBadFrames:            ErrBadFrames,
	wire.ReasonStalled:              ErrStalled,
	wire.ReasonInternal:             ErrInternal,
}

// byStatus is for answers without a reason word: those that Flamenco leaves bare, and those of a proxy in between.
var byStatus = map[int]error{
	http.StatusBadRequest:            ErrInvalid,
	http.StatusForbidden:             ErrUnauthorized,
	http.StatusUnauthorized:          ErrUnauthorized,
	http.StatusNotFound:              ErrNotFound,
	http.StatusRequestEntityTooLarge: ErrTooLarge,
	http.StatusUnsupportedMediaType:  ErrUnsupported,
	http.StatusServiceUnavailable:    ErrUnavailable,
	http.StatusBadGateway:            ErrUnavailable,
	http.StatusGatewayTimeout:        ErrUnavailable,
	http.StatusTooManyRequests:       ErrQueueFull,
}

// Error is an answer of the manager that says no.
type Error struct {
	Status  int                   // of HTTP
	Reason  wire.ErrorReason      // empty where the manager sent none
	Message string                // for people: what, why, what to do next
	Files   []wire.ShamanFileSpec // with ErrMissingBlobs: the first of them
}

// Error gives the manager's own sentence.
func (e *Error) Error() string { return e.Message }

// Is makes [errors.Is] find the sentinel that the answer means.
func (e *Error) Is(target error) bool {
	meaning := e.meaning()
	if target == ErrMismatch {
		return meaning == cas.ErrSizeMismatch || meaning == cas.ErrDigestMismatch
	}
	return errors.Is(meaning, target) || (target == ErrNotFound && (meaning == cas.ErrNotFound || meaning == transfer.ErrNoSession))
}

func (e *Error) meaning() error {
	if meaning, ok := byReason[e.Reason]; ok {
		return meaning
	}
	if meaning, ok := byStatus[e.Status]; ok {
		return meaning
	}
	return ErrInternal
}

// parseError reads the answer of a request that was refused.
func parseError(status int, body []byte) *Error {
	var sent wire.Error
	if err := json.Unmarshal(body, &sent); err != nil || sent.Message == "" {
		return &Error{Status: status, Message: fmt.Sprintf("the answer was %d %s", status, http.StatusText(status))}
	}
	e := &Error{Status: status, Message: sent.Message}
	if sent.Reason != nil {
		e.Reason = *sent.Reason
	}
	if sent.Files != nil {
		e.Files = *sent.Files
	}
	return e
}
