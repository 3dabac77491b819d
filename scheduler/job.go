package scheduler

import "time"

// JobStatus is the status of a job; the words are Flamenco's (fact sheet, section 3).
type JobStatus string

// The statuses of a job.
const (
	JobUnderConstruction JobStatus = "under-construction"
	JobQueued            JobStatus = "queued"
	JobActive            JobStatus = "active"
	JobPauseRequested    JobStatus = "pause-requested"
	JobPaused            JobStatus = "paused"
	JobCancelRequested   JobStatus = "cancel-requested"
	JobCanceled          JobStatus = "canceled"
	JobFailed            JobStatus = "failed"
	JobCompleted         JobStatus = "completed"
	JobRequeueing        JobStatus = "requeueing"
)

// JobStatuses lists every job status.
var JobStatuses = []JobStatus{
	JobUnderConstruction, JobQueued, JobActive, JobPauseRequested, JobPaused,
	JobCancelRequested, JobCanceled, JobFailed, JobCompleted, JobRequeueing,
}

// Claimable tells whether tasks of a job in this status may be handed out.
func (s JobStatus) Claimable() bool { return s == JobQueued || s == JobActive }

// Finished tells whether nothing more happens to the job by itself.
func (s JobStatus) Finished() bool {
	return s == JobCompleted || s == JobFailed || s == JobCanceled
}

// Priority bounds; larger runs earlier.
const (
	MinPriority     = 0
	DefaultPriority = 50
	MaxPriority     = 100
)

// Job is what a submitter sent, compiled into tasks.
type Job struct {
	ID       JobID
	Name     string
	Type     string // name of the job type
	Priority int    // MinPriority to MaxPriority

	Settings   map[string]any
	Metadata   map[string]string
	CheckoutID string   // the checkout that is removed with the job; may be empty
	WorkerTag  TagID    // only workers with this tag; zero: all
	Requires   []string // only workers with these abilities, see Lacking
	Limits     JobLimits
	Share      Share

	Status   JobStatus
	Activity string // the last thing that happened, for people
	Created  time.Time
	Updated  time.Time

	Tasks             TaskCounts
	Runnable          int // tasks that wait and whose dependencies are all completed
	StepsCompleted    int64
	StepsTotal        int64
	DeleteRequestedAt time.Time // zero: not being deleted
}

// JobLimits say when a running task is ended. 0 leaves it to the farm's [Limits].
type JobLimits struct {
	Silence time.Duration // without any report of log or progress
	Total   time.Duration // from its claim
}

// TaskCounts is the number of a job's tasks in each status.
type TaskCounts struct {
	Queued, Active, Completed, Failed, SoftFailed, Canceled, Paused int
}

// Of gives the number for one status.
func (c TaskCounts) Of(s TaskStatus) int {
	switch s {
	case TaskQueued:
		return c.Queued
	case TaskActive:
		return c.Active
	case TaskCompleted:
		return c.Completed
	case TaskFailed:
		return c.Failed
	case TaskSoftFailed:
		return c.SoftFailed
	case TaskCanceled:
		return c.Canceled
	case TaskPaused:
		return c.Paused
	}
	return 0
}

// Total is the number of all tasks.
func (c TaskCounts) Total() int {
	return c.Queued + c.Active + c.Completed + c.Failed + c.SoftFailed + c.Canceled + c.Paused
}

// Unfinished is the number of tasks that may still run.
func (c TaskCounts) Unfinished() int { return c.Queued + c.Active + c.SoftFailed + c.Paused }

// NewTask is a task of a job that is being stored.
type NewTask struct {
	ID       TaskID
	Name     string
	Type     string // a worker takes the task only if it supports this type
	Priority int
	Commands []byte // JSON: [{"name":…,"parameters":{…},"total_step_count":…}]
	Steps    int    // steps_total: sum over commands of max(1, total_step_count)
	Needs    []int  // positions in the same list of the tasks that must be completed first
}

// JobQuery selects jobs, newest first.
type JobQuery struct {
	Limit  int   // 0: all
	Before JobID // only jobs older than this one; zero: from the newest
}

// BlockEntry says that a worker gets no more tasks of one type of a job.
type BlockEntry struct {
	Worker     WorkerID
	WorkerName string
	TaskType   string
}

// Output is a file that a task produced.
type Output struct {
	Task   TaskID
	Root   string // the job's output directory, as the worker saw it
	Path   string // below Root, with forward slashes
	Size   int64  // bytes
	SHA256 string // lower-case hex
}
