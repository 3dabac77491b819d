package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// round is what the parent asks a crew for: claim and complete tasks until one of the two bounds is reached. The first
// round fixes the manager and the number of workers.
type round struct {
	URL     string  `json:"url"`
	Workers int     `json:"workers"`
	Tasks   int     `json:"tasks"`
	Seconds float64 `json:"seconds"`
}

// outcome is what a crew did in a round.
type outcome struct {
	Tasks  int             `json:"tasks"`
	Took   time.Duration   `json:"took"`
	CPU    float64         `json:"cpu"`    // seconds of the crew's process; zero: not known on this platform
	Claims []time.Duration `json:"claims"` // time of each claim's request, in no order
}

// crew is a number of simulated workers with one keep-alive connection each.
type crew struct {
	http    *http.Client
	url     string
	members []*simulatedWorker
}

// serveCrew is the process of a crew.
func serveCrew(ctx context.Context, _ []string) error {
	c := &crew{}
	err := answerQuestions(os.Stdin, os.Stdout, func(r round) (any, error) {
		if c.members == nil {
			if err := c.hire(ctx, r); err != nil {
				return nil, err
			}
		}
		return c.work(ctx, r)
	})
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	return err
}

// simulatedWorker takes tasks and reports them completed at once.
type simulatedWorker struct {
	crew   *crew
	id     string
	secret string
	done   int
	claims []time.Duration
}

func newWideClient(connections int) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, WriteBufferSize: writeSize,
	}}
}

// hire registers the workers and makes them awake, a few at a time.
func (c *crew) hire(ctx context.Context, r round) error {
	c.url, c.http = r.URL, newWideClient(r.Workers)
	members := make([]*simulatedWorker, r.Workers)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(8)
	for i := range members {
		all.Go(func() (err error) {
			members[i], err = c.newWorker(ctx, fmt.Sprintf("simulated-%d", i))
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	c.members = members
	return nil
}

func (c *crew) newWorker(ctx context.Context, name string) (*simulatedWorker, error) {
	w := &simulatedWorker{crew: c, secret: "secret of " + name}
	types := []string{"blender", "ffmpeg", "misc"}
	var registered struct{ UUID string }
	_, err := w.call(ctx, "register-worker", map[string]any{
		"name": name, "secret": w.secret, "platform": "linux", "supported_task_types": types}, &registered)
	if err != nil {
		return nil, err
	}
	w.id = registered.UUID
	_, err = w.call(ctx, "sign-on", map[string]any{"name": name, "software_version": "bench", "supported_task_types": types}, nil)
	if err != nil {
		return nil, err
	}
	_, err = w.call(ctx, "state-changed", map[string]string{"status": "awake"}, nil)
	return w, err
}

// call posts to a worker operation and reads the answer, if there is one to read.
func (w *simulatedWorker) call(ctx context.Context, path string, body, value any) (status int, err error) {
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.crew.url+"/api/v3/worker/"+path, bytes.NewReader(sent))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if w.id != "" {
		request.SetBasicAuth(w.id, w.secret)
	}
	response, err := w.crew.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, miB))
	switch {
	case err != nil:
		return 0, err
	case response.StatusCode >= 300:
		return response.StatusCode, fmt.Errorf("%s: %s: %.200s", path, response.Status, text)
	case value != nil && response.StatusCode == http.StatusOK:
		err = json.Unmarshal(text, value)
	}
	return response.StatusCode, err
}

// errNoTask says that the manager had nothing for a worker.
var errNoTask = errors.New("there was no task")

// task claims and completes one task.
func (w *simulatedWorker) task(ctx context.Context) error {
	var assigned struct {
		UUID  string
		Claim int64
	}
	asked := time.Now()
	status, err := w.call(ctx, "task", nil, &assigned)
	if err != nil {
		return err
	}
	if status == http.StatusNoContent {
		return errNoTask
	}
	w.claims = append(w.claims, time.Since(asked))
	report := map[string]any{"taskStatus": "completed"}
	if assigned.Claim > 0 {
		report["claim"] = assigned.Claim
	}
	if _, err := w.call(ctx, "task/"+assigned.UUID, report, nil); err != nil {
		return err
	}
	w.done++
	return nil
}

// work lets all workers take tasks at the same time.
func (c *crew) work(ctx context.Context, r round) (outcome, error) {
	var begun atomic.Int64
	before, err := readUsage()
	if err != nil {
		return outcome{}, err
	}
	started := time.Now()
	deadline := started.Add(time.Duration(r.Seconds * float64(time.Second)))
	all, ctx := errgroup.WithContext(ctx)
	for _, w := range c.members {
		w.done, w.claims = 0, w.claims[:0]
		all.Go(func() error {
			for begun.Add(1) <= int64(r.Tasks) && time.Now().Before(deadline) {
				if err := w.task(ctx); errors.Is(err, errNoTask) {
					return nil
				} else if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return outcome{}, err
	}
	result := outcome{Took: time.Since(started)}
	after, err := readUsage()
	if err != nil {
		return outcome{}, err
	}
	result.CPU = after.CPU - before.CPU
	for _, w := range c.members {
		result.Tasks += w.done
		result.Claims = append(result.Claims, w.claims...)
	}
	return result, nil
}
