package scheduler

import "time"

// TaskStatus is the status of a task; the words are Flamenco's.
type TaskStatus string

// The statuses of a task.
const (
	TaskQueued     TaskStatus = "queued"
	TaskActive     TaskStatus = "active"
	TaskSoftFailed TaskStatus = "soft-failed"
	TaskPaused     TaskStatus = "paused"
	TaskCompleted  TaskStatus = "completed"
	TaskFailed     TaskStatus = "failed"
	TaskCanceled   TaskStatus = "canceled"
)

// TaskStatuses lists every task status.
var TaskStatuses = []TaskStatus{
	TaskQueued, TaskActive, TaskSoftFailed, TaskPaused, TaskCompleted, TaskFailed, TaskCanceled,
}

// Waiting tells whether a task in this status can be claimed once its dependencies are completed.
func (s TaskStatus) Waiting() bool { return s == TaskQueued || s == TaskSoftFailed }

// TaskState is the part of a task that decisions are made on.
type TaskState struct {
	ID        TaskID
	Job       JobID
	Type      string
	Status    TaskStatus
	Worker    WorkerID // who has it or had it last; zero: nobody yet
	Claim     int64    // counts the claims of this task, from 1; 0: never claimed
	Seq       int64    // the last update of this claim that was applied
	Failures  int      // failed attempts since it was last queued by a person
	StepsDone int
	Steps     int
}

// Task is a task as people see it.
type Task struct {
	TaskState
	Index       int // in the job, from 1
	Name        string
	Priority    int
	Activity    string
	Commands    []byte // JSON, with {variables} unexpanded; nil in lists
	WorkerName  string
	WorkerAddr  string
	Created     time.Time
	Updated     time.Time
	LastTouched time.Time // zero: never
	ClaimedAt   time.Time // zero: never
}

// TaskContent is the part of a task that never changes and that its worker needs.
type TaskContent struct {
	Name     string
	Priority int
	Commands []byte // JSON, with {variables} unexpanded
}

// Assignment is a claimed task, as its worker needs it.
type Assignment struct {
	TaskState
	TaskContent
	JobType     string
	JobPriority int
	Platform    string // of the worker, for variables
	WorkerName  string // the same
}

// TaskUpdate is what a worker reports about a task.
type TaskUpdate struct {
	Status    TaskStatus // empty: unchanged
	Activity  *string
	Log       string
	StepsDone *int
	Outputs   []Output
	Claim     int64 // 0: the worker does not count claims
	Seq       int64 // 0: the worker does not count updates
}

// Verdict answers whether a task may go on.
type Verdict struct {
	KeepRunning           bool
	Reason                string
	StatusChangeRequested bool
}
