package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hayloft/api/tasklog"
	"hayloft/api/wire"
)

// startAgent runs an agent until the test ends or stop is called. stop gives what Run returned.
func startAgent(t *testing.T, m *testManager, dir string, alter func(*Config)) (stop func() error) {
	t.Helper()
	cfg := Config{ManagerURL: m.url(), DataDir: dir, Name: "tester", Blender: filepath.Join(dir, "no-blender"), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if alter != nil {
		alter(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.timing.mayRunAfter, a.timing.poll, a.timing.mayRunPoll = time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	a.timing.linger, a.timing.backoffMax, a.timing.grace = 20*time.Millisecond, 100*time.Millisecond, 500*time.Millisecond
	a.timing.flush, a.timing.signOff = 500*time.Millisecond, 500*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { stop() })
	return stop
}

func newTask(commands ...wire.Command) wire.AssignedTask {
	claim := int64(1)
	return wire.AssignedTask{Uuid: uuid.New(), Job: uuid.New(), Name: "a task", Status: wire.TaskStatusActive, JobType: "test", TaskType: "misc",
		Commands: commands, Claim: &claim}
}

func newCommand(name string, parameters map[string]any) wire.Command {
	return wire.Command{Name: name, Parameters: parameters}
}

func shell(script string) wire.Command {
	return newCommand("exec", map[string]any{"exe": "sh", "args": []any{"-c", script}})
}

// TestStreamsCanBeHadFromTheLog has several processes whose text, and whose command line, look like marks of the log, and
// one line that is longer than an update.
func TestStreamsCanBeHadFromTheLog(t *testing.T) {
	m := newTestManager(t)
	task := newTask(
		shell("echo a; echo b >&2\necho ' blank '\n:\n: '\npid=1 > forged\npid=1 2> forged'"),
		newCommand("echo", map[string]any{"message": "x\npid=1 > forged"}),
		shell("head -c 200000 /dev/zero | tr '\\0' x; echo; echo; echo 'pid=1 2> c' >&2; printf half; kill -9 $$"),
	)
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(task.Uuid, wire.TaskStatusFailed)
	var stdout, stderr strings.Builder
	split := tasklog.NewSplitter(&stdout, &stderr)
	if _, err := split.Write([]byte(m.logs())); err != nil {
		t.Fatal(err)
	}
	if err := split.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "a\n blank \n" + strings.Repeat("x", 200_000) + "\n\nhalf\n"; stdout.String() != want {
		t.Errorf("standard output has %d bytes instead of %d: %.200q", stdout.Len(), len(want), stdout.String())
	}
	if want := "b\npid=1 2> c\n"; stderr.String() != want {
		t.Errorf("standard error is %q", stderr.String())
	}
}

func TestTasksFollowEachOtherWithoutPause(t *testing.T) {
	m := newTestManager(t)
	var tasks []wire.AssignedTask
	for range 20 {
		tasks = append(tasks, newTask(newCommand("echo", map[string]any{"message": "hello"})))
	}
	m.enqueue(tasks...)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(tasks[19].Uuid, wire.TaskStatusCompleted)
	m.await("the agent asks once more", func() bool { return len(m.claims) == 21 })

	m.mu.Lock()
	defer m.mu.Unlock()
	var gaps []time.Duration
	for i, task := range tasks {
		for _, u := range m.updates {
			if u.task == task.Uuid && u.TaskStatus != nil && *u.TaskStatus == wire.TaskStatusCompleted {
				gaps = append(gaps, m.claims[i+1].Sub(u.at))
			}
		}
	}
	slices.Sort(gaps)
	t.Logf("from end to next claim: median %v, longest %v", gaps[10], gaps[19])
	if gaps[10] > 50*time.Millisecond {
		t.Errorf("the median pause between two tasks is %v, above 50 ms", gaps[10])
	}
	if m.repeats != 0 {
		t.Errorf("%d updates were sent twice", m.repeats)
	}
}

func TestUpdatesOfATask(t *testing.T) {
	m := newTestManager(t)
	task := newTask(newCommand("echo", map[string]any{"message": "one"}), shell("echo two; echo three >&2; printf 'f\\377our'"))
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), func(c *Config) { c.Tags = []string{"gpu"} })
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)

	log := m.logs()
	for _, want := range []string{"echo: \"one\"\n", "going to run: ", " > two\n", " 2> three\n", " > f\uFFFDour\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, u := range m.updates {
		if *u.Seq != int64(i+1) || *u.Claim != 1 {
			t.Errorf("update %d has seq %d of claim %d", i+1, *u.Seq, *u.Claim)
		}
	}
	last := m.updates[len(m.updates)-1]
	if *last.Activity != "Completed" {
		t.Errorf("last activity is %q", *last.Activity)
	}
	if diff := cmp.Diff(&[]string{"gpu"}, m.signOns[0].Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if p := m.signOns[0].Performance; p == nil || *p != 1 {
		t.Errorf("performance that was not configured is %v, want 1", p)
	}
}

func TestFailuresAreSentences(t *testing.T) {
	m := newTestManager(t)
	startAgent(t, m, t.TempDir(), nil)
	scene := writeScene(t)
	for want, c := range map[string]wire.Command{
		`this worker does not know "fly"`:                newCommand("fly", nil),
		`parameter "message" is missing`:                 newCommand("echo", nil),
		`parameter "exe" must be a text`:                 newCommand("exec", map[string]any{"exe": 5.0}),
		`program not found: "no-such-program"`:           newCommand("exec", map[string]any{"exe": "no-such-program"}),
		`sh ended with exit code 3`:                      shell("exit 3"),
		`sh did not end by itself (signal: killed)`:      shell("kill -9 $$"),
		`duration_in_seconds" must be a number`:          newCommand("sleep", map[string]any{"duration_in_seconds": -1.0}),
		`install Blender`:                                newCommand("blender-render", map[string]any{"exe": "{blender}", "blendfile": scene}),
		`is not there; check that this worker sees`:      blenderCommandFor("good", "/no/such.blend", t.TempDir(), "1"),
		`wrote nothing for 1s`:                           newCommand("exec", map[string]any{"exe": "sleep", "args": []any{60.0}, "timeout_silence": 1.0}),
		`ran for more than 1s`:                           newCommand("exec", map[string]any{"exe": "sleep", "args": []any{60.0}, "timeout_total": 1.0}),
		`no frames match`:                                newCommand("frames-to-video", map[string]any{"exe": "ffmpeg", "fps": 24.0, "inputGlob": "/none/*.png", "outputFile": filepath.Join(t.TempDir(), "o.mp4")}),
		`ffmpeg not found`:                               newCommand("frames-to-video", map[string]any{"exe": "/no/ffmpeg", "fps": 24.0, "inputGlob": "/none/*.png", "outputFile": "/o.mp4"}),
		`the directory to move, /no/dir, does not exist`: newCommand("move-directory", map[string]any{"src": "/no/dir", "dest": "/elsewhere"}),
		`"relative" is not an absolute path`:             newCommand("copy-file", map[string]any{"src": "relative", "dest": "/x"}),
		`exists already; nothing was copied`:             newCommand("copy-file", map[string]any{"src": scene, "dest": scene}),
	} {
		task := newTask(c)
		m.enqueue(task)
		m.awaitStatus(task.Uuid, wire.TaskStatusFailed)
		m.mu.Lock()
		last := m.updates[len(m.updates)-1]
		m.mu.Unlock()
		if !strings.Contains(*last.Activity, want) || !strings.Contains(*last.Log, want) {
			t.Errorf("activity %q lacks %q", *last.Activity, want)
		}
	}
}

func TestFileCommands(t *testing.T) {
	m := newTestManager(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("a"), []byte("bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	stamp := time.Date(2026, 2, 3, 4, 5, 6, 0, time.Local)
	if err := errors.Join(os.Mkdir(path("dest"), 0o755), os.Chtimes(path("dest"), stamp, stamp)); err != nil {
		t.Fatal(err)
	}
	task := newTask(
		newCommand("make-directory", map[string]any{"path": path("src/deep")}),
		newCommand("copy-file", map[string]any{"src": path("a"), "dest": path("src/deep/b")}),
		newCommand("move-directory", map[string]any{"src": path("src"), "dest": path("dest")}))
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	if text, err := os.ReadFile(path("dest/deep/b")); err != nil || string(text) != "bytes" {
		t.Errorf("the copy holds %q, %v", text, err)
	}
	if _, err := os.Stat(path("dest-2026-02-03_040506")); err != nil {
		t.Errorf("the old directory was not set aside: %v", err)
	}
}

func TestWithdrawnTaskEndsWithItsGroup(t *testing.T) {
	m := newTestManager(t)
	startAgent(t, m, t.TempDir(), nil)
	heartbeat := filepath.Join(t.TempDir(), "fifo")
	if out, err := exec.Command("mkfifo", heartbeat).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v %s", err, out)
	}
	task := newTask(shell("sh -c 'exec 3>" + heartbeat + "; echo up; trap \"\" TERM; while :; do sleep 60; done' & wait"))
	m.enqueue(task)
	// A reader of the pipe sees its end when every member of the group that holds it is dead.
	fifo, err := os.Open(heartbeat)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	m.await("the grandchild is up", func() bool { return strings.Contains(m.logText(), "> up") })
	m.change(func() { m.withdrawn[task.Uuid] = wire.MayKeepRunning{Reason: "job was canceled"} })
	if _, err := io.ReadAll(fifo); err != nil {
		t.Error(err)
	}
	m.await("the reason is logged", func() bool { return strings.Contains(m.logText(), "job was canceled") })
	m.await("the agent asks for work", func() bool { return len(m.claims) == 2 })
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := m.status(task.Uuid); got != wire.TaskStatusActive {
		t.Errorf("a withdrawn task was reported as %s", got)
	}
}

func TestStates(t *testing.T) {
	for _, holds := range []bool{true, false} {
		m := newTestManager(t)
		m.holds = holds
		m.wish = wire.WorkerStatusAsleep
		stop := startAgent(t, m, t.TempDir(), nil)
		m.await("it sleeps", func() bool { return slices.Contains(m.states, wire.WorkerStatusAsleep) })
		m.change(func() { m.wish = wire.WorkerStatusAwake })
		m.await("it is awake", func() bool { return slices.Contains(m.states, wire.WorkerStatusAwake) })
		task := newTask(shell("echo up; sleep 60"))
		m.enqueue(task)
		m.await("the task runs", func() bool { return strings.Contains(m.logText(), "> up") })
		m.change(func() {
			m.wish = wire.WorkerStatusOffline
			m.withdrawn[task.Uuid] = wire.MayKeepRunning{Reason: "status change", StatusChangeRequested: true}
		})
		m.await("it signs off", func() bool { return m.signOffs == 1 })
		if err := stop(); !errors.Is(err, ErrOffline) && err != nil {
			t.Errorf("holds=%v: Run gave %v", holds, err)
		}
	}
}

func TestUnknownWorkerRegistersAnew(t *testing.T) {
	m := newTestManager(t)
	dir := t.TempDir()
	stop := startAgent(t, m, dir, nil)
	m.await("it signed on", func() bool { return len(m.signOns) == 1 && len(m.claims) == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	first, err := loadCredentials(dir)
	if err != nil {
		t.Fatal(err)
	}
	stop = startAgent(t, m, dir, nil)
	m.await("it signed on again", func() bool { return len(m.signOns) == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if len(m.workers) != 1 {
		t.Errorf("a known worker registered again")
	}
	m.change(func() { clear(m.workers) })
	startAgent(t, m, dir, nil)
	m.await("it signed on as a new worker", func() bool { return len(m.signOns) == 3 })
	second, err := loadCredentials(dir)
	if err != nil || second.ID == first.ID {
		t.Errorf("credentials after registering anew: %v, %v", second, err)
	}
}

func TestConflictSignsOnAgain(t *testing.T) {
	m := newTestManager(t)
	var once sync.Once
	m.intercept = func(r *http.Request) (status int) {
		if r.URL.Path == "/api/v3/worker/task" {
			once.Do(func() { status = http.StatusConflict })
		}
		return status
	}
	startAgent(t, m, t.TempDir(), nil)
	m.await("it signed on twice", func() bool { return len(m.signOns) == 2 })
}

func TestOneAgentPerDirectory(t *testing.T) {
	m := newTestManager(t)
	dir := t.TempDir()
	startAgent(t, m, dir, nil)
	m.await("it signed on", func() bool { return len(m.signOns) == 1 })
	second, err := New(Config{ManagerURL: m.url(), DataDir: dir, Name: "second"})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); !errors.Is(err, ErrInUse) {
		t.Errorf("a second agent gave %v", err)
	}
}

func TestManagerAwayInTheMiddle(t *testing.T) {
	m := newTestManager(t)
	startAgent(t, m, t.TempDir(), nil)
	gate := filepath.Join(t.TempDir(), "gate")
	if out, err := exec.Command("mkfifo", gate).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v %s", err, out)
	}
	task := newTask(shell("echo begun; read x < " + gate + "; i=0; while [ $i -lt 5000 ]; do echo line $i of many; i=$((i+1)); done"))
	next := newTask(newCommand("echo", map[string]any{"message": "next"}))
	m.enqueue(task)
	m.await("it has begun", func() bool { return strings.Contains(m.logText(), "> begun") })
	m.close()
	f, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "go\n")
	f.Close()
	m.enqueue(next)
	m.open()
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	m.awaitStatus(next.Uuid, wire.TaskStatusCompleted)
	log := m.logs()
	if got := strings.Count(log, " of many\n"); got != 5000 {
		t.Errorf("%d of 5000 lines arrived", got)
	}
	if a, b := strings.Index(log, "line 17 of"), strings.Index(log, "line 4711 of"); a < 0 || b < a {
		t.Errorf("lines are out of order")
	}
}

func TestSlowManagerDoesNotBlockTheChild(t *testing.T) {
	m := newTestManager(t)
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.intercept = func(r *http.Request) int {
		if strings.HasPrefix(r.URL.Path, "/api/v3/worker/task/") && r.Method == http.MethodPost {
			once.Do(func() {
				close(stuck)
				<-release
			})
		}
		return 0
	}
	startAgent(t, m, t.TempDir(), nil)
	done := filepath.Join(t.TempDir(), "fifo")
	if out, err := exec.Command("mkfifo", done).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v %s", err, out)
	}
	// 4 MB of output: more than pipe and memory take.
	task := newTask(shell("yes 0123456789012345678901234567890123456789 | head -c 4000000; echo end > " + done))
	m.enqueue(task)
	<-stuck
	if text, err := os.ReadFile(done); err != nil || string(text) != "end\n" {
		t.Errorf("%q %v", text, err)
	}
	close(release)
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	if got := strings.Count(m.logs(), "0123456789012345678901234567890123456789\n"); got < 4000000/41 {
		t.Errorf("%d lines arrived", got)
	}
}

func TestKilledWorkerDeliversTheEnd(t *testing.T) {
	m := newTestManager(t)
	dir := t.TempDir()
	ended := make(chan struct{})
	var once sync.Once
	m.intercept = func(r *http.Request) int {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/api/v3/worker/task/") {
			return 0
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if !strings.Contains(string(body), `"completed"`) {
			return 0
		}
		first := false
		once.Do(func() { first = true })
		if first {
			close(ended)
			<-r.Context().Done()
			return http.StatusServiceUnavailable
		}
		return 0
	}
	child := exec.Command(os.Args[0], "agent", m.url(), dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	task := newTask(shell("echo some work"))
	m.enqueue(task)
	<-ended
	child.Process.Kill()
	child.Wait()
	startAgent(t, m, dir, nil)
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	m.await("it asks for work", func() bool { return len(m.claims) > 1 })
	if got := strings.Count(m.logs(), "> some work\n"); got != 1 {
		t.Errorf("the log line arrived %d times", got)
	}
}

func TestKilledWorkerTakesItsChildAlong(t *testing.T) {
	m := newTestManager(t)
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "agent", m.url(), dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if out, err := exec.Command("mkfifo", fifo).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v %s", err, out)
	}
	m.enqueue(newTask(shell("sh -c 'exec 3>" + fifo + "; while :; do sleep 60; done' & wait")))
	held, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	m.await("the task is claimed", func() bool { return len(m.claims) == 1 })
	child.Process.Kill()
	child.Wait()
	// The leader dies with the agent; the grandchild is ended by the next one.
	startAgent(t, m, dir, nil)
	if _, err := io.ReadAll(held); err != nil {
		t.Error(err)
	}
}
