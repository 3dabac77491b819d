package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// aimFailedReads: nobody who reads notices a deletion by an error.
const aimFailedReads = 0

// measureDeletion deletes a job of 10,000 tasks while somebody reads lists, and compares with the same reading before.
func measureDeletion(ctx context.Context, b *bench) ([]Row, error) {
	const tasks = 10_000
	return b.withManager(ctx, "deletion", func(m *runningManager) (rows []Row, err error) {
		c, err := client.New(m.url, "bench")
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if _, err := c.SubmitJob(ctx, renderJob(1_000)); err != nil {
			return nil, err
		}
		doomed, err := c.SubmitJob(ctx, renderJob(tasks))
		if err != nil {
			return nil, err
		}
		before := reading{}
		for range 20 {
			before.look(ctx, c, doomed.Id)
		}
		var during reading
		var took time.Duration
		err = m.profiled("deletion", func() (err error) {
			took, err = during.watchDeletion(ctx, c, doomed.Id)
			return err
		})
		if err != nil {
			return nil, err
		}
		return []Row{
			{Work: fmt.Sprintf("job of %s tasks, from the wish until it is gone", number(tasks)), Figure: milliseconds(took), Unit: "ms"},
			Row{Work: "lists of jobs and of 1,000 tasks read meanwhile, worst", Figure: milliseconds(percentile(during.took, 100)), Unit: "ms"}.
				against("worst before", milliseconds(percentile(before.took, 100))),
			Row{Work: "reads that failed meanwhile", Figure: float64(during.failed), Unit: "reads"}.aim(atMost(aimFailedReads)),
		}, nil
	})
}

// reading is somebody who reads lists again and again.
type reading struct {
	took   []time.Duration
	failed int
}

// errEnough ends a list after its first page.
var errEnough = errors.New("one page is enough")

// look reads the list of jobs and one page of the job's tasks, and tells whether the job was still on the list.
func (r *reading) look(ctx context.Context, c *client.Client, job uuid.UUID) (found bool) {
	started := time.Now()
	jobs, err := c.Jobs(ctx, 100, uuid.Nil)
	r.took = append(r.took, time.Since(started))
	if err != nil {
		r.failed++
		return true
	}
	for _, j := range jobs {
		found = found || j.Id == job
	}
	if !found {
		return false
	}
	started, seen := time.Now(), 0
	err = c.Tasks(ctx, job, func(wire.TaskSummary) error {
		if seen++; seen == 1_000 {
			return errEnough
		}
		return nil
	})
	r.took = append(r.took, time.Since(started))
	// Between the two questions the job may have gone, which is an answer and not a failure.
	if err != nil && !errors.Is(err, errEnough) && !errors.Is(err, client.ErrNotFound) {
		r.failed++
	}
	return true
}

// watchDeletion asks for the deletion and reads until the job is gone.
func (r *reading) watchDeletion(ctx context.Context, c *client.Client, job uuid.UUID) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	started := time.Now()
	if err := c.DeleteJob(ctx, job); err != nil {
		return 0, err
	}
	for r.look(ctx, c, job) {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("job %s is still there: %w", job, ctx.Err())
		}
	}
	return time.Since(started), nil
}
