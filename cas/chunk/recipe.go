package chunk

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"hayloft/cas"
)

// Errors by meaning. All but ErrWrongBase and ErrWrongChunk come wrapped in [ErrBadRecipe] and say where the recipe is wrong.
var (
	// ErrBadRecipe: the bytes are not a recipe, or not one that any cutting could have given.
	ErrBadRecipe = errors.New("malformed recipe")
	// ErrVersion: the first byte names another format than this package reads.
	ErrVersion = errors.New("unknown version")
	// ErrTruncated: the bytes end inside the recipe.
	ErrTruncated = errors.New("ends too early")
	// ErrTrailing: bytes follow after the end of the recipe.
	ErrTrailing = errors.New("bytes after the end")
	// ErrNumber: a number does not fit, or is written longer than it need be.
	ErrNumber = errors.New("number out of range")
	// ErrChunkLength: a chunk is empty, longer than MaxSize, or shorter than MinSize where its stream goes on.
	ErrChunkLength = errors.New("chunk length out of bounds")
	// ErrChunkName: a chunk has the id of all zeros, which names nothing.
	ErrChunkName = errors.New("chunk without an id")
	// ErrLayout: literals follow literals, a payload among literals is not longer than 4 KiB, or the literal stream
	// holds chunks of payloads or the like.
	ErrLayout = errors.New("impossible layout")
	// ErrSum: the lengths do not add up to the size of the file or of the literal stream.
	ErrSum = errors.New("lengths do not add up")
	// ErrTooMany: more chunks are announced than the bytes can hold.
	ErrTooMany = errors.New("too many chunks")
	// ErrWrongBase: a delta was made against another recipe than the one it was given.
	ErrWrongBase = errors.New("delta against another recipe")
	// ErrWrongChunk: fetched bytes do not have the id or the length that the recipe says.
	ErrWrongChunk = errors.New("not the bytes of the chunk")
)

// Chunk names the bytes of one chunk.
type Chunk struct {
	ID     ID
	Length int // bytes, 1 to MaxSize
}

// Range is a piece of a file, in bytes. It is never empty.
type Range struct{ Offset, Length int64 }

// End is the offset after the last byte.
func (r Range) End() int64 { return r.Offset + r.Length }

// part is one step of laying out a file: a chunk or, without an id, so many bytes of the literal stream.
type part struct {
	id     ID
	length int64
}

func (p part) isLiteral() bool { return p.id.IsZero() }

// Recipe says which chunks make one file and where their bytes lie in it. It is well formed by construction: it was
// made by [Split], or decoded and checked. That it tells the truth is known only once the assembled bytes had the
// announced SHA-256. It is read-only and can be used from many goroutines. The zero value stands for no file.
type Recipe struct {
	blob     cas.Blob
	literals []part // the chunks of the literal stream; none of these is itself literal
	parts    []part // the file from its first byte to its last
}

// Blob is the file that the recipe makes.
func (r Recipe) Blob() cas.Blob { return r.blob }

// Len is the number of chunks, each counted as often as it stands in the file.
func (r Recipe) Len() int {
	n := len(r.literals)
	for _, p := range r.parts {
		if !p.isLiteral() {
			n++
		}
	}
	return n
}

// Chunks gives every chunk with the ranges of the file that its bytes fill, in order: one range for a chunk of plain
// bytes or of a payload, as many as needed for a chunk of the literal stream. The chunks of the literal stream come
// first, then the others by their offset. Together the ranges cover the file exactly once. The slice of ranges is valid
// until the next step.
func (r Recipe) Chunks() iter.Seq2[Chunk, []Range] {
	return func(yield func(Chunk, []Range) bool) {
		if !r.eachLiteral(yield) {
			return
		}
		var offset int64
		ranges := make([]Range, 1)
		for _, p := range r.parts {
			if !p.isLiteral() {
				ranges[0] = Range{Offset: offset, Length: p.length}
				if !yield(Chunk{ID: p.id, Length: int(p.length)}, ranges) {
					return
				}
			}
			offset += p.length
		}
	}
}

// eachLiteral yields the chunks of the literal stream and tells whether the loop goes on.
func (r Recipe) eachLiteral(yield func(Chunk, []Range) bool) bool {
	var offset int64
	var ranges []Range
	next, length := 0, int64(0) // the chunk being collected, and how much of it is
	for _, p := range r.parts {
		place := Range{Offset: offset, Length: p.length}
		offset += p.length
		for p.isLiteral() && place.Length > 0 {
			literal := r.literals[next]
			taken := Range{Offset: place.Offset, Length: min(place.Length, literal.length-length)}
			ranges, length = append(ranges, taken), length+taken.Length
			place = Range{Offset: taken.End(), Length: place.Length - taken.Length}
			if length < literal.length {
				continue
			}
			if !yield(Chunk{ID: literal.id, Length: int(literal.length)}, ranges) {
				return false
			}
			next, length, ranges = next+1, 0, ranges[:0]
		}
	}
	return true
}

// Assemble writes the file in order, one chunk of plain bytes and one of the literal stream in memory at a time. fetch
// gives the bytes of a chunk; they are valid until the same kind of chunk is fetched again, hence the flag. A fetched
// chunk that is not what the recipe names is [ErrWrongChunk]; a file that has not the announced SHA-256 after all is
// [cas.ErrDigestMismatch], which then means that the recipe lied. Errors of fetch and w are returned wrapped.
func (r Recipe) Assemble(w io.Writer, fetch func(c Chunk, literal bool) ([]byte, error)) error {
	whole := newSHA256()
	out := io.MultiWriter(w, whole)
	var literal []byte
	next := 0
	for _, p := range r.parts {
		if !p.isLiteral() {
			data, err := fetchChecked(fetch, p, false)
			if err != nil {
				return err
			}
			if _, err := out.Write(data); err != nil {
				return fmt.Errorf("assembling %s: %w", r.blob, err)
			}
			continue
		}
		for left := p.length; left > 0; {
			if len(literal) == 0 {
				var err error
				if literal, err = fetchChecked(fetch, r.literals[next], true); err != nil {
					return err
				}
				next++
			}
			n := min(left, int64(len(literal)))
			if _, err := out.Write(literal[:n]); err != nil {
				return fmt.Errorf("assembling %s: %w", r.blob, err)
			}
			literal, left = literal[n:], left-n
		}
	}
	if got := cas.SumHash(whole); got != r.blob.Digest {
		return fmt.Errorf("assembling %s: %w: the chunks make %s", r.blob, cas.ErrDigestMismatch, got)
	}
	return nil
}

func fetchChecked(fetch func(Chunk, bool) ([]byte, error), p part, literal bool) ([]byte, error) {
	data, err := fetch(Chunk{ID: p.id, Length: int(p.length)}, literal)
	if err != nil {
		return nil, fmt.Errorf("fetching chunk %s: %w", p.id, err)
	}
	if int64(len(data)) != p.length || Sum(data) != p.id {
		return nil, fmt.Errorf("%w %s: %d bytes came that are something else", ErrWrongChunk, p.id, len(data))
	}
	return data, nil
}

// check proves that some cutting of some file gives this recipe. With it, the number of chunks is bounded by the size
// of the file: no run of chunks is made of crumbs.
func (r Recipe) check() error {
	literal, err := checkStream(r.literals, r.blob.Size)
	if err != nil {
		return fmt.Errorf("literal stream: %w", err)
	}
	var taken, total int64
	for at := 0; at < len(r.parts); {
		if p := r.parts[at]; p.isLiteral() {
			if p.length <= 0 || p.length > literal-taken {
				return fmt.Errorf("%w: part %d takes %d bytes of the literal stream, which has %d left",
					ErrSum, at, p.length, literal-taken)
			}
			if at > 0 && r.parts[at-1].isLiteral() {
				return fmt.Errorf("%w: parts %d and %d are both literal", ErrLayout, at-1, at)
			}
			taken, at = taken+p.length, at+1
			if total += p.length; total > r.blob.Size {
				return fmt.Errorf("%w: more than the file's %d bytes", ErrSum, r.blob.Size)
			}
			continue
		}
		run := r.parts[at:runEnd(r.parts, at)]
		length, err := checkStream(run, r.blob.Size-total)
		if err != nil {
			return fmt.Errorf("parts from %d on: %w", at, err)
		}
		if literal > 0 && length <= SmallPayload {
			return fmt.Errorf("%w: part %d is a payload of only %d bytes", ErrLayout, at, length)
		}
		total, at = total+length, at+len(run)
	}
	if taken != literal || total != r.blob.Size {
		return fmt.Errorf("%w: %d of %d bytes, %d of %d literal", ErrSum, total, r.blob.Size, taken, literal)
	}
	return nil
}

// runEnd is the index after the last of the chunks that follow each other from at on.
func runEnd(parts []part, at int) int {
	for at < len(parts) && !parts[at].isLiteral() {
		at++
	}
	return at
}

// checkStream checks chunks that were cut from one stream, and gives the length of the stream, at most limit.
func checkStream(chunks []part, limit int64) (total int64, err error) {
	for i, c := range chunks {
		switch {
		case c.isLiteral():
			return 0, fmt.Errorf("%w: chunk %d", ErrChunkName, i)
		case c.length < 1 || c.length > MaxSize || c.length < MinSize && i < len(chunks)-1:
			return 0, fmt.Errorf("%w: chunk %d of %d has %d bytes", ErrChunkLength, i, len(chunks), c.length)
		case c.length > limit-total:
			return 0, fmt.Errorf("%w: the first %d chunks have more than %d bytes", ErrSum, i+1, limit)
		}
		total += c.length
	}
	return total, nil
}
