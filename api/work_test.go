package api_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
)

func asAnswer(err error) (*client.Error, bool) {
	var answer *client.Error
	return answer, errors.As(err, &answer)
}

func ptr[T any](v T) *T { return &v }

// finish completes a task.
func finish(t *testing.T, w testWorker, task wire.AssignedTask) {
	t.Helper()
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{TaskStatus: ptr(wire.TaskStatusCompleted), Claim: task.Claim, Seq: ptr[int64](99)}))
}

func TestAWorkerWorks(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	w := f.worker(0)
	if _, err := w.Claim(ctx); !errors.Is(err, client.ErrNoWork) {
		t.Fatalf("an empty farm gives %v", err)
	}
	job := f.submit()
	task := try(w.Claim(ctx))(t)
	if got := task.Commands[0].Parameters["message"]; got != "hello from "+filepath.Join(f.storage, "jobs") {
		t.Errorf("variables of the command: %v", got)
	}
	again := try(w.Claim(ctx))(t)
	if again.Uuid != task.Uuid || *again.Claim <= *task.Claim {
		t.Errorf("asking again gives task %s claim %d after %s claim %d", again.Uuid, *again.Claim, task.Uuid, *task.Claim)
	}
	if err := w.UpdateTask(ctx, task.Uuid, wire.TaskUpdate{Log: ptr("late"), Claim: task.Claim}); !errors.Is(err, client.ErrNotOwner) {
		t.Errorf("update of an earlier claim: %v", err)
	}
	verdict := try(w.MayRun(ctx, uuid.New()))(t)
	if verdict.MayKeepRunning {
		t.Error("an unknown task may run")
	}
	must(t, w.UpdateTask(ctx, again.Uuid, wire.TaskUpdate{Log: ptr("first line\nsecond line\n"), Activity: ptr("Working"), Claim: again.Claim}))
	if err := w.UpdateTask(ctx, again.Uuid, wire.TaskUpdate{TaskStatus: ptr(wire.TaskStatusSoftFailed)}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a worker soft-fails a task: %v", err)
	}
	if err := w.UpdateTask(ctx, uuid.New(), wire.TaskUpdate{Log: ptr("x")}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("update of an unknown task: %v", err)
	}
	var place wire.TaskLogInfo
	f.json("GET", "/api/v3/tasks/"+task.Uuid.String()+"/log", nil, &place, 200)
	text := try(c.TaskLog(ctx, task.Uuid, 0))(t)
	if !strings.Contains(text, "second line") {
		t.Errorf("log %q", text)
	}
	whole, body := f.do("GET", place.Url, nil)
	if want := "/job-files/job-" + job.Id.String()[:4] + "/" + job.Id.String() + "/task-" + task.Uuid.String() + ".txt"; place.Url != want {
		t.Errorf("log is at %s, want %s", place.Url, want)
	}
	if whole.StatusCode != 200 || string(body) != text {
		t.Errorf("log file: %d %q, want %q", whole.StatusCode, body, text)
	}
	finish(t, w, again)
	for range 2 {
		finish(t, w, try(w.Claim(ctx))(t))
	}
	if got := try(c.Job(ctx, job.Id))(t); got.Status != wire.JobStatusCompleted {
		t.Errorf("job is %s", got.Status)
	}
	must(t, w.SignOff(ctx))
	if _, err := w.Claim(ctx); !errors.Is(err, client.ErrNotAwake) {
		t.Errorf("claim after sign-off: %v", err)
	}
}

func TestLogTailBeginsAtALine(t *testing.T) {
	f := newFarm(t)
	f.submit()
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	line := strings.Repeat("é", 100) + "\n"
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Log: ptr(strings.Repeat(line, 50))}))
	_, body := f.do("GET", "/api/v3/tasks/"+task.Uuid.String()+"/logtail", nil)
	if len(body) > 2048 || len(body)%len(line) != 0 || !strings.HasPrefix(string(body), line) {
		t.Errorf("tail of %d bytes begins with %.20q", len(body), body)
	}
}

func TestHeldClaimGetsWorkAtOnce(t *testing.T) {
	f := newFarm(t)
	w := f.worker(50 * time.Second)
	type outcome struct {
		task wire.AssignedTask
		err  error
	}
	got := make(chan outcome, 1)
	go func() {
		task, err := w.Claim(t.Context())
		got <- outcome{task, err}
	}()
	job := f.submit()
	if o := <-got; o.err != nil || o.task.Job != job.Id {
		t.Errorf("held claim: %v, job %s", o.err, o.task.Job)
	}
}

func TestHeldRequestsSayThatTheyWereHeld(t *testing.T) {
	f := newFarm(t)
	w := f.worker(0)
	resp, _ := f.do("POST", "/api/v3/worker/task", nil, append(w.signIn(), "Prefer", "wait=1")...)
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("%d, Preference-Applied %q", resp.StatusCode, resp.Header.Get("Preference-Applied"))
	}
	must(t, w.StatusChanged(t.Context(), wire.WorkerStatusAsleep))
	resp, _ = f.do("POST", "/api/v3/worker/task", nil, append(w.signIn(), "Prefer", "wait=1")...)
	if resp.StatusCode != http.StatusConflict || resp.Header.Get("Preference-Applied") != "" {
		t.Errorf("%d, Preference-Applied %q", resp.StatusCode, resp.Header.Get("Preference-Applied"))
	}
	f.json("POST", "/api/v3/worker-mgt/workers/"+w.id.String()+"/setstatus", `{"status":"awake","is_lazy":false}`, nil, 204)
	if _, err := w.Claim(t.Context()); err != (client.StatusRequested{Status: wire.WorkerStatusAwake}) {
		t.Errorf("claim with a status requested: %v", err)
	}
	if status := try(w.StatusRequested(t.Context()))(t); status != wire.WorkerStatusAwake {
		t.Errorf("requested %q", status)
	}
}

func TestHeldRequestsEndWithTheManagerAndWithTheClient(t *testing.T) {
	f := newFarm(t)
	w := f.worker(50 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { _, err := w.StatusRequested(ctx); gone <- err }()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that went away got %v", err)
	}
	stopped := make(chan error, 1)
	go func() { _, err := w.Claim(t.Context()); stopped <- err }()
	f.stop()
	if err := <-stopped; !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("at the manager's end: %v", err)
	}
}

func picture(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y), 80, 255})
		}
	}
	return img
}

func TestPreviews(t *testing.T) {
	f := newFarm(t)
	job := f.submit()
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	path := "/api/v3/worker/task/" + task.Uuid.String() + "/output-produced"
	var frame bytes.Buffer
	must(t, png.Encode(&frame, picture(2400, 1000)))
	events := f.listen("last-rendered")
	events.next(t, "resync")
	for _, c := range []struct {
		path, kind string
		status     int
	}{
		{path, "image/tiff", 415},
		{"/api/v3/worker/task/" + uuid.NewString() + "/output-produced", "image/png", 404},
		{path, "image/png", 202},
	} {
		resp, body := f.do("POST", c.path, bytes.NewReader(frame.Bytes()), append(w.signIn(), "Content-Type", c.kind)...)
		if resp.StatusCode != c.status {
			t.Fatalf("%s: %d %s, want %d", c.kind, resp.StatusCode, body, c.status)
		}
		if c.status == 202 && resp.Header.Get("Content-Type") != "" {
			t.Errorf("an empty 202 says %q", resp.Header.Get("Content-Type"))
		}
	}
	events.next(t, "last-rendered")
	var place wire.LastRendered
	f.json("GET", "/api/v3/jobs/"+job.Id.String()+"/last-rendered", nil, &place, 200)
	for i, want := range []image.Point{{1920, 800}, {600, 250}, {200, 83}} {
		resp, body := f.do("GET", place.Base+"/"+place.Suffixes[i], nil)
		size, err := jpeg.DecodeConfig(bytes.NewReader(body))
		if err != nil || size.Width != want.X || size.Height != want.Y || resp.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%s: %dx%d %v, want %v", place.Suffixes[i], size.Width, size.Height, err, want)
		}
	}
	f.json("GET", "/api/v3/jobs/last-rendered", nil, &place, 200)
}

func TestOutputs(t *testing.T) {
	f := newFarm(t)
	job := f.submit()
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	root := filepath.Join(f.storage, "output", "shot")
	outside := filepath.Join(t.TempDir(), "secret.png")
	must(t, os.MkdirAll(root, 0o755))
	must(t, os.WriteFile(filepath.Join(root, "0001.png"), []byte("frame one"), 0o600))
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(root, "link.png")))
	sha := strings.Repeat("a", 64)
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: &[]wire.ProducedOutput{
		{Root: root, Path: "0001.png", Size: 9, Sha256: sha}, {Root: root, Path: "link.png", Size: 6, Sha256: sha},
		{Root: root, Path: "gone.png", Size: 6, Sha256: sha}, {Root: filepath.Dir(outside), Path: "secret.png", Size: 6, Sha256: sha},
	}}))
	if got := try(f.client().Outputs(t.Context(), job.Id))(t); len(got) != 4 {
		t.Errorf("outputs %+v", got)
	}
	base := "/api/v3/jobs/" + job.Id.String() + "/output?path="
	for path, want := range map[string]int{"0001.png": 200, "link.png": 400, "gone.png": 404, "secret.png": 400, "../../x": 404} {
		resp, body := f.do("GET", base+path, nil)
		if resp.StatusCode != want || strings.Contains(string(body), "secret\n") || string(body) == "secret" {
			t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
	if resp, body := f.do("GET", base+"0001.png", nil, "Range", "bytes=6-"); resp.StatusCode != 206 || string(body) != "one" {
		t.Errorf("range: %d %q", resp.StatusCode, body)
	}
}

func TestDeletedJobGoesWithItsCheckout(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	name := try(c.Checkout(ctx, "shared by two", []wire.ShamanFileSpec{}))(t)
	owned := func(j *wire.SubmittedJob) { j.Storage = &wire.JobStorageInfo{ShamanCheckoutId: &name} }
	first, second := f.submit(owned), f.submit(owned)
	events := f.listen("jobs")
	events.next(t, "resync")
	dir := filepath.Join(f.storage, "jobs", name)
	for i, job := range []wire.Job{first, second} {
		must(t, c.DeleteJob(ctx, job.Id))
		for !strings.Contains(string(events.next(t, "job")), `"was_deleted":true`) {
		}
		if _, err := c.Job(ctx, job.Id); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("job %d is still there: %v", i, err)
		}
		_, err := os.Stat(dir)
		if (i == 0) != (err == nil) {
			t.Errorf("after deletion %d the checkout: %v", i, err)
		}
	}
}

func TestPageAndExplorer(t *testing.T) {
	f := newFarm(t)
	f.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, want := range map[string]struct {
		status      int
		cache, part string
	}{
		"/":                              {307, "", ""},
		"/app/":                          {200, "no-cache", "<title>page"},
		"/app/jobs/some-id":              {200, "no-cache", "<title>page"},
		"/app/../../etc/passwd":          {200, "no-cache", "<title>page"},
		"/app/assets/main-1234.js":       {200, "immutable", "export"},
		"/app/assets/stale-0000.js":      {404, "", "Not Found"},
		"/favicon.svg":                   {200, "no-cache", "<svg"},
		"/api/v3/openapi3.json":          {200, "", `"openapi":"3.0.3"`},
		"/api/v3/swagger-ui":             {308, "", ""},
		"/api/v3/swagger-ui/":            {200, "no-cache", "Hayloft API"},
		"/api/v3/swagger-ui/explorer.js": {200, "no-cache", "openapi3.json"},
		"/job-files/job-0000/x/y":        {404, "", "Not Found"},
	} {
		resp, body := f.do("GET", path, nil)
		if resp.StatusCode != want.status || !strings.Contains(string(body), want.part) || !strings.Contains(resp.Header.Get("Cache-Control"), want.cache) {
			t.Errorf("%s: %d %q %.60s", path, resp.StatusCode, resp.Header.Get("Cache-Control"), body)
		}
		if want.cache != "" && !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no policy", path)
		}
	}
}

// TestOutputsOfAnotherPlatform has a worker tell of a frame on the drive under which it knows the shared storage.
func TestOutputsOfAnotherPlatform(t *testing.T) {
	f := newFarm(t, withTwoWay)
	job := f.submit()
	w := f.workerOn("windows", 0)
	task := try(w.Claim(t.Context()))(t)
	if got := task.Commands[0].Parameters["message"]; got != `hello from F:\farm\jobs` {
		t.Errorf("command of a Windows worker: %v", got)
	}
	must(t, os.MkdirAll(filepath.Join(f.storage, "output", "shot"), 0o755))
	must(t, os.WriteFile(filepath.Join(f.storage, "output", "shot", "0001.png"), []byte("frame one"), 0o600))
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: &[]wire.ProducedOutput{
		{Root: `F:\farm\output\shot`, Path: "0001.png", Size: 9, Sha256: strings.Repeat("a", 64)},
	}}))
	resp, body := f.do("GET", "/api/v3/jobs/"+job.Id.String()+"/output?path=0001.png", nil)
	if resp.StatusCode != http.StatusOK || string(body) != "frame one" {
		t.Errorf("the frame: %d %s", resp.StatusCode, body)
	}
}

// TestWorkersOutliveTheDatabase closes the database under a manager: workers are told to come back, in a way that each of
// them understands.
func TestWorkersOutliveTheDatabase(t *testing.T) {
	f := newFarm(t)
	f.submit()
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	f.stop()
	must(t, f.database.Close())
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/v3/worker/register-worker", `{"name":"w","secret":"s","platform":"linux","supported_task_types":["misc"]}`},
		{"POST", "/api/v3/worker/sign-on", `{"name":"w","supported_task_types":["misc"],"software_version":"3.8"}`},
		{"POST", "/api/v3/worker/state-changed", `{"status":"awake"}`},
		{"GET", "/api/v3/worker/state", ""},
		{"POST", "/api/v3/worker/task", ""},
		{"POST", "/api/v3/worker/task/" + task.Uuid.String(), `{"log":"x"}`},
		{"GET", "/api/v3/worker/task/" + task.Uuid.String() + "/may-i-run", ""},
		{"POST", "/api/v3/worker/sign-off", ""},
	} {
		headers := append(w.signIn(), "Content-Type", "application/json")
		resp, body := f.do(c.method, c.path, strings.NewReader(c.body), headers...)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%s %s: %d %s, Retry-After %q", c.method, c.path, resp.StatusCode, body, resp.Header.Get("Retry-After"))
		}
	}
	for path, body := range map[string]string{
		"/api/v3/worker/sign-on":                    `{"name":"w","supported_task_types":["misc"],"software_version":"3.8"}`,
		"/api/v3/worker/task/" + task.Uuid.String(): `{"log":"x"}`,
	} {
		r := try(http.NewRequestWithContext(t.Context(), "POST", f.url+path, strings.NewReader(body)))(t)
		r.SetBasicAuth(w.id.String(), workerSecret)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "Flamenco/3.8 (abc123)")
		if resp, err := f.http.Do(r); err == nil {
			t.Errorf("Flamenco's worker at %s got %d, which it would misread", path, resp.StatusCode)
			_ = resp.Body.Close()
		}
	}
}
