package dropfolder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	w := newWatch(c, records, frames)
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
			name := entry.Name()
			if !strings.HasPrefix(name, unpackedPrefix) && !strings.HasPrefix(name, fetchingPrefix) && name != writingName {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("clean the folder for unpacked archives: %w", err)
			}
		}
	}
	return nil
}
