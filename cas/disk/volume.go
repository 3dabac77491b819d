package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// volume is what a store asks of the file system when it writes: a method for each step of the crash order in
// writer.go, so that a test can make any of them fail, or be the last one before a crash.
type volume interface {
	// createTemp makes a new, empty file in dir, with a name that ends in tempSuffix.
	createTemp(dir string) (tempFile, error)
	// openPart opens the file path for reading and writing anywhere, makes it if need be, and gives it the size in
	// bytes. Space is set aside for the first reserve bytes.
	openPart(path string, size, reserve int64) (partFile, error)
	// boot names the time since the operating system started; empty where it does not tell.
	boot() string
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
	io.ReaderAt
	Name() string
	// rewind begins anew at the file's start.
	rewind() error
	// reserve sets space aside for the first size bytes. It fails only when there is not so much; where a file system
	// cannot reserve, it does nothing.
	reserve(size int64) error
	// seal ends the writing: it cuts off reserved space beyond size, sets the mode, makes content and mode durable and
	// closes the file.
	seal(size int64, mode fs.FileMode) error
	// finish ends the writing of a file that need not be durable: it sets mode and time and closes the file.
	finish(mode fs.FileMode, modified time.Time) error
}

// partFile is a file that is written in any order.
type partFile interface {
	tempFile
	io.WriterAt
	// startWriteback starts the way of a range to the disk; it is a hint.
	startWriteback(offset, length int64)
	// share makes a range of from, which begins and ends at a multiple of shareUnit, a range of this file without
	// copying, if the file system can; errors.ErrUnsupported or another error if not.
	share(from *os.File, offset, length, to int64) error
}

// shareUnit is what ranges that files share are aligned to, in bytes.
const shareUnit = 4096

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

func (osVolume) openPart(path string, size, reserve int64) (partFile, error) {
	// A part that was sealed before a crash is read-only.
	if err := os.Chmod(path, partMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, partMode)
	if err != nil {
		return nil, err
	}
	part := &osPart{osTemp: osTemp{File: file}}
	err = file.Truncate(size)
	if err == nil {
		err = part.reserve(reserve)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return part, nil
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

func (t *osTemp) rewind() error {
	t.written, t.started = 0, 0
	_, err := t.Seek(0, io.SeekStart)
	return err
}

func (t *osTemp) finish(mode fs.FileMode, modified time.Time) error {
	if err := t.Chmod(mode); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return os.Chtimes(t.Name(), modified, modified)
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

// osPart is a file of an osVolume that is written in any order.
type osPart struct {
	osTemp
	dirty atomic.Int64 // bytes since their way to the disk was started last
}

// partMode keeps a half file from everybody else.
const partMode = 0o600

func (p *osPart) WriteAt(b []byte, offset int64) (int, error) {
	n, err := p.File.WriteAt(b, offset)
	if dirty := p.dirty.Add(int64(n)); dirty >= writeBehind && p.dirty.CompareAndSwap(dirty, 0) {
		startWriteback(p.File, 0, 0) // to the end of the file
	}
	return n, err
}

func (p *osPart) startWriteback(offset, length int64) { startWriteback(p.File, offset, length) }

func (p *osPart) share(from *os.File, offset, length, to int64) error {
	return shareRange(p.File, from, offset, length, to)
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
