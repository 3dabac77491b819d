package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs a script and gathers its lines.
func shell(ctx context.Context, script string, alter func(*Spec)) (lines []string, exit Exit, err error) {
	stdout, stderr, exit, err := shellStreams(ctx, script, alter)
	return append(stdout, stderr...), exit, err
}

// shellStreams runs a script and gathers the lines of each stream.
func shellStreams(ctx context.Context, script string, alter func(*Spec)) (stdout, stderr []string, exit Exit, err error) {
	spec := Spec{Args: []string{"sh", "-c", script}, Grace: 200 * time.Millisecond, Line: func(line Line) {
		to := &stdout
		if line.Stream == Stderr {
			to = &stderr
		}
		if line.Continued {
			(*to)[len(*to)-1] += line.Text
			return
		}
		*to = append(*to, line.Text)
	}}
	if alter != nil {
		alter(&spec)
	}
	exit, err = Run(ctx, spec)
	return stdout, stderr, exit, err
}

func TestRun(t *testing.T) {
	lines, exit, err := shell(t.Context(), `echo a; echo b >&2; cat; printf "c $X"; exit 3`, func(s *Spec) { s.Env = []string{"X=y"} })
	if diff := cmp.Diff([]string{"a", "c y", "b"}, lines); diff != "" || err != nil || exit != (Exit{Code: 3}) {
		t.Errorf("%v %v %s", exit, err, diff)
	}
	for script, want := range map[string]string{"kill -SEGV $$": "signal: segmentation fault", "exit 137": "signal: killed", "exit 1": "", "exit 255": ""} {
		if _, exit, err := shell(t.Context(), script, nil); err != nil || exit.Crash != want {
			t.Errorf("%s: %+v, %v", script, exit, err)
		}
	}
	if _, err := Run(t.Context(), Spec{Args: []string{"/no/such/program"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent program gave %v", err)
	}
}

func TestNothingOutlivesTheRun(t *testing.T) {
	lines, _, err := shell(t.Context(), `sleep 600 & echo $!; trap "" TERM`, nil)
	if err != nil {
		t.Fatal(err)
	}
	awaitGone(t, lines[0])
}

// awaitGone waits until a process is dead: its directory is gone or says that it is a zombie.
func awaitGone(t *testing.T, pid string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(text), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is still there: %s", pid, text)
		}
	}
}

func TestCancelKillsWhatIgnoresTheRequest(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	var pids []string
	_, err := Run(ctx, Spec{Args: []string{"sh", "-c", `trap "" TERM; sh -c 'trap "" TERM; echo $$; while :; do sleep 60; done' & wait; wait`},
		Grace: 10 * time.Millisecond, Line: func(line Line) { pids = append(pids, line.Text); cancel(cause) }})
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	awaitGone(t, pids[0])
}

func TestSilence(t *testing.T) {
	if _, _, err := shell(t.Context(), `echo x; sleep 600`, func(s *Spec) { s.Silence = 100 * time.Millisecond }); !errors.Is(err, ErrSilent) {
		t.Errorf("got %v", err)
	}
	lines, _, err := shell(t.Context(), `for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done`, func(s *Spec) { s.Silence = time.Second })
	if err != nil || len(lines) != 6 {
		t.Errorf("%v, %v", lines, err)
	}
}

func TestEscapedProcessDoesNotHoldTheRun(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Fatal("setsid is missing: apt-get install util-linux")
	}
	lines, exit, err := shell(t.Context(), `setsid sh -c 'echo $$; exec sleep 600' & sleep 0.3`, nil)
	if err != nil || exit.Code != 0 || len(lines) != 1 {
		t.Fatalf("%v %v %v", lines, exit, err)
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
}

// orphan starts a group as an earlier owner of the ledger would have left it, and gives a reader that ends with it.
func orphan(t *testing.T, script, token string) (pid int, alive *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout, cmd.Env = w, append(os.Environ(), tokenVariable+"="+token)
	cmd.SysProcAttr = attributes()
	cmd.SysProcAttr.Pdeathsig = 0
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		killGroup(cmd.Process.Pid)
		cmd.Wait()
		r.Close()
	})
	alive = bufio.NewReader(r)
	if _, err := alive.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(script, "exit") {
		cmd.Wait()
	}
	return cmd.Process.Pid, alive
}

func TestLedgerClearsOnlyItsOwn(t *testing.T) {
	const stay = "echo up; exec sleep 600"
	for _, c := range []struct {
		name, script string
		start, token string // what the ledger says; "" means the truth
		killed       bool
	}{
		{"leader", stay, "", "", true},
		{"another process with the number", stay, "1", "", false},
		{"leader is gone", "sh -c 'echo up; exec sleep 600' & exit", "", "", true},
		{"leader is gone and the rest is not ours", "sh -c 'echo up; exec sleep 600' & exit", "", "other", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ledger, err := OpenLedger(filepath.Join(t.TempDir(), "running"))
			if err != nil {
				t.Fatal(err)
			}
			token := newToken()
			pid, alive := orphan(t, c.script, token)
			if c.token != "" {
				token = c.token
			}
			if _, err := ledger.add(pid, token); err != nil {
				t.Fatal(err)
			}
			if c.start != "" {
				text, _ := json.Marshal(entry{PID: pid, Start: c.start, Token: token})
				if err := os.WriteFile(filepath.Join(ledger.dir, fmt.Sprint(pid)+".json"), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			killed, err := ledger.Clear()
			if err != nil || slices.Contains(killed, pid) != c.killed {
				t.Errorf("killed %v, %v", killed, err)
			}
			if c.killed {
				if _, err := alive.ReadByte(); err != io.EOF {
					t.Errorf("the group lives on: %v", err)
				}
			}
			if left, _ := os.ReadDir(ledger.dir); len(left) != 0 {
				t.Errorf("the ledger still holds %v", left)
			}
		})
	}
}

func TestLedgerIsEmptyAfterARun(t *testing.T) {
	ledger, err := OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// The process stays until the ledger was looked at.
	seen, looked := 0, filepath.Join(t.TempDir(), "looked")
	_, err = Run(t.Context(), Spec{Args: []string{"sh", "-c", "echo x; until [ -e " + looked + " ]; do sleep 0.01; done"}, Ledger: ledger, Line: func(Line) {
		files, _ := os.ReadDir(ledger.dir)
		seen = len(files)
		if err := os.WriteFile(looked, nil, 0o644); err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(ledger.dir); len(files) != 0 || seen != 1 {
		t.Errorf("%d entries during the run, %d after", seen, len(files))
	}
}

func TestLinesDoNotDependOnPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.SampledFrom([]byte("ab\r\n\xff\xc3\xa4"))).Draw(t, "text")
		split := func(cut func(rest int) int) (lines []string) {
			l := NewLines(func(s string, _ bool) { lines = append(lines, s) })
			for rest := text; len(rest) > 0; {
				n := cut(len(rest))
				l.Write(rest[:n])
				rest = rest[n:]
			}
			l.Close()
			return lines
		}
		whole := split(func(n int) int { return n })
		pieces := split(func(n int) int { return rapid.IntRange(1, n).Draw(t, "piece") })
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestLongLines(t *testing.T) {
	var lines []string
	l := NewLines(func(s string, continued bool) {
		if continued != (len(lines) > 0 && s != "next") {
			t.Errorf("piece %d: continued is %v", len(lines), continued)
		}
		lines = append(lines, s)
	})
	text := strings.Repeat("ä", MaxLine) + "\n"
	l.Write([]byte("x" + text + "next\n"))
	if strings.Join(lines, "") != "x"+strings.TrimSuffix(text, "\n")+"next" {
		t.Error("the pieces do not make up the line")
	}
	for _, line := range lines {
		if len(line) > MaxLine || !utf8.ValidString(line) || strings.Contains(line, "\uFFFD") {
			t.Errorf("a piece of %d bytes is not whole", len(line))
		}
	}
}

// TestStreams has processes that write to both streams, to one, to none, more than a pipe holds, and that die amidst a line.
func TestStreams(t *testing.T) {
	flood := strings.Repeat("0123456789abcde\n", 16<<10) // 256 KiB
	long := strings.Repeat("x", 3*MaxLine)
	for name, test := range map[string]struct{ script, stdout, stderr string }{
		"in turns":             {script: "for i in 1 2 3; do echo o$i; echo e$i >&2; done", stdout: "o1\no2\no3", stderr: "e1\ne2\ne3"},
		"neither":              {script: "exit 0"},
		"floods one":           {script: "echo first >&2; yes 0123456789abcde | head -c 262144; echo last >&2", stdout: strings.TrimSuffix(flood, "\n"), stderr: "first\nlast"},
		"floods the other":     {script: "yes 0123456789abcde | head -c 262144 >&2; echo last", stdout: "last", stderr: strings.TrimSuffix(flood, "\n")},
		"closes one":           {script: "echo o; exec >&-; echo e >&2", stdout: "o", stderr: "e"},
		"closes the other":     {script: "echo e >&2; exec 2>&-; echo o", stdout: "o", stderr: "e"},
		"dies amidst lines":    {script: "printf half; printf 'x\\nother' >&2; kill -9 $$", stdout: "half", stderr: "x\nother"},
		"a long line":          {script: "head -c 122880 /dev/zero | tr '\\0' x; echo e >&2; echo y", stdout: long + "y", stderr: "e"},
		"one goes into a file": {script: "exec 2>&1; echo a; echo b >&2; echo c", stdout: "a\nb\nc"},
	} {
		stdout, stderr, _, err := shellStreams(t.Context(), test.script, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(stdout, "\n"); got != test.stdout {
			t.Errorf("%s: standard output has %d bytes, not %d: %.100q", name, len(got), len(test.stdout), got)
		}
		if got := strings.Join(stderr, "\n"); got != test.stderr {
			t.Errorf("%s: standard error has %d bytes, not %d: %.100q", name, len(got), len(test.stderr), got)
		}
	}
}

// TestLineOfAClosedStreamComesAtOnce has a process that closes a stream amidst a line and goes on when it was delivered.
func TestLineOfAClosedStreamComesAtOnce(t *testing.T) {
	delivered := filepath.Join(t.TempDir(), "delivered")
	_, err := Run(t.Context(), Spec{
		Args: []string{"sh", "-c", "printf half; exec >&-; until [ -e " + delivered + " ]; do sleep 0.01; done"},
		Line: func(line Line) {
			if line.Text != "half" || line.Stream != Stdout {
				t.Errorf("got %+v", line)
			}
			if err := os.WriteFile(delivered, nil, 0o644); err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEscapedProcessThatGoesOnWriting has one outside the group write without end: the run ends, and has all of the group's.
func TestEscapedProcessThatGoesOnWriting(t *testing.T) {
	lines, _, err := shell(t.Context(), `setsid sh -c 'echo $$ >&2; while :; do echo x; done' & sleep 0.1; echo of the group; exit 0`, nil)
	if err != nil || !slices.Contains(lines, "of the group") {
		t.Errorf("%v, %d lines", err, len(lines))
	}
	awaitGone(t, lines[len(lines)-1]) // its pipe is gone
}

// TestSlowDeliveryLosesNothing takes the lines of a dead process more slowly than the time after which a held pipe is cut.
func TestSlowDeliveryLosesNothing(t *testing.T) {
	n := 0
	_, err := Run(t.Context(), Spec{Args: []string{"sh", "-c", "yes 0123456789abcde | head -c 65536"}, Line: func(Line) {
		if n++; n == 1 {
			<-time.After(drainLimit * 3 / 2) // this is the slowness itself
		}
	}})
	if err != nil || n != 4096 {
		t.Errorf("%d lines, %v", n, err)
	}
}
