package checkout

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// reflink makes the empty file to share all blocks of from (ioctl_ficlone(2)). Where the file systems cannot, the error
// is errors.ErrUnsupported.
func reflink(to, from *os.File) error {
	err := unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
	for _, cannot := range []error{unix.EOPNOTSUPP, unix.ENOTTY, unix.ENOSYS, unix.EXDEV, unix.EINVAL, unix.EPERM, unix.ETXTBSY} {
		if errors.Is(err, cannot) {
			return fmt.Errorf("%w: %w", errors.ErrUnsupported, os.NewSyscallError("ficlone", err))
		}
	}
	return os.NewSyscallError("ficlone", err)
}
