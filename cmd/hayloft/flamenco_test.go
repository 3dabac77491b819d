package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hayloft/api/flamencotest"
	"hayloft/cmd/cli"
)

// flamencoPatience bounds the waits for a job; they end by its events.
const flamencoPatience = 3 * time.Minute

// flamenco is Flamenco's side of a farm: an add-on and workers that talk to a manager.
type flamenco struct {
	t     *testing.T
	url   string
	http  *http.Client
	addon *flamencotest.Addon
	news  chan struct{} // holds one token when something was answered since it was last looked at

	mu     sync.Mutex
	faults []string
}

// newFlamenco plays Flamenco's clients at a manager. A fault that one of them finds fails the test.
func newFlamenco(t *testing.T, url string) *flamenco {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1024 // each worker keeps its own connection on a farm
	t.Cleanup(transport.CloseIdleConnections)
	f := &flamenco{t: t, url: url, http: &http.Client{Transport: transport, Timeout: time.Minute}, news: make(chan struct{}, 1)}
	f.addon = &flamencotest.Addon{Manager: url, HTTP: f.http, Fault: f.fault}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, fault := range f.faults {
			if i == 10 {
				t.Errorf("and %d faults more", len(f.faults)-i)
				break
			}
			t.Error(fault)
		}
	})
	return f
}

func (f *flamenco) fault(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *flamenco) tellNews() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// crew starts simulated workers, at a scale of the original's waits. They end when stop is called, or with the test.
func (f *flamenco) crew(number int, scale float64, observe func(flamencotest.Exchange)) (workers []*flamencotest.Worker, stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	var running sync.WaitGroup
	for i := range number {
		w := flamencotest.NewWorker(flamencotest.WorkerConfig{
			Manager: f.url, Name: fmt.Sprintf("heron-%d", i+1), Scale: scale, HTTP: f.http, Fault: f.fault,
			Observe: func(e flamencotest.Exchange) {
				if observe != nil {
					observe(e)
				}
				f.tellNews()
			},
		})
		workers = append(workers, w)
		running.Go(func() {
			if err := w.Run(ctx); err != nil {
				f.fault("worker %s ended: %v", w.ID(), err)
				f.tellNews()
			}
		})
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	f.t.Cleanup(stop)
	return workers, stop
}

// await looks after each answer that a worker gets whether a condition holds.
func (f *flamenco) await(what string, holds func() bool) {
	f.t.Helper()
	limit := time.After(flamencoPatience)
	for !holds() {
		select {
		case <-f.news:
		case <-limit:
			f.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// ask reads JSON from the manager.
func (f *flamenco) ask(path string, target any) {
	f.t.Helper()
	if err := f.addon.Ask(f.t.Context(), path, target); err != nil {
		f.t.Fatal(err)
	}
}

// flamencoJob is the part of a job that these tests look at.
type flamencoJob struct {
	Name, Status string
	Completed    int `json:"steps_completed"`
	Total        int `json:"steps_total"`
}

func (f *flamenco) job(id string) (job flamencoJob) {
	f.t.Helper()
	f.ask("/jobs/"+id, &job)
	return job
}

// finish waits until a job ends and wants it completed.
func (f *flamenco) finish(id string) {
	f.t.Helper()
	var job flamencoJob
	f.await("job "+id+" ended", func() bool {
		job = f.job(id)
		return job.Status == "completed" || job.Status == "failed" || job.Status == "canceled"
	})
	if job.Status != "completed" || job.Completed != job.Total || job.Total == 0 {
		f.t.Errorf("the job ended as %+v", job)
	}
}

func (f *flamenco) submit(s flamencotest.Submission) flamencotest.SubmittedJob {
	f.t.Helper()
	job, err := f.addon.Submit(f.t.Context(), s)
	if err != nil {
		f.t.Fatalf("submitting %q: %v", s.Name, err)
	}
	return job
}

// sceneSettings are what the add-on computes inside Blender for the scene of testdata/project.py.
func sceneSettings(name string, frames string) map[string]any {
	return map[string]any{
		"frames": frames, "chunk_size": 2, "render_output_root": "{output}", "scene": "Scene", "fps": 24.0, "format": "PNG",
		"image_file_extension": ".png", "has_previews": false, "separate_views": false, "render_output_path": "{output}/" + name + "/{timestamp}/######",
	}
}

// TestFlamencoRenders lets Flamenco's add-on send a project and Flamenco's worker render it, with both generations of the
// packing code.
func TestFlamencoRenders(t *testing.T) {
	t.Parallel()
	blend := project(t, 2)
	want := renderAlone(t, blend, 2)
	for _, packing := range []flamencotest.Packing{flamencotest.PackingV1, flamencotest.PackingV2} {
		t.Run(fmt.Sprintf("BAT v%d", packing), func(t *testing.T) {
			t.Parallel()
			farm := startFarm(t, "--workers", "0")
			f := newFlamenco(t, farm.url)
			s := flamencotest.Submission{
				Name: "it's shot 1: \"final\"?", JobType: "simple-blender-render", Project: filepath.Dir(blend), Blend: "scene.blend",
				Settings: sceneSettings("shot", "1-2"), Packing: packing,
			}
			job := f.submit(s)
			if job.Uploads != 3 || job.Name != s.Name || (job.Storage.Checkout != "") != (packing == flamencotest.PackingV1) {
				t.Errorf("submitted %+v", job)
			}
			workers, _ := f.crew(1, 0.05, nil)
			f.finish(job.ID)
			checkOutput(t, farm.data, want)
			f.await("a picture was taken for the previews", func() bool { return workers[0].Tally().Previews > 0 })
			if again := f.submit(s); again.Uploads != 0 || again.ID == job.ID || again.Settings["blendfile"] == job.Settings["blendfile"] {
				t.Errorf("submitted again: %+v", again)
			}
		})
	}
}

// TestFlamencoWithoutShaman lets the add-on copy the project to the storage folder, as it does when the manager's store is
// switched off, and send it again from there.
func TestFlamencoWithoutShaman(t *testing.T) {
	t.Parallel()
	blend := project(t, 2)
	farm := startFarm(t, "--workers", "0", "--shaman=false")
	f := newFlamenco(t, farm.url)
	info, err := f.addon.Refresh(t.Context())
	if err != nil || info.Shaman {
		t.Fatalf("the manager is %+v: %v", info, err)
	}
	s := flamencotest.Submission{
		Name: "shot", JobType: "simple-blender-render", Project: filepath.Dir(blend), Blend: "scene.blend",
		Settings: sceneSettings("shot", "1-2"), Packing: flamencotest.PackingV1,
	}
	job := f.submit(s)
	copied, _ := job.Settings["blendfile"].(string)
	if !strings.HasPrefix(copied, info.Location+"/") || !strings.HasSuffix(copied, "-shot/scene.blend") || job.Uploads != 0 || job.Storage.Checkout != "" {
		t.Errorf("submitted %+v to %s", job, info.Location)
	}
	f.crew(1, 0.05, nil)
	f.finish(job.ID)
	checkOutput(t, farm.data, renderAlone(t, blend, 2))
	s.Project, s.Paused = filepath.Dir(copied), true
	if again := f.submit(s); again.Settings["blendfile"] != copied {
		t.Errorf("a project that is there already was sent as %v", again.Settings["blendfile"])
	}
	refused, err := f.http.Post(farm.url+"/api/v3/shaman/checkout/requirements", "application/json", strings.NewReader(`{"files":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	refused.Body.Close()
	if refused.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the store that is switched off answered %d", refused.StatusCode)
	}
}

// TestFlamencoJobNames sends jobs with names that no folder may have. Each gets a checkout of its own and keeps its name.
func TestFlamencoJobNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "scene.blend"), []byte("a scene"), 0o644); err != nil {
		t.Fatal(err)
	}
	farm := startFarm(t, "--workers", "0")
	f := newFlamenco(t, farm.url)
	seen := map[any]string{}
	for _, name := range []string{
		"shot", "shot", "a:b?", `it's "quoted"`, "seq/shot", "/rooted", "../outside", "..", ".", `back\slash`, "{jobs}", "{unknown}", "semi;colon",
		"star*", "con", "nul.txt", " spaces ", "trailing.", "größe 你好 🎬", "tab\tand\nline", strings.Repeat("long ", 60), "-rf", "~", "$HOME", "%s%n",
	} {
		job := f.submit(flamencotest.Submission{
			Name: name, JobType: "simple-blender-render", Project: dir, Blend: "scene.blend", Settings: sceneSettings("names", "1"),
			Packing: flamencotest.PackingV1, Paused: true,
		})
		place := job.Settings["blendfile"]
		if other, taken := seen[place]; taken {
			t.Errorf("%q and %q share the file %v", name, other, place)
		}
		seen[place] = name
		file, below := strings.CutPrefix(fmt.Sprint(place), "{jobs}/")
		file = filepath.Join(farm.data, "storage", "jobs", filepath.FromSlash(file))
		content, err := os.ReadFile(file)
		if !below || !strings.HasPrefix(file, filepath.Join(farm.data, "storage", "jobs")+"/") || err != nil || string(content) != "a scene" {
			t.Errorf("%q: %v holds %q: %v", name, place, content, err)
		}
		if stored := f.job(job.ID); stored.Name != name || stored.Status != "paused" {
			t.Errorf("%q is stored as %+v", name, stored)
		}
	}
}

// TestFlamencoDefersUploads lets another client be in the middle of sending a file that the add-on needs too. The add-on
// sends the rest first, and finds the file there in its next round.
func TestFlamencoDefersUploads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared := bytes.Repeat([]byte("shared"), 100_000)
	for name, content := range map[string][]byte{"shared.png": shared, "scene.blend": []byte("a scene"), "größe.png": []byte("more")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	farm := startFarm(t, "--workers", "0")
	f := newFlamenco(t, farm.url)
	finish := f.sendSlowly(shared)
	deferred := 0
	f.addon.Observe = func(e flamencotest.Exchange) {
		if e.Status == http.StatusTooEarly {
			deferred++
			finish()
		}
	}
	job := f.submit(flamencotest.Submission{
		Name: "shot", JobType: "simple-blender-render", Project: dir, Blend: "scene.blend", Settings: sceneSettings("shot", "1"),
		Packing: flamencotest.PackingV1, Paused: true,
	})
	if deferred != 1 || job.Uploads != 2 {
		t.Errorf("%d files were put off, %d sent", deferred, job.Uploads)
	}
}

// sendSlowly begins an upload and returns when the manager knows of it. What it returns sends the rest.
func (f *flamenco) sendSlowly(content []byte) (finish func()) {
	f.t.Helper()
	sum := sha256.Sum256(content)
	place := fmt.Sprintf("/shaman/files/%x/%d", sum, len(content))
	body, rest := io.Pipe()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url+"/api/v3"+place, body)
	if err != nil {
		f.t.Fatal(err)
	}
	request.ContentLength = int64(len(content))
	request.Header.Set("Content-Type", "application/octet-stream")
	answered := make(chan error, 1)
	go func() {
		response, err := f.http.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				err = fmt.Errorf("the slow upload was answered with %d", response.StatusCode)
			}
		}
		answered <- err
	}()
	if _, err := rest.Write(content[:len(content)/2]); err != nil {
		f.t.Fatal(err)
	}
	limit := time.Now().Add(flamencoPatience)
	for status := ""; status != "uploading"; {
		var file struct{ Status string }
		if f.ask(place, &file); time.Now().After(limit) {
			f.t.Fatalf("a file that is on its way is %q", file.Status)
		}
		status = file.Status
	}
	return func() {
		_, err := rest.Write(content[len(content)/2:])
		if err = errors.Join(err, rest.Close(), <-answered); err != nil {
			f.fault("%v", err)
		}
	}
}

// TestFlamencoWorkerObeys cancels a job under Flamenco's worker, sends the worker to bed and up again, and lets it restart.
func TestFlamencoWorkerObeys(t *testing.T) {
	t.Parallel()
	farm := startFarm(t, "--workers", "0")
	f := newFlamenco(t, farm.url)
	w := flamencotest.NewWorker(flamencotest.WorkerConfig{
		Manager: f.url, Name: "heron", Scale: 0.02, CanRestart: true, HTTP: f.http, Fault: f.fault, Observe: func(flamencotest.Exchange) { f.tellNews() },
	})
	ctx, stop := context.WithCancel(t.Context())
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		ended <- w.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-gone
	})
	endless := flamencotest.Submission{
		Name: "endless", JobType: "echo-sleep-test", Settings: map[string]any{"message": "hello", "sleep_duration_seconds": 100_000, "sleep_repeats": 1},
	}
	first := f.submit(endless)
	f.await("the task runs", func() bool { return len(w.Tally().Assigned) == 2 })
	f.tell("/jobs/"+first.ID+"/setstatus", `{"status":"cancel-requested","reason":"not needed"}`)
	f.await("the worker gave the task up", func() bool { return len(w.Tally().GivenUp) == 1 })
	f.await("the job is canceled", func() bool { return f.job(first.ID).Status == "canceled" })

	status := func(want string) func() bool {
		return func() bool {
			var known struct{ Status string }
			f.ask("/worker-mgt/workers/"+w.ID(), &known)
			return known.Status == want
		}
	}
	request := "/worker-mgt/workers/" + w.ID() + "/setstatus"
	second := f.submit(endless)
	f.await("the second job's task runs", func() bool { return len(w.Tally().Assigned) == 4 })
	f.tell(request, `{"status":"asleep","is_lazy":false}`)
	f.await("the worker sleeps", status("asleep"))
	f.tell(request, `{"status":"awake","is_lazy":false}`)
	f.await("the worker has the task again", func() bool { return len(w.Tally().Assigned) == 5 })
	f.tell(request, `{"status":"restart","is_lazy":true}`)
	f.tell("/jobs/"+second.ID+"/setstatus", `{"status":"cancel-requested","reason":"not needed either"}`)
	f.await("the worker is gone", func() bool { return status("offline")() })
	if err := <-ended; !errors.Is(err, flamencotest.ErrRestart) {
		t.Errorf("the worker ended with %v", err)
	}
	if tally := w.Tally(); len(tally.GivenUp) != 3 || tally.Registrations != 1 || len(tally.Completed) != 2 {
		t.Errorf("tally %+v", tally)
	}
}

// tell posts JSON and wants 204.
func (f *flamenco) tell(path, body string) {
	f.t.Helper()
	response, err := f.http.Post(f.url+"/api/v3"+path, "application/json", strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		f.t.Fatalf("%s %s: %d", path, body, response.StatusCode)
	}
}

// TestFlamencoRefusals holds that the add-on gets to show why a job was not taken.
func TestFlamencoRefusals(t *testing.T) {
	t.Parallel()
	farm := startFarm(t, "--workers", "0")
	f := newFlamenco(t, farm.url)
	sane := flamencotest.Submission{Name: "shot", JobType: "echo-sleep-test", Settings: map[string]any{"message": "hello"}}
	old := sane
	old.Etag = "0123456789abcdef0123456789abcdef01234567"
	if _, err := f.addon.Submit(t.Context(), old); !errors.Is(err, flamencotest.ErrOutdated) {
		t.Errorf("an old job type: %v", err)
	}
	for name, settings := range map[string]map[string]any{
		"a number for text": {"message": 7},
		"a negative number": {"message": "hello", "sleep_repeats": -1},
	} {
		wrong := sane
		wrong.Settings = settings
		var refused *flamencotest.RefusedError
		if _, err := f.addon.Submit(t.Context(), wrong); !errors.As(err, &refused) || refused.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	frames := flamencotest.Submission{Name: "shot", JobType: "simple-blender-render", Settings: sceneSettings("shot", "ten")}
	frames.Settings["blendfile"] = "/shot.blend"
	var refused *flamencotest.RefusedError
	if _, err := f.addon.Submit(t.Context(), frames); !errors.As(err, &refused) || !strings.Contains(refused.Message, "ten") {
		t.Errorf("frames in words: %v", err)
	}
	var jobs struct{ Jobs []any }
	if f.ask("/jobs", &jobs); len(jobs.Jobs) != 0 {
		t.Errorf("refused jobs were stored: %v", jobs.Jobs)
	}
}

// TestWorkerAtFlamenco lets our worker work for Flamenco's manager: talk, sleep, render, make a video, fail, be sent to bed
// in the middle of a task, and be sent away.
func TestWorkerAtFlamenco(t *testing.T) {
	t.Parallel()
	blend := project(t, 2)
	out := filepath.Join(t.TempDir(), "frames")
	m := flamencotest.NewManager(func(format string, args ...any) { t.Errorf(format, args...) })
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	one := func(name, kind string, after []string, steps int, parameters map[string]any) string {
		return m.Add(flamencotest.TaskSpec{Type: kind, After: after, Commands: []flamencotest.Command{{Name: name, Steps: steps, Parameters: parameters}}})
	}
	echo := one("echo", "misc", nil, 0, map[string]any{"message": "hello"})
	sleep := one("sleep", "misc", []string{echo}, 0, map[string]any{"duration_in_seconds": 1})
	fails := one("exec", "misc", nil, 0, map[string]any{"exe": "sh", "args": []any{"-c", "echo no good; exit 3"}})
	render := one("blender-render", "blender", nil, 2, map[string]any{
		"exe": "blender", "exeArgs": "-b -y", "argsBefore": []any{}, "blendfile": blend,
		"args": []any{"--render-output", filepath.Join(out, "######"), "--render-format", "PNG", "--render-frame", "1..2"},
	})
	video := one("frames-to-video", "ffmpeg", []string{render}, 0, map[string]any{
		"exe": "ffmpeg", "fps": 24, "inputGlob": filepath.Join(out, "*.png"), "outputFile": filepath.Join(out, "scene-1-2.mp4"),
		"args": []any{"-c:v", "h264", "-crf", "20", "-pix_fmt", "yuv420p", "-y"},
	})
	endless := one("sleep", "misc", []string{video}, 0, map[string]any{"duration_in_seconds": 100000})
	ended := startOurWorker(t, server.URL)
	for id, want := range map[string]string{echo: "completed", sleep: "completed", fails: "failed", render: "completed", video: "completed"} {
		awaitFlamenco(t, m, "a task ended", func() bool { s := m.Task(id).Status; return s == "completed" || s == "failed" })
		if got := m.Task(id); got.Status != want {
			t.Errorf("a task that should be %s is %+v", want, got)
		}
	}
	if got := m.Task(echo); !strings.Contains(got.Log, "hello") || got.Steps != 1 {
		t.Errorf("the talking task is %+v", got)
	}
	if got := m.Task(render); got.Steps != 2 || got.Images == 0 || !strings.Contains(got.Log, "Saved: ") {
		t.Errorf("the rendering task is %+v", got)
	}
	checkFrames(t, out, renderAlone(t, blend, 2))
	sendAway(t, m, endless)
	if code := <-ended; code != 0 {
		t.Errorf("the worker ended with exit code %d", code)
	}
	if registered := m.Workers(); registered != 1 {
		t.Errorf("the worker registered %d times", registered)
	}
}

// checkFrames finds the frames and one video in a folder.
func checkFrames(t *testing.T, dir string, want []picture) {
	t.Helper()
	for i, picture := range want {
		if decode(t, filepath.Join(dir, frameName(i+1))) != picture {
			t.Errorf("frame %d is not the picture that Blender renders alone", i+1)
		}
	}
	if files := filesIn(t, dir); len(files) != len(want)+1 {
		t.Errorf("the output folder holds %q", files)
	}
}

// sendAway sends the worker to bed in the middle of a task, and then away.
func sendAway(t *testing.T, m *flamencotest.Manager, endless string) {
	t.Helper()
	awaitFlamenco(t, m, "the endless task runs", func() bool { return m.Task(endless).Updates > 0 })
	m.Request("heron", "asleep", false)
	awaitFlamenco(t, m, "the worker sleeps", func() bool { status, _ := m.WorkerStatus("heron"); return status == "asleep" })
	if got := m.Task(endless); got.Status != "queued" {
		t.Errorf("the task of a worker that sleeps is %+v", got)
	}
	m.Request("heron", "offline", false)
	awaitFlamenco(t, m, "the worker went", func() bool { status, _ := m.WorkerStatus("heron"); return status == "offline" })
}

// startOurWorker runs a `hayloft worker` and gives its exit code when it ends.
func startOurWorker(t *testing.T, manager string) <-chan int {
	t.Helper()
	data := filepath.Join(t.TempDir(), "worker")
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	log, ended, code := &logBuffer{}, make(chan struct{}), make(chan int, 1)
	go func() {
		defer close(ended)
		code <- run(ctx, cli.Environment{
			Args:   []string{"worker", "--manager", manager, "--data", data, "--name", "heron"},
			Stdout: log, Stderr: log, Getenv: func(string) string { return "" },
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("the worker's log:\n%s", log.text())
		}
	})
	return code
}

func awaitFlamenco(t *testing.T, m *flamencotest.Manager, what string, holds func() bool) {
	t.Helper()
	limit := time.After(flamencoPatience)
	for {
		changed := m.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("it never came to this: %s\n%s", what, m)
		}
	}
}
