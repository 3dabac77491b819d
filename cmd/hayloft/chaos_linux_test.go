package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hayloft/api/client"
	"hayloft/cas"
	"hayloft/worker/frame"
)

// chaos is how hard a farm is tried.
type chaos struct {
	frames, chunk, workers, kills int
}

// TestChaosLong kills manager, workers and Blenders 20 times while 48 frames render; see checkChaos for what must hold.
func TestChaosLong(t *testing.T) {
	if os.Getenv("HAYLOFT_CHAOS") == "" {
		t.Skip("HAYLOFT_CHAOS=1 turns it on, as `make chaos` does")
	}
	runChaos(t, chaos{frames: 48, chunk: 2, workers: 2, kills: 20})
}

// TestChaosShort is the same in small.
func TestChaosShort(t *testing.T) {
	t.Parallel()
	runChaos(t, chaos{frames: 12, chunk: 2, workers: 2, kills: 4})
}

// seed is taken from HAYLOFT_CHAOS_SEED or drawn, and told either way.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("HAYLOFT_CHAOS_SEED")
	if text == "" {
		text = strconv.FormatUint(rand.Uint64(), 10)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("HAYLOFT_CHAOS_SEED: %v", err)
	}
	t.Logf("HAYLOFT_CHAOS_SEED=%d", n)
	return n
}

func runChaos(t *testing.T, c chaos) {
	random := rand.New(rand.NewPCG(seed(t), 0))
	blend := project(t, c.frames)
	s := newStable(t, c)
	s.startManager()
	for i := range s.workers {
		s.startWorker(i)
	}
	s.job = s.submit(blend)
	s.killAtRandom(random)
	if err := s.job.wait(); err != nil {
		t.Fatalf("the job did not end completed: %v\n%s", err, s.job.stderr.String())
	}
	done := lastLine[submitted](t, result{stdout: s.job.stdout.String()})
	if done.Status != "completed" {
		t.Fatalf("the job ended %s", done.Status)
	}
	s.check(done.JobID, blend)
}

// stable is a farm of processes that can be killed one by one.
type stable struct {
	t *testing.T
	chaos
	dir, renders string
	address      string // host:port, the same for every manager
	manager      *process
	workers      []*process
	job          *process       // submits the job and waits for its end
	victims      map[int]int    // frame -> how many kills it was under way at
	count        map[string]int // kind of victim -> kills
}

func newStable(t *testing.T, c chaos) *stable {
	dir := t.TempDir()
	return &stable{t: t, chaos: c, dir: dir, renders: filepath.Join(dir, "renders"), address: "127.0.0.1:0",
		workers: make([]*process, c.workers), victims: map[int]int{}, count: map[string]int{}}
}

// process is a hayloft of its own, which is this test binary under that name.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer // read them only after ended
	lines          chan string  // of standard output, as far as somebody takes them
	ended          chan struct{}
	err            error // how it ended
}

func (p *process) wait() error {
	<-p.ended
	return p.err
}

func (s *stable) start(name string, args ...string) *process {
	s.t.Helper()
	p := &process{cmd: exec.Command("hayloft", args...), ended: make(chan struct{}), lines: make(chan string, 16)}
	p.cmd.Env = append(os.Environ(), "HAYLOFT_TEST_RENDERS="+s.renders)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.stdout.WriteString(lines.Text() + "\n")
			select {
			case p.lines <- lines.Text():
			default:
			}
		}
		close(p.lines)
		p.err = p.cmd.Wait()
	}()
	s.t.Cleanup(func() {
		p.kill()
		if text := p.stderr.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			s.t.Errorf("%s went wrong:\n%s", name, text)
		} else if s.t.Failed() {
			s.t.Logf("%s:\n%s", name, text)
		}
	})
	return p
}

// kill ends a process without a warning and waits until it is gone.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.wait()
}

func (s *stable) startManager() {
	s.t.Helper()
	s.manager = s.start("manager", "manager", "--data", filepath.Join(s.dir, "farm"), "--listen", s.address)
	line := <-s.manager.lines
	found := addressLine.FindStringSubmatch(line)
	if found == nil {
		s.t.Fatalf("the manager gave no address but %q", line)
	}
	s.address = found[2]
}

func (s *stable) startWorker(i int) {
	s.t.Helper()
	name := fmt.Sprintf("worker-%d", i+1)
	s.workers[i] = s.start(name, "worker", "--manager", "http://"+s.address, "--data", filepath.Join(s.dir, name), "--name", name)
}

func (s *stable) submit(blend string) *process {
	return s.start("submit", "submit", "--manager", "http://"+s.address, "--json", "--wait", blend,
		"--setting", fmt.Sprintf("frames=1-%d", s.frames), "--setting", fmt.Sprintf("chunk_size=%d", s.chunk))
}

// killAtRandom spreads the kills over the job: each comes at a random moment after a further share of the frames is done,
// the last while there is still enough to do.
func (s *stable) killAtRandom(random *rand.Rand) {
	s.await("the job to start", func() bool { return len(s.allBlenders()) > 0 })
	kinds := []string{"manager", "worker", "blender"}
	for i := range s.kills {
		s.await(fmt.Sprintf("kill %d", i+1), func() bool { return s.rendered() >= i*s.frames/(s.kills+4) })
		<-time.After(time.Duration(random.Int64N(int64(time.Second))))
		if i%len(kinds) == 0 {
			random.Shuffle(len(kinds), func(a, b int) { kinds[a], kinds[b] = kinds[b], kinds[a] })
		}
		s.killOne(kinds[i%len(kinds)], random)
	}
	s.t.Logf("killed %v", s.count)
}

func (s *stable) killOne(kind string, random *rand.Rand) {
	switch kind {
	case "manager":
		s.manager.kill()
		s.startManager()
	case "worker":
		i := random.IntN(len(s.workers))
		var frames []int
		for _, b := range s.blenders(s.workers[i]) {
			frames = append(frames, b.frames...)
		}
		s.workers[i].kill()
		s.noteVictims(append(frames, s.staged(i)...))
		s.startWorker(i)
	case "blender":
		var all []blenderProcess
		s.await("a Blender to kill", func() bool { all = s.allBlenders(); return len(all) > 0 })
		b := all[random.IntN(len(all))]
		if err := syscall.Kill(b.pid, syscall.SIGKILL); err != nil {
			s.killOne(kind, random) // it ended by itself meanwhile: another one
			return
		}
		s.noteVictims(b.frames)
	}
	s.count[kind]++
}

func (s *stable) noteVictims(frames []int) {
	slices.Sort(frames)
	for _, n := range slices.Compact(frames) {
		s.victims[n]++
	}
}

// staged are the frames that a killed worker's Blender has written and the worker has not yet put in their place.
func (s *stable) staged(worker int) []int {
	found, err := filepath.Glob(filepath.Join(s.dir, fmt.Sprintf("worker-%d", worker+1), "tasks", "*", "frames", "*.png"))
	if err != nil {
		s.t.Fatal(err)
	}
	var frames []int
	for _, path := range found {
		n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".png"))
		if err != nil {
			s.t.Fatalf("a staged file that is no frame: %s", path)
		}
		frames = append(frames, n)
	}
	return frames
}

// await looks again and again until something holds. There is no event to wait for: it is outside of this process.
func (s *stable) await(what string, holds func() bool) {
	s.t.Helper()
	limit, again := time.After(5*time.Minute), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-s.job.ended:
			s.t.Fatalf("the job ended before %s: %v\n%s%s", what, s.job.err, s.job.stdout.String(), s.job.stderr.String())
		case <-limit:
			s.t.Fatalf("waited too long for %s; %d frames are done", what, s.rendered())
		}
	}
}

// rendered counts the frames in the output folder.
func (s *stable) rendered() int {
	found, err := filepath.Glob(filepath.Join(s.dir, "farm", "storage", "output", "*", "*", "*.png"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(found)
}

// blenderProcess is a Blender at work.
type blenderProcess struct {
	pid    int
	frames []int
}

func (s *stable) allBlenders() []blenderProcess {
	var all []blenderProcess
	for _, w := range s.workers {
		all = append(all, s.blenders(w)...)
	}
	return all
}

// blenders finds the Blenders that a worker runs, and what they were told to render.
func (s *stable) blenders(w *process) []blenderProcess {
	var found []blenderProcess
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread is gone
		}
		for _, field := range strings.Fields(string(text)) {
			line, err := os.ReadFile("/proc/" + field + "/cmdline")
			args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
			at := slices.Index(args, "--render-frame")
			if err != nil || at < 0 {
				continue
			}
			frames, err := frame.ParseList(args[at+1])
			pid, pidErr := strconv.Atoi(field)
			if err := errors.Join(err, pidErr); err != nil {
				s.t.Fatal(err)
			}
			found = append(found, blenderProcess{pid, frames})
		}
	}
	return found
}

// check holds the farm to its promises: the right frames in the right place and nothing else, each registered once; no
// blob damaged; nothing half-made; and no frame rendered again but those that were under way when something was killed.
func (s *stable) check(job, blend string) {
	t := s.t
	t.Helper()
	data := filepath.Join(s.dir, "farm")
	folder := checkOutput(t, data, renderAlone(t, blend, s.frames))
	s.checkOutputs(job, folder)
	for _, p := range append(s.workers, s.manager) {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := p.wait(); err != nil {
			t.Errorf("%s ended badly: %v", p.cmd.Args[1], err)
		}
	}
	s.checkProcesses()
	for _, dir := range []string{"farm/storage/blobs/incoming", "worker-1/tasks", "worker-2/tasks", "worker-1/outbox", "worker-2/outbox"} {
		if files := filesIn(t, filepath.Join(s.dir, dir)); len(files) > 0 {
			t.Errorf("left behind in %s: %q", dir, files)
		}
	}
	verify := exec.CommandContext(t.Context(), "go", "run", "-buildvcs=false", "hayloft/cmd/cas", "verify", "--store", "file://"+filepath.Join(data, "storage", "blobs"))
	if out, err := verify.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "; 0 damaged\n") {
		t.Errorf("cas verify: %v\n%s", err, out)
	}
	s.checkRenders()
}

// checkProcesses finds what outlived the farm.
func (s *stable) checkProcesses() {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), s.dir) {
			s.t.Errorf("left running: %s: %q", path, line)
		}
	}
}

// checkOutputs asks for the files that the job registered: each that lies in the folder, once, as it is.
func (s *stable) checkOutputs(job, folder string) {
	t := s.t
	t.Helper()
	r := hayloft(t.Context(), "job", "download", "--manager", "http://"+s.address, "--json", job, "-d", t.TempDir())
	if got := lastLine[downloaded](t, r); got.Files != s.frames+1 || got.New != int64(s.frames+1) {
		t.Errorf("downloaded %+v", got)
	}
	c, err := client.New(s.address, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outputs, err := c.Outputs(context.WithoutCancel(t.Context()), mustJob(t, job))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range outputs {
		name := filepath.Base(o.Path)
		if seen[name] {
			t.Errorf("%s is registered twice", name)
		}
		seen[name] = true
		bytes, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || cas.SumBytes(bytes).String() != o.Sha256 {
			t.Errorf("%s is not what was registered: %v", name, err)
		}
	}
	if len(seen) != s.frames+1 {
		t.Errorf("%d files are registered, want %d", len(seen), s.frames+1)
	}
}

// checkRenders reads what the Blenders wrote down about themselves.
func (s *stable) checkRenders() {
	text, err := os.ReadFile(s.renders)
	if err != nil {
		s.t.Fatal(err)
	}
	times := map[int]int{}
	for _, line := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			s.t.Fatal(err)
		}
		times[n]++
	}
	again := 0
	for n := 1; n <= s.frames; n++ {
		again += max(0, times[n]-1)
		// A Blender that is killed between saving a frame and writing that down leaves a whole frame and no line.
		if times[n]+s.victims[n] == 0 || times[n] > 1+s.victims[n] {
			s.t.Errorf("frame %d was rendered %d times, and was under way at %d kills", n, times[n], s.victims[n])
		}
	}
	s.t.Logf("%d frames, %d rendered again after %v kills", s.frames, again, s.count)
}
