package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"hayloft/api/client"
	"hayloft/worker"
)

const (
	aimFirstTask = 100 // ms from submission to the start of the first task
	aimGap       = 50  // ms between two tasks on one worker
)

// tap looks at the requests of a worker: when it asks for work, and when it gets some.
type tap struct {
	http  *http.Client
	asked chan struct{}  // holds one signal while a request for work is under way
	given chan time.Time // when each task came
}

// Do carries out a request; see wire.HttpRequestDoer.
func (t *tap) Do(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/worker/task") {
		return t.http.Do(r)
	}
	select {
	case t.asked <- struct{}{}:
	default:
	}
	response, err := t.http.Do(r)
	if err == nil && response.StatusCode == http.StatusOK {
		select {
		case <-t.asked:
		default:
		}
		select {
		case t.given <- time.Now():
		case <-r.Context().Done():
		}
	}
	return response, err
}

// measureWorker runs one real worker in this process, with tasks that do next to nothing.
func measureWorker(ctx context.Context, b *bench) ([]Row, error) {
	return b.withManager(ctx, "worker", func(m *runningManager) (rows []Row, err error) {
		dir, err := b.folder("agent")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		t := &tap{http: newWideClient(4), asked: make(chan struct{}, 1), given: make(chan time.Time, 16)}
		defer t.http.CloseIdleConnections()
		agent, err := worker.New(worker.Config{
			ManagerURL: m.url, DataDir: dir, Name: "bench", HTTP: t, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		working, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- agent.Run(working) }()
		limit, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		rows, err = followAgent(limit, b, m, t)
		stop()
		return rows, errors.Join(err, <-ended)
	})
}

func followAgent(ctx context.Context, b *bench, m *runningManager, t *tap) ([]Row, error) {
	c, err := client.New(m.url, "bench")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var first []time.Duration
	for range pick(b, 5, 20) {
		one, err := submitToHeld(ctx, c, t)
		if err != nil {
			return nil, fmt.Errorf("follow a job to its first task: %w", err)
		}
		first = append(first, one)
	}
	gaps, err := gaps(ctx, c, t, pick(b, 50, 300))
	if err != nil {
		return nil, fmt.Errorf("follow the tasks of one job: %w", err)
	}
	return []Row{
		Row{Work: "job submitted until its first task is at an idle worker, p50", Figure: milliseconds(percentile(first, 50)), Unit: "ms"}.
			aim(atMost(aimFirstTask)),
		Row{Work: "the same, worst", Figure: milliseconds(percentile(first, 100)), Unit: "ms"}.aim(atMost(aimFirstTask)),
		Row{Work: "task after task on one worker, p50", Figure: milliseconds(percentile(gaps, 50)), Unit: "ms"}.aim(atMost(aimGap)),
		Row{Work: "the same, p99", Figure: milliseconds(percentile(gaps, 99)), Unit: "ms"}.aim(atMost(aimGap)),
	}, nil
}

// submitToHeld submits a job of one task while the worker's request for work is held.
func submitToHeld(ctx context.Context, c *client.Client, t *tap) (time.Duration, error) {
	select {
	case <-t.asked:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	// The worker was about to ask. A round trip of somebody else lets its request get there.
	if _, err := c.Version(ctx); err != nil {
		return 0, err
	}
	started := time.Now()
	if _, err := c.SubmitJob(ctx, echoJob(1)); err != nil {
		return 0, err
	}
	select {
	case given := <-t.given:
		return given.Sub(started), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// gaps submits a job of that many tasks and gives the times from one start to the next. The tasks do nothing, so a time
// is the whole way from one task to the next: report, answer, question, claim.
func gaps(ctx context.Context, c *client.Client, t *tap, tasks int) ([]time.Duration, error) {
	if _, err := c.SubmitJob(ctx, echoJob(tasks)); err != nil {
		return nil, err
	}
	var all []time.Duration
	var last time.Time
	for range tasks {
		select {
		case given := <-t.given:
			if !last.IsZero() {
				all = append(all, given.Sub(last))
			}
			last = given
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}
