package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hayloft/cas"
)

var (
	// ErrForeign: something lies among the blobs or refs that the store did not put there.
	ErrForeign = errors.New("not a file of the store")
	// ErrWritable: a blob's file is not read-only, so that a stray editor could change it.
	ErrWritable = errors.New("the file is not read-only")
)

const anyWrite = 0o222

// Verify reads every blob and compares it with its name. It calls each for every blob, in ascending order of digests,
// with nil or with what is wrong with it: [cas.ErrDigestMismatch], [ErrWritable], or the error met in reading it. Then
// it does so for every ref that cannot be read ([ErrDamagedRef]) or whose manifest is not stored ([cas.ErrNotFound]).
// What does not belong to the store ([ErrForeign]) and damaged refs come with the zero Blob; errors name the path.
// Verify changes nothing. An error from each, or the end of ctx, ends it and is returned.
func (v *View) Verify(ctx context.Context, each func(cas.Blob, error) error) error {
	if err := v.verifyFolders(each); err != nil {
		return err
	}
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	err := v.walk(ctx, cas.Digest{}, func(item item) error {
		if item.foreign {
			return each(cas.Blob{}, fmt.Errorf("%s: %w", item.path, ErrForeign))
		}
		blob, err := v.verifyBlob(ctx, item.digest, buf[:])
		if ctx.Err() != nil {
			return fmt.Errorf("verify blob %v: %w", item.digest, ctx.Err())
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed since its folder was read, or not acknowledged yet
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", item.path, err)
		}
		return each(blob, err)
	})
	if err != nil {
		return err
	}
	return v.verifyRefs(ctx, each)
}

// verifyFolders looks for what lies beside the fan-out folders.
func (v *View) verifyFolders(each func(cas.Blob, error) error) error {
	objects := v.layout.join(objectsName)
	entries, err := os.ReadDir(objects)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	known := make(map[string]bool, fanOuts)
	for i := range fanOuts {
		known[filepath.Base(v.layout.fanOut(i))] = true
	}
	for _, entry := range entries {
		if entry.IsDir() && known[entry.Name()] {
			continue
		}
		if err := each(cas.Blob{}, fmt.Errorf("%s: %w", filepath.Join(objects, entry.Name()), ErrForeign)); err != nil {
			return err
		}
	}
	return nil
}

// verifyBlob checks one blob. The Blob it returns has the digest of the name and the size of the file.
func (v *View) verifyBlob(ctx context.Context, digest cas.Digest, buf []byte) (blob cas.Blob, err error) {
	blob.Digest = digest
	opened, err := v.openBlob(digest)
	if err != nil {
		return blob, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	blob = opened.Blob()
	info, err := opened.Stat()
	if err != nil {
		return blob, err
	}
	if info.Mode().Perm()&anyWrite != 0 {
		err = fmt.Errorf("%w, its mode is %v", ErrWritable, info.Mode().Perm())
	}
	sum := sha256.New()
	if _, readErr := io.CopyBuffer(sum, &stoppable{ctx, opened}, buf); readErr != nil {
		return blob, errors.Join(err, readErr)
	}
	if got := cas.SumHash(sum); got != digest {
		err = errors.Join(err, fmt.Errorf("%w: the file's bytes have %v", cas.ErrDigestMismatch, got))
	}
	return blob, err
}

// stoppable is a reader that ends with its context, so that a check of a huge blob can be given up.
type stoppable struct {
	ctx context.Context
	src io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.src.Read(p)
}

func (v *View) verifyRefs(ctx context.Context, each func(cas.Blob, error) error) error {
	return v.walkRefs(ctx, cas.RefName{}, func(path string, name cas.RefName, blob cas.Blob, err error) error {
		if err == nil {
			var held bool
			if held, err = v.holds(blob); err != nil || held {
				return err
			}
			err = fmt.Errorf("its manifest: %w", cas.ErrNotFound)
		}
		return each(blob, fmt.Errorf("%s: %w", path, err))
	})
}
