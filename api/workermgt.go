package api

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"hayloft/api/gen"
	"hayloft/scheduler"
)

// ListWorkers lists all workers by name.
func (s *Server) ListWorkers(ctx context.Context, _ gen.ListWorkersRequestObject) (gen.ListWorkersResponseObject, error) {
	workers, err := s.Scheduler.Workers(ctx)
	if err != nil {
		return nil, err
	}
	return gen.ListWorkers200JSONResponse{Workers: convert(workers, workerSummary)}, nil
}

// GetWorker describes one worker with its tags and its task.
func (s *Server) GetWorker(ctx context.Context, r gen.GetWorkerRequestObject) (gen.GetWorkerResponseObject, error) {
	id := scheduler.WorkerID{UUID: r.WorkerId}
	w, err := s.Scheduler.Worker(ctx, id)
	if err != nil {
		return nil, err
	}
	tags, err := s.Scheduler.Tags(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := s.Scheduler.WhyIdle(ctx, w)
	if err != nil {
		return nil, err
	}
	current, err := s.Scheduler.CurrentTask(ctx, id)
	switch {
	case errors.Is(err, scheduler.ErrNotFound):
		return gen.GetWorker200JSONResponse(workerToWire(w, tags, nil, waiting)), nil
	case err != nil:
		return nil, err
	}
	return gen.GetWorker200JSONResponse(workerToWire(w, tags, &current, waiting)), nil
}

// DeleteWorker forgets a worker.
func (s *Server) DeleteWorker(ctx context.Context, r gen.DeleteWorkerRequestObject) (gen.DeleteWorkerResponseObject, error) {
	if err := s.Scheduler.DeleteWorker(ctx, scheduler.WorkerID{UUID: r.WorkerId}); err != nil {
		return nil, err
	}
	return gen.DeleteWorker204Response{}, nil
}

// RequestWorkerStatusChange asks a worker to go to a status.
func (s *Server) RequestWorkerStatusChange(ctx context.Context, r gen.RequestWorkerStatusChangeRequestObject) (gen.RequestWorkerStatusChangeResponseObject, error) {
	err := s.Scheduler.RequestWorkerStatus(ctx, scheduler.WorkerID{UUID: r.WorkerId}, scheduler.WorkerStatus(r.Body.Status), r.Body.IsLazy)
	if err != nil {
		return nil, notAPersons(err)
	}
	return gen.RequestWorkerStatusChange204Response{}, nil
}

// SetWorkerTags replaces the tags of a worker.
func (s *Server) SetWorkerTags(ctx context.Context, r gen.SetWorkerTagsRequestObject) (gen.SetWorkerTagsResponseObject, error) {
	tags := convert(r.Body.TagIds, func(id uuid.UUID) scheduler.TagID { return scheduler.TagID{UUID: id} })
	if err := s.Scheduler.SetWorkerTags(ctx, scheduler.WorkerID{UUID: r.WorkerId}, tags); err != nil {
		return nil, err
	}
	return gen.SetWorkerTags204Response{}, nil
}

// ListWorkerTags lists all tags by name.
func (s *Server) ListWorkerTags(ctx context.Context, _ gen.ListWorkerTagsRequestObject) (gen.ListWorkerTagsResponseObject, error) {
	tags, err := s.Scheduler.Tags(ctx)
	if err != nil {
		return nil, err
	}
	return gen.ListWorkerTags200JSONResponse{Tags: convert(tags, tagToWire)}, nil
}

// CreateWorkerTag makes a tag, under the id that the client chose if it chose one.
func (s *Server) CreateWorkerTag(ctx context.Context, r gen.CreateWorkerTagRequestObject) (gen.CreateWorkerTagResponseObject, error) {
	tag, err := s.Scheduler.PutTag(ctx, scheduler.Tag{
		ID: scheduler.TagID{UUID: deref(r.Body.Id)}, Name: r.Body.Name, Description: deref(r.Body.Description),
	})
	if err != nil {
		return nil, err
	}
	return gen.CreateWorkerTag200JSONResponse(tagToWire(tag)), nil
}

// GetWorkerTag describes one tag.
func (s *Server) GetWorkerTag(ctx context.Context, r gen.GetWorkerTagRequestObject) (gen.GetWorkerTagResponseObject, error) {
	tag, err := s.Scheduler.Tag(ctx, scheduler.TagID{UUID: r.TagId})
	if err != nil {
		return nil, err
	}
	return gen.GetWorkerTag200JSONResponse(tagToWire(tag)), nil
}

// UpdateWorkerTag renames or describes a tag; the id in the path counts.
func (s *Server) UpdateWorkerTag(ctx context.Context, r gen.UpdateWorkerTagRequestObject) (gen.UpdateWorkerTagResponseObject, error) {
	id := scheduler.TagID{UUID: r.TagId}
	if _, err := s.Scheduler.Tag(ctx, id); err != nil {
		return nil, err
	}
	if _, err := s.Scheduler.PutTag(ctx, scheduler.Tag{ID: id, Name: r.Body.Name, Description: deref(r.Body.Description)}); err != nil {
		return nil, err
	}
	return gen.UpdateWorkerTag204Response{}, nil
}

// DeleteWorkerTag deletes a tag.
func (s *Server) DeleteWorkerTag(ctx context.Context, r gen.DeleteWorkerTagRequestObject) (gen.DeleteWorkerTagResponseObject, error) {
	if err := s.Scheduler.DeleteTag(ctx, scheduler.TagID{UUID: r.TagId}); err != nil {
		return nil, err
	}
	return gen.DeleteWorkerTag204Response{}, nil
}
