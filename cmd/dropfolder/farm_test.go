package dropfolder

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// programs is where the program under test is built. TestMain makes and removes it.
var programs string

var buildHayloft = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programs, "hayloft")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "hayloft/cmd/hayloft").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// process is a program that a test started, and what it said so far.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // of standard output; closed at its end
	log   *logBuffer
	ended sync.Once
}

type logBuffer struct {
	mu  sync.Mutex
	all strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// start runs a program until the test ends; then it is killed, and what it said is shown if the test failed.
func start(t *testing.T, name string, environment []string, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), environment...)
	return startCommand(t, name, cmd)
}

func startCommand(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, lines: make(chan string, 10_000), log: &logBuffer{}}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(io.TeeReader(out, p.log)); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.log)
		}
	})
	return p
}

// kill ends the process without a warning, as a power cut would.
func (p *process) kill() {
	p.ended.Do(func() {
		_ = p.cmd.Process.Kill()
		for range p.lines {
			continue // The end of what it says is the end of the pipe.
		}
		_ = p.cmd.Wait()
	})
}

// says waits for a line that holds all the texts, and gives it.
func (p *process) says(texts ...string) string {
	p.t.Helper()
	for line := range p.lines {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			return line
		}
	}
	p.t.Fatalf("the process ended without saying %q", texts)
	return ""
}

// farm is a manager in a process of its own.
type farm struct {
	*client.Client
	manager *process
	url     string
	data    string
	flags   []string
}

func startFarm(t *testing.T, flags ...string) *farm {
	t.Helper()
	f := &farm{data: filepath.Join(t.TempDir(), "data"), flags: flags}
	f.startManager(t, "127.0.0.1:0")
	c, err := client.New(f.url, "dropfolder-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f.Client = c
	return f
}

func (f *farm) startManager(t *testing.T, listen string) {
	t.Helper()
	hayloft, err := buildHayloft()
	if err != nil {
		t.Fatal(err)
	}
	f.manager = start(t, "the manager", nil, hayloft,
		append([]string{"manager", "--json", "--data", f.data, "--listen", listen, "--task-attempts", "1"}, f.flags...)...)
	var said struct{ URL string }
	if err := json.Unmarshal([]byte(f.manager.says("url")), &said); err != nil {
		t.Fatal(err)
	}
	f.url = said.URL
}

// restartManager starts the manager anew at its old address.
func (f *farm) restartManager(t *testing.T) {
	t.Helper()
	f.startManager(t, strings.TrimPrefix(f.url, "http://"))
}

func (f *farm) startWorker(t *testing.T, name string) *process {
	t.Helper()
	hayloft, err := buildHayloft()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "worker "+name, nil, hayloft, "worker", "--manager", f.url, "--data", filepath.Join(t.TempDir(), name), "--name", name)
}

// waitAwake waits until a worker asks for work.
func (f *farm) waitAwake(t *testing.T, name string) {
	t.Helper()
	awake := errors.New("it is awake")
	err := f.Events(t.Context(), []string{"workers"}, func(client.Event) error {
		workers, err := f.Workers(t.Context())
		for _, w := range workers {
			if w.Name == name && w.Status == wire.WorkerStatusAwake {
				return awake
			}
		}
		return err
	})
	if !errors.Is(err, awake) {
		t.Fatal(err)
	}
}

// startWatch watches a folder in a process of its own, which can be killed.
func (f *farm) startWatch(t *testing.T, dir string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "the watched folder", []string{watchVariable + "=" + dir, managerVariable + "=" + f.url}, self)
}

// jobsOf lists the jobs of drops by the drops' names, newest first.
func (f *farm) jobsOf(t *testing.T) map[string][]wire.Job {
	t.Helper()
	all, err := f.Jobs(t.Context(), 0, uuid.Nil)
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string][]wire.Job{}
	for _, j := range all {
		name := (*j.Metadata)[metadataName]
		jobs[name] = append(jobs[name], j)
	}
	return jobs
}

// waitFor waits until there is a file that looks as wanted, by watching the folders on the way to it.
func waitFor(t *testing.T, path string, wanted func() bool) {
	t.Helper()
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for {
		dir := filepath.Dir(path)
		for w.Add(dir) != nil {
			dir = filepath.Dir(dir)
		}
		if wanted() {
			return
		}
		if _, err := os.Stat(filepath.Dir(path)); err == nil && dir != filepath.Dir(path) {
			continue // It came while its parent was not watched yet.
		}
		select {
		case <-w.Events:
		case <-ctx.Done():
			t.Fatalf("%s did not become what it should", path)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// zipFolder packs a folder as archivers do.
func zipFolder(t *testing.T, dir string) []byte {
	t.Helper()
	var entries []entry
	for _, name := range filesIn(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{name: name, text: string(text), change: func(h *zip.FileHeader) { h.Modified = time.Unix(1e9, 0) }})
	}
	return pack(t, entries...)
}

// put makes a file appear in one piece.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	temp := path + ".part"
	if err := os.WriteFile(temp, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// blender runs testdata/scenes.py, which makes the scenes that the tests are about, once.
var blender = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(programs, "scenes")
	out, err := exec.Command("blender", "-b", "--factory-startup", "--python-exit-code", "1", "-P", filepath.Join("testdata", "scenes.py"), "--", dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// scenes gives the folder of the scenes that Blender made.
func scenes(t *testing.T) string {
	t.Helper()
	dir, err := blender()
	if err != nil {
		t.Fatalf("making scenes with Blender: %v; `make test` installs Blender where it may", err)
	}
	return dir
}

// unpackedIn finds what was left unpacked.
func unpackedIn(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	entries, err := os.ReadDir(filepath.Join(dir, ownFolder))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type() == fs.ModeDir || !strings.HasSuffix(e.Name(), recordSuffix) {
			left = append(left, e.Name())
		}
	}
	return left
}
