package disk

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hayloft/cas"
	"hayloft/cas/index"
	"hayloft/cas/pack"
)

var (
	// ErrForeign: something lies among the blobs or refs that the store did not put there.
	ErrForeign = errors.New("not a file of the store")
	// ErrWritable: a blob's file is not read-only, so that a stray editor could change it.
	ErrWritable = errors.New("the file is not read-only")
)

const anyWrite = 0o222

// Verify reads everything and compares it with its name. It calls each for every blob that is kept whole, in ascending
// order of digests, with nil or with what is wrong with it: [cas.ErrDigestMismatch], [ErrWritable], or the error met in
// reading it. Then it does so for every packed blob, in the order of the packs; a whole file that was derived from a pack
// is told of only if it is wrong, and one that may not have survived a power cut not at all, since nobody reads it before
// it was compared. Then come all refs that cannot be read ([ErrDamagedRef]) or whose manifest is not stored
// ([cas.ErrNotFound]). What does not belong to the store ([ErrForeign]), damaged recipes and refs come with the zero
// Blob; errors name the path. Verify changes nothing. An error from each, or the end of ctx, ends it and is returned.
func (v *View) Verify(ctx context.Context, each func(cas.Blob, error) error) error {
	return v.verify(ctx, sample{all: true}, each)
}

// VerifyPart is Verify that reads only so many percent of the blobs and of the frames of packs, chosen by the seed: the
// same seed chooses the same ones, another seed others. It looks at all names and refs.
func (v *View) VerifyPart(ctx context.Context, percent float64, seed uint64, each func(cas.Blob, error) error) error {
	return v.verify(ctx, sample{all: percent >= 100, part: percent / 100, seed: seed}, each)
}

// sample chooses what is read.
type sample struct {
	all  bool
	part float64 // from 0 to 1
	seed uint64
}

func (s sample) has(name string) bool {
	if s.all {
		return true
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), s.seed))
	return float64(binary.BigEndian.Uint64(sum[:])>>11)/(1<<53) < s.part
}

func (v *View) verify(ctx context.Context, read sample, each func(cas.Blob, error) error) error {
	if err := v.verifyFolders(each); err != nil {
		return err
	}
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	err := v.walk(ctx, func(item item) error {
		if item.foreign {
			return each(cas.Blob{}, fmt.Errorf("%s: %w", item.path, ErrForeign))
		}
		if !read.has(item.digest.String()) {
			return nil
		}
		return v.verifyItem(ctx, item, buf[:], each)
	})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if v.shelf != nil {
		if err := v.shelf.verify(ctx, read, each); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
	}
	return v.verifyRefs(ctx, each)
}

// verifyItem checks one whole file and tells of it if it is the blob itself, or if it is wrong.
func (v *View) verifyItem(ctx context.Context, item item, buf []byte, each func(cas.Blob, error) error) error {
	derived, suspect, err := v.isDerived(ctx, item)
	var blob cas.Blob
	if err == nil && !suspect {
		blob, err = v.verifyBlob(ctx, item.digest, buf)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("blob %v: %w", item.digest, ctx.Err())
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && derived {
		return nil // removed since its folder was read, or not acknowledged yet; or the packs are what counts
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", item.path, err)
	}
	return each(blob, err)
}

// isDerived tells whether a whole file is derived from a pack, and whether nobody may rely on it.
func (v *View) isDerived(ctx context.Context, item item) (derived, suspect bool, err error) {
	info, err := item.entry.Info()
	if err != nil || info.Size() > SmallSize {
		return false, false, err
	}
	locations, err := v.shelf.find(ctx, []cas.Digest{item.digest})
	if err != nil {
		return false, false, err
	}
	derived = locations[0] != index.Location{}
	return derived, derived && v.isSuspect(info), nil
}

// verify reads frames. Blobs come one by one; of all else, only what is wrong comes.
func (s *shelf) verify(ctx context.Context, read sample, each func(cas.Blob, error) error) error {
	if !read.all {
		return s.verifySome(ctx, read, each)
	}
	recipes := make(map[pack.Place]bool)
	err := s.packs.Scan(ctx, pack.Place{}, func(place pack.Place, kind pack.Kind, _ []pack.Item) error {
		if kind != pack.BlobKind {
			recipes[place] = true
		}
		return nil
	})
	if err != nil && !errors.Is(err, pack.ErrDamaged) { // what is damaged, the reading tells in full
		return err
	}
	return s.packs.Verify(ctx, func(place pack.Place, item pack.Item, err error) error {
		switch {
		case !recipes[place] && item != (pack.Item{}):
			if err != nil {
				err = fmt.Errorf("in pack %d at %d: %w", place.Pack, place.Offset, asMismatch(err))
			}
			return each(blobOfItem(item), err)
		case err != nil:
			return each(cas.Blob{}, fmt.Errorf("in pack %d at %d: %w", place.Pack, place.Offset, err))
		}
		return nil
	})
}

// verifySome reads the chosen frames only.
func (s *shelf) verifySome(ctx context.Context, read sample, each func(cas.Blob, error) error) error {
	return s.packs.Scan(ctx, pack.Place{}, func(place pack.Place, kind pack.Kind, items []pack.Item) error {
		if !read.has(fmt.Sprint(place.Pack, place.Offset)) {
			return nil
		}
		_, err := s.packs.Frame(ctx, place)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if kind != pack.BlobKind {
			if err == nil {
				return nil
			}
			return each(cas.Blob{}, err)
		}
		for _, item := range items {
			if err := each(blobOfItem(item), asMismatch(err)); err != nil {
				return err
			}
		}
		return nil
	})
}

func blobOfItem(item pack.Item) cas.Blob {
	return cas.Blob{Digest: digestOfItem(item), Size: int64(item.Length)}
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
	opened, _, err := v.openBlob(digest)
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
			if held, err = v.holds(ctx, blob); err != nil || held {
				return err
			}
			err = fmt.Errorf("its manifest: %w", cas.ErrNotFound)
		}
		return each(blob, fmt.Errorf("%s: %w", path, err))
	})
}
