package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hayloft/api/flamencotest"
)

// chatter is a job type of many small tasks.
const chatter = `const JOB_TYPE = { label: "Chatter", settings: [
	{ key: "tasks", type: "int32", required: true }, { key: "seconds", type: "int32", default: 0 } ] };
function compileJob(job) {
	for (let i = 0; i < job.settings.tasks; i++) {
		const task = author.Task("say-" + i, "misc");
		task.addCommand(author.Command("echo", { message: "this is task " + i + "." }));
		if (job.settings.seconds) task.addCommand(author.Command("sleep", { duration_in_seconds: job.settings.seconds }));
		job.addTask(task);
	}
}`

// managerProcess is a `hayloft manager` of its own that can be killed and started again at the same address.
type managerProcess struct {
	t    *testing.T
	args []string
	url  string
	cmd  *exec.Cmd
	log  bytes.Buffer // read it only when the process has ended
}

func newManagerProcess(t *testing.T, args ...string) *managerProcess {
	t.Helper()
	types := filepath.Join(t.TempDir(), "types")
	if err := os.Mkdir(types, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(types, "chatter.js"), []byte(chatter), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &managerProcess{t: t, args: append([]string{"manager", "--data", filepath.Join(t.TempDir(), "data"), "--job-types", types}, args...)}
	t.Cleanup(func() {
		m.kill()
		if text := m.log.String(); t.Failed() || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
			t.Errorf("the manager's log ends:\n%s", text[max(0, len(text)-5000):])
		}
	})
	m.start("127.0.0.1:0")
	return m
}

func (m *managerProcess) start(address string) {
	m.t.Helper()
	m.cmd = exec.Command("hayloft", append(slices.Clone(m.args), "--listen", address)...)
	m.cmd.Stderr = &m.log
	stdout, err := m.cmd.StdoutPipe()
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || !addressLine.MatchString(lines.Text()) {
		m.t.Fatalf("the manager gave no address but %q", lines.Text())
	}
	m.url = addressLine.FindStringSubmatch(lines.Text())[1]
}

// kill gives the manager no time for anything.
func (m *managerProcess) kill() {
	_ = m.cmd.Process.Kill() // it may have ended before
	_ = m.cmd.Wait()         // killed is how it should end
}

// interrupt lets the manager end as it wants to.
func (m *managerProcess) interrupt() {
	m.t.Helper()
	if err := errors.Join(m.cmd.Process.Signal(os.Interrupt), m.cmd.Wait()); err != nil {
		m.t.Errorf("the interrupted manager ended badly: %v", err)
	}
}

func (m *managerProcess) startAgain() {
	m.t.Helper()
	m.start(strings.TrimPrefix(m.url, "http://"))
}

// memory gives the resident memory of the manager in MiB.
func (m *managerProcess) memory() int {
	m.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		m.t.Fatal(err)
	}
	return kilobytes >> 10
}

// stopwatch collects how long one kind of request took.
type stopwatch struct {
	mu    sync.Mutex
	times []time.Duration
}

func (s *stopwatch) observe(e flamencotest.Exchange) {
	if e.Method == http.MethodPost && e.Path == "/worker/task" && e.Status != 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.times = append(s.times, e.Took)
	}
}

func (s *stopwatch) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.times)
	at := func(share float64) time.Duration {
		return s.times[min(len(s.times)-1, int(share*float64(len(s.times))))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d requests, p50 %v, p99 %v, longest %v", len(s.times), at(0.5), at(0.99), at(1))
}

// soakVariable makes the load last two minutes instead of ten seconds.
const soakVariable = "HAYLOFT_SOAK"

// TestFiveHundredWorkers lets 500 of Flamenco's workers, at their own pace, work off more tasks than they can at once. No
// answer may be wrong, no update may be lost, and every task is done once. How long the manager took to hand out a task,
// and its memory, are printed.
func TestFiveHundredWorkers(t *testing.T) {
	const workers, perSecond = 500, 105 // at their pace they take 100 tasks a second
	lasts := 10 * time.Second
	if os.Getenv(soakVariable) != "" {
		lasts = 2 * time.Minute
	}
	m := newManagerProcess(t)
	f := newFlamenco(t, m.url)
	tasks := int(lasts.Seconds()) * perSecond
	watch := &stopwatch{}
	fresh := m.memory()
	crew, stop := f.crew(workers, 1, watch.observe)
	f.await("all workers signed on", func() bool {
		return !slices.ContainsFunc(crew, func(w *flamencotest.Worker) bool { return w.Tally().SignOns == 0 })
	})
	job := f.submit(flamencotest.Submission{Name: "chatter", JobType: "chatter", Settings: map[string]any{"tasks": tasks}})
	began := time.Now()
	early := m.memory()
	f.await("all tasks are done", func() bool { return completions(crew) >= tasks })
	t.Logf("%d tasks by %d workers in %v; POST /worker/task: %v; manager's memory: %d MiB alone, %d MiB with all workers, %d MiB at the end",
		tasks, workers, time.Since(began).Round(time.Millisecond), watch, fresh, early, m.memory())
	f.finish(job.ID)
	f.checkOnce(crew, job.ID, tasks)
	stop()
}

func completions(crew []*flamencotest.Worker) int {
	sum := 0
	for _, w := range crew {
		sum += w.Done()
	}
	return sum
}

// checkOnce wants every task done by one worker in one go, and all that was told of it in the manager's books.
func (f *flamenco) checkOnce(crew []*flamencotest.Worker, job string, tasks int) {
	f.t.Helper()
	done := map[string]int{}
	for _, w := range crew {
		tally := w.Tally()
		if tally.Registrations != 1 || tally.SignOns != 1 || len(tally.Failed)+len(tally.GivenUp)+tally.Refusals+tally.Outages > 0 ||
			!slices.Equal(tally.Assigned, tally.Completed) {
			f.t.Errorf("worker %s: %+v", w.ID(), tally)
		}
		for _, id := range tally.Completed {
			done[id]++
		}
	}
	for id, times := range done {
		if times != 1 {
			f.t.Errorf("task %s was done %d times", id, times)
		}
	}
	f.checkBooks(job, tasks, func(id, log string, spoken int) {
		if done[id] != 1 || spoken != 1 {
			f.t.Errorf("task %s was done %d times and spoke %d times:\n%s", id, done[id], spoken, log)
		}
	})
}

// checkBooks finds all tasks of a chatter job completed, and gives each one's log with how often it holds the task's words.
func (f *flamenco) checkBooks(job string, tasks int, check func(id, log string, spoken int)) {
	f.t.Helper()
	var listed struct {
		Tasks []struct {
			ID, Name, Status string
			Completed        int `json:"steps_completed"`
			Total            int `json:"steps_total"`
		}
	}
	f.ask("/jobs/"+job+"/tasks", &listed)
	if len(listed.Tasks) != tasks {
		f.t.Fatalf("the manager lists %d tasks of %d", len(listed.Tasks), tasks)
	}
	for _, task := range listed.Tasks {
		if task.Status != "completed" || task.Completed != task.Total {
			f.t.Errorf("task %+v", task)
		}
		log := f.logOf(task.ID)
		words := "this is task " + strings.TrimPrefix(task.Name, "say-") + "."
		check(task.ID, log, strings.Count(log, words))
	}
}

func (f *flamenco) logOf(task string) string {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.url+"/api/v3/tasks/"+task+"/logtail", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	response, err := f.http.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil || response.StatusCode != http.StatusOK {
		f.t.Fatalf("the log of task %s: %d, %v", task, response.StatusCode, err)
	}
	return text.String()
}

// TestFlamencoOutage kills the manager under Flamenco's workers, and later stops it in an orderly way. The workers buffer
// what they have to say. Nobody registers anew, who counted as gone works again, and no word is lost.
func TestFlamencoOutage(t *testing.T) {
	t.Parallel()
	const workers, tasks = 40, 200
	// At this scale a worker is silent for 7 s after a request for a task got no answer. The manager, which looks each 5 s,
	// finds it silent in between.
	m := newManagerProcess(t, "--worker-timeout", "4s")
	f := newFlamenco(t, m.url)
	var unanswered atomic.Int64
	crew, stop := f.crew(workers, 0.12, func(e flamencotest.Exchange) {
		if e.Path == "/worker/task" && e.Status == 0 {
			unanswered.Add(1)
		}
	})
	job := f.submit(flamencotest.Submission{Name: "chatter", JobType: "chatter", Settings: map[string]any{"tasks": tasks, "seconds": 1}})
	for _, outage := range []struct {
		done int
		end  func()
	}{{tasks / 4, m.kill}, {tasks / 2, m.interrupt}} {
		f.await("a part is done", func() bool { return completions(crew) >= outage.done })
		outage.end()
		before := unanswered.Load()
		f.await("some workers asked in vain for a task", func() bool { return unanswered.Load() >= before+5 })
		m.startAgain()
	}
	f.finish(job.ID)
	f.checkBooks(job.ID, tasks, func(id, log string, spoken int) {
		if spoken == 0 {
			t.Errorf("task %s never spoke:\n%s", id, log)
		}
	})
	for _, w := range crew {
		if tally := w.Tally(); tally.Registrations != 1 || len(tally.Failed) > 0 {
			t.Errorf("worker %s: %+v", w.ID(), tally)
		}
	}
	f.await("every worker is awake", func() bool {
		var all struct {
			Workers []struct{ ID, Name, Status string }
		}
		f.ask("/worker-mgt/workers", &all)
		if len(all.Workers) != workers {
			t.Fatalf("the manager knows %d workers of %d", len(all.Workers), workers)
		}
		awake := 0
		for _, w := range all.Workers {
			if w.Status == "awake" {
				awake++
			}
		}
		return awake == workers
	})
	stop()
	m.kill()
	if !strings.Contains(m.log.String(), "worker is silent") {
		t.Error("the manager missed nobody, so nobody had to come back from error")
	}
	f.checkStartWithoutManager(m, crew[0])
}

// checkStartWithoutManager starts a worker that the manager knows while the manager is away. It waits, and signs on as who
// it is.
func (f *flamenco) checkStartWithoutManager(m *managerProcess, w *flamencotest.Worker) {
	f.t.Helper()
	before := w.Tally()
	ctx, stop := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	f.await("the worker noticed that the manager is away", func() bool { return w.Tally().Outages > before.Outages })
	m.startAgain()
	f.await("the worker signed on", func() bool { return w.Tally().SignOns == 2 })
	stop()
	if err := <-ended; err != nil || w.Tally().Registrations != 1 {
		f.t.Errorf("the worker ended with %v: %+v", err, w.Tally())
	}
}
