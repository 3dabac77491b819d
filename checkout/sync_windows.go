package checkout

import (
	"errors"
	"os"
)

// syncDir does nothing: Windows has no call that flushes a directory by a handle without the right to write to it, and
// NTFS journals names by itself.
func syncDir(*os.Root, string) error { return nil }

// syncFolder does nothing, for the same reason.
func syncFolder(string) error { return nil }

// syncFile makes the bytes of a read-only file durable. FlushFileBuffers wants a handle that may write, which the
// read-only mark forbids.
func syncFile(path string) (err error) {
	if err := os.Chmod(path, 0o644); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Chmod(path, 0o444)) }()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
