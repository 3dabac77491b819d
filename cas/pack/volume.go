package pack

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// volume is what a [Dir] asks of the file system when it writes: a method for each step of the crash order in
// committer.go, so that a test can make any of them fail, or be the last one before a crash.
type volume interface {
	// create makes a new, empty file. Its name is durable after syncDir of the folder.
	create(path string) (packFile, error)
	// open opens a file for reading and writing.
	open(path string) (packFile, error)
	remove(path string) error
	syncDir(dir string) error
}

// packFile is a pack that is being written. What WriteAt and Truncate did is durable after Sync.
type packFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// osVolume is the operating system's file system.
type osVolume struct{}

const packMode = 0o644

func (osVolume) create(path string) (packFile, error) {
	return asPackFile(os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, packMode))
}

func (osVolume) open(path string) (packFile, error) {
	return asPackFile(os.OpenFile(path, os.O_RDWR, 0))
}

// asPackFile keeps a nil *os.File from becoming an interface that is not nil.
func asPackFile(file *os.File, err error) (packFile, error) {
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (osVolume) remove(path string) error { return os.Remove(path) }

// syncDir makes the names in a folder durable. Systems and network mounts that cannot sync a folder answer for its names
// themselves.
func (osVolume) syncDir(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = handle.Sync()
	if errors.Is(err, errors.ErrUnsupported) || cannotSyncDir(err) {
		err = nil
	}
	if err := errors.Join(err, handle.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
