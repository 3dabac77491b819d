package main

import (
	"context"
	"fmt"
	"time"

	"hayloft/api/client"
	"hayloft/api/wire"
)

const aimSubmission = 1000 // ms for a job of 50,000 tasks

// measureSubmission submits jobs of several lengths. A check compiles the job and forgets it, so the difference is what
// storing takes.
func measureSubmission(ctx context.Context, b *bench) ([]Row, error) {
	return b.withManager(ctx, "submission", func(m *runningManager) (rows []Row, err error) {
		c, err := client.New(m.url, "bench")
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return rows, m.profiled("submission", func() error {
			for _, tasks := range []int{100, 1_000, 10_000, 50_000} {
				one, err := submitOften(ctx, c, renderJob(tasks), fmt.Sprintf("frames in %s tasks", number(float64(tasks))))
				rows = append(rows, one...)
				if err != nil {
					return err
				}
			}
			one, err := submitOften(ctx, c, echoJob(50_000), "50,000 tasks that need one first")
			rows = append(rows, one...)
			return err
		})
	})
}

// echoJob is a job of that many tasks that do nothing: all but the first wait for the first.
func echoJob(tasks int) wire.SubmittedJob {
	settings := wire.JobSettings{"message": "bench", "sleep_duration_seconds": 0, "sleep_repeats": tasks - 1}
	return wire.SubmittedJob{Name: "bench", Type: "echo-sleep-test", SubmitterPlatform: "linux", Settings: &settings}
}

func submitOften(ctx context.Context, c *client.Client, job wire.SubmittedJob, name string) ([]Row, error) {
	const repeats = 3
	var compile, whole []float64
	for range repeats {
		started := time.Now()
		if err := c.CheckJob(ctx, job); err != nil {
			return nil, err
		}
		checked := time.Now()
		if _, err := c.SubmitJob(ctx, job); err != nil {
			return nil, err
		}
		compile = append(compile, milliseconds(checked.Sub(started)))
		whole = append(whole, milliseconds(time.Since(checked)))
	}
	name += fmt.Sprintf(", median of %d: ", repeats)
	total := Row{Work: name + "submitted over HTTP", Figure: median(whole), Unit: "ms"}.aim(atMost(aimSubmission))
	return []Row{
		total,
		{Work: name + "of which compiled", Figure: median(compile), Unit: "ms"},
		{Work: name + "of which stored", Figure: max(0, median(whole)-median(compile)), Unit: "ms"},
	}, nil
}
