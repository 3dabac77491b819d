package scheduler

import (
	"fmt"
	"slices"
)

// Entity is what a transition is about.
type Entity string

// The three things that have a status.
const (
	EntityJob    Entity = "job"
	EntityTask   Entity = "task"
	EntityWorker Entity = "worker"
)

// Event is what happens to an entity.
type Event string

// Events of a task.
const (
	EvClaim       Event = "claim"        // handed to a worker
	EvReclaim     Event = "reclaim"      // handed again to the worker that has it, because it asked
	EvProgress    Event = "progress"     // the worker says that it runs
	EvComplete    Event = "complete"     // the worker says that it is done
	EvFail        Event = "fail"         // failed for good
	EvSoftFail    Event = "soft-fail"    // failed; somebody else shall try
	EvRelease     Event = "release"      // the worker is gone or does not run it
	EvReleaseHold Event = "release-hold" // the same, while the job is being paused
	EvPause       Event = "pause"
	EvCancel      Event = "cancel"
	EvRequeue     Event = "requeue"
)

// Events of a job besides EvPause, EvCancel, EvRequeue and EvFail.
const (
	EvQueue       Event = "queue"        // construction is over, or a pause ends without anything paused
	EvStart       Event = "start"        // its first task runs
	EvFinish      Event = "finish"       // all tasks are completed
	EvPaused      Event = "paused"       // pause wanted and nothing runs any more
	EvCanceled    Event = "canceled"     // cancel carried out, or nothing is left to run
	EvRequeued    Event = "requeued"     // requeue carried out
	EvReopen      Event = "reopen"       // one of its tasks was queued again
	EvTooManyFail Event = "too-many-bad" // too large a share of its tasks failed
)

// Events of a worker.
const (
	EvSignOn   Event = "sign-on"   // its process starts
	EvWake     Event = "wake"      // it says that it is awake
	EvSleep    Event = "sleep"     // it says that it is asleep
	EvBreak    Event = "break"     // it says that it is in error
	EvRestart  Event = "restart"   // it says that it restarts
	EvSignOff  Event = "sign-off"  // its process ends
	EvSilence  Event = "silence"   // nothing was heard of it for too long
	EvSelfTest Event = "self-test" // it says that it tests itself
)

// Effect is what goes with a job's transition, in the same transaction.
type Effect string

// The effects on the tasks of a job.
const (
	NoEffect     Effect = ""
	CancelTasks  Effect = "cancel tasks"  // queued, active, soft-failed and paused tasks get EvCancel
	PauseTasks   Effect = "pause tasks"   // queued and soft-failed tasks get EvPause
	RequeueTasks Effect = "requeue tasks" // tasks get EvRequeue: all of a completed job, else those not completed
	ReleaseTasks Effect = "release tasks" // a worker's active tasks get EvRelease or EvReleaseHold
)

// Who may cause a transition.
type Who string

// The actors.
const (
	ByWorker  Who = "worker"
	ByPerson  Who = "person"
	ByManager Who = "manager"
)

// Transition is one row, or several rows that differ in From only.
type Transition struct {
	Entity Entity
	Event  Event
	From   []string
	To     string
	Effect Effect
	By     Who
}

func from[S ~string](statuses ...S) []string {
	texts := make([]string, len(statuses))
	for i, s := range statuses {
		texts[i] = string(s)
	}
	return texts
}

// Transitions is the whole status machine. What is not listed is refused with [ErrTransition].
var Transitions = []Transition{
	{EntityTask, EvClaim, from(TaskQueued, TaskSoftFailed), string(TaskActive), NoEffect, ByWorker},
	{EntityTask, EvReclaim, from(TaskActive), string(TaskActive), NoEffect, ByWorker},
	{EntityTask, EvProgress, from(TaskActive), string(TaskActive), NoEffect, ByWorker},
	{EntityTask, EvComplete, from(TaskActive), string(TaskCompleted), NoEffect, ByWorker},
	{EntityTask, EvSoftFail, from(TaskActive), string(TaskSoftFailed), NoEffect, ByWorker},
	{EntityTask, EvFail, from(TaskActive, TaskSoftFailed, TaskQueued), string(TaskFailed), NoEffect, ByManager},
	{EntityTask, EvRelease, from(TaskActive), string(TaskQueued), NoEffect, ByManager},
	{EntityTask, EvReleaseHold, from(TaskActive), string(TaskPaused), NoEffect, ByManager},
	{EntityTask, EvPause, from(TaskQueued, TaskSoftFailed), string(TaskPaused), NoEffect, ByPerson},
	{EntityTask, EvCancel, from(TaskQueued, TaskActive, TaskSoftFailed, TaskPaused), string(TaskCanceled), NoEffect, ByPerson},
	{EntityTask, EvRequeue, from(TaskSoftFailed, TaskPaused, TaskCompleted, TaskFailed, TaskCanceled), string(TaskQueued), NoEffect, ByPerson},

	{EntityJob, EvQueue, from(JobUnderConstruction), string(JobQueued), NoEffect, ByPerson},
	{EntityJob, EvStart, from(JobQueued), string(JobActive), NoEffect, ByManager},
	{EntityJob, EvFinish, from(JobQueued, JobActive, JobPauseRequested, JobPaused), string(JobCompleted), NoEffect, ByManager},
	{EntityJob, EvTooManyFail, from(JobQueued, JobActive, JobPauseRequested), string(JobFailed), CancelTasks, ByManager},
	{EntityJob, EvPause, from(JobQueued, JobActive), string(JobPauseRequested), PauseTasks, ByPerson},
	{EntityJob, EvPaused, from(JobPauseRequested), string(JobPaused), NoEffect, ByManager},
	{EntityJob, EvCancel, from(JobUnderConstruction, JobQueued, JobActive, JobPauseRequested, JobPaused, JobFailed), string(JobCancelRequested), CancelTasks, ByPerson},
	{EntityJob, EvCanceled, from(JobCancelRequested, JobQueued, JobActive, JobPauseRequested, JobPaused), string(JobCanceled), NoEffect, ByManager},
	{EntityJob, EvRequeue, from(JobPauseRequested, JobPaused, JobCanceled, JobFailed, JobCompleted), string(JobRequeueing), RequeueTasks, ByPerson},
	{EntityJob, EvRequeued, from(JobRequeueing), string(JobQueued), NoEffect, ByManager},
	{EntityJob, EvReopen, from(JobCanceled, JobFailed, JobCompleted), string(JobQueued), NoEffect, ByManager},

	{EntityWorker, EvSignOn, from(WorkerStatuses...), string(WorkerStarting), NoEffect, ByWorker},
	{EntityWorker, EvWake, from(WorkerStarting, WorkerAwake, WorkerAsleep, WorkerTesting, WorkerError, WorkerOffline, WorkerRestart), string(WorkerAwake), NoEffect, ByWorker},
	{EntityWorker, EvSleep, from(WorkerStatuses...), string(WorkerAsleep), ReleaseTasks, ByWorker},
	{EntityWorker, EvBreak, from(WorkerStarting, WorkerAwake, WorkerAsleep, WorkerError, WorkerTesting, WorkerRestart), string(WorkerError), ReleaseTasks, ByWorker},
	{EntityWorker, EvSelfTest, from(WorkerStarting, WorkerAsleep), string(WorkerTesting), NoEffect, ByWorker},
	{EntityWorker, EvRestart, from(WorkerStatuses...), string(WorkerRestart), ReleaseTasks, ByWorker},
	{EntityWorker, EvSignOff, from(WorkerStatuses...), string(WorkerOffline), ReleaseTasks, ByWorker},
	{EntityWorker, EvSilence, from(WorkerStarting, WorkerAwake, WorkerAsleep, WorkerTesting, WorkerRestart), string(WorkerError), ReleaseTasks, ByManager},
}

// Events lists the events that the table has for an entity, in the order of the table.
func Events(e Entity) []Event {
	var events []Event
	for _, t := range Transitions {
		if t.Entity == e && !slices.Contains(events, t.Event) {
			events = append(events, t.Event)
		}
	}
	return events
}

type transitionKey struct {
	entity Entity
	event  Event
	from   string
}

var transitionIndex = func() map[transitionKey]*Transition {
	index := make(map[transitionKey]*Transition)
	for i := range Transitions {
		t := &Transitions[i]
		for _, f := range t.From {
			index[transitionKey{t.Entity, t.Event, f}] = t
		}
	}
	return index
}()

func lookUp(e Entity, status string, ev Event) (*Transition, error) {
	if t := transitionIndex[transitionKey{e, ev, status}]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: a %s that is %s cannot %s", ErrTransition, e, status, ev)
}

// NextTask gives the status that a task goes to, or an error that is [ErrTransition].
func NextTask(status TaskStatus, ev Event) (TaskStatus, error) {
	t, err := lookUp(EntityTask, string(status), ev)
	if err != nil {
		return status, err
	}
	return TaskStatus(t.To), nil
}

// NextJob gives the status that a job goes to and what happens to its tasks, or an error that is [ErrTransition].
func NextJob(status JobStatus, ev Event) (JobStatus, Effect, error) {
	t, err := lookUp(EntityJob, string(status), ev)
	if err != nil {
		return status, NoEffect, err
	}
	return JobStatus(t.To), t.Effect, nil
}

// NextWorker gives the status that a worker goes to and whether its tasks are released, or an error that is
// [ErrTransition].
func NextWorker(status WorkerStatus, ev Event) (WorkerStatus, Effect, error) {
	t, err := lookUp(EntityWorker, string(status), ev)
	if err != nil {
		return status, NoEffect, err
	}
	return WorkerStatus(t.To), t.Effect, nil
}

// taskSources lists the statuses from which a task event is allowed.
func taskSources(ev Event) []TaskStatus {
	var sources []TaskStatus
	for _, s := range TaskStatuses {
		if _, err := NextTask(s, ev); err == nil {
			sources = append(sources, s)
		}
	}
	return sources
}
