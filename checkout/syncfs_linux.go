package checkout

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFileSystem makes everything on root's file system durable and tells that it did. A failed write is reported since
// Linux 5.8.
func syncFileSystem(root *os.Root) (bool, error) {
	dir, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return false, os.NewSyscallError("syncfs", err)
	}
	return true, nil
}
