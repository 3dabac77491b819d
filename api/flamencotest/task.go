package flamencotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	_ "image/png" // frames come as PNG too
	"net/http"
	"os"
	"sync"
)

type assignedTask struct {
	ID       string    `json:"uuid"`
	Commands []command `json:"commands"`
}

type command struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
	Steps      int            `json:"total_step_count"`
}

// errTakenAway ends a task that is no longer this worker's.
var errTakenAway = errors.New("the task was taken away")

// running is a task that a worker runs.
type running struct {
	worker *Worker
	task   assignedTask
	steps  int
	// unending is the worker's context: what is told of a task outlives the task.
	unending context.Context
}

// run works on one task and tells the manager of it (section 4, items 6 to 8).
func (w *Worker) run(ctx context.Context, task assignedTask) {
	w.count(func(t *Tally) { t.Assigned = append(t.Assigned, task.ID) })
	r := &running{worker: w, task: task, unending: ctx}
	working, stop := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for rest(working, w.pace.mayRun) {
			if !r.mayRun(working) {
				stop(errTakenAway)
			}
		}
	})
	err := r.tell(taskUpdate{Activity: "Started", Status: "active"})
	for _, each := range task.Commands {
		if err != nil {
			break
		}
		err = r.execute(working, each)
	}
	if cause := context.Cause(working); cause != nil {
		err = cause
	}
	stop(nil)
	watch.Wait()
	switch {
	case ctx.Err() != nil:
		// The manager hears of it by the sign-off, and queues the task again.
	case errors.Is(err, errTakenAway):
		w.count(func(t *Tally) { t.GivenUp = append(t.GivenUp, task.ID) })
	case err != nil:
		said := "Failed: " + err.Error()
		_ = r.tell(taskUpdate{Activity: said, Log: said, Status: "failed"})
	default:
		_ = r.tell(taskUpdate{Activity: "Completed", Status: "completed"})
	}
}

// tell sends an update. Its error ends the task.
func (r *running) tell(update taskUpdate) error {
	switch r.worker.upstream.send(r.unending, r.task.ID, update) {
	case takenAway:
		return errTakenAway
	case poisoned:
		// The original would go on in a way that can hang for ever; the fault is told, so this one may end.
		return errors.New("the manager did not take an update")
	default:
		return nil
	}
}

func (r *running) log(format string, args ...any) error {
	return r.tell(taskUpdate{Log: fmt.Sprintf(format, args...)})
}

func (r *running) step() error {
	r.steps++
	return r.tell(taskUpdate{Activity: "Progress", Steps: r.steps})
}

// mayRun asks whether the task may go on. Whatever is not a clear no is a yes.
func (r *running) mayRun(ctx context.Context) bool {
	a, err := r.worker.call(ctx, message{method: http.MethodGet, path: "/worker/task/" + r.task.ID + "/may-i-run"})
	if err != nil {
		return true
	}
	var verdict struct {
		MayKeepRunning bool `json:"mayKeepRunning"`
	}
	if err := a.read(mayKeepRunShape, &verdict); a.status != http.StatusOK || err != nil {
		r.worker.cfg.Fault("may-i-run wants 200 with a verdict: %v (%v)", a, err)
		return true
	}
	return verdict.MayKeepRunning
}

// preview is a picture that Blender said it saved.
type preview struct{ task, file string }

// offer keeps one picture for the upload, the newest.
func (r *running) offer(file string) {
	for {
		select {
		case r.worker.previews <- preview{r.task.ID, file}:
			return
		default:
		}
		select {
		case <-r.worker.previews:
		default:
		}
	}
}

func (w *Worker) sendPreviews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case one := <-w.previews:
			w.sendPreview(ctx, one)
		}
	}
}

// sendPreview sends a picture as a JPEG of full size. What does not decode is left out.
func (w *Worker) sendPreview(ctx context.Context, one preview) {
	raw, err := os.ReadFile(one.file)
	if err != nil {
		return
	}
	picture, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return
	}
	var encoded bytes.Buffer
	if err := jpeg.Encode(&encoded, picture, &jpeg.Options{Quality: 85}); err != nil {
		return
	}
	a, err := w.call(ctx, message{
		method: http.MethodPost, path: "/worker/task/" + one.task + "/output-produced", body: encoded.Bytes(), contentType: "image/jpeg",
	})
	switch {
	case err != nil:
	case a.status == http.StatusTooManyRequests:
	case a.status != http.StatusAccepted:
		w.cfg.Fault("an image wants 202: %v", a)
	case a.saysJSON() && len(a.body) == 0:
		w.cfg.Fault("an empty 202 must not say that it is JSON: the worker logs an unexpected end of input: %v", a)
	default:
		w.count(func(t *Tally) { t.Previews++ })
	}
}
