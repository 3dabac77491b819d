//go:build unix

package fileindex

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockShared waits until nobody has the file for itself. The kernel lets go of the lock when the process dies.
func lockShared(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_SH) }

// lockExclusive turns the shared lock into one that excludes others, or fails at once.
func lockExclusive(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
