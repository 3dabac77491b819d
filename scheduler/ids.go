package scheduler

import "github.com/google/uuid"

// ID is a UUID that knows what kind of thing it names, so that a task's id cannot stand where a job's is wanted.
// The zero value names nothing.
type ID[Kind any] struct{ UUID uuid.UUID }

// The kinds of ids.
type (
	jobKind    struct{}
	taskKind   struct{}
	workerKind struct{}
	tagKind    struct{}

	// JobID names a job.
	JobID = ID[jobKind]
	// TaskID names a task.
	TaskID = ID[taskKind]
	// WorkerID names a worker.
	WorkerID = ID[workerKind]
	// TagID names a worker tag.
	TagID = ID[tagKind]
)

// String gives the lower-case text form.
func (id ID[Kind]) String() string { return id.UUID.String() }

// IsZero tells whether the id names nothing.
func (id ID[Kind]) IsZero() bool { return id.UUID == uuid.Nil }

// ShortID gives the first eight hex digits, for messages to people.
func (id ID[Kind]) ShortID() string { return id.UUID.String()[:8] }
