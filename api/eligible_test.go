package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// able is a worker that is awake and told what it can do.
func (f *farm) able(name string, abilities ...string) testWorker {
	f.t.Helper()
	c, ctx := f.client(), f.t.Context()
	abilities = append([]string{}, abilities...)
	types := []string{"blender", "misc"}
	registration := wire.WorkerRegistration{Name: name, Secret: workerSecret, Platform: "linux", SupportedTaskTypes: types, Abilities: &abilities}
	id := try(c.Register(ctx, registration))(f.t)
	w := testWorker{c.AsWorker(id, workerSecret, 0), id}
	on := wire.WorkerSignOn{Name: name, SupportedTaskTypes: types, SoftwareVersion: "test", Abilities: &abilities}
	must(f.t, w.StatusChanged(ctx, try(w.SignOn(ctx, on))(f.t)))
	return w
}

// TestJobsGoToWorkersThatCan follows requirements and abilities over the wire and back.
func TestJobsGoToWorkersThatCan(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	old := f.able("old", "blender:3.4.1")
	job := f.submit(func(j *wire.SubmittedJob) { j.Requires = &[]string{"usd", "blender:4.2"} })
	if d := cmp.Diff(&[]string{"blender:4.2", "usd"}, job.Requires); d != "" {
		t.Errorf("requirements of the job: -want +got\n%s", d)
	}
	if !strings.Contains(job.Activity, "old: it has blender:3.4.1 instead of blender:4.2, no usd") {
		t.Errorf("activity is %q", job.Activity)
	}
	if _, err := old.Claim(ctx); !errors.Is(err, client.ErrNoWork) {
		t.Errorf("the old one gets %v, want %v", err, client.ErrNoWork)
	}
	current := f.able("new", "usd", "blender:4.2.1")
	if task := try(current.Claim(ctx))(t); task.Job != job.Id {
		t.Errorf("got a task of job %s, want %s", task.Job, job.Id)
	}
	described := try(c.Worker(ctx, current.id))(t)
	if d := cmp.Diff(&[]string{"blender:4.2.1", "usd"}, described.Abilities); d != "" {
		t.Errorf("abilities of the worker: -want +got\n%s", d)
	}
	silent := f.worker(0)
	if got := try(c.Worker(ctx, silent.id))(t).Abilities; got != nil {
		t.Errorf("a worker that never told has abilities %q", *got)
	}
	if got := try(c.Worker(ctx, f.able("bare").id))(t).Abilities; got == nil || len(*got) != 0 {
		t.Errorf("a worker that told of none has abilities %v", got)
	}
}

func TestEligibleWorkers(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	old, current, silent := f.able("old", "blender:3.4.1"), f.able("new", "blender:4.2.1", "usd"), f.worker(0)
	must(t, current.SignOff(ctx))
	answer := try(c.EligibleWorkers(ctx, wire.JobNeeds{Requires: &[]string{"blender:4.2"}, Type: ptr("a type"), Name: ptr("a job")}))(t)
	want := wire.EligibleWorkers{Workers: []wire.EligibleWorker{
		{Id: current.id, Name: "new", Status: wire.WorkerStatusOffline, Why: "it is offline"},
		{Id: old.id, Name: "old", Status: wire.WorkerStatusAwake, Why: "it has blender:3.4.1 instead of blender:4.2"},
		{Id: silent.id, Name: "w", Status: wire.WorkerStatusAwake, Can: true},
	}}
	if d := cmp.Diff(want, answer); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	for what, needs := range map[string]wire.JobNeeds{
		"unknown tag":         {WorkerTag: ptr(uuid.New())},
		"space as a need":     {Requires: &[]string{" "}},
		"a need of two lines": {Requires: &[]string{"a\nb"}},
		"an empty need":       {Requires: &[]string{""}},
	} {
		_, err := c.EligibleWorkers(ctx, needs)
		if problem, ok := asAnswer(err); !ok || problem.Status != http.StatusBadRequest {
			t.Errorf("%s: got %v, want a 400", what, err)
		}
	}
	f.json(http.MethodPost, "/api/v3/jobs", `{"name":"a","type":"echo-sleep-test","submitter_platform":"linux","requires":["\n"],
		"settings":{"message":"a","sleep_duration_seconds":1,"sleep_repeats":1}}`, nil, http.StatusBadRequest)
}

// TestSecondsPerFrame renders a job, as far as the manager can tell, and asks how long its frames took.
func TestSecondsPerFrame(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	w := f.worker(0)
	render := func(j *wire.SubmittedJob) {
		j.Name, j.Type = "shot", "simple-blender-render"
		j.Settings = &wire.JobSettings{"frames": "1-6", "chunk_size": 3, "blendfile": "/shot.blend", "format": "PNG",
			"image_file_extension": ".png", "render_output_root": "/out", "render_output_path": "/out/shot/######", "fps": 24,
			"add_path_components": 0, "has_previews": false}
	}
	f.submit(render)
	for range 2 {
		finish(t, w, try(w.Claim(ctx))(t))
	}
	answer := try(c.EligibleWorkers(ctx, wire.JobNeeds{Type: ptr("simple-blender-render"), Name: ptr("shot")}))(t)
	if answer.FramesMeasured == nil || *answer.FramesMeasured != 6 || answer.SecondsPerFrame == nil || *answer.SecondsPerFrame <= 0 {
		t.Errorf("got %+v, want 6 frames", answer)
	}
}
