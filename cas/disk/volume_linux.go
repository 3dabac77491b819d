package disk

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// publish uses renameat2(2), which needs one step where link(2) needs two; link stands in where the kernel or the file
// system does not know the flag.
func (osVolume) publish(temp, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return linkInto(temp, path)
	}
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: temp, New: path, Err: err}
	}
	return nil
}

func (osVolume) replace(temp, path string) error { return os.Rename(temp, path) }

func (osVolume) syncDir(dir string) error { return syncDirectory(dir) }

// allocate keeps the file's size as it is, so that a crash or a short body leaves no tail of zeros to be told from
// content. Only a lack of space is an error: everything else shows when the bytes are written.
func allocate(file *os.File, size int64) (done bool, err error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) {
		failed = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	}); err != nil {
		return false, err
	}
	if isNoSpace(failed) {
		return false, &os.PathError{Op: "fallocate", Path: file.Name(), Err: failed}
	}
	return failed == nil, nil
}

// startWriteback is a hint without a promise; the sync at the end is what counts, so errors are left to it.
func startWriteback(file *os.File, offset, length int64) {
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SyncFileRange(int(fd), offset, length, unix.SYNC_FILE_RANGE_WRITE)
	})
}

func (osVolume) boot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func shareRange(file, from *os.File, offset, length, to int64) error {
	target, err := file.SyscallConn()
	if err != nil {
		return err
	}
	source, err := from.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	outer := target.Control(func(fd uintptr) {
		inner := source.Control(func(fromFd uintptr) {
			failed = unix.IoctlFileCloneRange(int(fd), &unix.FileCloneRange{
				Src_fd: int64(fromFd), Src_offset: uint64(offset), Src_length: uint64(length), Dest_offset: uint64(to)})
		})
		failed = errors.Join(failed, inner)
	})
	return errors.Join(outer, failed)
}
