package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// registry is where a worker makes itself known.
type registry interface {
	Register(ctx context.Context, r wire.WorkerRegistration) (uuid.UUID, error)
	SignOn(ctx context.Context, s wire.WorkerSignOn) (wire.WorkerStatus, error)
	StateChanged(ctx context.Context, status wire.WorkerStatus) error
	SignOff(ctx context.Context) error
	// Variable gives the value of a variable for workers on this platform; empty when there is none of that name.
	Variable(ctx context.Context, name string) (string, error)
}

// dispatcher hands out work and wishes. Both calls may be held by the manager.
type dispatcher interface {
	Claim(ctx context.Context) (claimed, error)
	RequestedState(ctx context.Context, hold bool) (requested, error)
}

// claimed is the answer to a claim: a task, or a state to go to first, or neither.
type claimed struct {
	task  *wire.AssignedTask
	state wire.WorkerStatus
	held  bool // the manager holds requests
}

// requested is a state that the manager wishes, or empty.
type requested struct {
	state wire.WorkerStatus
	held  bool
}

// updater takes updates of tasks.
type updater interface {
	Update(ctx context.Context, task uuid.UUID, u wire.TaskUpdate) error
}

// referee says whether a task may go on.
type referee interface {
	MayRun(ctx context.Context, task uuid.UUID) (verdict, error)
}

type verdict struct {
	wire.MayKeepRunning
	held bool
}

// gallery shows the newest image, a JPEG.
type gallery interface {
	Preview(ctx context.Context, task uuid.UUID, jpeg []byte) error
}

var (
	errUnknownWorker = errors.New("the manager does not know this worker")
	errConflict      = errors.New("the manager sees this worker or task in another state")
	errNoSuchTask    = errors.New("the manager does not know this task")
)

// refusal is an HTTP answer other than the wanted one.
type refusal struct {
	attempt string
	status  int
	message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: the manager answered %d %s: %s", r.attempt, r.status, http.StatusText(r.status), r.message)
}

// Is gives the statuses that mean something their meaning.
func (r *refusal) Is(target error) bool {
	switch r.status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return target == errUnknownWorker
	case http.StatusConflict:
		return target == errConflict
	case http.StatusNotFound:
		return target == errNoSuchTask
	}
	return false
}

// passing reports whether an error is worth another try: no answer at all, or one that blames the moment.
func passing(err error) bool {
	var r *refusal
	return !errors.As(err, &r) || r.status >= 500 || r.status == http.StatusTooManyRequests
}
