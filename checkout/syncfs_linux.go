package checkout

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFileSystem makes everything on the file system of an open directory durable and tells that it did. A failed write
// is reported since Linux 5.8.
func syncFileSystem(dir *os.File) (bool, error) {
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return false, os.NewSyscallError("syncfs", err)
	}
	return true, nil
}
