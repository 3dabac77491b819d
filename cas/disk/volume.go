package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// volume is what a store asks of the file system when it writes: a method for each step of the crash order in
// writer.go, so that a test can make any of them fail, or be the last one before a crash.
type volume interface {
	// createTemp makes a new, empty file in dir, with a name that ends in tempSuffix.
	createTemp(dir string) (tempFile, error)
	namespace
}

// namespace changes names. Nothing it did is durable before syncDir of the folder has returned.
type namespace interface {
	// publish gives the file temp the name path, unless that is taken: then the error is fs.ErrExist.
	publish(temp, path string) error
	// replace gives the file temp the name path, in place of whatever file had it, in one step.
	replace(temp, path string) error
	remove(path string) error
	syncDir(dir string) error
}

// tempFile is a file that is being written.
type tempFile interface {
	io.WriteCloser
	Name() string
	// reserve sets space aside for the first size bytes. It fails only when there is not so much; where a file system
	// cannot reserve, it does nothing.
	reserve(size int64) error
	// seal ends the writing: it cuts off reserved space beyond size, sets the mode, makes content and mode durable and
	// closes the file.
	seal(size int64, mode fs.FileMode) error
}

const tempSuffix = ".part"

// osVolume is the operating system's file system. The methods publish, replace and syncDir differ between systems.
type osVolume struct{}

func (osVolume) createTemp(dir string) (tempFile, error) {
	file, err := os.CreateTemp(dir, "*"+tempSuffix)
	if err != nil {
		return nil, err
	}
	return &osTemp{File: file}, nil
}

func (osVolume) remove(path string) error { return os.Remove(path) }

// osTemp is a temporary file of an osVolume.
type osTemp struct {
	*os.File
	reserved int64 // bytes set aside beyond the end of the file; 0 when none
	written  int64 // bytes
	started  int64 // bytes whose way to the disk has been started
}

// writeBehind is how many bytes gather before their way to the disk is started. The disk then works while the rest of
// the body arrives, and the sync at the end finds little left to do.
const writeBehind = 8 << 20

func (t *osTemp) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	t.written += int64(n)
	if err == nil && t.written-t.started >= writeBehind {
		startWriteback(t.File, t.started, t.written-t.started)
		t.started = t.written
	}
	return n, err
}

func (t *osTemp) reserve(size int64) error {
	done, err := allocate(t.File, size)
	if done {
		t.reserved = size
	}
	return err
}

func (t *osTemp) seal(size int64, mode fs.FileMode) error {
	if t.reserved > size {
		if err := t.Truncate(size); err != nil {
			return err
		}
	}
	if err := t.Chmod(mode); err != nil {
		return err
	}
	if err := t.Sync(); err != nil {
		return err
	}
	return t.Close()
}

// linkInto is publish for file systems that cannot rename without replacing: link(2) never replaces. When the second
// name cannot be removed, it stays in the folder for incoming files, and the next Open clears it.
func linkInto(temp, path string) error {
	if err := os.Link(temp, path); err != nil {
		return err
	}
	_ = os.Remove(temp)
	return nil
}

// ignoreUnsupported drops the error of a directory sync that the file system does not offer; some network mounts
// refuse it, and there the server answers for its own names.
func ignoreUnsupported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) || isInvalid(err) {
		return nil
	}
	return err
}

// syncDirectory is fsync(2) of a directory, which makes the names in it durable.
func syncDirectory(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return err
	}
	syncErr := ignoreUnsupported(handle.Sync())
	if err := errors.Join(syncErr, handle.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
