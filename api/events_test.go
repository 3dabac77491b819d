package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// listener collects the events of a stream.
type listener struct{ events chan client.Event }

func (f *farm) listen(topics ...string) listener {
	f.t.Helper()
	l := listener{make(chan client.Event, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c := f.client()
	go func() {
		defer close(done)
		err := c.Events(ctx, topics, func(e client.Event) error { l.events <- e; return nil })
		if !errors.Is(err, context.Canceled) {
			f.t.Errorf("event stream ended with %v", err)
		}
	}()
	f.t.Cleanup(func() { cancel(); <-done })
	return l
}

// next waits for the next event of a type and gives its data.
func (l listener) next(t *testing.T, name string) json.RawMessage {
	t.Helper()
	for {
		select {
		case e := <-l.events:
			if e.Type == name {
				return e.Data
			}
		case <-t.Context().Done():
			t.Fatalf("no event %s", name)
		}
	}
}

func decodeEvent[T any](t *testing.T, data json.RawMessage) T {
	t.Helper()
	var v T
	must(t, json.Unmarshal(data, &v))
	return v
}

func TestEvents(t *testing.T) {
	f := newFarm(t)
	job := f.submit()
	w := f.worker(0)
	all := f.listen("jobs", "workers", "workertags", "status", "job:"+job.Id.String())
	all.next(t, "resync")
	if s := decodeEvent[wire.FarmStatusReport](t, all.next(t, "status")); !s.Status.Valid() {
		t.Errorf("status %q", s.Status)
	}
	task := try(w.Claim(t.Context()))(t)
	if e := decodeEvent[wire.TaskEvent](t, all.next(t, "task")); e.Id != task.Uuid || e.JobId != job.Id || e.Worker == nil || e.Worker.Uuid != w.id {
		t.Errorf("task event %+v", e)
	}
	if e := decodeEvent[wire.JobEvent](t, all.next(t, "job")); e.Id != job.Id || e.Type != "echo-sleep-test" {
		t.Errorf("job event %+v", e)
	}
	log := f.listen("tasklog:" + task.Uuid.String())
	log.next(t, "resync")
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Log: ptr("a line\n")}))
	if e := decodeEvent[wire.TaskLogEvent](t, log.next(t, "tasklog")); e.TaskId != task.Uuid || e.Log != "a line\n" {
		t.Errorf("log event %+v", e)
	}
	must(t, w.StatusChanged(t.Context(), wire.WorkerStatusAsleep))
	if e := decodeEvent[wire.WorkerEvent](t, all.next(t, "worker")); e.Id != w.id {
		t.Errorf("worker event %+v", e)
	}
	try(f.client().CreateTag(t.Context(), wire.WorkerTag{Name: "gpu"}))(t)
	if e := decodeEvent[wire.WorkerTagEvent](t, all.next(t, "workertag")); e.Tag.Name != "gpu" {
		t.Errorf("tag event %+v", e)
	}
	f.stop()
	if e := decodeEvent[wire.LifecycleEvent](t, all.next(t, "lifecycle")); e.Type != wire.ManagerShutdown {
		t.Errorf("lifecycle event %+v", e)
	}
}
