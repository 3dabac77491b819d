package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchOptions are the options of [Watch]. The zero value is ready to use.
type WatchOptions struct {
	// Exclude is as in [Options].
	Exclude []string
	// Quiet is how long nothing must have happened before a change is told, since programs write a file in many steps;
	// 0: one second.
	Quiet time.Duration
	// Limit bounds that wait in a tree that is never quiet; 0: ten times Quiet.
	Limit time.Duration
	// Rescan is how often the trees are looked at without being asked: network shares do not report what other machines
	// change; 0: half a minute.
	Rescan time.Duration
	// After is [time.After] unless set.
	After func(time.Duration) <-chan time.Time
	// Log is told when the system does not report changes, and when it does again; nil: nobody.
	Log *slog.Logger
}

func (o WatchOptions) withDefaults() WatchOptions {
	o.Quiet = cmp.Or(o.Quiet, time.Second)
	o.Limit = cmp.Or(o.Limit, 10*o.Quiet)
	o.Rescan = cmp.Or(o.Rescan, 30*time.Second)
	if o.After == nil {
		o.After = time.After
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// ErrAgain is what the function that [Watch] calls returns, wrapped or not, if it could do nothing about a change yet.
var ErrAgain = errors.New("the change could not be handled yet")

// Watch calls changed once when everything is being watched, and then again soon after files of the roots have changed,
// until ctx ends, which is no error, or changed returns one, which is returned. After [ErrAgain] it goes on, and tells of
// the change again with the next look. There is one call at a time; what changes meanwhile leads to a further one. The roots are as in [WalkAll], and what that ignores is ignored.
//
// Where the system reports no changes, or lost some, they are found by looking at the trees every now and then. A
// change is then told at most twice. A tree that cannot be read leads to a call as well: changed meets the reason.
func Watch(ctx context.Context, roots []string, o WatchOptions, changed func(context.Context) error) error {
	o = o.withDefaults()
	w := watch{options: o, changed: changed}
	var err error
	if w.exclude, err = parseExclusions(o.Exclude); err != nil {
		return err
	}
	for _, root := range roots {
		absolute, err := filepath.Abs(root)
		if err != nil {
			return fmt.Errorf("watch %q: %w", root, err)
		}
		w.roots = append(w.roots, absolute)
	}
	reports, err := fsnotify.NewWatcher()
	if err != nil {
		o.Log.Warn("changes are noticed late: the system does not report them", "error", err)
		return w.run(ctx)
	}
	w.notices = notices{events: reports.Events, errors: reports.Errors, add: reports.Add}
	err = w.run(ctx)
	if closeErr := reports.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("stop to watch: %w", closeErr))
	}
	return err
}

// notices is where changes of files are reported. *[fsnotify.Watcher] has such members; all may be nil.
type notices struct {
	events <-chan fsnotify.Event
	errors <-chan error
	// add begins to watch a folder; one that is watched already is no error.
	add func(folder string) error
}

// watch is one run of [Watch]. All of it belongs to the goroutine that called Watch.
type watch struct {
	notices
	options WatchOptions
	exclude exclusions
	roots   []string
	changed func(context.Context) error

	quiet  <-chan time.Time // fires when nothing has happened for long enough; nil while no change is known
	limit  <-chan time.Time // fires when it has not been quiet for too long
	forced bool             // a file was written, even if it looks the same
	seen   survey           // what the last look saw
	busy   chan result      // a look is being taken; nil: none is
	due    bool             // a further look is owed when that is over
	// complaint is the last one logged, so that the same is not logged at each look.
	complaint string
}

// survey is what the trees look like from outside.
type survey struct {
	state   uint64 // a digest of all files' paths and looks, and of what cannot be seen
	folders map[string]struct{}
}

// result is what a look came to.
type result struct {
	survey
	grown bool  // there are folders that the look before did not see
	fault error // of a folder that cannot be watched
	err   error // changed's
}

func (w *watch) run(ctx context.Context) error {
	rescan := w.options.After(w.options.Rescan)
	w.forced = true
	w.look(ctx)
	for {
		select {
		case <-ctx.Done():
			if w.busy == nil {
				return nil
			}
			return w.outcome(ctx, <-w.busy)
		case event := <-w.events:
			w.noticed(event)
		case err := <-w.errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.complain(err)
			}
			w.expect()
		case <-w.quiet:
			w.look(ctx)
		case <-w.limit:
			w.look(ctx)
		case <-rescan:
			rescan = w.options.After(w.options.Rescan)
			w.look(ctx)
		case r := <-w.busy:
			if err := w.looked(ctx, r); err != nil {
				return err
			}
		}
	}
}

// noticed takes in one report.
func (w *watch) noticed(event fsnotify.Event) {
	if !w.concerns(event.Name) {
		return
	}
	if event.Has(fsnotify.Create) {
		w.watchNew(event.Name)
	}
	// A change of rights or dates alone shows in the look of the file, and is most often none of a project's.
	w.forced = w.forced || event.Op != fsnotify.Chmod
	w.expect()
}

// watchNew begins to watch a folder that came, and those in it, at once: what is written into it meanwhile must put off
// the look. What it misses, the look finds.
func (w *watch) watchNew(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return
	}
	// Folders may be gone again, and what cannot be watched the look complains of.
	_ = filepath.WalkDir(path, func(below string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fs.SkipDir
		case !entry.IsDir():
			return nil
		case !w.concerns(below) || w.add(below) != nil:
			return fs.SkipDir
		}
		return nil
	})
}

// concerns tells whether a path belongs to a project, by its name.
func (w *watch) concerns(path string) bool {
	for _, root := range w.roots {
		inside, err := filepath.Rel(root, path)
		if err != nil || !filepath.IsLocal(inside) {
			continue
		}
		top := ""
		if len(w.roots) > 1 {
			top = filepath.Base(root) + "/"
		}
		if inside == "." || !w.leftOut(top, filepath.ToSlash(inside)) {
			return true
		}
	}
	return false
}

// leftOut tells whether a path, or a folder on the way to it, is ignored or excluded. Its path from the project's top
// begins with top, which itself is never left out.
func (w *watch) leftOut(top, inside string) bool {
	start := 0
	for i := range len(inside) + 1 {
		if i < len(inside) && inside[i] != '/' {
			continue
		}
		if Ignored(inside[start:i]) || w.exclude.match(top+inside[:i]) {
			return true
		}
		start = i + 1
	}
	return false
}

// expect puts the next look off until it is quiet.
func (w *watch) expect() {
	w.quiet = w.options.After(w.options.Quiet)
	if w.limit == nil {
		w.limit = w.options.After(w.options.Limit)
	}
}

// look has the trees looked at in a goroutine of its own, so that reports are taken in meanwhile: the system keeps only
// so many.
func (w *watch) look(ctx context.Context) {
	w.quiet, w.limit = nil, nil
	if w.busy != nil {
		w.due = true
		return
	}
	forced, before := w.forced, w.seen
	w.forced, w.due, w.busy = false, false, make(chan result, 1)
	go func(busy chan<- result) { busy <- w.take(ctx, forced, before) }(w.busy)
}

// take looks at the trees and tells of a change. What comes after the look and before its folder is watched, changed
// sees itself; so the folders come first. It uses nothing of w that is ever written to.
func (w *watch) take(ctx context.Context, forced bool, before survey) result {
	r := result{survey: w.survey(ctx)}
	for folder := range r.folders {
		if _, ok := before.folders[folder]; !ok {
			r.grown = true
		}
		// All are asked for each time: one that was removed and made again is not watched any more.
		if w.add == nil {
			continue
		}
		if err := w.add(folder); err != nil && !errors.Is(err, fs.ErrNotExist) && r.fault == nil {
			r.fault = fmt.Errorf("watch folder %q: %w", folder, err)
		}
	}
	if ctx.Err() == nil && (forced || r.state != before.state) {
		r.err = w.changed(ctx)
	}
	return r
}

var surveySeed = maphash.MakeSeed()

func (w *watch) survey(ctx context.Context) survey {
	tree, err := walkRoots(ctx, w.roots, Options{Exclude: w.options.Exclude})
	var state maphash.Hash
	state.SetSeed(surveySeed)
	for _, f := range tree.Files {
		fmt.Fprintf(&state, "%q %d %v\n", f.Source, f.Mode, f.Stat)
	}
	if err != nil {
		fmt.Fprintf(&state, "%v", err)
	}
	s := survey{state: state.Sum64(), folders: make(map[string]struct{}, len(tree.folders))}
	for _, folder := range tree.folders {
		s.folders[folder] = struct{}{}
	}
	for _, root := range w.roots {
		// A file is watched by its folder: a program that saves by renaming puts another file in its place.
		if _, ok := s.folders[root]; !ok {
			s.folders[filepath.Dir(root)] = struct{}{}
		}
	}
	return s
}

// looked takes in the end of a look.
func (w *watch) looked(ctx context.Context, r result) error {
	w.busy, w.seen = nil, r.survey
	w.complain(r.fault)
	if errors.Is(r.err, ErrAgain) {
		w.forced = true
	}
	if err := w.outcome(ctx, r); err != nil {
		return err
	}
	switch {
	case w.due:
		w.look(ctx)
	case r.grown:
		// Folders that came into the new ones before these were watched were not reported.
		w.expect()
	}
	return nil
}

// outcome is changed's error, unless the end of ctx is all that it says.
func (w *watch) outcome(ctx context.Context, r result) error {
	if ctx.Err() != nil && errors.Is(r.err, ctx.Err()) || errors.Is(r.err, ErrAgain) {
		return nil
	}
	return r.err
}

func (w *watch) complain(err error) {
	complaint := ""
	if err != nil {
		complaint = err.Error()
	}
	switch {
	case complaint == w.complaint:
	case err != nil:
		w.options.Log.Warn("changes are noticed late: the system does not report all of them", "every", w.options.Rescan, "error", err)
	default:
		w.options.Log.Info("changes are reported by the system again")
	}
	w.complaint = complaint
}
