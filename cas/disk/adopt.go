package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"hayloft/cas"
)

// Adopt takes in a file that lies outside the store on the same volume, by giving it a second name: its bytes are read
// and checked, but not copied. The file becomes read-only under both names, and must never be written to again; when its
// old name is removed, the blob stays. On another volume, or where a file cannot have two names, it is copied.
//
// known is true if the store held the blob before. Errors: [cas.ErrDigestMismatch] or [cas.ErrSizeMismatch] if the file is
// not the expected blob; then nothing is left and the file is as it was.
func (s *Store) Adopt(ctx context.Context, path string, expected cas.Blob) (known bool, err error) {
	if known, err = s.holds(ctx, expected); known || err != nil {
		return known, err
	}
	if err := s.life.enter(); err != nil {
		return false, fmt.Errorf("adopt %s: %w", path, err)
	}
	temp, err := s.linkIncoming(path)
	if err != nil {
		s.leave()
		if errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("adopt %s: %w", path, err)
		}
		return false, s.copyIn(ctx, path, expected)
	}
	w := newWriter(s, temp, expected.Size)
	w.whole = true
	defer w.Abort()
	if w.size, err = io.Copy(w.hash, temp); err != nil {
		return false, fmt.Errorf("adopt %s: %w", path, err)
	}
	if err := w.Commit(ctx, expected); err != nil {
		return false, fmt.Errorf("adopt %s: %w", path, err)
	}
	return false, nil
}

// linkIncoming gives the file a second name among the incoming files.
func (s *Store) linkIncoming(path string) (*linkedTemp, error) {
	name := s.layout.join(incomingName) + string(os.PathSeparator) + rand.Text() + tempSuffix
	if err := os.Link(path, name); err != nil {
		return nil, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	return &linkedTemp{file}, nil
}

func (s *Store) copyIn(ctx context.Context, path string, expected cas.Blob) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	w, err := s.Create(ctx, expected.Size)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, from); err != nil {
		return fmt.Errorf("copy %s into the store: %w", path, err)
	}
	return w.Commit(ctx, expected)
}

// linkedTemp is a temporary file whose bytes were there before.
type linkedTemp struct{ *os.File }

func (t *linkedTemp) Write([]byte) (int, error) {
	return 0, errors.New("an adopted file is not written to")
}

func (t *linkedTemp) rewind() error { return errors.New("an adopted file is not written to") }

func (t *linkedTemp) reserve(int64) error { return nil }

func (t *linkedTemp) finish(mode fs.FileMode, _ time.Time) error {
	return errors.Join(t.Chmod(mode), t.Close())
}

func (t *linkedTemp) seal(_ int64, mode fs.FileMode) error {
	return errors.Join(t.Chmod(mode), t.Sync(), t.Close())
}
