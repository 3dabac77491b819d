package jobtype

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

func labelled(label string) string {
	return fmt.Sprintf("const JOB_TYPE = { label: %q };\nfunction compileJob(job) {}", label)
}

// editedFS is a folder that changes while it is watched.
type editedFS struct {
	mu    sync.Mutex
	files fstest.MapFS
}

func (e *editedFS) Open(name string) (fs.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.files.Open(name)
}

func (e *editedFS) write(name, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.files[name] = &fstest.MapFile{Data: []byte(text)}
}

func (e *editedFS) remove(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.files, name)
}

// watched is a library that is being watched inside of a bubble of time.
type watched struct {
	*Library
	editedFS
	events  chan fsnotify.Event
	errors  chan error
	folders []string
	addErr  atomic.Pointer[error]
	log     strings.Builder
}

// watchInBubble begins to watch a folder that has the script mine.js. Time passes only while everything waits.
func watchInBubble(t *testing.T, test func(t *testing.T, w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{
			editedFS: editedFS{files: fstest.MapFS{}}, events: make(chan fsnotify.Event), errors: make(chan error),
		}
		w.addErr.Store(new(error))
		w.write("mine.js", labelled("first"))
		library, err := Load(Options{Scripts: &w.editedFS, Folder: "/scripts", Log: slog.New(slog.NewTextHandler(&w.log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		w.Library = library
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.watch(ctx, notices{events: w.events, errors: w.errors, add: func(folder string) error {
				w.folders = append(w.folders, filepath.ToSlash(folder))
				return *w.addErr.Load()
			}})
		}()
		synctest.Wait()
		test(t, w)
		stop()
		<-ended
	})
}

func (w *watched) written(name string) {
	w.events <- fsnotify.Event{Name: "/scripts/" + name, Op: fsnotify.Write}
}

// reloads says how often scripts are read while some time passes.
func (w *watched) reloads(d time.Duration) (count int) {
	over := time.After(d)
	for {
		select {
		case <-w.Changed():
			count++
		case <-over:
			synctest.Wait()
			return count
		}
	}
}

func (w *watched) label(t *testing.T) string {
	t.Helper()
	found, err := w.Get("mine")
	if err != nil {
		t.Fatal(err)
	}
	return found.Label
}

func TestWatchWaitsUntilTheFolderIsQuiet(t *testing.T) {
	watchInBubble(t, func(t *testing.T, w *watched) {
		for i := range 5 {
			w.write("mine.js", labelled(fmt.Sprint("step ", i)))
			w.written("mine.js")
		}
		if n := w.reloads(settleTime - 1); n != 0 {
			t.Errorf("read %d times before the folder was quiet", n)
		}
		if n := w.reloads(rescanEvery); n != 1 || w.label(t) != "step 4" {
			t.Errorf("read %d times, the label is %q", n, w.label(t))
		}
	})
}

func TestWatchDoesNotWaitForever(t *testing.T) {
	watchInBubble(t, func(t *testing.T, w *watched) {
		changed, begun := w.Changed(), time.Now()
		tick := time.NewTicker(settleTime / 2)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.written("mine.js")
				continue
			case <-changed:
			}
			break
		}
		if waited := time.Since(begun); waited > settleLimit+settleTime {
			t.Errorf("a folder that was never quiet was read after %v", waited)
		}
	})
}

func TestWatchReadsAScriptThatLooksTheSame(t *testing.T) {
	watchInBubble(t, func(t *testing.T, w *watched) {
		w.write("mine.js", labelled("FIRST"))
		w.written("mine.js")
		if n := w.reloads(2 * settleTime); n != 1 || w.label(t) != "FIRST" {
			t.Errorf("read %d times, the label is %q", n, w.label(t))
		}
	})
}

func TestWatchPassesOverWhatIsNoChange(t *testing.T) {
	watchInBubble(t, func(t *testing.T, w *watched) {
		w.events <- fsnotify.Event{Name: "/scripts/mine.js", Op: fsnotify.Chmod}
		w.events <- fsnotify.Event{Name: "/scripts/.mine.js.swp", Op: fsnotify.Create}
		w.events <- fsnotify.Event{Name: "/scripts/notes.txt", Op: fsnotify.Write}
		if n := w.reloads(3 * rescanEvery); n != 0 {
			t.Errorf("read %d times without a change", n)
		}
	})
}

func TestWatchFindsWhatNobodyReported(t *testing.T) {
	for name, report := range map[string]func(*watched){
		"silence":     func(*watched) {},
		"events lost": func(w *watched) { w.errors <- fsnotify.ErrEventOverflow },
		"an error":    func(w *watched) { w.errors <- fs.ErrPermission },
		"new folder":  func(w *watched) { w.events <- fsnotify.Event{Name: "/scripts/lib", Op: fsnotify.Create} },
	} {
		t.Run(name, func(t *testing.T) {
			watchInBubble(t, func(t *testing.T, w *watched) {
				w.write("lib/part.js", `exports.label = "from a part"`)
				w.write("mine.js", `const JOB_TYPE = { label: require("lib/part").label }; function compileJob() {}`)
				report(w)
				if n := w.reloads(rescanEvery + time.Second); n != 1 || w.label(t) != "from a part" {
					t.Errorf("read %d times, the label is %q", n, w.label(t))
				}
				if last := w.folders[len(w.folders)-1]; last != "/scripts/lib" {
					t.Errorf("the new folder is not watched; the last is %s", last)
				}
			})
		})
	}
}

func TestWatchKeepsWhatItHasWhenAReadingFails(t *testing.T) {
	watchInBubble(t, func(t *testing.T, w *watched) {
		for i := range maxScripts {
			w.write(fmt.Sprintf("lib/%d.js", i), "// nothing")
		}
		if n := w.reloads(5 * rescanEvery); n != 0 || w.label(t) != "first" {
			t.Errorf("read %d times, the label is %q", n, w.label(t))
		}
		if n := strings.Count(w.log.String(), "remove some"); n != 1 {
			t.Errorf("the same complaint was logged %d times", n)
		}
		w.remove("lib/0.js")
		if n := w.reloads(rescanEvery + time.Second); n != 1 {
			t.Errorf("read %d times after the fault was gone", n)
		}
	})
}

func TestWatchGoesOnWithoutReports(t *testing.T) {
	watchInBubble(t, func(t *testing.T, w *watched) {
		w.addErr.Store(&fs.ErrPermission)
		w.write("other.js", labelled("other"))
		if n := w.reloads(rescanEvery + time.Second); n != 1 {
			t.Errorf("read %d times", n)
		}
		if !strings.Contains(w.log.String(), "noticed late") {
			t.Errorf("the log does not say so: %s", w.log.String())
		}
	})
}

func TestWatchWithoutAFolder(t *testing.T) {
	library, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := library.Watch(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWatchOnDisk edits a folder as people do: writing, breaking, mending, replacing by a rename, removing.
func TestWatchOnDisk(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("good.js", labelled("good"))
	library, err := Load(Options{Folder: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- library.Watch(ctx) }()

	// until waits for what List should say, one reading after the other.
	until := func(name, want string) {
		t.Helper()
		for {
			changed := library.Changed()
			found, err := library.Get(name)
			if got := found.Label; err != nil && strings.Contains(err.Error(), want) || err == nil && got == want {
				break
			}
			<-changed
		}
		if found, err := library.Get("good"); err != nil || found.Label != "good" {
			t.Fatalf("the other job type is %q, %v", found.Label, err)
		}
	}
	write("mine.js", labelled("one"))
	until("mine", "one")
	write("mine.js", "const JOB_TYPE = {\n  label: ;\n}")
	until("mine", "mine.js:2:10")
	write("aside.tmp", labelled("two"))
	if err := os.Rename(filepath.Join(dir, "aside.tmp"), filepath.Join(dir, "mine.js")); err != nil {
		t.Fatal(err)
	}
	until("mine", "two")
	write("lib/part.js", `exports.label = "three"`)
	write("mine.js", `const JOB_TYPE = { label: require("lib/part").label }; function compileJob() {}`)
	until("mine", "three")
	write("lib/part.js", `exports.label = "four"`)
	until("mine", "four")
	if err := os.Remove(filepath.Join(dir, "mine.js")); err != nil {
		t.Fatal(err)
	}
	until("mine", "unknown job type")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
