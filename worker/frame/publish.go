package frame

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// File names the bytes of a published file.
type File struct {
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// Hash reads a file and names its bytes.
func Hash(ctx context.Context, path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("hash file: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &reader{ctx, f})
	if err != nil {
		return File{}, fmt.Errorf("hash %s: %w", path, err)
	}
	return File{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// Publish moves a staged file to its final path, replacing what is there. On one file system the file is synced and
// renamed; across two it is copied to a hidden name beside the final one first. The final directory is made when it is
// missing. On an error the final path is as it was.
func Publish(ctx context.Context, staged, final string) (File, error) {
	file, err := Hash(ctx, staged)
	if err != nil {
		return File{}, err
	}
	dir := filepath.Dir(final)
	if err := os.MkdirAll(dir, 0o775); err != nil {
		return File{}, fmt.Errorf("make output directory: %w", err)
	}
	if err := syncFile(staged); err != nil {
		return File{}, fmt.Errorf("sync %s: %w", staged, err)
	}
	if err := ctx.Err(); err != nil {
		return File{}, context.Cause(ctx)
	}
	err = os.Rename(staged, final)
	if crossDevice(err) {
		err = Copy(ctx, staged, final)
	}
	if err != nil {
		return File{}, fmt.Errorf("publish %s: %w", final, err)
	}
	return file, syncDir(dir)
}

// crossDevice recognises the refusal to rename between file systems; 17 is Windows' ERROR_NOT_SAME_DEVICE.
func crossDevice(err error) bool {
	return errors.Is(err, syscall.EXDEV) || (runtime.GOOS == "windows" && errors.Is(err, syscall.Errno(17)))
}

// Copy writes the bytes of a file to another path, replacing what is there: it copies to a hidden name beside the final
// one, syncs and renames. On an error the final path is as it was.
func Copy(ctx context.Context, staged, final string) (err error) {
	in, err := os.Open(staged)
	if err != nil {
		return err
	}
	defer in.Close()
	hidden := Hidden(final)
	out, err := os.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o664)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(hidden)
		}
	}()
	if _, err = io.Copy(out, &reader{ctx, in}); err != nil {
		return err
	}
	if err = out.Sync(); err != nil {
		return err
	}
	if err = out.Close(); err != nil {
		return err
	}
	return os.Rename(hidden, final)
}

// Hidden gives a fresh name beside a path for a file that is not finished. It begins with a dot, so that a pattern such
// as *.png does not match it in a shell or in ffmpeg, and keeps the extension, which tells some writers the format.
func Hidden(path string) string {
	dir, base := filepath.Split(path)
	ext := filepath.Ext(base)
	return filepath.Join(dir, "."+base[:len(base)-len(ext)]+"."+rand.Text()[:8]+".part"+ext)
}

// syncFile opens for writing because Windows refuses to flush what is open for reading only.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be flushed there; NTFS journals the rename
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// reader makes a copy stop when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
