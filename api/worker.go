package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"unicode/utf8"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// RegisterWorker stores a new worker.
func (s *Server) RegisterWorker(ctx context.Context, r gen.RegisterWorkerRequestObject) (gen.RegisterWorkerResponseObject, error) {
	w, err := s.Scheduler.Register(ctx, scheduler.Registration{
		Name: r.Body.Name, Secret: r.Body.Secret, Platform: r.Body.Platform, Address: callOf(ctx).address(),
		TaskTypes: r.Body.SupportedTaskTypes, Abilities: deref(r.Body.Abilities), TagNames: deref(r.Body.Tags),
		Performance: deref(r.Body.Performance),
	})
	if err != nil {
		return nil, err
	}
	s.log.Info("worker registered", "worker", w.ID, "name", w.Name, "address", w.Address)
	return gen.RegisterWorker200JSONResponse{
		Uuid: w.ID.UUID, Name: w.Name, Address: w.Address, Platform: w.Platform, SupportedTaskTypes: nonNil(w.TaskTypes),
	}, nil
}

// SignOn notes that a worker process starts.
func (s *Server) SignOn(ctx context.Context, r gen.SignOnRequestObject) (gen.SignOnResponseObject, error) {
	caller := callOf(ctx)
	status, err := s.Scheduler.SignOn(ctx, caller.worker, scheduler.SignOn{
		Name: r.Body.Name, Address: caller.address(), Software: r.Body.SoftwareVersion, TaskTypes: r.Body.SupportedTaskTypes,
		Abilities: deref(r.Body.Abilities), CanRestart: deref(r.Body.CanRestart), TagNames: deref(r.Body.Tags),
		Performance: deref(r.Body.Performance),
	})
	if err != nil {
		return nil, err
	}
	return gen.SignOn200JSONResponse{StatusRequested: wire.WorkerStatus(status)}, nil
}

// SignOff notes that a worker process ends.
func (s *Server) SignOff(ctx context.Context, _ gen.SignOffRequestObject) (gen.SignOffResponseObject, error) {
	if err := s.Scheduler.SignOff(ctx, callOf(ctx).worker); err != nil {
		return nil, err
	}
	return gen.SignOff204Response{}, nil
}

// WorkerState tells which status the worker is asked to go to, and waits for such a request if it may.
func (s *Server) WorkerState(ctx context.Context, r gen.WorkerStateRequestObject) (gen.WorkerStateResponseObject, error) {
	caller, wait := callOf(ctx), preferredWait(r.Params.Prefer)
	ctx, release := s.held(ctx, wait)
	defer release()
	status, err := s.Scheduler.RequestedStatus(ctx, caller.worker, wait)
	switch {
	case err != nil:
		return nil, becauseStopping(ctx, err)
	case status == "":
		return gen.WorkerState204Response{}, nil
	}
	return gen.WorkerState200JSONResponse{StatusRequested: wire.WorkerStatus(status)}, nil
}

// WorkerStateChanged notes where the worker went.
func (s *Server) WorkerStateChanged(ctx context.Context, r gen.WorkerStateChangedRequestObject) (gen.WorkerStateChangedResponseObject, error) {
	if err := s.Scheduler.StatusChanged(ctx, callOf(ctx).worker, scheduler.WorkerStatus(r.Body.Status)); err != nil {
		return nil, err
	}
	return gen.WorkerStateChanged204Response{}, nil
}

// ScheduleTask claims a task for the worker, and waits for one if it may.
func (s *Server) ScheduleTask(ctx context.Context, r gen.ScheduleTaskRequestObject) (gen.ScheduleTaskResponseObject, error) {
	caller, wait := callOf(ctx), preferredWait(r.Params.Prefer)
	ctx, release := s.held(ctx, wait)
	defer release()
	claimed, err := s.Scheduler.Claim(ctx, caller.worker, wait)
	var asked scheduler.StatusRequested
	switch {
	case errors.Is(err, scheduler.ErrNoWork):
		return gen.ScheduleTask204Response{}, nil
	case errors.As(err, &asked):
		return gen.ScheduleTask423JSONResponse{StatusRequested: wire.WorkerStatus(asked.Status)}, nil
	case err != nil:
		return nil, becauseStopping(ctx, err)
	}
	return s.assigned(claimed), nil
}

// assignedTask is a wire.AssignedTask whose commands stay the JSON that they are stored as, with variables expanded.
type assignedTask struct {
	wire.AssignedTask
	Commands json.RawMessage `json:"commands"`
}

// VisitScheduleTaskResponse sends the task.
func (t assignedTask) VisitScheduleTaskResponse(w http.ResponseWriter) error { return writeJSON(w, t) }

func (s *Server) assigned(claimed scheduler.Assignment) assignedTask {
	commands := s.names.Load().toWorker(claimed.Platform, claimed.WorkerName).Commands(claimed.Commands)
	return assignedTask{Commands: commands, AssignedTask: wire.AssignedTask{
		Uuid: claimed.ID.UUID, Job: claimed.Job.UUID, Name: claimed.Name, Status: wire.TaskStatus(claimed.Status),
		Priority: claimed.Priority, JobPriority: claimed.JobPriority, JobType: claimed.JobType, TaskType: claimed.Type,
		StepsCompleted: claimed.StepsDone, StepsTotal: claimed.Steps, Claim: &claimed.Claim,
	}}
}

// TaskUpdate takes a worker's report on a task.
func (s *Server) TaskUpdate(ctx context.Context, r gen.TaskUpdateRequestObject) (gen.TaskUpdateResponseObject, error) {
	if err := checkTaskUpdate(r.Body); err != nil {
		return nil, err
	}
	worker := callOf(ctx).worker
	outputs, err := s.localOutputs(ctx, worker, convert(deref(r.Body.Outputs), outputFromWire))
	if err != nil {
		return nil, err
	}
	err = s.Scheduler.UpdateTask(ctx, worker, scheduler.TaskID{UUID: r.TaskId}, scheduler.TaskUpdate{
		Status:    scheduler.TaskStatus(deref(r.Body.TaskStatus)),
		Activity:  r.Body.Activity,
		Log:       deref(r.Body.Log),
		StepsDone: r.Body.StepsCompleted,
		Outputs:   outputs,
		Claim:     deref(r.Body.Claim),
		Seq:       deref(r.Body.Seq),
	})
	if err != nil {
		return nil, err
	}
	if len(outputs) > 0 {
		s.posts.produced(scheduler.TaskID{UUID: r.TaskId})
	}
	return gen.TaskUpdate204Response{}, nil
}

// Bounds of a task update, as in the contract.
const (
	maxActivity = 65536 // characters
	maxOutputs  = 10000
	maxPathSize = 4096 // characters of root and path
)

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkTaskUpdate holds a task update to the contract; see checkedByHandler.
func checkTaskUpdate(u *wire.TaskUpdate) error {
	switch outputs := deref(u.Outputs); {
	case u.TaskStatus != nil && !u.TaskStatus.Valid():
		return bodyError("/taskStatus", "value is not one of the allowed values")
	case u.Activity != nil && len(*u.Activity) > maxActivity && utf8.RuneCountInString(*u.Activity) > maxActivity:
		return bodyError("/activity", "maximum string length is 65536")
	case u.StepsCompleted != nil && *u.StepsCompleted < 0:
		return bodyError("/steps_completed", "number must be at least 0")
	case u.Seq != nil && *u.Seq < 1:
		return bodyError("/seq", "number must be at least 1")
	case len(outputs) > maxOutputs:
		return bodyError("/outputs", "maximum number of items is 10000")
	default:
		for i, o := range outputs {
			if err := checkOutput(i, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOutput(i int, o wire.ProducedOutput) error {
	place := fmt.Sprintf("/outputs/%d/", i)
	switch {
	case o.Root == "" || utf8.RuneCountInString(o.Root) > maxPathSize:
		return bodyError(place+"root", "it must have 1 to 4096 characters")
	case o.Path == "" || utf8.RuneCountInString(o.Path) > maxPathSize:
		return bodyError(place+"path", "it must have 1 to 4096 characters")
	case o.Size < 0:
		return bodyError(place+"size", "number must be at least 0")
	case !sha256Hex.MatchString(o.Sha256):
		return bodyError(place+"sha256", "string doesn't match the regular expression \""+sha256Hex.String()+"\"")
	}
	return nil
}

// MayWorkerRun tells whether a task may go on; while it may, the answer waits if it may.
func (s *Server) MayWorkerRun(ctx context.Context, r gen.MayWorkerRunRequestObject) (gen.MayWorkerRunResponseObject, error) {
	caller, wait := callOf(ctx), preferredWait(r.Params.Prefer)
	ctx, release := s.held(ctx, wait)
	defer release()
	verdict, err := s.Scheduler.MayRun(ctx, caller.worker, scheduler.TaskID{UUID: r.TaskId}, wait)
	if err != nil {
		return nil, becauseStopping(ctx, err)
	}
	return gen.MayWorkerRun200JSONResponse{
		MayKeepRunning: verdict.KeepRunning, Reason: verdict.Reason, StatusChangeRequested: verdict.StatusChangeRequested,
	}, nil
}

// TaskOutputProduced takes a rendered image for the previews of the job.
func (s *Server) TaskOutputProduced(ctx context.Context, r gen.TaskOutputProducedRequestObject) (gen.TaskOutputProducedResponseObject, error) {
	caller := callOf(ctx)
	if err := checkImage(caller.request); err != nil {
		return nil, err
	}
	job, err := s.Scheduler.CheckOwner(ctx, caller.worker, scheduler.TaskID{UUID: r.TaskId})
	if err != nil {
		return nil, err
	}
	if err := s.previews.take(job, r.Body, caller.request.ContentLength); err != nil {
		return nil, err
	}
	return gen.TaskOutputProduced202Response{}, nil
}
