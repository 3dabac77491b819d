package worker

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// awaitLimit ends a test whose event never comes.
const awaitLimit = 60 * time.Second

// testManager speaks the worker part of the protocol on a real socket. It can go away and come back at its address.
type testManager struct {
	t    *testing.T
	addr string
	srv  *http.Server
	down chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	holds   bool // holds requests as asked

	blender  string            // the variable; empty: the manager has no variables
	workers  map[string]string // id to secret
	signOns  []wire.WorkerSignOn
	states   []wire.WorkerStatus
	signOffs int
	wish     wire.WorkerStatus // pending status request

	queue     []wire.AssignedTask
	claims    []time.Time
	updates   []received
	seen      map[string]bool
	repeats   int
	withdrawn map[uuid.UUID]wire.MayKeepRunning
	previews  [][]byte
	intercept func(r *http.Request) int // a status to answer with, or 0
}

type received struct {
	wire.TaskUpdate
	task uuid.UUID
	at   time.Time
}

func newTestManager(t *testing.T) *testManager {
	m := &testManager{t: t, changed: make(chan struct{}), holds: true, workers: map[string]string{}, seen: map[string]bool{},
		withdrawn: map[uuid.UUID]wire.MayKeepRunning{}, addr: "127.0.0.1:0"}
	m.open()
	t.Cleanup(m.close)
	return m
}

func (m *testManager) url() string { return "http://" + m.addr }

func (m *testManager) open() {
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		m.t.Fatal(err)
	}
	m.addr = l.Addr().String()
	m.srv, m.down = &http.Server{Handler: m.routes()}, make(chan struct{})
	go func(srv *http.Server, down chan struct{}) {
		defer close(down)
		srv.Serve(l)
	}(m.srv, m.down)
}

func (m *testManager) close() {
	m.srv.Close()
	<-m.down
}

// change alters the state and wakes everything that waits for it.
func (m *testManager) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

// await returns when the condition holds. It is evaluated under the lock.
func (m *testManager) await(what string, cond func() bool) {
	m.t.Helper()
	limit := time.After(awaitLimit)
	for {
		m.mu.Lock()
		ok, changed := cond(), m.changed
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			m.t.Fatalf("waited in vain until %s; log:\n%s", what, m.logs())
		}
	}
}

func (m *testManager) enqueue(tasks ...wire.AssignedTask) {
	m.change(func() { m.queue = append(m.queue, tasks...) })
}

// status gives the last status of a task; the caller holds the lock.
func (m *testManager) status(task uuid.UUID) (status wire.TaskStatus) {
	for _, u := range m.updates {
		if u.task == task && u.TaskStatus != nil {
			status = *u.TaskStatus
		}
	}
	return status
}

func (m *testManager) awaitStatus(task uuid.UUID, want wire.TaskStatus) {
	m.t.Helper()
	m.await(fmt.Sprintf("task %s is %s", task, want), func() bool { return m.status(task) == want })
}

func (m *testManager) logs() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.logText()
}

func (m *testManager) logText() string {
	var b strings.Builder
	for _, u := range m.updates {
		if u.Log != nil {
			b.WriteString(*u.Log)
		}
	}
	return b.String()
}

func (m *testManager) outputs() map[string]wire.ProducedOutput {
	m.mu.Lock()
	defer m.mu.Unlock()
	outputs := map[string]wire.ProducedOutput{}
	for _, u := range m.updates {
		if u.Outputs != nil {
			for _, o := range *u.Outputs {
				outputs[o.Path] = o
			}
		}
	}
	return outputs
}

func (m *testManager) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v3/worker/register-worker", m.register)
	mux.HandleFunc("POST /api/v3/worker/sign-on", m.authentic(m.signOn))
	mux.HandleFunc("POST /api/v3/worker/sign-off", m.authentic(func(w http.ResponseWriter, _ *http.Request) {
		m.change(func() { m.signOffs++ })
		w.WriteHeader(http.StatusNoContent)
	}))
	mux.HandleFunc("GET /api/v3/worker/state", m.authentic(m.state))
	mux.HandleFunc("POST /api/v3/worker/state-changed", m.authentic(m.stateChanged))
	mux.HandleFunc("POST /api/v3/worker/task", m.authentic(m.claim))
	mux.HandleFunc("POST /api/v3/worker/task/{id}", m.authentic(m.update))
	mux.HandleFunc("GET /api/v3/worker/task/{id}/may-i-run", m.authentic(m.mayRun))
	mux.HandleFunc("POST /api/v3/worker/task/{id}/output-produced", m.authentic(m.preview))
	mux.HandleFunc("GET /api/v3/configuration/variables/workers/{platform}", m.variables)
	return mux
}

func (m *testManager) variables(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blender == "" {
		reply(w, http.StatusNotFound, wire.Error{Message: "no such page"})
		return
	}
	reply(w, http.StatusOK, map[string]wire.ManagerVariable{"blender": {Value: m.blender}})
}

func (m *testManager) authentic(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		m.mu.Lock()
		known := secret != "" && m.workers[id] == secret
		intercept := m.intercept
		m.mu.Unlock()
		if !known {
			reply(w, http.StatusForbidden, map[string]string{"message": "no such worker known"})
			return
		}
		if intercept != nil {
			if status := intercept(r); status != 0 {
				reply(w, status, wire.Error{Message: "intercepted"})
				return
			}
		}
		next(w, r)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// hold waits until an answer is there, as long as the request allows, and says so in the answer.
func (m *testManager) hold(w http.ResponseWriter, r *http.Request, answer func() bool) bool {
	m.mu.Lock()
	holds := m.holds
	m.mu.Unlock()
	var seconds int
	fmt.Sscanf(r.Header.Get("Prefer"), "wait=%d", &seconds)
	if !holds {
		seconds = 0
	}
	if seconds > 0 {
		w.Header().Set("Preference-Applied", r.Header.Get("Prefer"))
	}
	limit := time.After(time.Duration(seconds) * time.Second)
	for {
		m.mu.Lock()
		ok, changed := answer(), m.changed
		m.mu.Unlock()
		if ok || seconds == 0 {
			return ok
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return false
		case <-limit:
			return false
		}
	}
}

func (m *testManager) register(w http.ResponseWriter, r *http.Request) {
	var form wire.WorkerRegistration
	json.NewDecoder(r.Body).Decode(&form)
	id := uuid.New()
	m.change(func() { m.workers[id.String()] = form.Secret })
	reply(w, http.StatusOK, wire.RegisteredWorker{Uuid: id, Name: form.Name, Platform: form.Platform, SupportedTaskTypes: form.SupportedTaskTypes})
}

func (m *testManager) signOn(w http.ResponseWriter, r *http.Request) {
	var form wire.WorkerSignOn
	json.NewDecoder(r.Body).Decode(&form)
	state := wire.WorkerStatusAwake
	m.change(func() {
		m.signOns = append(m.signOns, form)
		if m.wish != "" {
			state = m.wish
		}
	})
	reply(w, http.StatusOK, wire.WorkerStateChange{StatusRequested: state})
}

func (m *testManager) state(w http.ResponseWriter, r *http.Request) {
	var wish wire.WorkerStatus
	if m.hold(w, r, func() bool { wish = m.wish; return wish != "" }) {
		reply(w, http.StatusOK, wire.WorkerStateChange{StatusRequested: wish})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (m *testManager) stateChanged(w http.ResponseWriter, r *http.Request) {
	var form wire.WorkerStateChanged
	json.NewDecoder(r.Body).Decode(&form)
	m.change(func() {
		m.states = append(m.states, form.Status)
		if m.wish == form.Status {
			m.wish = ""
		}
	})
	w.WriteHeader(http.StatusNoContent)
}

func (m *testManager) claim(w http.ResponseWriter, r *http.Request) {
	var task *wire.AssignedTask
	var wish wire.WorkerStatus
	m.change(func() { m.claims = append(m.claims, time.Now()) })
	m.hold(w, r, func() bool {
		if wish = m.wish; wish == "" && len(m.queue) > 0 && r.Context().Err() == nil {
			task, m.queue = &m.queue[0], m.queue[1:]
		}
		return wish != "" || task != nil
	})
	switch {
	case wish != "":
		reply(w, http.StatusLocked, wire.WorkerStateChange{StatusRequested: wish})
	case task != nil:
		reply(w, http.StatusOK, task)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (m *testManager) update(w http.ResponseWriter, r *http.Request) {
	var u wire.TaskUpdate
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
		reply(w, http.StatusBadRequest, wire.Error{Message: err.Error()})
		return
	}
	id := uuid.MustParse(r.PathValue("id"))
	m.change(func() {
		key := fmt.Sprint(id, *u.Claim, *u.Seq)
		if m.seen[key] {
			m.repeats++
			return
		}
		m.seen[key] = true
		m.updates = append(m.updates, received{TaskUpdate: u, task: id, at: time.Now()})
	})
	w.WriteHeader(http.StatusNoContent)
}

func (m *testManager) mayRun(w http.ResponseWriter, r *http.Request) {
	id := uuid.MustParse(r.PathValue("id"))
	var v wire.MayKeepRunning
	if !m.hold(w, r, func() (no bool) { v, no = m.withdrawn[id]; return no }) {
		v = wire.MayKeepRunning{MayKeepRunning: true}
	}
	reply(w, http.StatusOK, v)
}

func (m *testManager) preview(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.change(func() { m.previews = append(m.previews, body) })
	w.WriteHeader(http.StatusAccepted)
}
