//go:build unix

package checkout

import (
	"errors"
	"os"
)

// syncDir makes the names in a directory durable.
func syncDir(root *os.Root, path string) error {
	dir, err := root.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// syncFile makes the bytes of a file, or the names in a directory, durable.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncFolder makes the names in a directory durable.
func syncFolder(path string) error { return syncFile(path) }
