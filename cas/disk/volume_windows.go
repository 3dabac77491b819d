package disk

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// publish uses MoveFileEx without leave to replace, and with write-through, since Windows has no sync for directories.
func (osVolume) publish(temp, path string) error {
	return move(temp, path, windows.MOVEFILE_WRITE_THROUGH)
}

// replace first lifts the read-only mark, which would make MoveFileEx refuse.
func (osVolume) replace(temp, path string) error {
	if err := os.Chmod(path, 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return move(temp, path, windows.MOVEFILE_WRITE_THROUGH|windows.MOVEFILE_REPLACE_EXISTING)
}

func move(from, to string, flags uint32) error {
	old, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	target, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(old, target, flags); err != nil {
		return &os.LinkError{Op: "move", Old: from, New: to, Err: err}
	}
	return nil
}

// syncDir does nothing: a directory cannot be synced here, and the moves above were written through.
func (osVolume) syncDir(string) error { return nil }

func allocate(*os.File, int64) (done bool, err error) { return false, nil }

func startWriteback(*os.File, int64, int64) {}

func (osVolume) boot() string { return "" }

func shareRange(*os.File, *os.File, int64, int64, int64) error { return errors.ErrUnsupported }

func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func isInvalid(error) bool { return false }

// lockFile takes the whole file for this process, and fails with errLocked when another one has it.
func lockFile(file *os.File) error {
	const exclusiveNow = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(file.Fd()), exclusiveNow, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}
