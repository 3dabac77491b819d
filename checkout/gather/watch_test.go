package gather

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watched is a tree that is watched in a bubble of time, with reports that the test makes up.
type watched struct {
	root    string
	start   time.Time
	events  chan fsnotify.Event
	errors  chan error
	log     strings.Builder
	mu      sync.Mutex
	folders []string // that reports were asked for
	addErr  error
	told    []time.Duration // since the start
	changed func(context.Context) error
}

// watchInBubble watches a tree with one file, until the test is done. Time passes only while everything waits.
func watchInBubble(t *testing.T, o WatchOptions, test func(t *testing.T, w *watched)) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a.blend": "a"})
	synctest.Test(t, func(t *testing.T) {
		w := &watched{root: root, start: time.Now(), events: make(chan fsnotify.Event), errors: make(chan error)}
		o.Log = slog.New(slog.NewTextHandler(&w.log, nil))
		run := watch{options: o.withDefaults(), roots: []string{root}, changed: w.tell, notices: notices{events: w.events, errors: w.errors, add: w.add}}
		var err error
		if run.exclude, err = parseExclusions(o.Exclude); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run.run(ctx) }()
		synctest.Wait()
		test(t, w)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (w *watched) tell(ctx context.Context) error {
	w.mu.Lock()
	w.told = append(w.told, time.Since(w.start))
	changed := w.changed
	w.mu.Unlock()
	if changed == nil {
		return nil
	}
	return changed(ctx)
}

func (w *watched) add(folder string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.folders = append(w.folders, folder)
	return w.addErr
}

func (w *watched) report(op fsnotify.Op, path string) {
	w.events <- fsnotify.Event{Name: filepath.Join(w.root, filepath.FromSlash(path)), Op: op}
	synctest.Wait()
}

// asked gives the folders that reports were asked for since it was called last, in order and each once.
func (w *watched) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.folders)
	folders := slices.Compact(w.folders)
	w.folders = nil
	return folders
}

// counts says how often changes were told since the last check.
func (w *watched) counts(t *testing.T, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) != want {
		t.Errorf("told at %v: not %d times", w.told, want)
	}
	w.told = nil
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// check says when changes were told, since the last check.
func (w *watched) check(t *testing.T, want ...time.Duration) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, want) {
		t.Errorf("told at %v, not at %v", w.told, want)
	}
	w.told = nil
}

const rarely = time.Hour

func TestWatchWaitsForQuiet(t *testing.T) {
	watchInBubble(t, WatchOptions{Quiet: time.Second, Limit: 10 * time.Second, Rescan: rarely}, func(t *testing.T, w *watched) {
		w.check(t, 0)
		for range 4 {
			w.report(fsnotify.Write, "a.blend")
			pass(900 * time.Millisecond)
		}
		w.check(t)
		pass(10 * time.Second)
		w.check(t, 3700*time.Millisecond)
		// Never quiet: every ten seconds, then once more when it ends.
		start := time.Since(w.start)
		for range 25 {
			w.report(fsnotify.Write, "a.blend")
			pass(900 * time.Millisecond)
		}
		pass(time.Minute)
		// The second limit starts with the first report after the first look.
		w.check(t, start+10*time.Second, start+20800*time.Millisecond, start+24*900*time.Millisecond+time.Second)
	})
}

func TestWatchIgnoresWhatNobodySends(t *testing.T) {
	watchInBubble(t, WatchOptions{Exclude: []string{"*.tmp", "cache/sim"}, Rescan: rarely}, func(t *testing.T, w *watched) {
		w.check(t, 0)
		for _, path := range []string{"a.blend@", "a.blend1", ".git/index", "x.tmp", "dir.tmp/x", "cache/sim/0001.vdb", "../beside"} {
			w.report(fsnotify.Write, path)
		}
		// A look at a file is no change of it.
		w.report(fsnotify.Chmod, "a.blend")
		pass(time.Minute)
		w.check(t)
		w.report(fsnotify.Remove, "cache/other")
		pass(time.Minute)
		w.counts(t, 1)
	})
}

func TestWatchLooksWhereReportsAreLost(t *testing.T) {
	watchInBubble(t, WatchOptions{Rescan: 30 * time.Second}, func(t *testing.T, w *watched) {
		pass(10 * time.Second)
		w.check(t, 0)
		// Nobody reports this, as on a network share.
		lay(t, w.root, map[string]string{"sub/b": "b"})
		pass(21 * time.Second)
		w.check(t, 30*time.Second)
		pass(time.Minute)
		w.check(t)
		// The system's list of reports overflows.
		w.errors <- fsnotify.ErrEventOverflow
		pass(2 * time.Second)
		w.check(t)
		lay(t, w.root, map[string]string{"sub/b": "bb"})
		at := time.Since(w.start)
		w.errors <- fsnotify.ErrEventOverflow
		pass(2 * time.Second)
		w.check(t, at+time.Second)
		if err := os.RemoveAll(w.root); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		w.counts(t, 1)
		if w.log.Len() > 0 {
			t.Errorf("log: %s", &w.log)
		}
	})
}

func TestWatchWatchesNewFolders(t *testing.T) {
	watchInBubble(t, WatchOptions{Quiet: time.Second, Exclude: []string{"out"}, Rescan: rarely}, func(t *testing.T, w *watched) {
		if got := w.asked(); !slices.Equal(got, []string{w.root}) {
			t.Errorf("watched %q", got)
		}
		lay(t, w.root, map[string]string{"sub/deep/b": "b", "sub/.git/x": "x", "sub/out/y": "y"})
		w.report(fsnotify.Create, "sub")
		// At once, and not when it is quiet.
		want := []string{filepath.Join(w.root, "sub"), filepath.Join(w.root, "sub", "deep")}
		if got := w.asked(); !slices.Equal(got, want) {
			t.Errorf("watched %q, not %q", got, want)
		}
		pass(time.Minute)
		want = append([]string{w.root}, want...)
		if got := w.asked(); !slices.Equal(got, want) {
			t.Errorf("watched %q, not %q", got, want)
		}
		w.check(t, 0, time.Second)
	})
}

func TestWatchTellsOfChangesDuringACall(t *testing.T) {
	watchInBubble(t, WatchOptions{Quiet: time.Second, Rescan: rarely}, func(t *testing.T, w *watched) {
		w.mu.Lock()
		w.changed = func(context.Context) error {
			<-time.After(10 * time.Second)
			return nil
		}
		w.mu.Unlock()
		w.report(fsnotify.Write, "a.blend")
		pass(5 * time.Second)
		w.report(fsnotify.Write, "a.blend")
		pass(time.Minute)
		w.check(t, 0, time.Second, 11*time.Second)
	})
}

func TestWatchTellsAgainOfWhatCouldNotBeHandled(t *testing.T) {
	watchInBubble(t, WatchOptions{Rescan: 30 * time.Second}, func(t *testing.T, w *watched) {
		w.counts(t, 1)
		w.mu.Lock()
		w.changed = func(context.Context) error { return fmt.Errorf("the store is away: %w", ErrAgain) }
		w.mu.Unlock()
		lay(t, w.root, map[string]string{"a.blend": "changed"})
		pass(time.Minute)
		w.check(t, time.Second, 30*time.Second, time.Minute)
		w.mu.Lock()
		w.changed = nil
		w.mu.Unlock()
		pass(90 * time.Second)
		w.counts(t, 1)
	})
}

func TestWatchSaysWhatIsNotReported(t *testing.T) {
	watchInBubble(t, WatchOptions{Rescan: 30 * time.Second}, func(t *testing.T, w *watched) {
		w.mu.Lock()
		w.addErr = errors.New("no more watches")
		w.mu.Unlock()
		pass(5 * time.Minute)
		w.check(t, 0)
		if n := strings.Count(w.log.String(), "no more watches"); n != 1 {
			t.Errorf("said %d times: %s", n, &w.log)
		}
		w.mu.Lock()
		w.addErr = fs.ErrNotExist // a folder that is gone already
		w.mu.Unlock()
		pass(5 * time.Minute)
		if strings.Count(w.log.String(), "\n") != 2 {
			t.Errorf("log: %s", &w.log)
		}
	})
}

func TestWatchEndsWithTheErrorOfChanged(t *testing.T) {
	root, errEnough := t.TempDir(), errors.New("enough")
	if err := Watch(t.Context(), []string{root}, WatchOptions{}, func(context.Context) error { return errEnough }); !errors.Is(err, errEnough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Watch(ctx, []string{root}, WatchOptions{}, func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	})
	if err != nil {
		t.Errorf("cancelled: %v", err)
	}
	if err := Watch(t.Context(), []string{root}, WatchOptions{Exclude: []string{"["}}, nil); err == nil {
		t.Error("a bad pattern is taken")
	}
}

// atOnce never looks unless something is reported, and then without waiting for quiet.
var atOnce = WatchOptions{Quiet: 1, Limit: 2, Rescan: 3, After: func(d time.Duration) <-chan time.Time {
	if d > 1 {
		return nil
	}
	fired := make(chan time.Time, 1)
	fired <- time.Time{}
	return fired
}}

// hears watches with the system's own reports until the test is done, and gives a function that waits until a file has
// a size; 0: until it is gone.
func hears(t *testing.T, roots []string) (await func(path string, size int64)) {
	t.Helper()
	seen := make(chan map[string]int64)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Watch(ctx, roots, atOnce, func(ctx context.Context) error {
			// A file that comes or goes meanwhile is an error, and leads to a further call.
			tree, _ := walkRoots(ctx, roots, Options{})
			sizes := map[string]int64{}
			for _, f := range tree.Files {
				sizes[f.Path.String()] = f.Size
			}
			select {
			case seen <- sizes:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(path string, size int64) {
		for sizes := range seen {
			if sizes[path] == size {
				return
			}
		}
	}
}

func TestWatchHearsTheSystem(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a.blend": "a", "tex/wood.png": "w", "one/single.blend": "s", "one/other": "o"})
	await := hears(t, []string{filepath.Join(root, "a.blend"), filepath.Join(root, "tex"), filepath.Join(root, "one", "single.blend")})
	await("a.blend", 1)
	lay(t, root, map[string]string{"a.blend": "longer"})
	await("a.blend", 6)
	lay(t, root, map[string]string{"new": "renamed"})
	if err := os.Rename(filepath.Join(root, "new"), filepath.Join(root, "a.blend")); err != nil {
		t.Fatal(err)
	}
	await("a.blend", 7)
	lay(t, root, map[string]string{"tex/new/deep/tin.png": "tin"})
	await("tex/new/deep/tin.png", 3)
	if err := os.RemoveAll(filepath.Join(root, "tex", "new")); err != nil {
		t.Fatal(err)
	}
	await("tex/new/deep/tin.png", 0)
	for _, content := range []string{"tin, again", "and again"} {
		lay(t, root, map[string]string{"tex/new/deep/tin.png": content})
		await("tex/new/deep/tin.png", int64(len(content)))
	}
	lay(t, root, map[string]string{"one/single.blend": "saved"})
	await("single.blend", 5)
}
