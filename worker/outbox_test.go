package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"hayloft/api/wire"
)

func textEntry(o *outbox, task uuid.UUID, text string) entry {
	return entry{Task: task, Update: wire.TaskUpdate{Log: &text}, ordinal: o.ordinal()}
}

func mustOpen(t *testing.T, dir string, limit int64) *outbox {
	t.Helper()
	o, err := openOutbox(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// empty takes everything out in order.
func empty(t *testing.T, o *outbox) (logs []string) {
	t.Helper()
	for {
		e, ok, err := o.head()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return logs
		}
		if e.Update.Log != nil {
			logs = append(logs, *e.Update.Log)
		}
		if err := o.remove(e.ordinal); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOutboxKeepsOrderAcrossRestarts(t *testing.T) {
	dir, task := t.TempDir(), uuid.New()
	o := mustOpen(t, dir, 1<<20)
	a, b, c := textEntry(o, task, "a"), textEntry(o, task, "b"), textEntry(o, task, "c")
	if err := errors.Join(o.put(b), o.put(c), o.put(a), o.put(b)); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves of a file that was being written.
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000009.json.tmp"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	o = mustOpen(t, dir, 1<<20)
	if err := o.put(textEntry(o, task, "d")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, empty(t, o)); diff != "" {
		t.Error(diff)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestOutboxSetsDamageAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000001.json"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := mustOpen(t, dir, 1<<20)
	if _, _, err := o.head(); err == nil {
		t.Error("damage went unnoticed")
	}
	if _, ok, err := o.head(); ok || err != nil {
		t.Errorf("after the damage: %v, %v", ok, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "00000000000000000001.json.damaged")); err != nil {
		t.Error(err)
	}
}

func TestFullOutboxThinsLogsAndKeepsTheEnd(t *testing.T) {
	o := mustOpen(t, t.TempDir(), 2000)
	task := uuid.New()
	for range 50 {
		if err := o.put(textEntry(o, task, strings.Repeat("x", 100))); err != nil {
			t.Fatal(err)
		}
	}
	steps, completed := 7, wire.TaskStatusCompleted
	if err := errors.Join(
		o.put(entry{Task: task, Update: wire.TaskUpdate{StepsCompleted: &steps}, ordinal: o.ordinal()}),
		o.put(entry{Task: task, Update: wire.TaskUpdate{TaskStatus: &completed}, ordinal: o.ordinal()})); err != nil {
		t.Fatal(err)
	}
	if o.bytes > 3000 {
		t.Errorf("the outbox grew to %d bytes", o.bytes)
	}
	logs := empty(t, o)
	if last := logs[len(logs)-1]; !strings.Contains(last, "bytes of log were dropped") {
		t.Errorf("nothing is said about the loss: %q", last)
	}
}

func TestOutboxForgetsWhatWasSettledMeanwhile(t *testing.T) {
	dir := t.TempDir()
	o := mustOpen(t, dir, 1<<20)
	e := textEntry(o, uuid.New(), "sent directly")
	if err := errors.Join(o.remove(e.ordinal), o.put(e)); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 || o.len() != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// flakyUpdater fails as often as it is told and records what arrives.
type flakyUpdater struct {
	mu       sync.Mutex
	failures int
	err      error
	got      []wire.TaskUpdate
}

func (f *flakyUpdater) Update(_ context.Context, _ uuid.UUID, u wire.TaskUpdate) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failures > 0 {
		f.failures--
		return f.err
	}
	f.got = append(f.got, u)
	return nil
}

// TestUpdatesArriveOnceAndInOrder drives reporter and courier in virtual time against a manager that fails in the ways
// that are worth another try.
func TestUpdatesArriveOnceAndInOrder(t *testing.T) {
	for _, failure := range []error{errors.New("connection refused"), &refusal{status: 503}, &refusal{status: 429}} {
		synctest.Test(t, func(t *testing.T) {
			to := &flakyUpdater{failures: 7, err: failure}
			log := slog.New(slog.NewTextHandler(io.Discard, nil))
			c := newCourier(to, mustOpen(t, t.TempDir(), 1<<20), &reach{log: log}, log, backoff{min: 100 * time.Millisecond, max: 10 * time.Second})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); c.run(ctx) }()

			r := newReporter(c, newTask(), time.Second)
			begin := time.Now()
			for i := range 5 {
				r.line(strings.Repeat("x", i+1))
				if err := pause(ctx, 2*time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(r.finish(ctx, wire.TaskStatusCompleted, "Completed"), c.drain(ctx)); err != nil {
				t.Fatal(err)
			}
			cancel()
			<-done
			var text strings.Builder
			for i, u := range to.got {
				if *u.Seq != int64(i+1) {
					t.Errorf("update %d has seq %d", i+1, *u.Seq)
				}
				if u.Log != nil {
					text.WriteString(*u.Log)
				}
			}
			if want := "x\nxx\nxxx\nxxxx\nxxxxx\n"; text.String() != want {
				t.Errorf("log %q, want %q", text.String(), want)
			}
			if last := to.got[len(to.got)-1]; *last.TaskStatus != wire.TaskStatusCompleted {
				t.Errorf("last status %s", *last.TaskStatus)
			}
			if took := time.Since(begin); took > 40*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestChunksEndWithALineOrACharacter(t *testing.T) {
	for log, want := range map[string]string{"ab\ncd\nefg": "ab\ncd\n", "abcdefghij": "abcdefgh", "abcdefgäij": "abcdefg", "äöüäöü": "äöüä", "abc": "abc"} {
		if got := log[:chunkEnd([]byte(log), 8)]; got != want {
			t.Errorf("%q is cut after %q, want %q", log, got, want)
		}
	}
}

func TestRefusedUpdateEndsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &flakyUpdater{failures: 1, err: &refusal{status: 409, message: "assigned to another worker"}}
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		c := newCourier(to, mustOpen(t, t.TempDir(), 1<<20), &reach{log: log}, log, backoff{min: time.Second, max: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.run(ctx) }()
		task := newTask()
		lost := make(chan error, 1)
		stop := c.onLost(claimKey{task.Uuid, 1}, func(err error) { lost <- err })
		r := newReporter(c, task, time.Second)
		if err := <-lost; !errors.Is(err, errConflict) {
			t.Errorf("got %v", err)
		}
		stop()
		if err := r.abandon(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
	})
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: 10 * time.Second}
	for n := range 20 {
		limit := min(100*time.Millisecond<<n, 10*time.Second)
		if p := b.pause(); p < limit/2 || p > limit {
			t.Errorf("pause %d is %v, want between %v and %v", n, p, limit/2, limit)
		}
	}
}

func TestWordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringOf(rapid.SampledFrom([]rune(`ab '"\$ä`+"\n`")))).Draw(t, "words")
		got, err := splitWords(quoteWords(words))
		if err != nil {
			t.Fatal(err)
		}
		if len(words)+len(got) > 0 {
			if diff := cmp.Diff(words, got); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestSplitWords(t *testing.T) {
	got, err := splitWords(`-b  -y "a b" 'c"d' e\ f "g\"h\x"`)
	if diff := cmp.Diff([]string{"-b", "-y", "a b", `c"d`, "e f", `g"h\x`}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, text := range []string{`"open`, `'open`, `end\`} {
		if _, err := splitWords(text); err == nil {
			t.Errorf("%s passed", text)
		}
	}
}

func FuzzSplitWords(f *testing.F) {
	for _, text := range []string{`-b -y`, `"a b" 'c'`, `\`, `"\"`, "a\tb\nc"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := splitWords(text)
		if err != nil {
			return
		}
		again, err := splitWords(quoteWords(words))
		if diff := cmp.Diff(words, again); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}

func TestConcatInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	args, err := concatInput(path, []string{"/a/it's.png", "/a/2.png"})
	if err != nil || args[len(args)-1] != path {
		t.Fatal(args, err)
	}
	text, err := os.ReadFile(path)
	if want := "file '/a/it'\\''s.png'\nfile '/a/2.png'\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
}
