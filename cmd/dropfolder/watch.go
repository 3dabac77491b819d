package dropfolder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// places is how many drops are handled at a time.
	places = 2
	// largeDrop is the size in bytes from which a drop counts as large. One of them is handled at a time, so that small
	// ones never wait for a copy of many minutes.
	largeDrop = 256 << 20
	// mostPatience is the longest time between two tries of a drop.
	mostPatience = 10 * time.Minute
)

// watch looks at the folder again and again, and hands what has settled to the submitter. It belongs to one goroutine, but
// for wake.
type watch struct {
	*submitter
	frames    *collector
	settling  settling
	add       func(folder string) error // begins to have changes reported; nil: they are not
	wake      chan struct{}             // has something when a change was reported
	looked    time.Time                 // when all folders were looked at
	complaint string                    // the last one logged, so that the same is not logged at each look

	ready   []errand // what settled and has no place yet, longest waiting first
	busy    map[string]errand
	ended   chan result // has room for all places
	working sync.WaitGroup
	failed  map[string]failures
}

// errand is something to do about one drop.
type errand struct {
	drop
	since   time.Time // when its last change was seen
	pending bool      // its job is prepared, and may be submitted
}

// result is what came of an errand.
type result struct {
	name string
	err  error
}

// failures of a drop that is tried again.
type failures struct {
	count     int
	notBefore time.Time
}

func newWatch(c Config, records *ledger, frames *collector) *watch {
	return &watch{
		submitter: newSubmitter(c, records, frames.mark), frames: frames,
		settling: settling{quiet: c.Quiet, seen: map[string]sight{}}, wake: make(chan struct{}, 1),
		busy: map[string]errand{}, ended: make(chan result, places), failed: map[string]failures{},
	}
}

// listen takes in reports of changes, so that the system need not keep them, until ctx ends.
func (w *watch) listen(ctx context.Context, reports *fsnotify.Watcher) error {
	for {
		select {
		case <-ctx.Done():
			return reports.Close()
		case event := <-reports.Events:
			// A drop's error that somebody removed is a wish to have it tried again.
			name := filepath.Base(event.Name)
			if !mayDrop(name) && !strings.HasSuffix(name, errorSuffix) {
				continue
			}
		case err := <-reports.Errors:
			// What was lost shows in a look.
			w.Log.Debug("reports of changes were lost", "error", err)
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// run looks until ctx ends: at once, then after each report of a change, and after the rescan time. While something is not
// settled, it looks after each quiet time instead.
func (w *watch) run(ctx context.Context) error {
	defer w.working.Wait()
	for {
		waiting, err := w.look(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // The end of ctx is no error.
		}
		w.complain(err)
		next, wake := w.Rescan, w.wake
		if waiting {
			next, wake = min(w.Quiet, w.Rescan), nil
		}
		if !w.handOut(ctx, w.After(next), wake) {
			return nil
		}
	}
}

// handOut gives errands to free places until it is time to look again; false means that ctx has ended.
func (w *watch) handOut(ctx context.Context, alarm <-chan time.Time, wake <-chan struct{}) bool {
	for {
		w.start(ctx)
		select {
		case <-ctx.Done():
			return false
		case <-alarm:
			return true
		case <-wake:
			return true
		case r := <-w.ended:
			if w.settle(r) {
				return true
			}
		}
	}
}

// start begins as many errands as there are places for.
func (w *watch) start(ctx context.Context) {
	large := 0
	for _, e := range w.busy {
		if e.bytes > largeDrop {
			large++
		}
	}
	w.ready = slices.DeleteFunc(w.ready, func(e errand) bool {
		if len(w.busy) == places || large > 0 && e.bytes > largeDrop {
			return false
		}
		if e.bytes > largeDrop {
			large++
		}
		w.busy[e.name] = e
		w.working.Go(func() {
			do := func() error { return w.handle(ctx, e.drop) }
			if e.pending {
				do = func() error { return w.finish(ctx, e.name) }
			}
			w.ended <- result{e.name, do()}
		})
		return true
	})
}

// settle takes note of what came of an errand, and tells whether to look again at once.
func (w *watch) settle(r result) (look bool) {
	delete(w.busy, r.name)
	w.settling.forget(r.name)
	if r.err == nil || errors.Is(r.err, errChanged) {
		delete(w.failed, r.name)
		return r.err != nil
	}
	f := w.failed[r.name]
	patience := min(w.Rescan<<min(f.count, 16), max(mostPatience, w.Rescan))
	w.failed[r.name] = failures{f.count + 1, w.Now().Add(patience)}
	w.Log.Warn("a drop could not be handled; trying again", "drop", r.name, "in", patience, "error", r.err)
	return false
}

// off tells whether a drop is being handled, or its next try is still to come.
func (w *watch) off(name string) bool {
	_, busy := w.busy[name]
	return busy || w.Now().Before(w.failed[name].notBefore)
}

// look takes in the state of the folder and finds what has settled. waiting tells that something has not.
func (w *watch) look(ctx context.Context) (waiting bool, err error) {
	w.ready = nil
	replaced, err := w.ledger.refresh(ctx)
	if err != nil {
		return false, err
	}
	if replaced {
		w.Log.Info("another folder is in the place of the watched one now")
		w.looked, w.settling.seen, w.failed = time.Time{}, map[string]sight{}, map[string]failures{}
		w.frames.markAll()
	}
	trouble := w.hear()
	known, err := w.ledger.all(ctx, func(record) bool { return true })
	if err != nil {
		return false, err
	}
	drops, err := w.scan(known)
	if err != nil {
		return false, errors.Join(err, trouble)
	}
	trouble = errors.Join(trouble, w.forsake(ctx, known, drops))
	for _, r := range known {
		if r.Pending != nil && !w.off(r.Name) {
			w.ready = append(w.ready, errand{drop: drop{name: r.Name}, pending: true})
		}
	}
	for _, d := range drops {
		unsettled, err := w.lookAt(ctx, d)
		if err != nil {
			return false, err
		}
		waiting = waiting || unsettled
	}
	slices.SortStableFunc(w.ready, func(a, b errand) int { return a.since.Compare(b.since) })
	return waiting, trouble
}

// hear has changes reported, where the system does that. A folder that was replaced is not watched any more, so that it is
// asked for each time.
func (w *watch) hear() error {
	if w.add == nil {
		return nil
	}
	if err := w.add(w.Dir); err != nil {
		return fmt.Errorf("drops are noticed late, since the system does not report changes: %w", err)
	}
	return nil
}

// scan looks into folders that are known already only as often as it looks without being asked, as that takes a while.
func (w *watch) scan(known []record) ([]drop, error) {
	shallow := make(map[string]bool, len(known))
	now := w.Now()
	if now.Sub(w.looked) < w.Rescan {
		for _, r := range known {
			_, unsettled := w.settling.seen[r.Name]
			shallow[r.Name] = !unsettled || w.off(r.Name)
		}
	} else {
		w.looked = now
	}
	return scan(w.Dir, w.Limits, func(name string) bool { return !shallow[name] })
}

// forsake forgets drops that were taken away before they were jobs, and what was said of them.
func (w *watch) forsake(ctx context.Context, known []record, drops []drop) error {
	kept := make(map[string]bool, len(drops))
	for _, d := range drops {
		kept[d.name] = true
	}
	w.settling.keep(kept)
	for name := range w.busy {
		kept[name] = true
	}
	var gone []string
	for _, r := range known {
		if r.Refused != "" && !kept[r.Name] {
			gone = append(gone, r.Name)
		}
		kept[r.Name] = kept[r.Name] || r.Pending != nil
	}
	for name := range w.failed {
		if !kept[name] {
			gone = append(gone, name)
		}
	}
	var trouble error
	for _, name := range gone {
		err := w.ledger.change(ctx, name, func(root *os.Root, r *record) error {
			if r.Refused != "" {
				r.Refused, r.Stamp = "", ""
			}
			return withdraw(root, name)
		})
		if err == nil {
			delete(w.failed, name)
		}
		trouble = errors.Join(trouble, err)
	}
	return trouble
}

// lookAt finds out whether a drop has settled.
func (w *watch) lookAt(ctx context.Context, d drop) (unsettled bool, err error) {
	r, err := w.ledger.get(ctx, d.name)
	if err != nil {
		return false, err
	}
	switch {
	case d.stamp == "", d.empty, r.Pending != nil, w.off(d.name):
		return false, nil
	case r.Stamp == d.stamp && !w.wanted(r):
		w.settling.forget(d.name)
		return false, nil
	case !w.settling.look(d.name, d.stamp, w.Now()):
		return true, nil
	}
	w.ready = append(w.ready, errand{drop: d, since: w.settling.seen[d.name].since})
	return false, nil
}

// wanted tells whether a version that was refused is to be tried again: somebody removed the explanation.
func (w *watch) wanted(r record) bool {
	if r.Refused == "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(w.Dir, beside(r.Name, errorSuffix)))
	return errors.Is(err, os.ErrNotExist)
}

func (w *watch) complain(err error) {
	complaint := ""
	if err != nil {
		complaint = err.Error()
	}
	switch {
	case complaint == w.complaint:
	case err != nil:
		w.Log.Warn("the watched folder is not as it should be; trying again", "error", err)
	default:
		w.Log.Info("the watched folder is as it should be again")
	}
	w.complaint = complaint
}
