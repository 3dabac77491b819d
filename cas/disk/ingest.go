package disk

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// Ingested tells what became of a file.
type Ingested struct {
	Blob   cas.Blob
	Recipe chunk.Recipe // zero for a blob of at most [FrameSize] bytes
	New    bool         // the store did not hold the blob before
	Stored int64        // bytes that the store grew by
	Fresh  int64        // bytes that no blob of the store had before, as far as its chunks tell
}

// Ingest stores the first size bytes of r. They are read once: cut, hashed and written at the same time. A small blob ends
// in a pack; of one that has more than [FrameSize] bytes, the recipe is kept, too. Everything is durable when it returns.
// A file that has fewer bytes is [cas.ErrSizeMismatch]; whatever happens to a file meanwhile, what is stored is what was
// read. Its memory is that of [chunk.Split].
func (s *Store) Ingest(ctx context.Context, r io.ReaderAt, size int64) (Ingested, error) {
	done, err := s.ingest(ctx, r, size)
	if err != nil {
		return Ingested{}, fmt.Errorf("ingest %d bytes: %w", size, s.explain(err))
	}
	return done, nil
}

func (s *Store) ingest(ctx context.Context, r io.ReaderAt, size int64) (Ingested, error) {
	if err := ctx.Err(); err != nil {
		return Ingested{}, err
	}
	if err := s.life.enter(); err != nil {
		return Ingested{}, err
	}
	defer s.leave()
	if size > FrameSize {
		return s.ingestCut(ctx, r, size)
	}
	return s.ingestFrame(ctx, r, size)
}

// ingestFrame is ingest for what fits into memory.
func (s *Store) ingestFrame(ctx context.Context, r io.ReaderAt, size int64) (Ingested, error) {
	if size < 0 {
		return Ingested{}, cas.ErrSizeMismatch
	}
	data := make([]byte, size)
	if n, err := r.ReadAt(data, 0); n < len(data) {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it ends after %d", cas.ErrSizeMismatch, n)
		}
		return Ingested{}, err
	}
	done := Ingested{Blob: cas.Blob{Digest: cas.SumBytes(data), Size: size}}
	held, err := s.holds(ctx, done.Blob)
	if held || err != nil {
		return done, err
	}
	done.New, done.Fresh = true, size
	if size <= SmallSize {
		stored, err := s.putSmall(ctx, done.Blob, data)
		done.Stored = int64(stored)
		return done, err
	}
	done.Stored = size
	return done, s.putWhole(ctx, done.Blob, data)
}

// ingestCut is ingest for a blob that gets a recipe.
func (s *Store) ingestCut(ctx context.Context, r io.ReaderAt, size int64) (done Ingested, err error) {
	temp, err := s.createTemp(size)
	if err != nil {
		return done, err
	}
	kept := false
	defer func() {
		if !kept {
			s.discard(temp)
		}
	}()
	copied := copyingReader{source: r, temp: temp, late: newLateWriter(temp), size: size}
	done.Recipe, err = chunk.Split(ctx, &copied, size, func(chunk.Piece) error { return nil })
	if err = errors.Join(err, copied.late.end()); err != nil {
		return done, err
	}
	if copied.next != size {
		return done, fmt.Errorf("%w: %d bytes were written", cas.ErrSizeMismatch, copied.next)
	}
	done.Blob = done.Recipe.Blob()
	held, err := s.holds(ctx, done.Blob)
	if err != nil {
		return done, err
	}
	if !held {
		if kept, err = s.install(ctx, temp, done.Blob); err != nil {
			return done, err
		}
	}
	if done.New = kept; kept {
		done.Stored = size
		if done.Fresh, err = s.fresh(ctx, done.Recipe); err != nil {
			return done, err
		}
	}
	stored, err := s.keepRecipe(ctx, done.Recipe)
	if errors.Is(err, ErrLongRecipe) {
		err = nil // the blob is stored all the same; its next version travels whole
	}
	done.Stored += int64(stored)
	return done, err
}

// fresh counts the bytes of the chunks that the index does not know.
func (s *Store) fresh(ctx context.Context, recipe chunk.Recipe) (fresh int64, err error) {
	length := make(map[chunk.ID]int, recipe.Len())
	ids := make([]chunk.ID, 0, recipe.Len())
	for c := range recipe.Chunks() {
		if _, seen := length[c.ID]; !seen {
			length[c.ID], ids = c.Length, append(ids, c.ID)
		}
	}
	places, err := s.shelf.index.FindChunks(ctx, ids)
	for i, place := range places {
		if place.Blob.Digest.IsZero() {
			fresh += int64(length[ids[i]])
		}
	}
	return fresh, err
}

// copyingReader writes to temp what is read through it from front to back. It tells that apart from the looking around
// in block heads that comes before: that is done in little steps, except perhaps in the file's last ones. Reading that
// goes back writes anew, so that in the end the file has what was read last, which is what was cut and hashed.
type copyingReader struct {
	source io.ReaderAt
	temp   tempFile
	late   *lateWriter // to temp
	size   int64
	next   int64 // offset up to which temp is written
}

// leastCopied is the shortest read, in bytes, that is copied before the end of the file.
const leastCopied = 1 << 20

func (c *copyingReader) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.source.ReadAt(p, offset)
	if n < len(p) || len(p) < leastCopied && offset+int64(n) < c.size {
		return n, err
	}
	if offset == 0 && c.next > 0 {
		if err := c.rewind(); err != nil {
			return 0, err
		}
	}
	if offset != c.next {
		return n, err
	}
	written, writeErr := c.late.Write(p)
	c.next += int64(written)
	if writeErr != nil {
		return 0, writeErr
	}
	return n, err
}

func (c *copyingReader) rewind() error {
	err := c.late.end()
	c.late, c.next = newLateWriter(c.temp), 0
	return errors.Join(err, c.temp.rewind())
}
