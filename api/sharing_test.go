package api_test

import (
	"errors"
	"net/http"
	"testing"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// performing is a worker that is awake and told how fast it is.
func (f *farm) performing(name string, performance float64) testWorker {
	f.t.Helper()
	c, ctx := f.client(), f.t.Context()
	types := []string{"blender", "misc"}
	id := try(c.Register(ctx, wire.WorkerRegistration{Name: name, Secret: workerSecret, Platform: "linux", SupportedTaskTypes: types,
		Performance: &performance}))(f.t)
	if got := try(c.Worker(ctx, id))(f.t).Performance; (got != nil) != (performance != 1) || got != nil && *got != performance {
		f.t.Errorf("performance of the new worker %s is %v", name, got)
	}
	w := testWorker{c.AsWorker(id, workerSecret, 0), id}
	on := wire.WorkerSignOn{Name: name, SupportedTaskTypes: types, SoftwareVersion: "test", Performance: &performance}
	must(f.t, w.StatusChanged(ctx, try(w.SignOn(ctx, on))(f.t)))
	return w
}

// TestSharingBySpeed follows a job and the workers' performance over the wire and back.
func TestSharingBySpeed(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	share := wire.JobShareSpeed
	slow, fast := f.performing("slow", 1), f.performing("fast", 4)
	plain := f.submit()
	if plain.Share != nil {
		t.Errorf("a job that says nothing is shared by %s", *plain.Share)
	}
	must(t, c.SetJobStatus(ctx, plain.Id, wire.JobStatusCancelRequested, "test"))
	job := f.submit(func(j *wire.SubmittedJob) {
		j.Type, j.Share = "simple-blender-render", &share
		j.Settings = &wire.JobSettings{"frames": "1-3", "chunk_size": 1, "blendfile": "/shot.blend", "format": "PNG",
			"image_file_extension": ".png", "render_output_root": "/out", "render_output_path": "/out/shot/######", "fps": 24,
			"add_path_components": 0, "has_previews": false}
	})
	if job.Share == nil || *job.Share != share {
		t.Fatalf("the job is shared by %v", job.Share)
	}
	if why := try(c.Worker(ctx, slow.id))(t).WaitingBecause; why != nil {
		t.Errorf("before it asked the slow one waits because %q", *why)
	}
	try(fast.Claim(ctx))(t)
	if _, err := slow.Claim(ctx); !errors.Is(err, client.ErrNoWork) {
		t.Errorf("the slow one gets %v, want %v", err, client.ErrNoWork)
	}
	why := try(c.Worker(ctx, slow.id))(t).WaitingBecause
	if want := `Faster workers finish the rest of job "a job" first`; why == nil || *why != want {
		t.Errorf("the slow one waits because %v, want %q", why, want)
	}
}

func TestSharingIsRefused(t *testing.T) {
	f := newFarm(t)
	for _, performance := range []float64{0, -1, 0.0001, 1001} {
		form := map[string]any{"name": "w", "secret": workerSecret, "platform": "linux", "supported_task_types": []string{"misc"},
			"performance": performance}
		f.json(http.MethodPost, "/api/v3/worker/register-worker", form, nil, http.StatusBadRequest)
	}
	job := map[string]any{"name": "j", "type": "echo-sleep-test", "priority": 50, "submitter_platform": "linux", "share": "size",
		"settings": map[string]any{"message": "x", "sleep_duration_seconds": 0}}
	f.json(http.MethodPost, "/api/v3/jobs", job, nil, http.StatusBadRequest)
}
