package blend

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Limits of every file. A real scene stays far below each of them; a hostile file meets them before it harms.
const (
	maxBlocks    = 4 << 20  // blocks of a file; an index entry takes 40 bytes
	maxCatalogue = 16 << 20 // bytes of the DNA1 block; Blender's own has 0.1 MiB
	maxRead      = 64 << 20 // bytes of one block that are read at once
	maxStream    = 16 << 30 // bytes that a compressed stream without a seek table may decode to
	maxInMemory  = 32 << 20 // bytes of such a stream that stay in memory; the rest lies in a temporary file
	maxFrame     = 64 << 20 // bytes that one frame of a seekable file may decode to
	maxKept      = 48 << 20 // bytes of small blocks of a compressed file that are kept
	maxCached    = 16 << 20 // bytes of decoded frames that are kept
)

// Compression is the envelope that a .blend file was saved in.
type Compression uint8

// The envelopes that Blender writes: gzip up to 2.93, zstd from 3.0 on.
const (
	Plain Compression = iota
	Gzip
	Zstd
)

// String names the envelope.
func (c Compression) String() string { return [...]string{"plain", "gzip", "zstd"}[c] }

// content is a file without its envelope.
type content struct {
	io.ReaderAt
	size        int64
	compression Compression
	costly      bool // reading a place again may decode a frame again
	close       func() error
}

func nothingToClose() error { return nil }

var magic = []byte("BLENDER")

// unwrap looks at the first bytes of a file, never at its name.
func unwrap(r io.ReaderAt, size int64) (content, error) {
	var first [8]byte
	n, err := r.ReadAt(first[:min(size, int64(len(first)))], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return content{}, err
	}
	head := first[:n]
	switch {
	case bytes.HasPrefix(head, magic):
		return content{ReaderAt: r, size: size, close: nothingToClose}, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return unwrapGzip(r, size)
	case isZstd(head):
		return unwrapZstd(r, size)
	}
	return content{}, ErrNotBlend
}

func unwrapGzip(r io.ReaderAt, size int64) (content, error) {
	stream, err := gzip.NewReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return content{}, corrupt("gzip: %v", err)
	}
	return drain(stream, Gzip)
}

func unwrapZstd(r io.ReaderAt, size int64) (content, error) {
	frames, err := openFrames(r, size)
	if err == nil {
		return content{ReaderAt: frames, size: frames.size, compression: Zstd, costly: frames.size > maxCached || len(frames.list) > mostCached, close: frames.Close}, nil
	}
	if !errors.Is(err, errNoTable) {
		return content{}, err
	}
	stream, err := zstd.NewReader(io.NewSectionReader(r, 0, size), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxFrame))
	if err != nil {
		return content{}, corrupt("zstd: %v", err)
	}
	defer stream.Close()
	return drain(stream, Zstd)
}

// drain decodes a stream once, since it cannot be read out of order: into memory, or if it is long into a file that is
// gone when the content is closed.
func drain(stream io.Reader, compression Compression) (content, error) {
	memory, err := io.ReadAll(io.LimitReader(stream, maxInMemory))
	if err != nil {
		return content{}, corrupt("%s: %v", compression, err)
	}
	if !bytes.HasPrefix(memory, magic) {
		return content{}, ErrNotBlend // A bomb that is no .blend file never reaches the disk.
	}
	if len(memory) < maxInMemory {
		return content{ReaderAt: bytes.NewReader(memory), size: int64(len(memory)), compression: compression, close: nothingToClose}, nil
	}
	return spill(io.MultiReader(bytes.NewReader(memory), stream), compression)
}

func spill(stream io.Reader, compression Compression) (content, error) {
	file, err := os.CreateTemp("", "hayloft-blend-*")
	if err != nil {
		return content{}, fmt.Errorf("make room to decode: %w", err)
	}
	discard := func() error { return errors.Join(file.Close(), os.Remove(file.Name())) }
	n, err := io.Copy(file, io.LimitReader(stream, maxStream+1))
	switch {
	case errors.As(err, new(*os.PathError)):
		err = fmt.Errorf("decode into a temporary file: %w", err)
	case err != nil:
		err = corrupt("%s: %v", compression, err)
	case n > maxStream:
		err = tooLarge("it decodes to more than %d bytes", int64(maxStream))
	}
	if err != nil {
		return content{}, errors.Join(err, discard())
	}
	return content{ReaderAt: file, size: n, compression: compression, close: discard}, nil
}
