//go:build unix

package pack

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isNoSpace tells whether the disk or the user's quota is full.
func isNoSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func cannotSyncDir(err error) bool { return errors.Is(err, unix.EINVAL) }
