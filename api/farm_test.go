package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"hayloft/api"
	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/checkout"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
	"hayloft/scheduler/store"
	"hayloft/scheduler/variables"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// farm is a whole manager on folders of its own: the real scheduler, database, store and checkouts behind real HTTP.
type farm struct {
	t         testing.TB
	url       string
	storage   string
	database  *store.SQLite
	scheduler *scheduler.Scheduler
	blobs     *disk.Store
	inflight  *cas.Inflight
	intake    *intake.Intake
	http      *http.Client
	stop      func() // ends the background work and waits for it
}

type farmOption func(*api.Config)

func newFarm(t testing.TB, options ...farmOption) *farm {
	t.Helper()
	dir := t.TempDir()
	storage := filepath.Join(dir, "shared")
	must(t, os.MkdirAll(filepath.Join(storage, "output"), 0o755))
	blobs := try(disk.Open(filepath.Join(storage, "blobs")))(t)
	database := try(store.OpenSQLite(t.Context(), filepath.Join(dir, "farm.sqlite"), store.Options{}))(t)
	sched := scheduler.New(database, scheduler.Options{})
	received := intake.New(blobs, intake.Config{})
	cutter := intake.NewCutter(blobs, func(blob cas.Blob, err error) { t.Errorf("cut %v: %v", blob, err) })
	config := api.Config{
		Recipes: blobs, Intake: received, Cutter: cutter,
		Scheduler: sched, JobTypes: try(jobtype.Load(jobtype.Options{Scripts: testScripts}))(t), Variables: variables.Defaults(),
		Blobs: blobs, Refs: blobs, Inflight: &cas.Inflight{}, Checkouts: try(checkout.New(filepath.Join(storage, "jobs"), blobs))(t),
		Page: testPage, SharedStorage: storage, JobFiles: filepath.Join(dir, "job-files"),
		Name: "test farm", Version: "0.0", Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, option := range options {
		option(&config)
	}
	server := try(api.New(config))(t)
	listener := httptest.NewServer(server.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { must(t, sched.Run(ctx)) })
	running.Go(func() { must(t, server.Run(ctx)) })
	running.Go(func() { must(t, cutter.Run(ctx)) })
	f := &farm{t: t, url: listener.URL, storage: storage, database: database, scheduler: sched, blobs: blobs, inflight: config.Inflight,
		intake: received}
	f.http = &http.Client{Transport: &contractTransport{t: t, next: listener.Client().Transport, router: contractRouter(t)}}
	f.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	var receiving sync.WaitGroup
	end, endIntake := context.WithCancel(context.Background())
	receiving.Go(func() { must(t, received.Run(end)) })
	t.Cleanup(func() {
		f.stop()
		f.http.CloseIdleConnections()
		listener.Client().CloseIdleConnections()
		listener.Close()
		endIntake()
		receiving.Wait()
		must(t, database.Close())
		must(t, blobs.Close())
	})
	return f
}

// testScripts are job types that misbehave, beside the built-in ones.
var testScripts = fstest.MapFS{
	"throws.js": {Data: []byte(`const JOB_TYPE = {label: "Throws", settings: []};
function compileJob(job) { throw new Error("this job type always throws"); }`)},
}

var testPage = fstest.MapFS{
	"index.html":          {Data: []byte("<!doctype html><title>page</title>")},
	"favicon.svg":         {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)},
	"assets/main-1234.js": {Data: []byte("export {}")},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// try makes a value out of a call that may fail: try(f())(t).
func try[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return value
	}
}

var contractOnce = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("application/vnd.hayloft.frames", openapi3filter.FileBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

func contractRouter(t testing.TB) routers.Router { return try(contractOnce())(t) }

// contractTransport holds every answer that the tests see to openapi.yaml.
type contractTransport struct {
	t      testing.TB
	next   http.RoundTripper
	router routers.Router
}

func (c *contractTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		return resp, nil
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errorReader{err}))
		return resp, nil
	}
	if err := againstContract(c.router, r, resp, body); err != nil {
		c.t.Errorf("%s %s answered %d against the contract: %v", r.Method, r.URL.Path, resp.StatusCode, err)
	}
	return resp, nil
}

// againstContract tells what is wrong with an answer, if anything is. Files beside the contract are no concern of it.
func againstContract(router routers.Router, r *http.Request, resp *http.Response, body []byte) error {
	route, params, err := router.FindRoute(withoutHost(r))
	if err != nil {
		_, operation, _ := strings.Cut(r.URL.Path, "/api/v3/")
		refused := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed
		if refused || operation == "" || operation == "openapi3.json" || strings.HasPrefix(operation, "swagger-ui") {
			return nil
		}
		return err
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: len(body) == 0},
	}
	input.SetBodyBytes(body)
	return openapi3filter.ValidateResponse(r.Context(), input)
}

// TestAnswersAreHeldToTheContract makes sure that the check of all answers finds something.
func TestAnswersAreHeldToTheContract(t *testing.T) {
	r := try(http.NewRequest(http.MethodGet, "http://127.0.0.1:1/api/v3/version", nil))(t)
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}
	whole := `{"version":"3.9","shortversion":"3.9","name":"farm","git":""}`
	if err := againstContract(contractRouter(t), r, resp, []byte(whole)); err != nil {
		t.Errorf("an answer of the contract: %v", err)
	}
	if err := againstContract(contractRouter(t), r, resp, []byte(`{"version":3}`)); err == nil {
		t.Error("an answer that breaks the contract passed")
	}
	r.URL.Path = "/api/v3/nowhere"
	if err := againstContract(contractRouter(t), r, resp, []byte(whole)); err == nil {
		t.Error("an answer outside of the contract passed")
	}
}

// withoutHost is the request as the contract knows it: its server is the place where it lies.
func withoutHost(r *http.Request) *http.Request {
	bare := r.Clone(r.Context())
	bare.URL.Scheme, bare.URL.Host = "", ""
	return bare
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// do sends a request and returns the answer with its body. headers are name, value, name, value.
func (f *farm) do(method, path string, body io.Reader, headers ...string) (*http.Response, []byte) {
	f.t.Helper()
	r := try(http.NewRequestWithContext(f.t.Context(), method, f.url+path, body))(f.t)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Authorization" {
			continue
		}
	}
	resp := try(f.http.Do(r))(f.t)
	defer resp.Body.Close()
	return resp, try(io.ReadAll(resp.Body))(f.t)
}

// json sends a JSON body and wants a status; into may be nil.
func (f *farm) json(method, path string, body, into any, wantStatus int, headers ...string) {
	f.t.Helper()
	var reader io.Reader
	if body != nil {
		text := try(json.Marshal(body))(f.t)
		if raw, ok := body.(string); ok {
			text = []byte(raw)
		}
		reader = bytes.NewReader(text)
		headers = append(headers, "Content-Type", "application/json")
	}
	resp, answer := f.do(method, path, reader, headers...)
	if resp.StatusCode != wantStatus {
		f.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, wantStatus, answer)
	}
	if into != nil {
		must(f.t, json.Unmarshal(answer, into))
	}
}

func (f *farm) client() *client.Client {
	c := try(client.New(f.url, "test"))(f.t)
	f.t.Cleanup(c.Close)
	return c
}

// submit stores an echo-sleep-test job.
func (f *farm) submit(changes ...func(*wire.SubmittedJob)) wire.Job {
	f.t.Helper()
	job := wire.SubmittedJob{Name: "a job", Type: "echo-sleep-test", SubmitterPlatform: "linux",
		Settings: &wire.JobSettings{"message": "hello from {jobs}", "sleep_duration_seconds": 1, "sleep_repeats": 2}}
	for _, change := range changes {
		change(&job)
	}
	var stored wire.Job
	f.json(http.MethodPost, "/api/v3/jobs", job, &stored, http.StatusOK)
	return stored
}

const workerSecret = "secret"

// testWorker is a worker that is awake.
type testWorker struct {
	*client.WorkerCalls
	id uuid.UUID
}

func (w testWorker) signIn() []string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(w.id.String(), workerSecret)
	return []string{"Authorization", r.Header.Get("Authorization")}
}

func (f *farm) worker(wait time.Duration) testWorker { return f.workerOn("linux", wait) }

func (f *farm) workerOn(platform string, wait time.Duration) testWorker {
	f.t.Helper()
	c, ctx := f.client(), f.t.Context()
	types := []string{"blender", "ffmpeg", "misc", "file-management"}
	id := try(c.Register(ctx, wire.WorkerRegistration{Name: "w", Secret: workerSecret, Platform: platform, SupportedTaskTypes: types}))(f.t)
	w := testWorker{c.AsWorker(id, workerSecret, wait), id}
	status := try(w.SignOn(ctx, wire.WorkerSignOn{Name: "w", SupportedTaskTypes: types, SoftwareVersion: "test"}))(f.t)
	must(f.t, w.StatusChanged(ctx, status))
	return w
}
