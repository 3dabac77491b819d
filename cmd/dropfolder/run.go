package dropfolder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"
)

// Run watches the folder until ctx ends, which is no error. Errors are those of a folder that cannot be used; what goes
// wrong later is logged and tried again, as the manager may be away for a while and the folder may be a share.
func Run(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return fmt.Errorf("watch %s: %w", c.Dir, err)
	}
	records, err := openLedger(c.Dir, func(file string, err error) {
		c.Log.Warn("what is known of a drop could not be read", "file", file, "error", err)
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w; it must be a folder that the manager may write to", c.Dir, err)
	}
	if c.Spool == "" {
		c.Spool = filepath.Join(c.Dir, ownFolder)
	}
	if err := cleanSpools(c.Spool, filepath.Join(c.Dir, ownFolder)); err != nil {
		return err
	}
	frames := newCollector(c, records)
	w := &watch{
		submitter: submitter{Config: c, ledger: records, submitted: frames.mark},
		settling:  settling{quiet: c.Quiet, seen: map[string]sight{}},
		notBefore: map[string]time.Time{}, wake: make(chan struct{}, 1),
	}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return frames.listen(ctx) })
	work.Go(func() error { return frames.run(ctx) })
	if reports, err := fsnotify.NewWatcher(); err != nil {
		c.Log.Warn("drops are noticed late: the system does not report changes", "error", err)
	} else {
		w.add = reports.Add
		work.Go(func() error { return w.listen(ctx, reports) })
	}
	work.Go(func() error { return w.run(ctx) })
	return work.Wait()
}

// cleanSpools makes the spool, and removes what an interrupted run left in these folders.
func cleanSpools(spool string, others ...string) error {
	if err := os.MkdirAll(spool, 0o755); err != nil {
		return fmt.Errorf("make the folder for unpacked archives: %w", err)
	}
	for _, dir := range append(others, spool) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("clean the folder for unpacked archives: %w", err)
		}
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), unpackedPrefix) && !strings.HasPrefix(entry.Name(), fetchingPrefix) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("clean the folder for unpacked archives: %w", err)
			}
		}
	}
	return nil
}

// watch looks at the folder again and again. It belongs to one goroutine, but for wake.
type watch struct {
	submitter
	settling  settling
	add       func(folder string) error // begins to have changes reported; nil: they are not
	wake      chan struct{}             // has something when a change was reported
	notBefore map[string]time.Time      // when drops are tried again whose last try failed
	looked    time.Time                 // when all folders were looked at
	complaint string                    // the last one logged, so that the same is not logged at each look
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
		select {
		case <-ctx.Done():
			return nil
		case <-w.After(next):
		case <-wake:
		}
	}
}

// look takes in the state of the folder and handles what has settled. waiting tells that something has not.
func (w *watch) look(ctx context.Context) (waiting bool, err error) {
	if w.add != nil {
		// A folder that was replaced is not watched any more, so that it is added each time.
		err = w.add(w.Dir)
	}
	pending, pendingErr := w.ledger.all(ctx, func(r record) bool { return r.Pending != nil })
	if err = errors.Join(err, pendingErr); err != nil {
		return false, err
	}
	for _, r := range pending {
		if w.Now().Before(w.notBefore[r.Name]) {
			continue
		}
		w.tryLater(r.Name, w.finish(ctx, r.Name))
	}
	drops, err := w.scan(ctx)
	if err != nil {
		return false, err
	}
	names := make(map[string]bool, len(drops))
	for _, d := range drops {
		names[d.name] = true
	}
	w.settling.keep(names)
	for _, d := range drops {
		unsettled, err := w.lookAt(ctx, d)
		if err != nil {
			return false, err
		}
		waiting = waiting || unsettled
	}
	return waiting, nil
}

// scan looks into folders that are known already only as often as it looks without being asked, as that takes a while.
func (w *watch) scan(ctx context.Context) ([]drop, error) {
	known, err := w.ledger.all(ctx, func(record) bool { return true })
	if err != nil {
		return nil, err
	}
	shallow := make(map[string]bool, len(known))
	now := w.Now()
	if now.Sub(w.looked) < w.Rescan {
		for _, r := range known {
			_, unsettled := w.settling.seen[r.Name]
			shallow[r.Name] = !unsettled
		}
	} else {
		w.looked = now
	}
	return scan(w.Dir, w.Limits, func(name string) bool { return !shallow[name] })
}

// lookAt handles one drop if it has settled.
func (w *watch) lookAt(ctx context.Context, d drop) (unsettled bool, err error) {
	r, err := w.ledger.get(ctx, d.name)
	if err != nil {
		return false, err
	}
	now := w.Now()
	switch {
	case d.stamp == "", d.empty, r.Pending != nil, now.Before(w.notBefore[d.name]):
		return false, nil
	case r.Stamp == d.stamp && !w.wanted(r):
		w.settling.forget(d.name)
		return false, nil
	case !w.settling.look(d.name, d.stamp, now):
		return true, nil
	}
	err = w.handle(ctx, d)
	w.settling.forget(d.name)
	if errors.Is(err, errChanged) {
		return true, nil
	}
	w.tryLater(d.name, err)
	return false, ctx.Err()
}

// wanted tells whether a version that was refused is to be tried again: somebody removed the explanation.
func (w *watch) wanted(r record) bool {
	if r.Refused == "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(w.Dir, r.Name+errorSuffix))
	return errors.Is(err, os.ErrNotExist)
}

// tryLater puts the next try of a drop off.
func (w *watch) tryLater(name string, err error) {
	if err == nil {
		delete(w.notBefore, name)
		return
	}
	w.Log.Warn("a drop could not be handled; trying again", "drop", name, "in", w.Rescan, "error", err)
	w.notBefore[name] = w.Now().Add(w.Rescan)
}

func (w *watch) complain(err error) {
	complaint := ""
	if err != nil {
		complaint = err.Error()
	}
	switch {
	case complaint == w.complaint:
	case err != nil:
		w.Log.Warn("the watched folder cannot be looked at; trying again", "error", err)
	default:
		w.Log.Info("the watched folder can be looked at again")
	}
	w.complaint = complaint
}
