package scheduler

import (
	"fmt"
	"slices"
)

// moveTask carries out one event of a task through the table, and lets its job react.
func (c *change) moveTask(t TaskState, ev Event, move TaskMove) error {
	to, err := NextTask(t.Status, ev)
	if err != nil {
		return fmt.Errorf("task %s: %w", t.ID.ShortID(), err)
	}
	move.To = to
	n, err := c.MoveTask(t, move)
	if err != nil {
		return fmt.Errorf("task %s: %s: %w", t.ID.ShortID(), ev, err)
	}
	if t.Status == TaskActive && to != TaskActive {
		c.nudges = append(c.nudges, t.Worker)
	}
	c.tasks = append(c.tasks, taskNews{id: t.ID, previous: t.Status})
	job, err := c.JobState(t.Job)
	if err != nil {
		return err
	}
	if job.Status.Claimable() {
		c.runnable += n
	}
	c.jobs = append(c.jobs, jobNews{id: t.Job})
	c.job = job
	if reaction, reason := jobReaction(job, ev, c.limits.FailPercent); reaction != "" {
		return c.moveJob(job, reaction, reason)
	}
	return nil
}

// jobReaction decides what an event of one task means for its job, whose counts already include it. An empty event
// means nothing.
func jobReaction(job Job, ev Event, failPercent int) (Event, string) {
	n := job.Tasks
	stuck := n.Active == 0 && n.Paused == 0 && job.Runnable == 0
	switch {
	case ev == EvRequeue && job.Status.Finished():
		return EvReopen, "a task was queued again"
	case job.Status.Finished() || job.Status == JobUnderConstruction:
		return "", ""
	case n.Completed == n.Total():
		return EvFinish, "all tasks are completed"
	case ev == EvClaim && job.Status == JobQueued:
		return EvStart, "the first task was started"
	case job.Status == JobPaused && n.Unfinished() == 0:
		return EvCanceled, "nothing is left to run"
	case job.Status == JobPaused:
		return "", ""
	case ev == EvFail && n.Failed*100 >= failPercent*n.Total():
		return EvTooManyFail, fmt.Sprintf("%d of %d tasks failed", n.Failed, n.Total())
	case stuck && n.Failed > 0:
		return EvTooManyFail, fmt.Sprintf("nothing is left to run, and %d of %d tasks failed", n.Failed, n.Total())
	case stuck && n.Canceled > 0:
		return EvCanceled, "nothing is left to run"
	case job.Status == JobPauseRequested && n.Active == 0:
		return EvPaused, "no task is running any more"
	}
	return "", ""
}

// moveJob carries out one event of a job through the table, with its effect on the tasks and what follows from it.
func (c *change) moveJob(job Job, ev Event, reason string) error {
	to, effect, err := NextJob(job.Status, ev)
	if err != nil {
		return fmt.Errorf("job %s: %w", job.ID.ShortID(), err)
	}
	activity := fmt.Sprintf("Changed to status %q", to)
	if reason != "" {
		activity += ": " + reason
	}
	if err := c.SetJobStatus(job.ID, to, activity); err != nil {
		return fmt.Errorf("job %s: %s: %w", job.ID.ShortID(), ev, err)
	}
	c.jobs = append(c.jobs, jobNews{id: job.ID, previous: job.Status, refresh: effect != NoEffect})
	if err := c.applyEffect(job, effect); err != nil {
		return fmt.Errorf("job %s: %s: %w", job.ID.ShortID(), effect, err)
	}
	after, err := c.JobState(job.ID)
	if err != nil {
		return err
	}
	if after.Status.Claimable() && !job.Status.Claimable() {
		c.runnable += after.Runnable
	}
	if next := nextForJob(after); next != "" {
		return c.moveJob(after, next, reason)
	}
	return nil
}

// nextForJob gives the event that ends a job's passing status.
func nextForJob(job Job) Event {
	switch {
	case job.Status == JobCancelRequested:
		return EvCanceled
	case job.Status == JobRequeueing:
		return EvRequeued
	case job.Status == JobPauseRequested && job.Tasks.Active == 0:
		return EvPaused
	case job.Status == JobQueued && job.Tasks.Completed == job.Tasks.Total():
		return EvFinish
	}
	return ""
}

// applyEffect changes the tasks of a job together. job is the state before its own status changed.
func (c *change) applyEffect(job Job, effect Effect) error {
	var sources []TaskStatus
	var move TaskMove
	switch effect {
	case NoEffect, ReleaseTasks:
		return nil
	case CancelTasks:
		sources, move = taskSources(EvCancel), TaskMove{To: TaskCanceled}
	case PauseTasks:
		sources, move = taskSources(EvPause), TaskMove{To: TaskPaused}
	case RequeueTasks:
		sources, move = taskSources(EvRequeue), TaskMove{To: TaskQueued, StepsDone: new(int), ResetFailures: true}
		if job.Status != JobCompleted {
			sources = slices.DeleteFunc(sources, func(s TaskStatus) bool { return s == TaskCompleted })
		}
		if err := c.ClearBlocklist(job.ID); err != nil {
			return err
		}
	}
	mass, err := c.MoveTasks(job.ID, sources, move)
	if err != nil {
		return err
	}
	c.nudges = append(c.nudges, mass.Workers...)
	return nil
}

// releaseTasks takes the active tasks from a worker.
func (c *change) releaseTasks(worker WorkerID, reason string) error {
	tasks, err := c.ActiveTasks(worker)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if err := c.releaseTask(t, reason); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) releaseTask(t TaskState, reason string) error {
	job, err := c.JobState(t.Job)
	if err != nil {
		return err
	}
	ev := EvRelease
	if job.Status == JobPauseRequested || job.Status == JobPaused {
		ev = EvReleaseHold
	}
	activity := fmt.Sprintf("Task was taken back by the manager because %s", reason)
	if err := c.AppendLog(t.ID, c.stamp(activity)); err != nil {
		return err
	}
	return c.moveTask(t, ev, TaskMove{Worker: t.Worker, Activity: activity, StepsDone: new(int)})
}

// failTask handles a failed attempt: again by somebody else, again by anybody, or for good.
func (c *change) failTask(t TaskState, move TaskMove) error {
	if err := c.AddFailure(t.ID, t.Worker); err != nil {
		return err
	}
	if err := c.blockIfFailing(t); err != nil {
		return err
	}
	if t.Failures+1 >= c.limits.TaskAttempts {
		return c.moveTask(t, EvFail, move)
	}
	capable, err := c.CapableWorkers(t.ID)
	if err != nil {
		return err
	}
	if capable == 0 {
		// Nobody else can try. The attempts go on counting, so this ends.
		if err := c.ForgetFailedBy(t.ID); err != nil {
			return err
		}
	}
	return c.moveTask(t, EvSoftFail, move)
}

// blockIfFailing takes a worker off a task type of a job once it failed too many of those tasks, unless it is the only
// one that could run them.
func (c *change) blockIfFailing(t TaskState) error {
	failures, err := c.FailuresOf(t.Worker, t.Job, t.Type)
	if err != nil || failures < c.limits.BlockAfter {
		return err
	}
	others, err := c.CapableWorkers(t.ID)
	if err != nil || others == 0 {
		return err
	}
	c.jobs = append(c.jobs, jobNews{id: t.Job})
	return c.Block(t.Job, t.Worker, t.Type)
}

// stamp makes a log line of the manager.
func (c *change) stamp(text string) string {
	return c.Now().UTC().Format("2006-01-02T15:04:05Z") + " " + text + "\n"
}
