package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
)

// GetJobTypes lists the job types.
func (s *Server) GetJobTypes(context.Context, gen.GetJobTypesRequestObject) (gen.GetJobTypesResponseObject, error) {
	list := wire.AvailableJobTypes{JobTypes: []wire.AvailableJobType{}}
	for _, t := range s.JobTypes.List() {
		converted, err := jobTypeToWire(t)
		if err != nil {
			return nil, err
		}
		list.JobTypes = append(list.JobTypes, converted)
	}
	return gen.GetJobTypes200JSONResponse(list), nil
}

// GetJobType describes one job type.
func (s *Server) GetJobType(_ context.Context, r gen.GetJobTypeRequestObject) (gen.GetJobTypeResponseObject, error) {
	t, err := s.JobTypes.Get(r.TypeName)
	if err != nil {
		return nil, err
	}
	converted, err := jobTypeToWire(t)
	return gen.GetJobType200JSONResponse(converted), err
}

// CheckJob compiles a job and forgets it.
func (s *Server) CheckJob(ctx context.Context, r gen.CheckJobRequestObject) (gen.CheckJobResponseObject, error) {
	if _, _, err := s.compile(ctx, *r.Body); err != nil {
		return nil, err
	}
	return gen.CheckJob204Response{}, nil
}

// SubmitJob compiles a job and stores it.
func (s *Server) SubmitJob(ctx context.Context, r gen.SubmitJobRequestObject) (gen.SubmitJobResponseObject, error) {
	job, tasks, err := s.compile(ctx, *r.Body)
	if err != nil {
		return nil, err
	}
	stored, err := s.Scheduler.SubmitJob(ctx, job, tasks)
	if err != nil {
		return nil, err
	}
	if len(tasks) >= largeJob {
		s.largeJobs.wake()
	}
	s.posts.submitted(stored)
	s.log.Info("job submitted", "job", stored.ID, "name", stored.Name, "type", stored.Type, "tasks", len(tasks))
	return gen.SubmitJob200JSONResponse(jobToWire(stored)), nil
}

// largeJob is the number of tasks from which compiling one leaves so much garbage that it is given back at once, and not
// when the collector comes to it.
const largeJob = 5000

// memoryReturner gives memory back to the system after large jobs, outside of their requests.
type memoryReturner struct{ due chan struct{} }

func newMemoryReturner() *memoryReturner { return &memoryReturner{due: make(chan struct{}, 1)} }

func (m *memoryReturner) wake() {
	select {
	case m.due <- struct{}{}:
	default:
	}
}

func (m *memoryReturner) run(ctx context.Context) error {
	for {
		select {
		case <-m.due:
			debug.FreeOSMemory()
		case <-ctx.Done():
			return nil
		}
	}
}

// compile turns what a client sent into a job and its tasks.
func (s *Server) compile(ctx context.Context, sent wire.SubmittedJob) (scheduler.Job, []scheduler.NewTask, error) {
	job := submittedJob(sent)
	job.ID = s.Scheduler.NewJobID()
	job.Settings, job.Metadata = s.names.Load().set.ToLogical(job.Settings, job.Metadata, sent.SubmitterPlatform)
	request := jobtype.Request{
		JobID: job.ID.String(), Name: job.Name, Type: job.Type, Etag: deref(sent.TypeEtag), Priority: job.Priority,
		Status: string(job.Status), Created: s.Now(), Settings: job.Settings, Metadata: job.Metadata, CheckoutID: job.CheckoutID,
	}
	var err error
	if err := checkPostURL(job.Metadata); err != nil {
		return job, nil, err
	}
	if job.Requires, err = scheduler.CleanRequirements(job.Requires); err != nil {
		return job, nil, err
	}
	if !job.WorkerTag.IsZero() {
		if err := s.checkTag(ctx, job.WorkerTag); err != nil {
			return job, nil, err
		}
		request.WorkerTag = job.WorkerTag.String()
	}
	compiled, err := s.JobTypes.Compile(ctx, request)
	if errors.Is(err, jobtype.ErrUnknownJobType) {
		// Flamenco's add-on shows the sentence of a 400 to the artist, and of a 404 nothing.
		err = fmt.Errorf("%w: %w", errInvalid, err)
	}
	if err != nil {
		return job, nil, err
	}
	job.Settings = compiled.Settings
	tasks, err := newTasks(compiled.Tasks)
	return job, tasks, err
}

// checkTag refuses a tag that does not exist as a fault of the request.
func (s *Server) checkTag(ctx context.Context, id scheduler.TagID) error {
	_, err := s.Scheduler.Tag(ctx, id)
	if errors.Is(err, scheduler.ErrNotFound) {
		return fmt.Errorf("%w: there is no worker tag %s; leave it out or ask for the list of tags", errInvalid, id)
	}
	return err
}

// newTasks keeps the ids that the script saw, since it may have written them into commands.
func newTasks(compiled []jobtype.Task) ([]scheduler.NewTask, error) {
	tasks := make([]scheduler.NewTask, len(compiled))
	for i, t := range compiled {
		id, err := uuid.Parse(t.UUID)
		if err != nil {
			return nil, fmt.Errorf("task %q: %w", t.Name, err)
		}
		tasks[i] = scheduler.NewTask{
			ID: scheduler.TaskID{UUID: id}, Name: t.Name, Type: t.Type, Priority: t.Priority,
			Commands: t.Commands, Steps: t.Steps, Needs: t.DependsOn,
		}
	}
	return tasks, nil
}

// listPage is how many entries of a list without a limit are in memory at a time.
const listPage = 500

// ListJobs lists jobs, newest first.
func (s *Server) ListJobs(ctx context.Context, r gen.ListJobsRequestObject) (gen.ListJobsResponseObject, error) {
	query := scheduler.JobQuery{Limit: deref(r.Params.Limit), Before: scheduler.JobID{UUID: deref(r.Params.Before)}}
	if query.Limit > 0 {
		jobs, err := s.Scheduler.Jobs(ctx, query)
		return gen.ListJobs200JSONResponse{Jobs: convert(jobs, jobToWire)}, err
	}
	query.Limit = listPage
	return newPages("jobs", func() ([]wire.Job, error) {
		jobs, err := s.Scheduler.Jobs(ctx, query)
		if len(jobs) > 0 {
			query.Before = jobs[len(jobs)-1].ID
		}
		return convert(jobs, jobToWire), err
	})
}

// GetJob describes one job.
func (s *Server) GetJob(ctx context.Context, r gen.GetJobRequestObject) (gen.GetJobResponseObject, error) {
	job, err := s.Scheduler.Job(ctx, scheduler.JobID{UUID: r.JobId})
	if err != nil {
		return nil, err
	}
	return gen.GetJob200JSONResponse(jobToWire(job)), nil
}

// DeleteJob notes the wish; the rest happens in the background.
func (s *Server) DeleteJob(ctx context.Context, r gen.DeleteJobRequestObject) (gen.DeleteJobResponseObject, error) {
	if err := s.Scheduler.RequestJobDeletion(ctx, scheduler.JobID{UUID: r.JobId}); err != nil {
		return nil, err
	}
	s.deletions.wake()
	return gen.DeleteJob204Response{}, nil
}

// DeleteJobMass notes the wish for all jobs that have not changed since a time.
func (s *Server) DeleteJobMass(ctx context.Context, r gen.DeleteJobMassRequestObject) (gen.DeleteJobMassResponseObject, error) {
	until := roundUp(r.Body.LastUpdatedMax, time.Second)
	count, err := s.Scheduler.RequestMassDeletion(ctx, until)
	switch {
	case err != nil:
		return nil, err
	case count == 0:
		return nil, fmt.Errorf("%w: no job was last changed at %s or before", errNoMatch, until.UTC().Format(time.RFC3339))
	}
	s.log.Info("deletion of old jobs requested", "jobs", count, "until", until)
	s.deletions.wake()
	return gen.DeleteJobMass204Response{}, nil
}

// roundUp gives the next multiple of a unit; people see whole seconds and mean the job whose time they copied.
func roundUp(t time.Time, unit time.Duration) time.Time {
	if down := t.Truncate(unit); down.Before(t) {
		return down.Add(unit)
	}
	return t
}

// GetJobDeleteInfo tells whether a checkout would go with the job.
func (s *Server) GetJobDeleteInfo(ctx context.Context, r gen.GetJobDeleteInfoRequestObject) (gen.GetJobDeleteInfoResponseObject, error) {
	job, err := s.Scheduler.Job(ctx, scheduler.JobID{UUID: r.JobId})
	if err != nil {
		return nil, err
	}
	return gen.GetJobDeleteInfo200JSONResponse{ShamanCheckout: job.CheckoutID != ""}, nil
}

// SetJobStatus carries out what a person wants of a job.
func (s *Server) SetJobStatus(ctx context.Context, r gen.SetJobStatusRequestObject) (gen.SetJobStatusResponseObject, error) {
	err := s.Scheduler.RequestJobStatus(ctx, scheduler.JobID{UUID: r.JobId}, scheduler.JobStatus(r.Body.Status), r.Body.Reason)
	if err != nil {
		return nil, notAPersons(err)
	}
	return gen.SetJobStatus204Response{}, nil
}

// notAPersons answers for a status that only the farm itself sets as for one that the table refuses: to the caller it is
// the same.
func notAPersons(err error) error {
	if errors.Is(err, scheduler.ErrInvalid) {
		return fmt.Errorf("%w: %w", scheduler.ErrTransition, err)
	}
	return err
}

// SetJobPriority changes a job's priority.
func (s *Server) SetJobPriority(ctx context.Context, r gen.SetJobPriorityRequestObject) (gen.SetJobPriorityResponseObject, error) {
	if err := s.Scheduler.SetJobPriority(ctx, scheduler.JobID{UUID: r.JobId}, r.Body.Priority); err != nil {
		return nil, err
	}
	return gen.SetJobPriority204Response{}, nil
}

// SetJobTag binds a job to the workers with a tag, or to none.
func (s *Server) SetJobTag(ctx context.Context, r gen.SetJobTagRequestObject) (gen.SetJobTagResponseObject, error) {
	tag, err := s.findTag(ctx, *r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.Scheduler.SetJobTag(ctx, scheduler.JobID{UUID: r.JobId}, tag); err != nil {
		return nil, err
	}
	return gen.SetJobTag204Response{}, nil
}

// findTag gives the id of a tag that is named by its id or its name; zero for neither.
func (s *Server) findTag(ctx context.Context, wanted wire.JobTagChange) (scheduler.TagID, error) {
	id, name := deref(wanted.Id), deref(wanted.Name)
	if id == uuid.Nil && name == "" {
		return scheduler.TagID{}, nil
	}
	tags, err := s.Scheduler.Tags(ctx)
	if err != nil {
		return scheduler.TagID{}, err
	}
	for _, tag := range tags {
		if tag.ID.UUID == id || (id == uuid.Nil && tag.Name == name) {
			return tag.ID, nil
		}
	}
	if id != uuid.Nil {
		name = id.String()
	}
	return scheduler.TagID{}, fmt.Errorf("%w: %.80q; ask for the list of tags", errNoTag, name)
}

// ListJobTasks lists tasks in the order of the job type.
func (s *Server) ListJobTasks(ctx context.Context, r gen.ListJobTasksRequestObject) (gen.ListJobTasksResponseObject, error) {
	job, after := scheduler.JobID{UUID: r.JobId}, deref(r.Params.After)
	if limit := deref(r.Params.Limit); limit > 0 {
		tasks, err := s.Scheduler.Tasks(ctx, job, after, limit)
		return gen.ListJobTasks200JSONResponse{Tasks: convert(tasks, taskSummary)}, err
	}
	return newPages("tasks", func() ([]wire.TaskSummary, error) {
		tasks, err := s.Scheduler.Tasks(ctx, job, after, listPage)
		if len(tasks) > 0 {
			after = tasks[len(tasks)-1].Index
		}
		return convert(tasks, taskSummary), err
	})
}

// GetJobBlocklist lists which workers get no more tasks of which types.
func (s *Server) GetJobBlocklist(ctx context.Context, r gen.GetJobBlocklistRequestObject) (gen.GetJobBlocklistResponseObject, error) {
	entries, err := s.Scheduler.Blocklist(ctx, scheduler.JobID{UUID: r.JobId})
	if err != nil {
		return nil, err
	}
	return gen.GetJobBlocklist200JSONResponse(convert(entries, blockEntryToWire)), nil
}

// RemoveJobBlocklist gives workers tasks of a type again.
func (s *Server) RemoveJobBlocklist(ctx context.Context, r gen.RemoveJobBlocklistRequestObject) (gen.RemoveJobBlocklistResponseObject, error) {
	entries := convert(*r.Body, func(e wire.JobBlocklistEntry) scheduler.BlockEntry {
		return scheduler.BlockEntry{Worker: scheduler.WorkerID{UUID: e.WorkerId}, TaskType: e.TaskType}
	})
	if err := s.Scheduler.Unblock(ctx, scheduler.JobID{UUID: r.JobId}, entries); err != nil {
		return nil, err
	}
	return gen.RemoveJobBlocklist204Response{}, nil
}

// GetJobLastRendered tells where the previews of a job are.
func (s *Server) GetJobLastRendered(ctx context.Context, r gen.GetJobLastRenderedRequestObject) (gen.GetJobLastRenderedResponseObject, error) {
	job := scheduler.JobID{UUID: r.JobId}
	has, err := s.Scheduler.HasPreview(ctx, job)
	switch {
	case err != nil:
		return nil, err
	case !has:
		return gen.GetJobLastRendered204Response{}, nil
	}
	return gen.GetJobLastRendered200JSONResponse(lastRendered(job)), nil
}

// GetFarmLastRendered tells where the previews of the job that rendered last are.
func (s *Server) GetFarmLastRendered(ctx context.Context, _ gen.GetFarmLastRenderedRequestObject) (gen.GetFarmLastRenderedResponseObject, error) {
	job, err := s.Scheduler.LastRendered(ctx)
	switch {
	case err != nil:
		return nil, err
	case job.IsZero():
		return gen.GetFarmLastRendered204Response{}, nil
	}
	return gen.GetFarmLastRendered200JSONResponse(lastRendered(job)), nil
}

var (
	_ gen.ListJobsResponseObject     = (*pages[wire.Job])(nil)
	_ gen.ListJobTasksResponseObject = (*pages[wire.TaskSummary])(nil)
)

// VisitListJobsResponse streams the list.
func (p *pages[T]) VisitListJobsResponse(w http.ResponseWriter) error { return p.write(w) }

// VisitListJobTasksResponse streams the list.
func (p *pages[T]) VisitListJobTasksResponse(w http.ResponseWriter) error { return p.write(w) }
