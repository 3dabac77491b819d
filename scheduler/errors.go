package scheduler

import "errors"

// Errors by meaning. They are wrapped with what was attempted on which id; callers test with [errors.Is].
var (
	// ErrNotFound: no job, task, worker or tag has that id.
	ErrNotFound = errors.New("not found")
	// ErrNoWork: nothing that this worker may run is queued.
	ErrNoWork = errors.New("no work")
	// ErrNotAwake: the worker asked for a task without being awake.
	ErrNotAwake = errors.New("worker is not awake")
	// ErrNotOwner: the task is not, or no longer, this worker's.
	ErrNotOwner = errors.New("task is not assigned to this worker")
	// ErrTransition: the status machine has no such transition.
	ErrTransition = errors.New("status change not allowed")
	// ErrCannotRestart: the worker said that nothing starts it again.
	ErrCannotRestart = errors.New("worker cannot restart")
	// ErrInvalid: an argument is outside of what the domain allows.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: the name is taken.
	ErrConflict = errors.New("already exists")
	// ErrUnauthorized: unknown worker, or a wrong secret.
	ErrUnauthorized = errors.New("no such worker known")
	// ErrBusy: the database did not answer in time; asking again is right.
	ErrBusy = errors.New("database is busy")
	// ErrNoSpace: the disk that holds the database is full.
	ErrNoSpace = errors.New("no space left for the database")
	// ErrNewerSchema: the database was written by a newer version.
	ErrNewerSchema = errors.New("the database has a newer schema")
)

// StatusRequested tells a worker that asked for work to go to another status first.
type StatusRequested struct{ Status WorkerStatus }

func (e StatusRequested) Error() string { return "worker is asked to go to status " + string(e.Status) }
