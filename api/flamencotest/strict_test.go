package flamencotest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bend wraps a manager so that one path gets another answer than the right one.
func bend(next http.Handler, path string, status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, path) {
			next.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// TestWorkerFindsFault gives the worker one wrong answer each and wants the complaint that tells of it.
func TestWorkerFindsFault(t *testing.T) {
	const json = "application/json"
	task := `{"uuid":"0b8f9bb1-0000-4000-8000-000000000001","job":"0b8f9bb1-0000-4000-8000-000000000002","name":"n","status":"active","priority":50,` +
		`"job_priority":50,"job_type":"t","task_type":"misc","commands":[],"steps_completed":0,"steps_total":0}`
	for _, test := range []struct {
		name, path  string
		status      int
		contentType string
		body, says  string
	}{
		{"registration 201", "/register-worker", 201, json, `{}`, "a registration wants 200"},
		{"registration without id", "/register-worker", 200, json, `{"name":"heron"}`, "is missing"},
		{"sign-on 503", "/sign-on", 503, json, `{"code":503,"message":"busy"}`, "registers anew"},
		{"sign-on without type", "/sign-on", 200, "", `{"status_requested":"awake"}`, "registers anew"},
		{"sign-on to nowhere", "/sign-on", 200, json, `{"status_requested":"busy"}`, "registers anew"},
		{"state-changed 200", "/state-changed", 200, json, `{}`, "state-changed wants 204"},
		{"task 500", "/worker/task", 500, json, `{"code":500,"message":"no"}`, "must not answer 5xx"},
		{"task 403", "/worker/task", 403, json, `{"message":"no"}`, "must not be sent away"},
		{"task 202", "/worker/task", 202, json, `{}`, "wants 200, 204, 423 or 409"},
		{"task 409 without words", "/worker/task", 409, json, `{"message":"no"}`, "a refusal wants a code and a message"},
		{"task without type", "/worker/task", 200, "text/plain", task, "the task cannot be read"},
		{"task of another status", "/worker/task", 200, json, strings.Replace(task, `"active"`, `"queued"`, 1), "the task cannot be read"},
		{"task without commands", "/worker/task", 200, json, strings.Replace(task, `"commands":[],`, ``, 1), "commands is missing"},
		{"task with a number as text", "/worker/task", 200, json, strings.Replace(task, `"priority":50`, `"priority":"50"`, 1), "priority is not a whole number"},
		{"423 without type", "/worker/task", 423, "", `{"status_requested":"asleep"}`, "the status that is asked for cannot be read"},
		{"sign-off 200", "/sign-off", 200, json, `{}`, "sign-off wants 204"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			heard, complaints := make(chan struct{}), &faults{}
			m := NewManager(complaints.add)
			address, client := serve(t, bend(m, test.path, test.status, test.contentType, test.body))
			_, end := startWorker(t, WorkerConfig{Manager: address, HTTP: client, Fault: once(complaints, heard)})
			if test.path == "/sign-off" {
				await(t, m, "the worker is awake", func() bool { status, _ := m.WorkerStatus("heron"); return status == "awake" })
				_ = end()
			}
			hear(t, heard)
			_ = end()
			complaints.expect(t, test.says)
		})
	}
}

// once passes complaints on and closes heard at the first.
func once(complaints *faults, heard chan struct{}) Fault {
	var first sync.Once
	return func(format string, args ...any) {
		complaints.add(format, args...)
		first.Do(func() { close(heard) })
	}
}

func hear(t *testing.T, heard <-chan struct{}) {
	t.Helper()
	select {
	case <-heard:
	case <-time.After(patience):
		t.Fatal("there was no complaint")
	}
}

// TestUpdateAnswersAreChecked gives wrong answers to what a worker tells of its task.
func TestUpdateAnswersAreChecked(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		says   string
	}{
		{"update 500", 500, "on a log chunk anything else hangs the worker"},
		{"update 409 without type", 409, "a refusal wants a code and a message"},
		{"update 200", 200, "on a log chunk anything else hangs the worker"},
		{"update 404", 404, "on a log chunk anything else hangs the worker"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			heard, complaints := make(chan struct{}), &faults{}
			m := NewManager(complaints.add)
			id := m.Add(TaskSpec{Type: "misc", Commands: []Command{{Name: "exec", Parameters: map[string]any{"exe": "echo", "args": []any{"hi"}}}}})
			address, client := serve(t, bend(m, "/"+id, test.status, "text/plain", `{"code":1,"message":"no"}`))
			_, end := startWorker(t, WorkerConfig{Manager: address, HTTP: client, Fault: once(complaints, heard)})
			hear(t, heard)
			_ = end()
			complaints.expect(t, test.says)
		})
	}
}

// right is a manager's part that an add-on talks to, with right answers.
func right() http.Handler {
	mux := http.NewServeMux()
	for path, body := range map[string]string{
		"GET /api/v3/version":         `{"version":"3.9-beta1 (x)","shortversion":"3.9-beta1","name":"n","git":"x","more":[1]}`,
		"GET /api/v3/jobs/types":      `{"job_types":[{"name":"t","label":"T","etag":"e","settings":[{"key":"frames","type":"string","visible":"visible"}]}]}`,
		"GET /api/v3/worker-mgt/tags": `{"tags":[{"id":"0b8f9bb1-0000-4000-8000-000000000001","name":"gpu"}]}`,
		"POST /api/v3/jobs":           `{"id":"0b8f9bb1-0000-4000-8000-000000000002","created":"2026-04-01T10:00:00.123456Z","updated":"2026-04-01T10:00:00Z","name":"j","type":"t","priority":50,"submitter_platform":"","status":"queued","activity":"","steps_completed":0,"steps_total":0}`,
		"GET /api/v3/configuration/shared-storage/users/{platform}": `{"location":"/farm","audience":"users","platform":"linux","shamanEnabled":true}`,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
	}
	mux.HandleFunc("POST /api/v3/jobs/check", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

// TestAddonFindsFault gives the add-on one wrong answer each.
func TestAddonFindsFault(t *testing.T) {
	refused := &RefusedError{Message: "no frames"}
	for _, test := range []struct {
		name, path   string
		status       int
		body, says   string
		wants        error
		wantsRefusal bool
	}{
		{name: "all is well"},
		{name: "another version", path: "/version", status: 200, body: `{"version":"3.8","shortversion":"3.8","name":"n","git":"x"}`, wants: ErrVersion},
		{name: "version without git", path: "/version", status: 200, body: `{"version":"3.8","shortversion":"3.8","name":"n"}`, says: "git is missing"},
		{name: "no tags", path: "/tags", status: 200, body: `{"tags":null}`, says: "tags is not a list"},
		{name: "unknown visibility", path: "/jobs/types", status: 200, says: `"web2" is none of`,
			body: `{"job_types":[{"name":"t","label":"T","etag":"e","settings":[{"key":"k","type":"string","visible":"web2"}]}]}`},
		{name: "null for text", path: "/jobs/types", status: 200, says: "description is not text",
			body: `{"job_types":[{"name":"t","label":"T","etag":"e","description":null,"settings":[]}]}`},
		{name: "old job type", path: "/jobs/check", status: 412, body: `{"code":412,"message":"old"}`, wants: ErrOutdated},
		{name: "refused", path: "/jobs/check", status: 400, body: `{"code":400,"message":"no frames"}`, wantsRefusal: true},
		{name: "refused without a word", path: "/jobs", status: 400, body: `{"code":400}`, says: "message of a refusal"},
		{name: "job of an unknown status", path: "/jobs", status: 200, says: `"waiting" is none of`,
			body: `{"id":"0b8f9bb1-0000-4000-8000-000000000002","created":"2026-04-01T10:00:00Z","updated":"2026-04-01T10:00:00Z","name":"j","type":"t","priority":50,"submitter_platform":"","status":"waiting","activity":"","steps_completed":0,"steps_total":0}`},
		{name: "job with a fraction", path: "/jobs", status: 200, says: "priority is not a whole number",
			body: `{"id":"0b8f9bb1-0000-4000-8000-000000000002","created":"2026-04-01T10:00:00Z","updated":"2026-04-01T10:00:00Z","name":"j","type":"t","priority":50.0,"submitter_platform":"","status":"queued","activity":"","steps_completed":0,"steps_total":0}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			handler := right()
			if test.path != "" {
				handler = bend(handler, test.path, test.status, "application/json", test.body)
			}
			complaints := &faults{}
			address, client := serve(t, handler)
			addon := &Addon{Manager: address, HTTP: client, Fault: complaints.add}
			_, err := addon.Submit(t.Context(), Submission{Name: "j", JobType: "t", Settings: map[string]any{"frames": "1"}, Packing: PackingV2})
			var said *RefusedError
			switch {
			case test.wantsRefusal && (!errors.As(err, &said) || *said != *refused), test.wants != nil && !errors.Is(err, test.wants):
				t.Errorf("the submission ended with %v", err)
			case (err == nil) != (test.path == ""):
				t.Errorf("the submission ended with %v", err)
			}
			complaints.expect(t, test.says)
		})
	}
}

// TestUploadsAreDeferred plays two clients that send one file: the second puts it off until the first is through, and sends
// everything else meanwhile.
func TestUploadsAreDeferred(t *testing.T) {
	project := t.TempDir()
	for _, name := range []string{"a.blend", "größe.png"} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := hashProject(project)
	if err != nil {
		t.Fatal(err)
	}
	shelf := newShelf(files[0])
	complaints := &faults{}
	server := httptest.NewServer(shelf)
	defer server.Close()
	addon := &Addon{Manager: server.URL, HTTP: server.Client(), Fault: complaints.add, Observe: func(e Exchange) {
		if e.Status == http.StatusTooEarly {
			shelf.put(files[0].Sha) // the other client is through
		}
	}}
	sent, err := addon.upload(t.Context(), files, PackingV1)
	if err != nil || sent != 1 {
		t.Errorf("sent %d files: %v", sent, err)
	}
	if got := shelf.names[files[1].Sha]; got != "=?utf-8?b?Z3LDtsOfZS5wbmc=?=" {
		t.Errorf("the name of the file came as %q", got)
	}
	complaints.expect(t, "")
}
