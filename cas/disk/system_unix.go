//go:build unix

package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isNoSpace tells whether the disk or the user's quota is full.
func isNoSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func isInvalid(err error) bool { return errors.Is(err, unix.EINVAL) }

// lockFile takes the file for this open handle, and fails with errLocked when another one has it. The kernel lets go
// of the lock when the handle is closed or the process dies.
func lockFile(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
