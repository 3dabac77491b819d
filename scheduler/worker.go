package scheduler

import "time"

// WorkerStatus is the status of a worker; the words are Flamenco's.
type WorkerStatus string

// The statuses of a worker.
const (
	WorkerStarting WorkerStatus = "starting"
	WorkerAwake    WorkerStatus = "awake"
	WorkerAsleep   WorkerStatus = "asleep"
	WorkerError    WorkerStatus = "error"
	WorkerTesting  WorkerStatus = "testing"
	WorkerOffline  WorkerStatus = "offline"
	WorkerRestart  WorkerStatus = "restart"
)

// WorkerStatuses lists every worker status.
var WorkerStatuses = []WorkerStatus{
	WorkerStarting, WorkerAwake, WorkerAsleep, WorkerError, WorkerTesting, WorkerOffline, WorkerRestart,
}

// Worker is a machine that renders.
type Worker struct {
	ID         WorkerID
	Name       string
	Address    string
	Platform   string // Go's GOOS
	Software   string
	TaskTypes  []string
	Tags       []TagID
	Abilities  []string // what it can do, see Lacking; nil: never told, and taken for everything
	CanRestart bool
	// Performance is how many times faster than one with 1 the worker is said to be; MinPerformance to MaxPerformance.
	Performance float64

	Status        WorkerStatus
	Requested     WorkerStatus // empty: nothing is asked of it
	RequestedLazy bool         // only after the current task
	Created       time.Time
	Updated       time.Time
	LastSeen      time.Time
	SecretHash    []byte    // see HashSecret
	Schedule      *Schedule // nil: it has none
}

// Tag groups workers; a job may be bound to one.
type Tag struct {
	ID          TagID
	Name        string
	Description string
}

// Registration is what a new worker says about itself.
type Registration struct {
	Name, Secret, Platform, Address string
	TaskTypes                       []string
	Abilities                       []string // nil: not told
	TagNames                        []string // made when absent
	Performance                     float64  // 0: not told
}

// SignOn is what a worker process says when it starts.
type SignOn struct {
	Name, Address, Software string
	TaskTypes               []string
	Abilities               []string // nil: not told
	CanRestart              bool
	TagNames                []string // nil: keep the tags that it has
	Performance             float64  // 0: not told
}
