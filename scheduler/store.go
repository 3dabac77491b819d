package scheduler

import (
	"context"
	"time"
)

// Store keeps jobs, tasks and workers. Implementations live in scheduler/store and pass the suite in
// scheduler/storetest; SQLite is the first, PostgreSQL is meant to be the next.
type Store interface {
	// Update runs fn in a read-write transaction and returns once its changes are on stable storage. An error from fn
	// undoes exactly fn's changes and is returned as it is. fn runs once. Several calls may share one commit, and they
	// see each other's changes in the order in which they ran. All writes of one Update carry the same time.
	Update(ctx context.Context, fn func(Tx) error) error
	// View runs fn on a consistent snapshot that holds every Update that returned before View was called.
	View(ctx context.Context, fn func(ReadTx) error) error
	// Close waits for running transactions and releases the files.
	Close() error
}

// ReadTx reads. Methods that name one thing return an error that is [ErrNotFound] when it is not there.
type ReadTx interface {
	jobReader
	taskReader
	workerReader
}

// Tx reads and writes.
type Tx interface {
	ReadTx
	jobWriter
	taskWriter
	workerWriter
	// Now is when the transaction began; every row written in it carries this time.
	Now() time.Time
}

type jobReader interface {
	Job(id JobID) (Job, error)
	// JobState is Job without Name, Settings, Metadata and Activity, for decisions on hot paths.
	JobState(id JobID) (Job, error)
	// Jobs returns jobs, newest first (by Created, ties by insertion).
	Jobs(q JobQuery) ([]Job, error)
	// JobsToDelete returns the ids of jobs with a DeleteRequestedAt, oldest request first.
	JobsToDelete() ([]JobID, error)
	// JobsUpdatedUntil returns the ids of jobs that last changed at that time or before, and are not being deleted.
	JobsUpdatedUntil(last time.Time) ([]JobID, error)
	Blocklist(job JobID) ([]BlockEntry, error)
	// Outputs returns the outputs of a job by Root, then Path; of two with the same Root and Path, the newest counts.
	Outputs(job JobID) ([]Output, error)
	// OutputsAt returns those of a job that have this Path, by Root, without a look at the others.
	OutputsAt(job JobID, path string) ([]Output, error)
	// LastRendered returns the job that got a preview last, zero if none.
	LastRendered() (JobID, error)
	// HasPreview tells whether SetPreview was called for the job.
	HasPreview(job JobID) (bool, error)
	// WaitingTypes returns the types of the tasks of a job that could be claimed now, were there a worker.
	WaitingTypes(job JobID) ([]string, error)
	// IdleRequiringJobs returns the jobs that require abilities, have claimable tasks, and none active.
	IdleRequiringJobs() ([]JobID, error)
	// Pace sums up completed tasks of one type, newest first: at most limit of them, of the three newest jobs with that
	// type and name.
	Pace(jobType, name, taskType string, limit int) (Pace, error)
	// JobCounts returns how many jobs are in each status.
	JobCounts() (map[JobStatus]int, error)
}

type jobWriter interface {
	// InsertJob stores a job and its tasks, all of them queued; Job.Tasks, StepsTotal and StepsCompleted are computed.
	// A tag that does not exist is [ErrNotFound]. Tasks are stored at no less than 50,000 a second.
	InsertJob(job Job, tasks []NewTask) error
	// SetJobStatus writes the status and, unless empty, the activity.
	SetJobStatus(job JobID, status JobStatus, activity string) error
	SetJobPriority(job JobID, priority int) error
	// RequestDeletion notes Now as DeleteRequestedAt (once) and makes the job's tasks unclaimable.
	RequestDeletion(job JobID) error
	// DeleteJobPart deletes up to limit rows of tasks, logs and outputs of a job that is to be deleted, and at last the
	// job itself; done says that nothing is left. Each call is short, so that others get their turn between two.
	DeleteJobPart(job JobID, limit int) (done bool, err error)
	// SetPreview notes that the job got a new last-rendered image.
	SetPreview(job JobID) error
	// Block adds to the blocklist; twice is no error.
	Block(job JobID, worker WorkerID, taskType string) error
	Unblock(job JobID, worker WorkerID, taskType string) error
	ClearBlocklist(job JobID) error
	// SetJobTag binds the job to workers with a tag; zero: to none. A tag that does not exist is [ErrNotFound].
	SetJobTag(job JobID, tag TagID) error
}

type taskReader interface {
	Task(id TaskID) (Task, error)
	TaskState(id TaskID) (TaskState, error)
	// TaskContent is what a worker needs of a task besides its state.
	TaskContent(id TaskID) (TaskContent, error)
	// Tasks returns tasks of a job by Index, without Commands: only those with a larger Index than after, at most limit
	// (0: all).
	Tasks(job JobID, after, limit int) ([]Task, error)
	// ActiveTasks returns the tasks that are active on a worker, lowest claim first.
	ActiveTasks(worker WorkerID) ([]TaskState, error)
	// AllActiveTasks returns every active task of the farm with the time it was last touched.
	AllActiveTasks() ([]Task, error)
	// LastTask returns the task that the worker has or had last.
	LastTask(worker WorkerID) (Task, error)
	// FailedBy returns the workers that failed the task since it was last queued by a person.
	FailedBy(task TaskID) ([]Worker, error)
	// CapableWorkers counts the workers that could still run the task: not offline and not in error, supporting its
	// type, carrying the job's tag if it has one, lacking none of what the job requires, not blocked for job and type, and
	// not in FailedBy.
	CapableWorkers(task TaskID) (int, error)
	// Contenders returns, in a fixed order, the workers that the task could be given to, were they free, and those that have
	// completed tasks of its type of its job. It costs as much as there are workers, whatever the number of tasks. Of a job
	// that is not shared by speed no completions are known.
	Contenders(task TaskID) ([]Contender, error)
	// FailuresOf counts the tasks of one type of a job that are in a worker's failure list.
	FailuresOf(worker WorkerID, job JobID, taskType string) (int, error)
	// LogSize returns the length of a task's log in bytes.
	LogSize(task TaskID) (int64, error)
	// Log returns up to limit bytes of a task's log from an offset on.
	Log(task TaskID, from int64, limit int) ([]byte, error)
}

// TaskMove is one task's change of status and what goes with it.
type TaskMove struct {
	To        TaskStatus
	Activity  string // empty: unchanged
	Worker    WorkerID
	NewClaim  bool  // count a new claim for Worker and start its Seq at 0
	Seq       int64 // the update that asks for it; 0: unchanged
	StepsDone *int  // nil: unchanged
	// ResetFailures forgets who failed the task and how often.
	ResetFailures bool
}

// Mass is the result of a change of many tasks.
type Mass struct {
	Moved    int
	Runnable int        // how many tasks became claimable by it
	Workers  []WorkerID // who had one of the moved tasks active
}

type taskWriter interface {
	// NextRunnable returns the task that the worker should get: among jobs that are claimable and not being deleted,
	// whose tag is none or one of the worker's and of whose requirements the worker lacks none, tasks that are queued or soft-failed with all dependencies completed, of
	// a type the worker supports and is not blocked for, that it has not failed; by job priority, then task priority
	// (both descending), then age of the job, then index. [ErrNoWork] if there is none. Its cost grows with the number of
	// jobs at most, never with the number of tasks. Of a job that is shared by speed, leaves is asked for each lane with its
	// first task and how many are runnable; what it says yes to is passed over. nil: the worker leaves nothing.
	NextRunnable(worker Worker, leaves func(task TaskState, runnable int) (bool, error)) (TaskState, error)
	// MoveTask changes one task and keeps the job's counts and steps, the lanes and the dependents right. runnable is
	// how many tasks became claimable by it, itself included.
	MoveTask(task TaskState, move TaskMove) (runnable int, err error)
	// MoveTasks changes all tasks of a job that are in one of the statuses from.
	MoveTasks(job JobID, from []TaskStatus, move TaskMove) (Mass, error)
	// TouchTask stores progress of an active task: nil leaves a value. seq is stored when it is not 0.
	TouchTask(task TaskState, activity *string, stepsDone *int, seq int64) error
	// AddFailure puts the worker on the task's failure list and counts the attempt.
	AddFailure(task TaskID, worker WorkerID) error
	// ForgetFailedBy empties the task's failure list but keeps the count, so that anybody may try again.
	ForgetFailedBy(task TaskID) error
	// AppendLog appends to a task's log.
	AppendLog(task TaskID, text string) error
	AddOutputs(job JobID, outputs []Output) error
	// TouchTasks notes when tasks were last heard of.
	TouchTasks(at map[TaskID]time.Time) error
}

type workerReader interface {
	// Worker returns a worker that was not deleted.
	Worker(id WorkerID) (Worker, error)
	// Workers returns all workers that were not deleted, by name.
	Workers() ([]Worker, error)
	Tag(id TagID) (Tag, error)
	// Tags returns all tags by name.
	Tags() ([]Tag, error)
}

type workerWriter interface {
	// PutWorker inserts or replaces everything of a worker but its tags and LastSeen. A Performance of 0 is stored as 1.
	PutWorker(w Worker) error
	// SetWorkerTags replaces the tags of a worker; unknown tags are ignored.
	SetWorkerTags(id WorkerID, tags []TagID) error
	// DeleteWorker hides a worker for ever; logs and failure lists may go on naming it.
	DeleteWorker(id WorkerID) error
	// SeeWorkers notes when workers were last heard of.
	SeeWorkers(at map[WorkerID]time.Time) error
	// PutTag inserts or replaces a tag; a name that another tag has is [ErrConflict].
	PutTag(t Tag) error
	// DeleteTag removes a tag from workers too; jobs bound to it become open to all.
	DeleteTag(id TagID) error
}
