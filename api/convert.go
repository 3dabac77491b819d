package api

import (
	"encoding/json"
	"fmt"
	"time"

	"hayloft/api/wire"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
)

// deref gives what p points to, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// optional gives nil for the zero value, so that the member is left out.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// optionalList gives nil for no list, so that the member is left out; an empty list stays.
func optionalList(list []string) *[]string {
	if list == nil {
		return nil
	}
	return &list
}

// optionalTime leaves out the zero time, and gives any other in UTC.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// convert is never nil, so that an empty list is [] in JSON and not null.
func convert[From, To any](from []From, one func(From) To) []To {
	to := make([]To, len(from))
	for i := range from {
		to[i] = one(from[i])
	}
	return to
}

// submittedJob reads what a client sent; defaults were filled in by validation.
func submittedJob(sent wire.SubmittedJob) scheduler.Job {
	job := scheduler.Job{
		Name: sent.Name, Type: sent.Type, Priority: scheduler.DefaultPriority,
		Settings:  deref(sent.Settings),
		Metadata:  deref(sent.Metadata),
		Status:    scheduler.JobStatus(deref(sent.InitialStatus)),
		WorkerTag: scheduler.TagID{UUID: deref(sent.WorkerTag)},
		Requires:  deref(sent.Requires),
		Share:     scheduler.Share(deref(sent.Share)),
	}
	if sent.Priority != nil {
		job.Priority = *sent.Priority
	}
	if sent.Limits != nil {
		job.Limits = scheduler.JobLimits{Silence: seconds(sent.Limits.SilenceSeconds), Total: seconds(sent.Limits.TotalSeconds)}
	}
	if sent.Storage != nil {
		job.CheckoutID = deref(sent.Storage.ShamanCheckoutId)
	}
	return job
}

func seconds(n *int) time.Duration { return time.Duration(deref(n)) * time.Second }

func limitsToWire(limits scheduler.JobLimits) *wire.JobLimits {
	if limits == (scheduler.JobLimits{}) {
		return nil
	}
	return &wire.JobLimits{
		SilenceSeconds: optional(int(limits.Silence / time.Second)), TotalSeconds: optional(int(limits.Total / time.Second)),
	}
}

func jobToWire(job scheduler.Job) wire.Job {
	settings, metadata, counts := wire.JobSettings(job.Settings), wire.JobMetadata(job.Metadata), taskCounts(job)
	w := wire.Job{
		Id: job.ID.UUID, Name: job.Name, Type: job.Type, Priority: job.Priority,
		Created: job.Created.UTC(), Updated: job.Updated.UTC(), Status: wire.JobStatus(job.Status), Activity: job.Activity,
		StepsCompleted: job.StepsCompleted, StepsTotal: job.StepsTotal,
		DeleteRequestedAt: optionalTime(job.DeleteRequestedAt), TaskCounts: &counts, WorkerTag: optional(job.WorkerTag.UUID),
		Limits: limitsToWire(job.Limits), Requires: optionalList(job.Requires), Share: optional(wire.JobShare(job.Share)),
	}
	if settings != nil {
		w.Settings = &settings
	}
	if metadata != nil {
		w.Metadata = &metadata
	}
	if job.CheckoutID != "" {
		w.Storage = &wire.JobStorageInfo{ShamanCheckoutId: &job.CheckoutID}
	}
	return w
}

func taskCounts(job scheduler.Job) map[string]int {
	counts := make(map[string]int, len(scheduler.TaskStatuses))
	for _, status := range scheduler.TaskStatuses {
		if n := job.Tasks.Of(status); n > 0 {
			counts[string(status)] = n
		}
	}
	return counts
}

func lastRendered(job scheduler.JobID) wire.LastRendered {
	return wire.LastRendered{Base: jobFilesPath(job), Suffixes: previewNames()}
}

func blockEntryToWire(entry scheduler.BlockEntry) wire.JobBlocklistEntry {
	return wire.JobBlocklistEntry{WorkerId: entry.Worker.UUID, WorkerName: &entry.WorkerName, TaskType: entry.TaskType}
}

func taskWorker(task scheduler.Task) *wire.TaskWorker {
	if task.Worker.IsZero() {
		return nil
	}
	return &wire.TaskWorker{Id: task.Worker.UUID, Name: task.WorkerName, Address: task.WorkerAddr}
}

func taskSummary(task scheduler.Task) wire.TaskSummary {
	return wire.TaskSummary{
		Id: task.ID.UUID, IndexInJob: task.Index, Name: task.Name, Priority: task.Priority,
		Status: wire.TaskStatus(task.Status), StepsCompleted: task.StepsDone, StepsTotal: task.Steps,
		TaskType: task.Type, Updated: task.Updated.UTC(), Worker: taskWorker(task),
	}
}

// taskToWire leaves Commands to the caller, who has them as JSON already.
func taskToWire(task scheduler.Task, failedBy []scheduler.Worker) wire.Task {
	failed := convert(failedBy, func(w scheduler.Worker) wire.TaskWorker {
		return wire.TaskWorker{Id: w.ID.UUID, Name: w.Name, Address: w.Address}
	})
	return wire.Task{
		Id: task.ID.UUID, JobId: task.Job.UUID, IndexInJob: task.Index, Name: task.Name, Priority: task.Priority,
		Status: wire.TaskStatus(task.Status), Activity: task.Activity,
		StepsCompleted: task.StepsDone, StepsTotal: task.Steps, TaskType: task.Type,
		Created: task.Created.UTC(), Updated: task.Updated.UTC(), LastTouched: optionalTime(task.LastTouched),
		Worker: taskWorker(task), FailedByWorkers: &failed,
	}
}

func statusChange(w scheduler.Worker) *wire.WorkerStatusChangeRequest {
	if w.Requested == "" {
		return nil
	}
	return &wire.WorkerStatusChangeRequest{Status: wire.WorkerStatus(w.Requested), IsLazy: w.RequestedLazy}
}

// performance gives nil for an ordinary worker, so that a farm that says nothing of it looks as it always did.
func performance(w scheduler.Worker) *float64 {
	if w.Performance == scheduler.DefaultPerformance {
		return nil
	}
	return &w.Performance
}

func workerSummary(w scheduler.Worker) wire.WorkerSummary {
	return wire.WorkerSummary{
		Id: w.ID.UUID, Name: w.Name, Status: wire.WorkerStatus(w.Status), StatusChange: statusChange(w),
		LastSeen: optionalTime(w.LastSeen), Version: w.Software, CanRestart: w.CanRestart, Performance: performance(w),
	}
}

// workerToWire describes a worker; known are all tags of the farm, current is nil for a worker that never had a task, and
// waiting says why it has none although some wait.
func workerToWire(w scheduler.Worker, known []scheduler.Tag, current *scheduler.Task, waiting string) wire.Worker {
	tags := []wire.WorkerTag{}
	for _, tag := range known {
		for _, id := range w.Tags {
			if id == tag.ID {
				tags = append(tags, tagToWire(tag))
			}
		}
	}
	described := wire.Worker{
		Id: w.ID.UUID, Name: w.Name, Status: wire.WorkerStatus(w.Status), StatusChange: statusChange(w),
		LastSeen: optionalTime(w.LastSeen), Version: w.Software, CanRestart: w.CanRestart,
		IpAddress: w.Address, Platform: w.Platform, SupportedTaskTypes: nonNil(w.TaskTypes), Tags: &tags,
		Abilities: optionalList(w.Abilities), Performance: performance(w), WaitingBecause: optional(waiting),
	}
	if current != nil {
		t := taskSummary(*current)
		described.Task = &wire.WorkerTask{
			Id: t.Id, IndexInJob: t.IndexInJob, Name: t.Name, Priority: t.Priority, Status: t.Status,
			StepsCompleted: t.StepsCompleted, StepsTotal: t.StepsTotal, TaskType: t.TaskType, Updated: t.Updated,
			Worker: t.Worker, JobId: current.Job.UUID,
		}
	}
	return described
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func tagToWire(tag scheduler.Tag) wire.WorkerTag {
	return wire.WorkerTag{Id: &tag.ID.UUID, Name: tag.Name, Description: optional(tag.Description)}
}

func outputFromWire(produced wire.ProducedOutput) scheduler.Output {
	return scheduler.Output{Root: produced.Root, Path: produced.Path, Size: produced.Size, SHA256: produced.Sha256}
}

// jobTypeToWire goes by way of JSON: a declaration's JSON form is the wire shape by definition.
func jobTypeToWire(t jobtype.JobType) (wire.AvailableJobType, error) {
	var converted wire.AvailableJobType
	text, err := json.Marshal(t)
	if err == nil {
		err = json.Unmarshal(text, &converted)
	}
	if err != nil {
		return converted, fmt.Errorf("describe job type %q: %w", t.Name, err)
	}
	return converted, nil
}
