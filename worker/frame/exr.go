package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Flags of the version field and limits of what is read (OpenEXR file layout).
const (
	exrMagic     = 20000630
	exrTiled     = 1 << 9
	exrDeep      = 1 << 11
	exrMultiPart = 1 << 12

	exrMaxHeader = 16 << 20 // bytes
	exrMaxParts  = 1024
	exrMaxName   = 255
)

var errEXRHeader = errors.New("its header is damaged")

// exrLines is the number of scan lines in a chunk, by compression.
var exrLines = []int64{1, 1, 1, 16, 32, 16, 32, 32, 32, 256}

// exrReader reads little-endian fields and knows how far it got.
type exrReader struct {
	*bufio.Reader
	at int64
}

func (r *exrReader) uint32() (uint32, error) {
	var b [4]byte
	n, err := io.ReadFull(r, b[:])
	r.at += int64(n)
	return binary.LittleEndian.Uint32(b[:]), err
}

func (r *exrReader) text() (string, error) {
	var s []byte
	for len(s) <= exrMaxName {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if r.at++; b == 0 {
			return string(s), nil
		}
		s = append(s, b)
	}
	return "", errEXRHeader
}

// wholeEXR checks that the table of chunk offsets, which writers fill in last, points into the file everywhere, and
// that the last chunk is there to its end.
func wholeEXR(f io.ReaderAt, size int64) error {
	r := &exrReader{Reader: bufio.NewReader(io.NewSectionReader(f, 0, size))}
	magic, err := r.uint32()
	if err != nil || magic != exrMagic {
		return errors.New("it does not begin like an OpenEXR file")
	}
	flags, err := r.uint32()
	if err != nil {
		return errEXRHeader
	}
	var chunks int64
	for part := 0; ; part++ {
		n, empty, err := exrPart(r, flags, size)
		if err != nil {
			return err
		}
		if empty && part > 0 {
			break
		}
		if chunks += n; empty || n < 1 || part == exrMaxParts || chunks > size/8 {
			return errEXRHeader
		}
		if flags&exrMultiPart == 0 {
			break
		}
	}
	last, err := exrOffsets(r, chunks, size)
	if err != nil {
		return err
	}
	return exrLastChunk(f, flags, last, size)
}

// exrPart reads one part's header and gives the number of its chunks, or that the header was the empty one that ends
// the list of a file of many parts.
func exrPart(r *exrReader, flags uint32, size int64) (chunks int64, empty bool, err error) {
	var attrs exrAttributes
	for n := 0; ; n++ {
		name, err := r.text()
		if err != nil {
			return 0, false, errEXRHeader
		}
		if name == "" {
			if n == 0 {
				return 0, true, nil
			}
			chunks, err := attrs.chunks(flags)
			return chunks, false, err
		}
		if err := attrs.read(r, name, size); err != nil {
			return 0, false, err
		}
	}
}

// exrAttributes are the attributes that decide the number of chunks.
type exrAttributes struct {
	top, bottom int32
	compression byte
	count       int64
	tiled       bool
}

func (a *exrAttributes) read(r *exrReader, name string, size int64) error {
	if _, err := r.text(); err != nil {
		return errEXRHeader
	}
	length, err := r.uint32()
	if err != nil || r.at+int64(length) > min(size, exrMaxHeader) {
		return errEXRHeader
	}
	value, err := r.Peek(int(min(length, 16)))
	if err != nil {
		return errEXRHeader
	}
	switch {
	case name == "dataWindow" && length == 16:
		a.top, a.bottom = int32(binary.LittleEndian.Uint32(value[4:])), int32(binary.LittleEndian.Uint32(value[12:]))
	case name == "compression" && length == 1:
		a.compression = value[0]
	case name == "chunkCount" && length == 4:
		a.count = int64(binary.LittleEndian.Uint32(value))
	case name == "tiles":
		a.tiled = true
	}
	n, err := r.Discard(int(length))
	r.at += int64(n)
	if err != nil {
		return errEXRHeader
	}
	return nil
}

func (a *exrAttributes) chunks(flags uint32) (int64, error) {
	if a.count > 0 {
		return a.count, nil
	}
	if a.tiled || flags&exrTiled != 0 {
		// The number of tiles depends on levels and rounding; the first entry of the table tells enough.
		return 1, nil
	}
	lines := int64(a.bottom) - int64(a.top) + 1
	if lines < 1 || int(a.compression) >= len(exrLines) {
		return 0, errEXRHeader
	}
	per := exrLines[a.compression]
	return (lines + per - 1) / per, nil
}

// exrOffsets reads the table and gives its largest offset.
func exrOffsets(r *exrReader, chunks, size int64) (int64, error) {
	end, last := r.at+8*chunks, int64(0)
	var b [8]byte
	for i := range chunks {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, errors.New("it ends inside its table of offsets")
		}
		offset := binary.LittleEndian.Uint64(b[:])
		if offset < uint64(end) || offset >= uint64(size) {
			return 0, fmt.Errorf("chunk %d of %d was not written", i+1, chunks)
		}
		last = max(last, int64(offset))
	}
	return last, nil
}

// exrLastChunk checks that the chunk farthest into the file is complete. Tiles and deep data have other chunk heads and
// pass.
func exrLastChunk(f io.ReaderAt, flags uint32, at, size int64) error {
	if flags&(exrTiled|exrDeep) != 0 {
		return nil
	}
	if flags&exrMultiPart != 0 {
		at += 4
	}
	var head [8]byte
	if _, err := f.ReadAt(head[:], at); err != nil {
		return errors.New("it ends inside its last chunk")
	}
	if at+8+int64(binary.LittleEndian.Uint32(head[4:])) > size {
		return errors.New("it ends inside its last chunk")
	}
	return nil
}
