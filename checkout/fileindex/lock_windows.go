package fileindex

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockShared waits until nobody has the file for itself. The system lets go of the lock when the process ends.
func lockShared(file *os.File) error { return relock(file, 0) }

// lockExclusive turns the shared lock into one that excludes others, or fails at once.
func lockExclusive(file *os.File) error {
	return relock(file, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
}

func relock(file *os.File, mode uint32) error {
	handle := windows.Handle(file.Fd())
	// The first time there is nothing to unlock, which is an error here.
	_ = windows.UnlockFileEx(handle, 0, 1, 0, new(windows.Overlapped))
	return windows.LockFileEx(handle, mode, 0, 1, 0, new(windows.Overlapped))
}
