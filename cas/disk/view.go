package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hayloft/cas"
)

// View is a store open for reading. It may be used by many goroutines.
type View struct {
	layout layout
	ledger *ledger // nil when another process may be writing
}

// OpenReadOnly opens the store in the directory root for reading, also beside a process that writes to it. It takes no
// lock, changes nothing, and needs no closing. Of a blob that the other process has just made visible, it may tell a
// moment before that process acknowledges it.
//
// Errors: [ErrNotAStore] when there is none, [cas.ErrNewerFormat].
func OpenReadOnly(root string) (*View, error) {
	path, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", root, err)
	}
	where := layout(path)
	fresh, err := where.inspect()
	if err == nil && fresh || errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: it has no file %q; check the path", ErrNotAStore, formatName)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s for reading: %w", path, err)
	}
	return &View{layout: where}, nil
}

// Path is the absolute path at which the blob of this digest lies when the store holds it. The file is read-only and
// its content never changes, so that a checkout may link to it.
func (v *View) Path(digest cas.Digest) string { return v.layout.object(digest) }

// Stat tells which blobs the store holds; see [cas.Stater]. It looks at names and sizes only; Verify reads content.
func (v *View) Stat(ctx context.Context, blobs []cas.Blob, have func(cas.Blob) error) error {
	for _, blob := range blobs {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stat blob %v: %w", blob, err)
		}
		held, err := v.holds(blob)
		if err != nil {
			return fmt.Errorf("stat blob %v: %w", blob, err)
		}
		if !held {
			continue
		}
		if err := have(blob); err != nil {
			return err
		}
	}
	return nil
}

// holds tells whether the blob may be shown to others: visible, whole and durable.
func (v *View) holds(blob cas.Blob) (bool, error) {
	whole, err := v.lies(blob)
	return whole && v.ledger.settled(blob.Digest), err
}

// lies tells whether there is a file at the blob's place, of the blob's size.
func (v *View) lies(blob cas.Blob) (bool, error) {
	info, err := os.Lstat(v.layout.object(blob.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.Mode().IsRegular() && info.Size() == blob.Size, nil
}

// reader gives a blob's bytes. Being a file, it also has WriteTo, which lets the kernel copy.
type reader struct {
	*os.File
	blob cas.Blob
}

func (r *reader) Blob() cas.Blob { return r.blob }

// Open gives a blob's bytes; see [cas.Opener]. Reading does not check them against the digest; Verify does.
func (v *View) Open(ctx context.Context, digest cas.Digest) (cas.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open blob %v: %w", digest, err)
	}
	opened, err := v.openBlob(digest)
	if errors.Is(err, fs.ErrNotExist) {
		err = cas.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %v: %w", digest, err)
	}
	return opened, nil
}

func (v *View) openBlob(digest cas.Digest) (*reader, error) {
	if !v.ledger.settled(digest) {
		return nil, fs.ErrNotExist
	}
	file, err := os.Open(v.layout.object(digest))
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrForeign
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &reader{File: file, blob: cas.Blob{Digest: digest, Size: info.Size()}}, nil
}

// List enumerates the store; see [cas.Lister]. It keeps the names of one fan-out folder in memory, which is a 256th of
// the store. A blob committed meanwhile may or may not be among them.
func (v *View) List(ctx context.Context, after cas.Digest, each func(cas.Blob) error) error {
	return v.walk(ctx, after, func(item item) error {
		if item.foreign || item.digest.Compare(after) <= 0 || !v.ledger.settled(item.digest) {
			return nil
		}
		info, err := item.entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		return each(cas.Blob{Digest: item.digest, Size: info.Size()})
	})
}

// item is an entry of a fan-out folder.
type item struct {
	entry   fs.DirEntry
	path    string
	digest  cas.Digest // unless foreign
	foreign bool       // its name or kind is not a blob's
}

// walk visits what lies in the fan-out folders in ascending order of names, from the folder on in which first would lie.
func (v *View) walk(ctx context.Context, first cas.Digest, visit func(item) error) error {
	start := first.String()[:2]
	for i := range fanOuts {
		dir := v.layout.fanOut(i)
		fanOut := filepath.Base(dir)
		if fanOut < start {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list blobs: %w", err)
		}
		for _, entry := range entries {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("list blobs: %w", err)
			}
			digest, err := digestOf(fanOut, entry.Name())
			foreign := err != nil || !entry.Type().IsRegular()
			path := filepath.Join(dir, entry.Name())
			if err := visit(item{entry: entry, path: path, digest: digest, foreign: foreign}); err != nil {
				return err
			}
		}
	}
	return nil
}
