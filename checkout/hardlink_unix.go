//go:build unix

package checkout

import (
	"os"

	"golang.org/x/sys/unix"
)

// hardlink gives the file at the absolute path source a second name in dir; fs.ErrExist if the name is taken.
func hardlink(dir *os.Root, source, name string) error {
	folder, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := unix.Linkat(unix.AT_FDCWD, source, int(folder.Fd()), name, 0); err != nil {
		return &os.LinkError{Op: "link", Old: source, New: name, Err: err}
	}
	return nil
}
