package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hayloft/checkout"
	"hayloft/scheduler"
)

// deletionRetry is when a deletion that failed is tried again.
const deletionRetry = time.Minute

// jobDeleter deletes jobs whose deletion was requested: first the checkout, then the manager's files of the job, then its
// rows. The request itself is a row of the job, so that a manager that stops in between goes on after its next start.
type jobDeleter struct {
	server *Server
	woken  chan struct{}
}

func newJobDeleter(s *Server) *jobDeleter {
	return &jobDeleter{server: s, woken: make(chan struct{}, 1)}
}

// wake makes the deleter look for requests. It never waits.
func (d *jobDeleter) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

func (d *jobDeleter) run(ctx context.Context) error {
	retry := time.NewTicker(deletionRetry)
	defer retry.Stop()
	for {
		d.deleteAll(ctx)
		select {
		case <-d.woken:
		case <-retry.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *jobDeleter) deleteAll(ctx context.Context) {
	ids, err := d.server.Scheduler.JobsToDelete(ctx)
	if err != nil && ctx.Err() == nil {
		d.server.log.Error("jobs to delete could not be listed; the next try is in a minute", "error", err)
	}
	for _, id := range ids {
		if err := d.delete(ctx, id); err != nil && ctx.Err() == nil {
			d.server.log.Error("job could not be deleted; the next try is in a minute", "job", id, "error", err)
		}
	}
}

func (d *jobDeleter) delete(ctx context.Context, id scheduler.JobID) error {
	job, err := d.server.Scheduler.Job(ctx, id)
	if err != nil {
		return err
	}
	if err := d.removeCheckout(ctx, job); err != nil {
		return err
	}
	if err := os.RemoveAll(d.server.jobFilesDir(id)); err != nil {
		return fmt.Errorf("remove the manager's files of the job: %w", err)
	}
	return d.server.Scheduler.DeleteJob(ctx, id)
}

// removeCheckout removes the job's checkout unless another job renders from it. An id that names no checkout came with the
// job from outside and must not keep the job from going.
func (d *jobDeleter) removeCheckout(ctx context.Context, job scheduler.Job) error {
	if job.CheckoutID == "" {
		return nil
	}
	shared, err := d.sharesCheckout(ctx, job)
	if err != nil || shared {
		return err
	}
	err = d.server.Checkouts.Remove(ctx, job.CheckoutID)
	if errors.Is(err, checkout.ErrBadName) || errors.Is(err, checkout.ErrNotCheckout) {
		d.server.log.Warn("job names a checkout that is none; nothing was removed", "job", job.ID, "checkout", job.CheckoutID, "error", err)
		return nil
	}
	return err
}

func (d *jobDeleter) sharesCheckout(ctx context.Context, job scheduler.Job) (bool, error) {
	for query := (scheduler.JobQuery{Limit: listPage}); ; {
		jobs, err := d.server.Scheduler.Jobs(ctx, query)
		if err != nil || len(jobs) == 0 {
			return false, err
		}
		for _, other := range jobs {
			if other.CheckoutID == job.CheckoutID && other.ID != job.ID && other.DeleteRequestedAt.IsZero() {
				return true, nil
			}
		}
		query.Before = jobs[len(jobs)-1].ID
	}
}
