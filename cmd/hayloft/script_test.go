package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
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
)

// TestScripts runs testdata/script: each file is a session with the command line. Beside testscript's own commands
// there are
//
//	exits CODE PROGRAM ARG...     run a program, which must end with exactly this code
//	farm NAME ARG...              start `hayloft ARG...` and wait for its address, in $NAME; its HOST:PORT is in $NAME_ADDRESS
//	halt NAME                     interrupt it; it must end with code 0
//	interrupt PATTERN ARG...      start `hayloft ARG...`, interrupt it at the first line of standard error that matches
//	json MEMBER VALUE             the last line of standard output is an object with this member
//	capture NAME [MEMBER]         put standard output, or a member of its last line, into $NAME
//	files DIR [FILE...]           these and no other files lie below a folder, which may be absent
//	sql FILE STATEMENT            change a database
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Deadline: time.Now().Add(scriptLimit),
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache")) // of the local index
			env.Values[farmsKey{}] = &farms{env: env.Vars, running: map[string]*started{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "farm": startScriptFarm, "halt": haltScriptFarm, "interrupt": interrupt,
			"json": jsonMember, "capture": capture, "files": filesBelow, "sql": changeDatabase,
		},
	})
}

// scriptLimit is how long all scripts together may take, the wait for other tests included.
const scriptLimit = 8 * time.Minute

type farmsKey struct{}

// farms are the managers that one script started.
type farms struct {
	env     []string
	running map[string]*started
}

// started is a program in the background.
type started struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer // whole once the program was waited for
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(ts, ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func exitCode(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%v", err)
	return -1
}

var addressLine = regexp.MustCompile(`^Hayloft is at (http://(\S+))/$`)

func startScriptFarm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: farm NAME ARG...")
	}
	all := ts.Value(farmsKey{}).(*farms)
	one := &started{cmd: exec.Command("hayloft", args[1:]...)}
	one.cmd.Dir, one.cmd.Env, one.cmd.Stderr = ts.MkAbs("."), all.env, &one.stderr
	stdout, err := one.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(one.cmd.Start())
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || !addressLine.MatchString(lines.Text()) {
		one.cmd.Process.Kill()
		one.cmd.Wait()
		ts.Fatalf("no address in %q\n%s", lines.Text(), one.stderr.String())
	}
	found := addressLine.FindStringSubmatch(lines.Text())
	ts.Setenv(args[0], found[1])
	ts.Setenv(args[0]+"_ADDRESS", found[2])
	all.running[args[0]] = one
	ts.Defer(func() {
		if one.cmd.ProcessState == nil {
			one.cmd.Process.Kill()
			one.cmd.Wait()
			ts.Logf("[%s]\n%s", args[0], one.stderr.String())
		}
	})
}

func haltScriptFarm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: halt NAME")
	}
	all := ts.Value(farmsKey{}).(*farms)
	one := all.running[args[0]]
	if one == nil {
		ts.Fatalf("no farm is called %s", args[0])
	}
	delete(all.running, args[0])
	ts.Check(one.cmd.Process.Signal(os.Interrupt))
	if err := one.cmd.Wait(); err != nil {
		ts.Fatalf("%s ended badly: %v\n%s", args[0], err, one.stderr.String())
	}
}

func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt PATTERN ARG...")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	cmd := exec.Command("hayloft", args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), ts.Value(farmsKey{}).(*farms).env
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	sent := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		ts.Logf("%s", lines.Text())
		if !sent && pattern.MatchString(lines.Text()) {
			sent = true
			ts.Check(cmd.Process.Signal(os.Interrupt))
		}
	}
	if code := exitCode(ts, cmd.Wait()); !sent || code != 130 {
		ts.Fatalf("interrupted: %v; ended with exit code %d, want 130", sent, code)
	}
}

// lastObject reads the last line of standard output.
func lastObject(ts *testscript.TestScript) map[string]any {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	var object map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &object); err != nil {
		ts.Fatalf("the last line of standard output is no JSON object: %v", err)
	}
	return object
}

func jsonMember(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] json MEMBER VALUE")
	}
	if got := fmt.Sprint(lastObject(ts)[args[0]]); (got == args[1]) == neg {
		ts.Fatalf("member %q is %q", args[0], got)
	}
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1:
		ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
	case !neg && len(args) == 2:
		ts.Setenv(args[0], fmt.Sprint(lastObject(ts)[args[1]]))
	default:
		ts.Fatalf("usage: capture NAME [MEMBER]")
	}
}

func filesBelow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: files DIR [FILE...]")
	}
	root := ts.MkAbs(args[0])
	got := []string{}
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
	want := slices.Sorted(slices.Values(args[1:]))
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("files below %s (- wanted, + there):\n%s", args[0], diff)
	}
}

// changeDatabase uses the driver that the scheduler's store brings along.
func changeDatabase(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}
