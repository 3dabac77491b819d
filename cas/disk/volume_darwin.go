package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// publish uses renamex_np(2); link(2) stands in where the file system does not know the flag.
func (osVolume) publish(temp, path string) error {
	err := unix.RenamexNp(temp, path, unix.RENAME_EXCL)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return linkInto(temp, path)
	}
	if err != nil {
		return &os.LinkError{Op: "renamex_np", Old: temp, New: path, Err: err}
	}
	return nil
}

func (osVolume) replace(temp, path string) error { return os.Rename(temp, path) }

func (osVolume) syncDir(dir string) error { return syncDirectory(dir) }

// allocate reserves nothing: the system's own reservation also changes how the space counts against quotas.
func allocate(*os.File, int64) (done bool, err error) { return false, nil }

func startWriteback(*os.File, int64, int64) {}

func (osVolume) boot() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}

func shareRange(*os.File, *os.File, int64, int64, int64) error { return errors.ErrUnsupported }
