package api

import (
	"context"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// renderTaskType is the type of the tasks that render frames: each of their steps is a frame.
const renderTaskType = "blender"

// EligibleWorkers tells which workers could run a job, and how fast frames of such a job were.
func (s *Server) EligibleWorkers(ctx context.Context, r gen.EligibleWorkersRequestObject) (gen.EligibleWorkersResponseObject, error) {
	need := scheduler.Need{
		Requires: deref(r.Body.Requires), Tag: scheduler.TagID{UUID: deref(r.Body.WorkerTag)}, TaskTypes: deref(r.Body.TaskTypes),
	}
	if r.Body.TaskTypes == nil {
		need.TaskTypes = []string{renderTaskType}
	}
	if !need.Tag.IsZero() {
		if err := s.checkTag(ctx, need.Tag); err != nil {
			return nil, err
		}
	}
	workers, err := s.Scheduler.EligibleWorkers(ctx, need)
	if err != nil {
		return nil, err
	}
	answer := gen.EligibleWorkers200JSONResponse{Workers: convert(workers, eligibleWorker)}
	pace, err := s.Scheduler.Pace(ctx, deref(r.Body.Type), deref(r.Body.Name), renderTaskType)
	if err != nil {
		return nil, err
	}
	if pace.Steps > 0 {
		mean := pace.Elapsed.Seconds() / float64(pace.Steps)
		answer.SecondsPerFrame, answer.FramesMeasured = &mean, &pace.Steps
	}
	return answer, nil
}

func eligibleWorker(e scheduler.Eligibility) wire.EligibleWorker {
	return wire.EligibleWorker{
		Id: e.Worker.ID.UUID, Name: e.Worker.Name, Status: wire.WorkerStatus(e.Worker.Status), Can: e.Can, Why: e.Why,
	}
}
