package gather

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/checkout"
)

const (
	// hashers is how many files are read at a time. One core hashes about as fast as a good disk reads; a second one
	// hides the pauses between files.
	hashers = 2
	// readings is how many times a file that changes is read before that is an error: once and three times again.
	readings = 4
	// pieceBytes is read between two reports of progress.
	pieceBytes = 1 << 20
)

// Source says where the bytes of a blob lie.
type Source struct {
	Blob cas.Blob
	Path string // absolute
}

// Hash reads all files of t and gives the manifest, and one source of each blob in ascending order of digests.
//
// progress, which may be nil, is called in the calling goroutine with the bytes done and the bytes in all. Both can
// change either way if a file turns out to have changed.
//
// A file counts as read if it kept its size, its time of modification and its identity meanwhile; otherwise it is read
// again, up to three times. Errors: [*UnusableError] with all files that could not be read or kept changing
// ([ErrChanging]); ctx's; whatever [checkout.NewManifest] refuses.
func Hash(ctx context.Context, t Tree, progress func(done, total int64)) (checkout.Manifest, []Source, error) {
	m, sources, err := hashTree(ctx, t, progress, func(File) {})
	if err != nil {
		return checkout.Manifest{}, nil, fmt.Errorf("hash %d files of %q: %w", len(t.Files), t.Root, err)
	}
	return m, sources, nil
}

// advance is a step of progress.
type advance struct{ done, total int64 }

// hashTree is Hash; read is called when all bytes of a file have been read and before the file is looked at again.
func hashTree(ctx context.Context, t Tree, progress func(done, total int64), read func(File)) (checkout.Manifest, []Source, error) {
	blobs := make([]cas.Blob, len(t.Files))
	faults := make([]error, len(t.Files))
	steps := make(chan advance)
	done := make(chan error, 1)
	go func() {
		defer close(steps)
		done <- hashAll(ctx, t, blobs, faults, steps, read)
	}()
	at := advance{total: t.Size()}
	for step := range steps {
		at.done += step.done
		at.total += step.total
		if progress != nil {
			progress(at.done, at.total)
		}
	}
	if err := <-done; err != nil {
		return checkout.Manifest{}, nil, err
	}
	faults = slices.DeleteFunc(faults, func(err error) bool { return err == nil })
	if len(faults) > 0 {
		return checkout.Manifest{}, nil, &UnusableError{Root: t.Root, Causes: faults}
	}
	return assemble(t, blobs)
}

// hashAll fills blobs or faults for each file. Its error is ctx's.
func hashAll(ctx context.Context, t Tree, blobs []cas.Blob, faults []error, steps chan<- advance, read func(File)) error {
	var group errgroup.Group
	group.SetLimit(hashers)
	for i, f := range t.Files {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			h := hasher{ctx: ctx, file: f, steps: steps, read: read}
			blobs[i], faults[i] = h.settled()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func assemble(t Tree, blobs []cas.Blob) (checkout.Manifest, []Source, error) {
	entries := make([]checkout.Entry, len(t.Files))
	sources := make([]Source, len(t.Files))
	for i, f := range t.Files {
		entries[i] = checkout.Entry{Path: f.Path, Mode: f.Mode, Blob: blobs[i]}
		sources[i] = Source{Blob: blobs[i], Path: f.Source}
	}
	m, err := checkout.NewManifest(entries)
	if err != nil {
		return checkout.Manifest{}, nil, err
	}
	slices.SortStableFunc(sources, func(a, b Source) int { return a.Blob.Digest.Compare(b.Blob.Digest) })
	return m, slices.CompactFunc(sources, func(a, b Source) bool { return a.Blob == b.Blob }), nil
}

// hasher reads one file.
type hasher struct {
	ctx      context.Context
	file     File
	steps    chan<- advance
	read     func(File)
	reported advance // what was sent for this file
}

// settled reads the file until it holds still.
func (h *hasher) settled() (cas.Blob, error) {
	for range readings {
		blob, err := h.once()
		if !errors.Is(err, ErrChanging) {
			return blob, err
		}
	}
	return cas.Blob{}, fmt.Errorf("%q: %w", h.file.Source, ErrChanging)
}

// once reads the file from its start to its end; ErrChanging if it was not the same before and after.
func (h *hasher) once() (cas.Blob, error) {
	f, err := os.Open(h.file.Source)
	if err != nil {
		return cas.Blob{}, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return cas.Blob{}, err
	}
	h.report(advance{total: before.Size() - h.file.Size})
	sum, n := sha256.New(), int64(0)
	piece := make([]byte, min(pieceBytes, before.Size()+1))
	for {
		if err := h.ctx.Err(); err != nil {
			return cas.Blob{}, err
		}
		got, err := f.Read(piece)
		sum.Write(piece[:got])
		n += int64(got)
		h.report(advance{done: n, total: before.Size() - h.file.Size})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return cas.Blob{}, err
		}
		if n > before.Size() {
			return cas.Blob{}, ErrChanging // it may be growing for ever
		}
	}
	h.read(h.file)
	// A program that saves by renaming leaves the open file as it was: its name tells that there is a newer one, or for a
	// moment none.
	after, err := os.Stat(h.file.Source)
	if errors.Is(err, fs.ErrNotExist) {
		return cas.Blob{}, ErrChanging
	}
	if err != nil {
		return cas.Blob{}, err
	}
	if n != before.Size() || n != after.Size() || !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		return cas.Blob{}, ErrChanging
	}
	return cas.Blob{Digest: cas.SumHash(sum), Size: n}, nil
}

// report sends how far this file is, as the difference to what was sent for it before.
func (h *hasher) report(now advance) {
	step := advance{done: now.done - h.reported.done, total: now.total - h.reported.total}
	h.reported = now
	if step != (advance{}) {
		h.steps <- step
	}
}
