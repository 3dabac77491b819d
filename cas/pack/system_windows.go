package pack

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isNoSpace tells whether the disk is full.
func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// cannotSyncDir: a folder that is open for reading only cannot be flushed here; the file system journals names.
func cannotSyncDir(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_INVALID_FUNCTION)
}
