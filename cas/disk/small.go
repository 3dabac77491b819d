package disk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/cas/index"
	"hayloft/cas/pack"
)

// Sizes in bytes that decide how a blob is kept and how it travels.
const (
	// SmallSize: a blob of at most so many bytes is kept in a pack, a longer one as a file of its own.
	SmallSize = 256 << 10
	// FrameSize: a blob of at most so many bytes travels as a whole and gets no recipe.
	FrameSize = pack.MaxData
)

// smallMemory bounds, in bytes, what all writers together hold in memory. A writer that gets none left writes to a file.
const smallMemory = 64 << 20

// budget is a number of bytes that many share.
type budget struct{ taken atomic.Int64 }

func (b *budget) take(n int) bool {
	if b.taken.Add(int64(n)) > smallMemory {
		b.give(n)
		return false
	}
	return true
}

func (b *budget) give(n int) { b.taken.Add(-int64(n)) }

// smallBody is the body of a blob as long as it is small. The zero value is empty and holds nothing of the budget.
type smallBody struct {
	bytes []byte
	held  int // bytes of the budget
}

const firstCapacity = 4 << 10 // bytes, of a body whose length was not announced

// append adds p and tells whether there was room for it; if not, the body is as it was.
func (s *smallBody) append(b *budget, p []byte, hint int64) bool {
	size := len(s.bytes) + len(p)
	if size > SmallSize {
		return false
	}
	if size > cap(s.bytes) {
		capacity := max(size, 2*cap(s.bytes))
		if cap(s.bytes) == 0 {
			capacity = max(size, int(min(max(hint, firstCapacity), SmallSize)))
			if hint >= 0 && int64(size) <= hint {
				capacity = int(min(hint, SmallSize))
			}
		}
		if !b.take(capacity - s.held) {
			return false
		}
		s.held = capacity
		s.bytes = append(make([]byte, 0, capacity), s.bytes...)
	}
	s.bytes = append(s.bytes, p...)
	return true
}

func (s *smallBody) drop(b *budget) {
	b.give(s.held)
	*s = smallBody{}
}

// blobFrame makes one frame of blobs that lie behind each other in data.
func blobFrame(items []pack.Item, data []byte) ([]byte, index.Addition) {
	return pack.Append(nil, pack.BlobKind, items, data), index.Addition{Kind: pack.BlobKind, Items: items}
}

// putSmall packs one blob whose bytes are known to be right.
func (s *Store) putSmall(ctx context.Context, blob cas.Blob, data []byte) (stored int, err error) {
	var job packing
	job.add(blobFrame([]pack.Item{{ID: blob.Digest.Bytes(), Length: len(data)}}, data))
	return s.packer.put(ctx, &job)
}

// PutSmall stores blobs of at most [SmallSize] bytes each, durably, many to a frame and all with one sync. It returns
// their names in the same order. Blobs that the store holds already cost nothing. Errors: [cas.ErrSizeMismatch] for a
// blob that is not small, [cas.ErrNoSpace]; then some of them may be stored.
func (s *Store) PutSmall(ctx context.Context, blobs [][]byte) ([]cas.Blob, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("store %d small blobs: %w", len(blobs), err)
	}
	if err := s.life.enter(); err != nil {
		return nil, fmt.Errorf("store %d small blobs: %w", len(blobs), err)
	}
	defer s.leave()
	named, err := s.packAll(ctx, blobs)
	if err != nil {
		return nil, fmt.Errorf("store %d small blobs: %w", len(blobs), s.explain(err))
	}
	return named, nil
}

// packingAtOnce is how many frames of one call are compressed at the same time.
const packingAtOnce = 4

func (s *Store) packAll(ctx context.Context, blobs [][]byte) ([]cas.Blob, error) {
	named := make([]cas.Blob, len(blobs))
	var group errgroup.Group
	group.SetLimit(packingAtOnce)
	var jobs []*packing
	for from := 0; from < len(blobs); {
		to, err := frameEnd(blobs, from)
		if err != nil {
			return nil, err
		}
		job := new(packing)
		jobs = append(jobs, job)
		some, names := blobs[from:to], named[from:to]
		group.Go(func() error { return s.packFrame(ctx, job, some, names) })
		from = to
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all packing
	for _, job := range jobs {
		for i, frame := range job.frames {
			all.add(frame, job.additions[i])
		}
	}
	_, err := s.packer.put(ctx, &all)
	return named, err
}

// frameEnd is the index after the last blob that fits into one frame with those from the given one on.
func frameEnd(blobs [][]byte, from int) (int, error) {
	size, to := 0, from
	for to < len(blobs) && to-from < pack.MaxItems && size+len(blobs[to]) <= pack.MaxData {
		if len(blobs[to]) > SmallSize {
			return 0, fmt.Errorf("%w: blob %d has %d bytes, more than %d", cas.ErrSizeMismatch, to, len(blobs[to]), SmallSize)
		}
		size += len(blobs[to])
		to++
	}
	if to == from {
		return 0, fmt.Errorf("%w: blob %d has %d bytes, more than %d", cas.ErrSizeMismatch, to, len(blobs[to]), SmallSize)
	}
	return to, nil
}

// packFrame names the blobs and puts those that the store lacks into one frame.
func (s *Store) packFrame(ctx context.Context, job *packing, blobs [][]byte, named []cas.Blob) error {
	for i, data := range blobs {
		named[i] = cas.Blob{Digest: cas.SumBytes(data), Size: int64(len(data))}
	}
	held, err := s.holdsAll(ctx, named)
	if err != nil {
		return err
	}
	var items []pack.Item
	var data []byte
	for i, blob := range named {
		if !held[i] {
			items = append(items, pack.Item{ID: blob.Digest.Bytes(), Length: len(blobs[i])})
			data = append(data, blobs[i]...)
		}
	}
	if len(items) > 0 {
		job.add(blobFrame(items, data))
	}
	return nil
}

// PutFrames stores the blobs of frames of [pack.BlobKind] that a reader of frames has checked; they are durable and
// visible when it returns nil. A frame goes into a pack as it came, without being compressed again, unless it holds blobs
// that are not small: these become files. Errors: [pack.ErrBadFrame] for a frame of another kind, [cas.ErrNoSpace]; then
// some of the blobs may be stored.
func (s *Store) PutFrames(ctx context.Context, frames []pack.Frame) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store %d frames: %w", len(frames), err)
	}
	if err := s.life.enter(); err != nil {
		return fmt.Errorf("store %d frames: %w", len(frames), err)
	}
	defer s.leave()
	var job packing
	for _, frame := range frames {
		if err := s.takeFrame(ctx, frame, &job); err != nil {
			return fmt.Errorf("store a frame of %d blobs: %w", len(frame.Items), s.explain(err))
		}
	}
	if _, err := s.packer.put(ctx, &job); err != nil {
		return fmt.Errorf("store %d frames: %w", len(frames), s.explain(err))
	}
	return nil
}

// takeFrame adds a frame to the job, and stores what in it is not small.
func (s *Store) takeFrame(ctx context.Context, frame pack.Frame, job *packing) error {
	if frame.Kind != pack.BlobKind {
		return fmt.Errorf("%w: it holds %v", pack.ErrBadFrame, frame.Kind)
	}
	isLarge := func(item pack.Item) bool { return item.Length > SmallSize }
	if len(frame.Encoded()) > 0 && !slices.ContainsFunc(frame.Items, isLarge) {
		job.add(frame.Encoded(), index.Addition{Kind: pack.BlobKind, Items: frame.Items})
		return nil
	}
	var items []pack.Item
	var data []byte
	err := frame.Each(func(item pack.Item, body []byte) error {
		if isLarge(item) {
			return s.putWhole(ctx, cas.Blob{Digest: digestOfItem(item), Size: int64(item.Length)}, body)
		}
		items, data = append(items, item), append(data, body...)
		return nil
	})
	if err == nil && len(items) > 0 {
		job.add(blobFrame(items, data))
	}
	return err
}

// putWhole stores a blob as a file.
func (s *Store) putWhole(ctx context.Context, blob cas.Blob, data []byte) error {
	held, err := s.holds(ctx, blob)
	if held || err != nil {
		return err
	}
	w, err := s.Create(ctx, blob.Size)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return err
	}
	return w.Commit(ctx, blob)
}

// readBack gives the bytes of a small blob that lies in a temporary file, since there was no memory for it. So many at
// once as spilled has room for hold such bytes; free gives the place back.
func (s *Store) readBack(ctx context.Context, temp tempFile, size int64) (data []byte, free func(), err error) {
	select {
	case s.spilled <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	free = func() { <-s.spilled }
	data = make([]byte, size)
	if _, err := temp.ReadAt(data, 0); err != nil {
		free()
		return nil, nil, err
	}
	return data, free, nil
}

// spilledAtOnce bounds how many spilled blobs are packed at the same time.
const spilledAtOnce = 16
