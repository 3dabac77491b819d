package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// The test binary is also the program: called by the name cas, it runs main.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"cas": main})
}

// leakChecked fails a run of tests that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	// Where Go keeps what it compiled is told by the same variable, and a script needs another program.
	if caches, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
		os.Setenv("GOCACHE", filepath.Join(caches, "go-build")) //nolint:errcheck // Without it the build only takes longer.
	}
	// The local index of whoever runs the tests is none of their business.
	cache, err := os.MkdirTemp("", "hayloft-test-cache-")
	if err == nil {
		defer os.RemoveAll(cache)
		err = os.Setenv("XDG_CACHE_HOME", cache)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// scriptLimit is how long all scripts together may take, the wait for other tests included.
const scriptLimit = 8 * time.Minute

// TestScripts runs testdata/script: each file is a session with the command line. Beside testscript's own commands
// there are
//
//	exits CODE PROGRAM ARG...     run a program, which must end with exactly this code
//	manager                       start a manager; its address is in $MANAGER
//	halt                          end it
//	capture NAME PATTERN          put the first group of a pattern in standard output into $NAME
//	damage STORE TEXT             change the blob that ends in this text and a line feed
//	files DIR [FILE...]           these and no other files lie below a folder, which may be absent
func TestScripts(t *testing.T) {
	hayloft := filepath.Join(t.TempDir(), "hayloft")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", hayloft, "hayloft/cmd/hayloft").CombinedOutput(); err != nil {
		t.Fatalf("building hayloft: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Deadline: time.Now().Add(scriptLimit),
		Setup: func(env *testscript.Env) error {
			env.Values[managerKey{}] = &managerProcess{program: hayloft}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "manager": startManager, "halt": haltManager, "capture": capture, "damage": damage, "files": filesBelow,
		},
	})
}

type managerKey struct{}

// managerProcess is the manager of one script.
type managerProcess struct {
	program string
	cmd     *exec.Cmd
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

var addressLine = regexp.MustCompile(`^Hayloft is at (http://\S+)/$`)

func startManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: manager")
	}
	m := ts.Value(managerKey{}).(*managerProcess)
	m.cmd = exec.Command(m.program, "manager", "--data", ts.MkAbs("farm"), "--listen", "127.0.0.1:0")
	var stderr bytes.Buffer
	m.cmd.Stderr = &stderr
	stdout, err := m.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(m.cmd.Start())
	ts.Defer(func() { m.end() })
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || !addressLine.MatchString(lines.Text()) {
		m.end()
		ts.Fatalf("no address in %q\n%s", lines.Text(), stderr.String())
	}
	ts.Setenv("MANAGER", addressLine.FindStringSubmatch(lines.Text())[1])
}

func (m *managerProcess) end() {
	if m.cmd.ProcessState == nil {
		m.cmd.Process.Kill()
		m.cmd.Wait()
	}
}

func haltManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: halt")
	}
	ts.Value(managerKey{}).(*managerProcess).end()
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no %q in standard output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage STORE TEXT")
	}
	done := false
	for _, shape := range []string{"objects", "packs"} {
		ts.Check(filepath.WalkDir(filepath.Join(ts.MkAbs(args[0]), shape), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			at := bytes.Index(content, []byte(args[1]+"\n"))
			if err != nil || at < 0 {
				return err
			}
			done = true
			content[at]++
			return overwrite(path, content)
		}))
	}
	if !done {
		ts.Fatalf("no blob has the text %q", args[1])
	}
}

// overwrite changes a file that nobody should, in place and whatever its mode.
func overwrite(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, content, 0o644), os.Chmod(path, info.Mode()))
}

func filesBelow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: files DIR [FILE...]")
	}
	root, got := ts.MkAbs(args[0]), []string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(root, path)
		got = append(got, filepath.ToSlash(inside))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		ts.Check(err)
	}
	slices.Sort(got)
	want := slices.Clone(args[1:])
	slices.Sort(want)
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		ts.Fatalf("files below %s (- wanted, + there):\n%s", args[0], diff)
	}
}
