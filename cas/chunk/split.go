package chunk

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"

	"hayloft/cas"
)

// A Split holds at most splitBuffers buffers, and the literal stream's. Each has room for what the buffer before left
// uncut, which is less than a chunk.
const (
	splitBuffers = 3
	readSize     = 2 << 20
	bufferSize   = MaxSize + readSize
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Piece is a chunk with its bytes.
type Piece struct {
	Chunk
	// Literal: the chunk belongs to the literal stream of a .blend file, the heads and small blocks. Such chunks compress
	// better in company: on a scene of 108 MB of literals, one by one they took 11.6 MB, in frames of 256 KiB 9.6 MB, of
	// 1 MiB 8.5 MB (zstd, fastest level). Geometry gains nothing by it.
	Literal bool
	// Data is valid only until the function that was given the piece returns, and must not be changed.
	Data []byte
}

// Split reads the first size bytes of r once and cuts them into chunks. It calls emit for each chunk, from the calling
// goroutine, in the order in which cuts are found; chunks that occur twice come twice. The recipe that it returns has the
// SHA-256 of the very bytes that were emitted, whatever happened to the file meanwhile.
//
// A .blend file of whose structure [BlendSpans] is sure is cut along it; everything else is cut as one stream.
//
// A file with fewer than size bytes is [cas.ErrSizeMismatch]. Errors of r and emit are returned wrapped; ctx is looked at
// every two mebibytes. Memory is bounded by about 8 MiB, and by 16 bytes for each large payload of a .blend file.
func Split(ctx context.Context, r io.ReaderAt, size int64, emit func(Piece) error) (Recipe, error) {
	spans, sure := BlendSpans(r, size)
	if !sure {
		spans = []Range{{Length: size}}
	}
	return split(ctx, r, size, spans, emit)
}

// split cuts each span alone and the bytes between them as one stream. Spans are in order, not empty unless the file is,
// and do not touch.
func split(ctx context.Context, r io.ReaderAt, size int64, spans []Range, emit func(Piece) error) (Recipe, error) {
	if size < 0 {
		return Recipe{}, fmt.Errorf("cutting a file: %w: %d bytes", cas.ErrSizeMismatch, size)
	}
	s := splitter{spans: spans, emit: emit}
	whole := startWhole(size)
	err := s.run(ctx, r, size, whole)
	digest := whole.finish()
	if err != nil {
		return Recipe{}, fmt.Errorf("cutting a file of %d bytes: %w", size, err)
	}
	s.recipe.blob = cas.Blob{Digest: digest, Size: size}
	return s.recipe, nil
}

// splitter is the cutting side of a Split. It takes the file as consecutive pieces of memory.
type splitter struct {
	spans   []Range // those that have not ended yet
	offset  int64   // of the first byte that was not taken yet
	literal []byte  // the literal stream's bytes that were not cut yet
	recipe  Recipe
	emit    func(Piece) error
}

// run reads the file, gives every buffer to the hash first, and cuts while the hash works.
func (s *splitter) run(ctx context.Context, r io.ReaderAt, size int64, whole *wholeHash) error {
	var left []byte // what the last buffer left uncut
	for read := int64(0); read < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		// The buffer may be the one that left lies in: copy moves overlapping bytes rightly.
		buffer := <-whole.free
		kept := copy(buffer[:MaxSize], left)
		fresh := buffer[kept : kept+int(min(readSize, size-read))]
		n, err := r.ReadAt(fresh, read)
		if n < len(fresh) {
			whole.free <- buffer
			if err == io.EOF {
				return fmt.Errorf("%w: it ends after %d", cas.ErrSizeMismatch, read+int64(n))
			}
			return fmt.Errorf("reading at %d: %w", read+int64(n), err)
		}
		read += int64(n)
		whole.full <- freshBytes{buffer, fresh}
		if left, err = s.take(buffer[:kept+n], size); err != nil {
			return err
		}
	}
	return s.cutLiteral(true)
}

// take cuts what can be cut of data, the bytes of the file from s.offset on, and gives back the rest: less than MaxSize
// bytes of a span that goes on.
func (s *splitter) take(data []byte, size int64) (left []byte, err error) {
	for len(data) > 0 {
		if s.inLiteral() {
			n := int(min(int64(len(data)), s.literalEnd(size)-s.offset))
			if err := s.addLiteral(data[:n]); err != nil {
				return nil, err
			}
			s.offset, data = s.offset+int64(n), data[n:]
			continue
		}
		n, err := s.takeSpan(data)
		if err != nil {
			return nil, err
		}
		if data = data[n:]; !s.inLiteral() {
			return data, nil
		}
	}
	return nil, nil
}

// inLiteral tells whether the next byte belongs to the literal stream.
func (s *splitter) inLiteral() bool { return len(s.spans) == 0 || s.offset < s.spans[0].Offset }

func (s *splitter) literalEnd(size int64) int64 {
	if len(s.spans) == 0 {
		return size
	}
	return s.spans[0].Offset
}

// takeSpan cuts the span that data lies in as far as the cuts are certain, and tells how far.
func (s *splitter) takeSpan(data []byte) (taken int, err error) {
	left := s.spans[0].End() - s.offset
	ends := left <= int64(len(data))
	if ends {
		data = data[:left]
		s.spans = s.spans[1:]
	}
	for len(data) >= MaxSize || ends && len(data) > 0 {
		n := cut(data)
		chunk, err := s.emitChunk(data[:n], false)
		if err != nil {
			return 0, err
		}
		s.recipe.parts = append(s.recipe.parts, chunk)
		data, taken = data[n:], taken+n
	}
	s.offset += int64(taken)
	return taken, nil
}

// addLiteral appends to the literal stream, and to the part of the recipe that takes from it.
func (s *splitter) addLiteral(data []byte) error {
	if n := len(s.recipe.parts); n > 0 && s.recipe.parts[n-1].isLiteral() {
		s.recipe.parts[n-1].length += int64(len(data))
	} else {
		s.recipe.parts = append(s.recipe.parts, part{length: int64(len(data))})
	}
	if s.literal == nil {
		s.literal = make([]byte, 0, 4*MaxSize)
	}
	for len(data) > 0 {
		n := min(len(data), cap(s.literal)-len(s.literal))
		s.literal, data = append(s.literal, data[:n]...), data[n:]
		if len(s.literal) == cap(s.literal) {
			if err := s.cutLiteral(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutLiteral cuts the literal stream as far as the cuts are certain, and keeps the rest.
func (s *splitter) cutLiteral(ends bool) error {
	data := s.literal
	for len(data) >= MaxSize || ends && len(data) > 0 {
		n := cut(data)
		chunk, err := s.emitChunk(data[:n], true)
		if err != nil {
			return err
		}
		s.recipe.literals = append(s.recipe.literals, chunk)
		data = data[n:]
	}
	s.literal = s.literal[:copy(s.literal, data)]
	return nil
}

func (s *splitter) emitChunk(data []byte, literal bool) (part, error) {
	piece := Piece{Chunk: Chunk{ID: Sum(data), Length: len(data)}, Literal: literal, Data: data}
	return part{id: piece.ID, length: int64(len(data))}, s.emit(piece)
}

// wholeHash is the SHA-256 of the whole file, computed in a goroutine beside the cutting: the two cost about the same.
// Its few buffers go round: free to the cutter, which fills one and sends it back full, and free again once it is hashed.
// The cutter goes on reading a buffer that is free already, and takes the next only when it is through.
type wholeHash struct {
	free chan *[bufferSize]byte
	full chan freshBytes
	sum  chan cas.Digest
}

// freshBytes are what a buffer holds that was not hashed yet.
type freshBytes struct {
	buffer *[bufferSize]byte
	bytes  []byte
}

func startWhole(size int64) *wholeHash {
	w := &wholeHash{
		free: make(chan *[bufferSize]byte, splitBuffers),
		full: make(chan freshBytes, splitBuffers),
		sum:  make(chan cas.Digest, 1),
	}
	for range min(splitBuffers, 1+size/readSize) {
		w.free <- buffers.Get().(*[bufferSize]byte)
	}
	go func() {
		hash := newSHA256()
		for fresh := range w.full {
			hash.Write(fresh.bytes)
			w.free <- fresh.buffer
		}
		w.sum <- cas.SumHash(hash)
	}()
	return w
}

// finish waits for the hash of everything sent, ends the goroutine and gives the buffers back.
func (w *wholeHash) finish() cas.Digest {
	close(w.full)
	digest := <-w.sum
	close(w.free)
	for buffer := range w.free {
		buffers.Put(buffer)
	}
	return digest
}

func newSHA256() hash.Hash { return sha256.New() }
