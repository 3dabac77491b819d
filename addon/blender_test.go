package addon

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a Blender or a farm may take to end once it was asked to.
const patience = 20 * time.Second

// host runs Python with Blender around it: Blender itself, or a Python that has Blender as a module.
type host struct {
	name    string
	command []string
}

// hosts are the Blender on PATH and each Python that HAYLOFT_BPY names, a list like PATH.
func hosts() []host {
	all := []host{{"blender", []string{"blender", "--background", "--factory-startup", "--python-exit-code", "1", "--python"}}}
	for _, python := range filepath.SplitList(os.Getenv("HAYLOFT_BPY")) {
		all = append(all, host{python, []string{python}})
	}
	return all
}

// environment is one without settings of this person or of Hayloft, and with folders of its own.
func environment(t *testing.T, more ...string) []string {
	t.Helper()
	home := t.TempDir()
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "HAYLOFT_") && !strings.HasPrefix(pair, "BLENDER_") && !strings.HasPrefix(pair, "XDG_") {
			env = append(env, pair)
		}
	}
	return append(append(env, "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"),
		"XDG_CACHE_HOME="+filepath.Join(home, "cache"), "XDG_STATE_HOME="+filepath.Join(home, "state")), more...)
}

// script is the absolute path of a Python script of the tests.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("tests", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// writeZip packs the add-on into a file.
func writeZip(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hayloft.zip")
	if err := os.WriteFile(path, pack(t, "1.2.3"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var ran = regexp.MustCompile(`(?m)^ran [1-9]\d* tests$`)

// run runs one test module in a host.
func (h host) run(t *testing.T, module string, more ...string) {
	t.Helper()
	folder, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	args := append(h.command[1:len(h.command):len(h.command)], script(t, "run.py"), "--", folder, module)
	command := exec.CommandContext(t.Context(), h.command[0], args...)
	command.Env = environment(t, more...)
	command.WaitDelay = patience
	if out, err := command.CombinedOutput(); err != nil || !ran.Match(out) {
		t.Errorf("%s in %s: %v\n%s", module, h.name, err, out)
	}
}

func TestLogic(t *testing.T) {
	for _, h := range hosts() {
		t.Run(h.name, func(t *testing.T) { h.run(t, "logic") })
	}
}

func TestInsideBlender(t *testing.T) {
	archive := writeZip(t)
	for _, h := range hosts() {
		t.Run(h.name, func(t *testing.T) { h.run(t, "inside", "HAYLOFT_TEST_ZIP="+archive) })
	}
}

func TestOnFarm(t *testing.T) {
	f, archive := startFarm(t), writeZip(t)
	for _, h := range hosts() {
		t.Run(h.name, func(t *testing.T) { h.run(t, "onfarm", f.variables(archive)...) })
	}
}

// farm is a manager and a worker as processes of their own.
type farm struct{ url string }

func (f farm) variables(archive string) []string {
	return []string{"HAYLOFT_TEST_ZIP=" + archive, "HAYLOFT_TEST_MANAGER=" + f.url}
}

// startFarm runs a farm until the test ends.
func startFarm(t *testing.T) farm {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hayloft")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "hayloft/cmd/hayloft")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), program, "up", "--json", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"))
	command.Env = environment(t)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	log := new(strings.Builder)
	command.Stderr = log
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Wait()
		if t.Failed() {
			t.Logf("the farm's log:\n%s", log)
		}
	})
	var announced struct{ URL string }
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &announced)
	}
	if err != nil || announced.URL == "" {
		t.Fatalf("the farm gave no address: %v %q", err, line)
	}
	return farm{announced.URL}
}
