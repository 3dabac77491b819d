package flamencotest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// startWorker runs a worker at a hundredth of its waits until the returned function is called, which gives its error.
func startWorker(t *testing.T, cfg WorkerConfig) (*Worker, func() error) {
	t.Helper()
	cfg.Name, cfg.Scale = "heron", 0.01
	w := NewWorker(cfg)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	end := sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	t.Cleanup(func() { _ = end() })
	return w, end
}

// TestWorkerAndManagerAgree runs the simulated worker at the simulated manager: whatever a command comes to, the manager
// hears of it, and neither finds fault with the other.
func TestWorkerAndManagerAgree(t *testing.T) {
	complaints := &faults{}
	m := NewManager(complaints.add)
	address, client := serve(t, m)
	echo := m.Add(TaskSpec{Name: "echo", Type: "misc", Commands: []Command{{Name: "echo", Parameters: map[string]any{"message": "hello"}}}})
	sleep := m.Add(TaskSpec{Name: "sleep", Type: "misc", After: []string{echo}, Commands: []Command{
		{Name: "sleep", Parameters: map[string]any{"duration_in_seconds": 0.9}},
		{Name: "exec", Parameters: map[string]any{"exe": "sh", "args": []any{"-c", `echo "$0"; echo to stderr >&2`, 7}}},
	}})
	fails := m.Add(TaskSpec{Name: "fails", Type: "misc", Commands: []Command{
		{Name: "exec", Parameters: map[string]any{"exe": "sh", "args": []any{"-c", "echo bad; exit 3"}}},
	}})
	unknown := m.Add(TaskSpec{Name: "unknown", Type: "misc", Commands: []Command{{Name: "delete-everything"}}})
	m.Add(TaskSpec{Name: "not for this worker", Type: "gardening"})
	w, end := startWorker(t, WorkerConfig{Manager: address, HTTP: client, Fault: complaints.add})
	await(t, m, "the last task ended", func() bool { return m.Task(unknown).Status == "failed" })
	if err := end(); err != nil {
		t.Error(err)
	}
	if status, signOns := m.WorkerStatus("heron"); status != "offline" || signOns != 1 {
		t.Errorf("the worker is %s and signed on %d times", status, signOns)
	}
	complaints.expect(t, "")
	got := w.Tally()
	got.Refusals, got.Outages = 0, 0
	want := Tally{
		Registrations: 1, SignOns: 1, Assigned: []string{echo, sleep, fails, unknown}, Completed: []string{echo, sleep}, Failed: []string{fails, unknown},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tally (- wanted, + there):\n%s", diff)
	}
	for id, says := range map[string][]string{
		echo:    {"echo: \"hello\"\n"},
		sleep:   {"slept 0s\n", "going to run: 'sh' '-c'", " > 7\n", " > to stderr\n"},
		fails:   {" > bad\n", "Failed: command exec: process ", "exit status 3"},
		unknown: {"unknown command: \"delete-everything\""},
	} {
		for _, words := range says {
			if log := m.Task(id).Log; !strings.Contains(log, words) {
				t.Errorf("the log does not say %q:\n%s", words, log)
			}
		}
	}
	if record := m.Task(sleep); record.Activity != "Completed" || record.Steps != 2 {
		t.Errorf("the second task ended as %+v", record)
	}
}

// TestWorkerFollowsRequests moves a worker from task to sleep to work to its end.
func TestWorkerFollowsRequests(t *testing.T) {
	complaints := &faults{}
	m := NewManager(complaints.add)
	address, client := serve(t, m)
	long := m.Add(TaskSpec{Type: "misc", Commands: []Command{{Name: "exec", Parameters: map[string]any{"exe": "sleep", "args": []any{1000}}}}})
	w, end := startWorker(t, WorkerConfig{Manager: address, HTTP: client, Fault: complaints.add})
	status := func(want string) func() bool {
		return func() bool { got, _ := m.WorkerStatus("heron"); return got == want }
	}
	await(t, m, "the task runs", func() bool { return strings.Contains(m.Task(long).Log, "going to run") })
	m.Request("heron", "asleep", false)
	await(t, m, "the worker sleeps", status("asleep"))
	if got := m.Task(long).Status; got != "queued" {
		t.Errorf("the task of a worker that sleeps is %s", got)
	}
	m.Request("heron", "awake", false)
	await(t, m, "the task runs again", func() bool { return m.Task(long).Status == "active" })
	m.Request("heron", "restart", false)
	await(t, m, "the worker went", status("offline"))
	if err := end(); !errors.Is(err, ErrRestart) {
		t.Errorf("the worker ended with %v", err)
	}
	if tally := w.Tally(); len(tally.GivenUp) != 2 || tally.Registrations != 1 {
		t.Errorf("tally %+v", tally)
	}
	complaints.expect(t, "")
}

// cutting breaks the connection of requests while it is told to.
type cutting struct {
	next http.Handler
	mu   sync.Mutex
	cut  func(*http.Request) bool
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	cut := c.cut(r)
	c.mu.Unlock()
	if !cut {
		c.next.ServeHTTP(w, r)
		return
	}
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		err = connection.(*net.TCPConn).SetLinger(0)
		_ = connection.Close()
	}
	if err != nil {
		panic(err)
	}
}

// TestWorkerKeepsWhatItCannotSend cuts the connection in the middle of a task: every update arrives later, once, in order.
func TestWorkerKeepsWhatItCannotSend(t *testing.T) {
	complaints := &faults{}
	m := NewManager(complaints.add)
	lost := 0
	wire := &cutting{next: m, cut: func(r *http.Request) bool {
		begun := lost > 0 || strings.HasPrefix(r.URL.Path, "/api/v3/worker/task/")
		if begun {
			lost++
		}
		return begun && lost <= 2 // the first update, and the request for the next task
	}}
	address, client := serve(t, wire)
	id := m.Add(TaskSpec{Type: "misc", Commands: []Command{
		{Name: "echo", Parameters: map[string]any{"message": "one"}}, {Name: "echo", Parameters: map[string]any{"message": "two"}},
	}})
	w, end := startWorker(t, WorkerConfig{Manager: address, HTTP: client, Fault: complaints.add})
	await(t, m, "the task completed", func() bool { return m.Task(id).Status == "completed" })
	if err := end(); err != nil {
		t.Error(err)
	}
	complaints.expect(t, "")
	if got := m.Task(id); got.Log != "echo: \"one\"\necho: \"two\"\n" || got.Steps != 2 {
		t.Errorf("the manager knows %+v", got)
	}
	if tally := w.Tally(); tally.Outages != 2 || len(tally.Completed) != 1 || tally.SignOns != 1 {
		t.Errorf("tally %+v", tally)
	}
}
