package checkout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// moment counts, for one Checkouts, the calls of Shape that made files: those of moment n are the ones that the first n
// such calls made.
type moment int

// shapes knows whether files that the store has shaped may still lack on stable storage. Every such file was made by a
// call that has ended and is counted, or by one that has not ended yet.
//
// What an earlier process left is moment 1, so that the first checkout of a process always syncs.
type shapes struct {
	mu       sync.Mutex
	underWay int
	made     moment
	durable  moment // the files of all calls up to this one are on stable storage
}

func (s *shapes) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay++
}

// end takes note of a call that made files or not, and gives the moment up to which the files that it met were made. Those
// that it met may be those of a call that has not ended; it then takes over their count.
func (s *shapes) end(made int) moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	if made > 0 || s.underWay > 0 {
		s.made++
	}
	return s.made
}

func (s *shapes) isDurable(at moment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return at <= s.durable
}

func (s *shapes) becameDurable(at moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = max(s.durable, at)
}

// shape has the store make the files that the links of m will lead to.
func (c *Checkouts) shape(ctx context.Context, m Manifest) (moment, error) {
	blobs := m.Blobs()
	c.shapes.begin()
	made, err := c.blobs.Shape(ctx, blobs)
	at := c.shapes.end(made)
	if err != nil {
		return 0, fmt.Errorf("have the store lay out %d blobs: %w", len(blobs), err)
	}
	return at, nil
}

// syncShaped makes the files of m durable unless all that was shaped up to the moment already is. One sync of the store's
// file system is good for the files of every checkout so far.
func (c *Checkouts) syncShaped(ctx context.Context, m Manifest, at moment) error {
	if m.Len() == 0 || c.shapes.isDurable(at) {
		return nil
	}
	folder, err := os.Open(filepath.Dir(c.blobs.Path(m.entries[0].Blob.Digest)))
	if err != nil {
		return err
	}
	defer folder.Close()
	done, err := syncFileSystem(folder)
	if err != nil {
		return err
	}
	if done {
		c.shapes.becameDurable(at)
		return nil
	}
	// This proves nothing of other checkouts' files, so that the moment stays as it is.
	return c.syncEachFile(ctx, m)
}

// syncEachFile makes the files of m and their names in the store durable one by one.
func (c *Checkouts) syncEachFile(ctx context.Context, m Manifest) error {
	folders := map[string]struct{}{}
	for _, b := range m.Blobs() {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := c.blobs.Path(b.Digest)
		if err := syncFile(path); err != nil {
			return err
		}
		folders[filepath.Dir(path)] = struct{}{}
	}
	for folder := range folders {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}
