package flamencotest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

const (
	maxImage = 25 << 20 // bytes of one picture
	maxBody  = 64 << 20 // bytes of one JSON body
)

// TaskSpec is a task for the workers of a simulated manager.
type TaskSpec struct {
	Name     string
	Type     string // such as misc or blender
	Commands []Command
	After    []string // ids of tasks that must be completed first
}

// Command is one command of a task.
type Command struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
	Steps      int            `json:"total_step_count"`
}

// TaskRecord is what a manager knows of a task.
type TaskRecord struct {
	Status   string
	Activity string
	Log      string
	Steps    int
	Images   int // pictures that came with output-produced
	Updates  int
}

// Manager is a simulated manager of Flamenco 3.9: the part that workers talk to. It is an http.Handler. It knows nothing of
// Prefer, of claims or of other members that Flamenco does not have.
type Manager struct {
	fault Fault
	mux   *http.ServeMux

	mu      sync.Mutex
	order   []*task
	workers map[string]*workerRecord
	changed chan struct{} // closed and made anew at each change
}

type task struct {
	id     string
	spec   TaskSpec
	steps  int
	worker string
	record TaskRecord
}

type workerRecord struct {
	name, secret, status string
	types                []string
	requested            string
	lazy                 bool
	signOns              int
}

// NewManager makes a manager without tasks and workers.
func NewManager(fault Fault) *Manager {
	m := &Manager{fault: fault, mux: http.NewServeMux(), workers: map[string]*workerRecord{}, changed: make(chan struct{})}
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request, *workerRecord, string){
		"POST /api/v3/worker/sign-on":                     m.signOn,
		"POST /api/v3/worker/sign-off":                    m.signOff,
		"GET /api/v3/worker/state":                        m.state,
		"POST /api/v3/worker/state-changed":               m.stateChanged,
		"POST /api/v3/worker/task":                        m.schedule,
		"POST /api/v3/worker/task/{task}":                 m.update,
		"GET /api/v3/worker/task/{task}/may-i-run":        m.mayRun,
		"POST /api/v3/worker/task/{task}/output-produced": m.output,
	} {
		m.mux.HandleFunc(pattern, m.signedIn(handle))
	}
	m.mux.HandleFunc("POST /api/v3/worker/register-worker", m.register)
	m.mux.HandleFunc("GET /api/v3/version", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{
			"version": AddonVersion + " (simulated)", "shortversion": AddonVersion, "name": "Simulated Flamenco", "git": "simulated",
		})
	})
	m.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
	})
	return m
}

// ServeHTTP answers one request.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// Add queues a task and returns its id.
func (m *Manager) Add(spec TaskSpec) string {
	t := &task{id: uuid.NewString(), spec: spec, record: TaskRecord{Status: "queued"}}
	t.spec.Commands = slices.Clone(spec.Commands)
	for i, c := range t.spec.Commands {
		t.steps += max(1, c.Steps)
		if c.Parameters == nil {
			t.spec.Commands[i].Parameters = map[string]any{}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.order = append(m.order, t)
	return t.id
}

// Task tells what is known of a task.
func (m *Manager) Task(id string) TaskRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.find(id); t != nil {
		return t.record
	}
	return TaskRecord{}
}

// Changed is closed at the next change of anything. Take it before looking.
func (m *Manager) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// WorkerStatus gives the status of the worker that has a name, and how often it signed on.
func (m *Manager) WorkerStatus(name string) (status string, signOns int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.workers {
		if w.name == name {
			status, signOns = w.status, signOns+w.signOns
		}
	}
	return status, signOns
}

// Workers counts the registrations.
func (m *Manager) Workers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.workers)
}

// Request asks every worker of a name to go to a status, after its task when lazy.
func (m *Manager) Request(name, status string, lazy bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.workers {
		if w.name == name {
			w.requested, w.lazy = status, lazy
		}
	}
}

// find needs the lock.
func (m *Manager) find(id string) *task {
	at := slices.IndexFunc(m.order, func(t *task) bool { return t.id == id })
	if at < 0 {
		return nil
	}
	return m.order[at]
}

// announce needs the lock.
func (m *Manager) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone misses nothing
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	reply(w, status, map[string]any{"code": status, "message": fmt.Sprintf(format, args...)})
}

// read takes a JSON body. What the original's validation would refuse is a fault of the worker.
func (m *Manager) read(w http.ResponseWriter, r *http.Request, want shape, target any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		if mediaType := r.Header.Get("Content-Type"); !strings.HasPrefix(mediaType, "application/json") {
			err = fmt.Errorf("header Content-Type has unexpected value %q", mediaType)
		} else {
			err = decode(body, want, target)
		}
	}
	if err == nil {
		return true
	}
	if r.Context().Err() == nil {
		m.fault("%s %s is no valid request: %v: %.300q", r.Method, r.URL.Path, err, body)
	}
	reply(w, http.StatusBadRequest, map[string]string{"message": "request body has an error: " + err.Error()})
	return false
}

// signedIn checks user and secret, and a task's id where the path has one.
func (m *Manager) signedIn(handle func(http.ResponseWriter, *http.Request, *workerRecord, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, secret, ok := r.BasicAuth()
		m.mu.Lock()
		caller := m.workers[user]
		m.mu.Unlock()
		switch {
		case !ok:
			m.fault("%s %s came without a sign-in", r.Method, r.URL.Path)
			reply(w, http.StatusForbidden, map[string]string{"message": "no sign-in was sent"})
			return
		case caller == nil || caller.secret != secret:
			reply(w, http.StatusForbidden, map[string]string{"message": "no such worker"})
			return
		}
		if task := r.PathValue("task"); task != "" {
			if _, err := uuid.Parse(task); err != nil {
				m.fault("%s %s: %v", r.Method, r.URL.Path, err)
				refuse(w, http.StatusBadRequest, "not a UUID")
				return
			}
		}
		handle(w, r, caller, user)
	}
}

func (m *Manager) register(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name     string   `json:"name"`
		Secret   string   `json:"secret"`
		Platform string   `json:"platform"`
		Types    []string `json:"supported_task_types"`
	}
	if !m.read(w, r, registrationShape, &body) {
		return
	}
	id := uuid.NewString()
	m.mu.Lock()
	m.workers[id] = &workerRecord{name: body.Name, secret: body.Secret, types: body.Types}
	m.announce()
	m.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"uuid": id, "name": body.Name, "address": r.RemoteAddr, "status": "", "platform": body.Platform, "software": "",
		"supported_task_types": body.Types,
	})
}

func (m *Manager) signOn(w http.ResponseWriter, r *http.Request, caller *workerRecord, _ string) {
	var body struct {
		Name  string   `json:"name"`
		Types []string `json:"supported_task_types"`
	}
	if !m.read(w, r, signOnShape, &body) {
		return
	}
	m.mu.Lock()
	caller.name, caller.types, caller.status = body.Name, body.Types, "starting"
	caller.signOns++
	next := caller.requested
	if next == "" {
		next = "awake"
	}
	m.announce()
	m.mu.Unlock()
	reply(w, http.StatusOK, map[string]string{"status_requested": next})
}

func (m *Manager) signOff(w http.ResponseWriter, _ *http.Request, caller *workerRecord, id string) {
	m.mu.Lock()
	before := caller.status
	m.enter(caller, id, "offline")
	switch {
	case caller.requested == "offline" || caller.requested == "restart":
		caller.requested = ""
	case caller.requested == "" && (before == "awake" || before == "asleep"):
		caller.requested = before
	}
	m.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// enter moves a worker to a status and takes its task away when it is not awake any more. It needs the lock.
func (m *Manager) enter(caller *workerRecord, id, status string) {
	if caller.status == "awake" && status != "awake" {
		for _, t := range m.order {
			if t.worker == id && t.record.Status == "active" {
				t.record.Status, t.record.Activity = "queued", "Task was queued by Manager because its worker went "+status
			}
		}
	}
	caller.status = status
	m.announce()
}

func (m *Manager) state(w http.ResponseWriter, _ *http.Request, caller *workerRecord, _ string) {
	m.mu.Lock()
	next := caller.requested
	m.mu.Unlock()
	if next == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	reply(w, http.StatusOK, map[string]string{"status_requested": next})
}

func (m *Manager) stateChanged(w http.ResponseWriter, r *http.Request, caller *workerRecord, id string) {
	var body struct {
		Status string `json:"status"`
	}
	if !m.read(w, r, stateChangedShape, &body) {
		return
	}
	m.mu.Lock()
	m.enter(caller, id, body.Status)
	if caller.requested == body.Status {
		caller.requested = ""
	}
	m.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// String tells the state of all tasks.
func (m *Manager) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines strings.Builder
	for _, t := range m.order {
		fmt.Fprintf(&lines, "%s %s: %+v\n", t.id, t.spec.Name, t.record)
	}
	return lines.String()
}
