package tasklog

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// split runs a log through a splitter in pieces whose sizes next gives.
func split(t interface{ Fatal(...any) }, log string, next func(rest int) int) (stdout, stderr string) {
	var out, errs bytes.Buffer
	s := NewSplitter(&out, &errs)
	for len(log) > 0 {
		n := next(len(log))
		if took, err := s.Write([]byte(log[:n])); err != nil || took != n {
			t.Fatal(took, err)
		}
		log = log[n:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

func TestSplit(t *testing.T) {
	for name, test := range map[string]struct{ log, stdout, stderr string }{
		"empty":                    {},
		"only the worker":          {log: "going to run: true\nslept 3s\n"},
		"another's worker":         {log: "pid=7 > a\npid=7 > \npid=7 > b\n", stdout: "a\n\nb\n"},
		"both":                     {log: "pid=7 > a\npid=7 2> b\nsays\npid=7 > c\n", stdout: "a\nc\n", stderr: "b\n"},
		"several processes":        {log: "pid=7 > a\nbetween\npid=4194304 > b\npid=4194304 2> c\n", stdout: "a\nb\n", stderr: "c\n"},
		"a long line":              {log: "pid=7 > a\npid=7 2> x\npid=7 >> b\npid=7 >> c\npid=7 > d\n", stdout: "abc\nd\n", stderr: "x\n"},
		"more without a beginning": {log: "pid=7 2>> x\n", stderr: "x\n"},
		"a cut end":                {log: "pid=7 > a\npid=7 2> b", stdout: "a\n", stderr: "b\n"},
		"a cut mark":               {log: "pid=7 > a\npid=7 2", stdout: "a\n"},
		"a stripped empty line":    {log: "pid=7 >\npid=7 2>\n", stdout: "\n", stderr: "\n"},
		"text like a mark":         {log: "pid=7 > pid=7 2> a\npid=7 2> > b\npid=7 > > c\n", stdout: "pid=7 2> a\n> c\n", stderr: "> b\n"},
		"no mark":                  {log: " pid=7 > a\npid= > b\npid=x > c\npid=12345678901 > d\npid=7> e\npid=7 3> f\npid=7 >g\npid=-7 > h\n"},
		"blanks are the process's": {log: "pid=7 >   a \n", stdout: "  a \n"},
	} {
		for _, size := range []int{1, 2, 7, 1 << 20} {
			stdout, stderr := split(t, test.log, func(rest int) int { return min(rest, size) })
			if stdout != test.stdout || stderr != test.stderr {
				t.Errorf("%s, in pieces of %d: %q and %q", name, size, stdout, stderr)
			}
		}
	}
}

// TestNothingIsConfused has a worker and processes say whatever they like, in turns, and gets both streams back.
func TestNothingIsConfused(t *testing.T) {
	text := rapid.StringOf(rapid.SampledFrom([]rune("pid=7 2>ä\t")))
	note := rapid.StringOf(rapid.SampledFrom([]rune("pid=7 2>\n\r")))
	rapid.Check(t, func(t *rapid.T) {
		var log strings.Builder
		var want [Stderr + 1]string
		for range rapid.IntRange(0, 12).Draw(t, "turns") {
			stream := rapid.SampledFrom([]Stream{0, Stdout, Stderr}).Draw(t, "who")
			if stream == 0 {
				log.WriteString(Note(note.Draw(t, "note")) + "\n")
				continue
			}
			pid := rapid.IntRange(1, 1<<32-1).Draw(t, "pid")
			continued := want[stream] != "" && rapid.Bool().Draw(t, "continued")
			line := text.Draw(t, "text")
			log.WriteString(Line(pid, stream, continued, line) + "\n")
			if continued {
				want[stream] = strings.TrimSuffix(want[stream], "\n")
			}
			want[stream] += line + "\n"
		}
		stdout, stderr := split(t, log.String(), func(rest int) int { return rapid.IntRange(1, rest).Draw(t, "piece") })
		if diff := cmp.Diff(want[Stdout:], []string{stdout, stderr}); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", log.String(), diff)
		}
	})
}

func TestNote(t *testing.T) {
	for text, want := range map[string]string{
		"slept": "slept", "pid=7 > a": " pid=7 > a", "run: 'a\npid=7 > b\r\nc\rd'": "run: 'a\n    pid=7 > b\n    c\n    d'", "": "",
	} {
		if got := Note(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

var errFull = errors.New("the disk is full")

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestErrorsOfEitherStream(t *testing.T) {
	for name, s := range map[string]*Splitter{"stdout": NewSplitter(fullDisk{}, io.Discard), "stderr": NewSplitter(io.Discard, fullDisk{})} {
		line := Line(7, Stdout, false, strings.Repeat("x", 10_000)) + "\n" + Line(7, Stderr, false, strings.Repeat("x", 10_000)) + "\n"
		if _, err := s.Write([]byte(line)); !errors.Is(err, errFull) {
			t.Errorf("%s, writing: %v", name, err)
		}
		if err := s.Close(); !errors.Is(err, errFull) {
			t.Errorf("%s, closing: %v", name, err)
		}
	}
}

// FuzzSplit holds that the size of the pieces changes nothing, and that the streams hold no more than the log.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"pid=7 > a\npid=7 2> b\n", "pid=7 >> a", "\n\npid=\npid=7 2", "a\nb > c"} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, log string, size int) {
		size = max(1, min(size, 64))
		stdout, stderr := split(t, log, func(rest int) int { return rest })
		again, errAgain := split(t, log, func(rest int) int { return min(rest, size) })
		if stdout != again || stderr != errAgain {
			t.Errorf("%q and %q, in pieces of %d %q and %q", stdout, stderr, size, again, errAgain)
		}
		if len(stdout)+len(stderr) > len(log) {
			t.Errorf("%d and %d bytes from %d", len(stdout), len(stderr), len(log))
		}
	})
}
