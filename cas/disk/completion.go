package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// copying is a range of the part whose bytes come from a stored blob.
type copying struct {
	chunk.Range
	source cas.Blob
	from   int64 // offset in the source
}

// plan gives what must be copied, in the order of the file; neighbours that are neighbours in their source are one.
func (a *Assembly) plan() []copying {
	var all []copying
	for i := range a.slots {
		if s := &a.slots[i]; !s.here {
			all = appendCopyings(all, s.ranges, s.seed)
		}
	}
	slices.SortFunc(all, func(x, y copying) int { return compareOffsets(x.Offset, y.Offset) })
	merged := all[:0]
	for _, c := range all {
		if n := len(merged) - 1; n >= 0 && merged[n].End() == c.Offset && merged[n].source == c.source &&
			merged[n].from+merged[n].Length == c.from {
			merged[n].Length += c.Length
			continue
		}
		merged = append(merged, c)
	}
	return merged
}

func compareOffsets(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// appendCopyings lays the ranges of a chunk over the ranges that it has in its seed.
func appendCopyings(all []copying, to []chunk.Range, seed Seed) []copying {
	from := slices.Clone(seed.Ranges)
	for _, r := range to {
		for r.Length > 0 && len(from) > 0 {
			n := min(r.Length, from[0].Length)
			all = append(all, copying{Range: chunk.Range{Offset: r.Offset, Length: n}, source: seed.Blob, from: from[0].Offset})
			r.Offset, r.Length = r.Offset+n, r.Length-n
			from[0].Offset, from[0].Length = from[0].Offset+n, from[0].Length-n
			if from[0].Length == 0 {
				from = from[1:]
			}
		}
	}
	return all
}

// sourceError: a blob that chunks should be copied from cannot be read.
type sourceError struct {
	blob cas.Blob
	err  error
}

func (e *sourceError) Error() string { return fmt.Sprintf("copy from blob %v: %v", e.blob, e.err) }
func (e *sourceError) Unwrap() error { return e.err }

// completion is the one passage over a part: what is to be copied is read from its source and written, all else is read
// from the part, and everything is hashed in a goroutine of its own. It uses at most readAhead buffers.
type completion struct {
	part    partFile
	size    int64
	copies  []copying // those that begin at or after the window, or reach into it
	sources sources
}

func (c *completion) run(ctx context.Context) (cas.Digest, error) {
	c.share()
	filled := make(chan piece, readAhead)
	hashed := make(chan *buffer, readAhead)
	sum := make(chan cas.Digest, 1)
	go func() {
		defer close(hashed)
		whole := sha256.New()
		for p := range filled {
			whole.Write(p.buffer[:p.filled])
			hashed <- p.buffer
		}
		sum <- cas.SumHash(whole)
	}()
	err := c.pass(ctx, filled, hashed)
	close(filled)
	for b := range hashed {
		buffers.Put(b)
	}
	return <-sum, err
}

// pass goes over the file window by window.
func (c *completion) pass(ctx context.Context, filled chan<- piece, hashed <-chan *buffer) error {
	started := int64(0)
	for at, taken := int64(0), 0; at < c.size; taken++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var buf *buffer
		if taken < readAhead {
			buf = buffers.Get().(*buffer)
		} else {
			buf = <-hashed
		}
		n := int(min(bufferSize, c.size-at))
		if err := c.window(buf[:n], at); err != nil {
			buffers.Put(buf)
			return err
		}
		filled <- piece{buf, n}
		if at += int64(n); at-started >= writeBehind {
			c.part.startWriteback(started, at-started)
			started = at
		}
	}
	return nil
}

// window fills buf with what belongs at an offset of the file, and writes what comes from elsewhere.
func (c *completion) window(buf []byte, offset int64) error {
	end := offset + int64(len(buf))
	for at := offset; at < end; {
		stop := end
		if len(c.copies) > 0 {
			stop = min(end, c.copies[0].Offset)
		}
		if stop > at {
			if _, err := io.ReadFull(io.NewSectionReader(c.part, at, stop-at), buf[at-offset:stop-offset]); err != nil {
				return err
			}
			at = stop
			continue
		}
		copied, err := c.copy(buf[at-offset:])
		if err != nil {
			return err
		}
		at += copied
	}
	return nil
}

// copy takes as much of the first of the copies as fits into buf.
func (c *completion) copy(buf []byte) (int64, error) {
	next := &c.copies[0]
	buf = buf[:min(int64(len(buf)), next.Length)]
	source, err := c.sources.open(next.source)
	if err != nil {
		return 0, &sourceError{next.source, err}
	}
	if n, err := source.ReadAt(buf, next.from); n < len(buf) {
		return 0, &sourceError{next.source, err}
	}
	if _, err := c.part.WriteAt(buf, next.Offset); err != nil {
		return 0, err
	}
	n := int64(len(buf))
	next.Offset, next.from, next.Length = next.Offset+n, next.from+n, next.Length-n
	if next.Length == 0 {
		c.copies = c.copies[1:]
	}
	return n, nil
}

// leastShared is the shortest range, in bytes, that is worth the file system's book-keeping to be shared.
const leastShared = 1 << 20

// share lets the part have long ranges in common with their sources where the file system can do that and the ranges are
// aligned. What it shares is then in the part. The first failure ends it: the rest is copied.
func (c *completion) share() {
	var rest []copying
	for i, next := range c.copies {
		inner, ok := aligned(next)
		if !ok {
			rest = append(rest, next)
			continue
		}
		source, err := c.sources.open(next.source)
		if err == nil {
			err = c.part.share(source, inner.from, inner.Length, inner.Offset)
		}
		if err != nil {
			c.copies = append(rest, c.copies[i:]...)
			return
		}
		rest = appendAround(rest, next, inner)
	}
	c.copies = rest
}

// aligned gives the part of a range that can be shared.
func aligned(c copying) (copying, bool) {
	skip := (shareUnit - c.Offset%shareUnit) % shareUnit
	if (c.Offset-c.from)%shareUnit != 0 || c.Length-skip < leastShared {
		return copying{}, false
	}
	c.Offset, c.from, c.Length = c.Offset+skip, c.from+skip, (c.Length-skip)/shareUnit*shareUnit
	return c, true
}

// appendAround appends what of a range lies before and after a part of it.
func appendAround(rest []copying, whole, inner copying) []copying {
	if head := inner.Offset - whole.Offset; head > 0 {
		rest = append(rest, copying{chunk.Range{Offset: whole.Offset, Length: head}, whole.source, whole.from})
	}
	if tail := whole.End() - inner.End(); tail > 0 {
		rest = append(rest, copying{chunk.Range{Offset: inner.End(), Length: tail}, whole.source, inner.from + inner.Length})
	}
	return rest
}

// maxSources bounds how many sources are open at the same time.
const maxSources = 64

// sources are the open files of blobs that are copied from.
type sources struct {
	view  *View
	files map[cas.Blob]*os.File
}

func (s *sources) open(blob cas.Blob) (*os.File, error) {
	if file := s.files[blob]; file != nil {
		return file, nil
	}
	if len(s.files) == maxSources {
		if err := s.close(); err != nil {
			return nil, err
		}
	}
	whole, _, err := s.view.openBlob(blob.Digest)
	if err != nil {
		return nil, err
	}
	if s.files == nil {
		s.files = make(map[cas.Blob]*os.File)
	}
	s.files[blob] = whole.File
	return whole.File, nil
}

func (s *sources) close() (err error) {
	for _, file := range s.files {
		err = errors.Join(err, file.Close())
	}
	clear(s.files)
	return err
}
