package api

import (
	"context"
	"errors"
	"fmt"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/checkout"
	"hayloft/scheduler"
)

// ListJobFiles lists the files of a job's checkout.
func (s *Server) ListJobFiles(ctx context.Context, r gen.ListJobFilesRequestObject) (gen.ListJobFilesResponseObject, error) {
	job, err := s.Scheduler.Job(ctx, scheduler.JobID{UUID: r.JobId})
	if err != nil {
		return nil, err
	}
	if job.CheckoutID == "" {
		return nil, fmt.Errorf("job %s has no checkout: %w", job.ID, scheduler.ErrNotFound)
	}
	manifest, err := s.Checkouts.List(ctx, job.CheckoutID)
	if errors.Is(err, checkout.ErrBadName) || errors.Is(err, checkout.ErrNotCheckout) {
		// The name came with the job; that it leads to nothing is no fault of this request.
		err = fmt.Errorf("files of job %s: %w: %w", job.ID, scheduler.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	files := make([]wire.ShamanFileSpec, 0, manifest.Len())
	for e := range manifest.Entries() {
		files = append(files, wire.ShamanFileSpec{Sha: e.Blob.Digest.String(), Size: e.Blob.Size, Path: e.Path.String()})
	}
	return gen.ListJobFiles200JSONResponse{Checkout: job.CheckoutID, Files: files}, nil
}
