package main

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// processUsage is what a process has used.
type processUsage struct {
	CPU  float64 // seconds since its start
	Peak int64   // bytes of memory, the most since its start or the last resetPeak
}

// footprint tells how many bytes of the disk a folder takes. A file of several names counts once. What goes while it is
// looked at counts as gone.
func footprint(dir string) (total int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		size, inode := occupied(info)
		if inode != 0 && seen[inode] {
			return nil
		}
		seen[inode] = true
		total += size
		return nil
	})
	return total, err
}
