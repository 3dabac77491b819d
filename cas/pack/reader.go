package pack

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
)

// Reader takes a stream of frames apart. It uses as much memory as the largest frame takes, raw and encoded, and no
// more than the stream has proved to hold: numbers that only announce cost nothing. It belongs to one goroutine.
type Reader struct {
	source  *bufio.Reader
	only    []Kind // nil: all
	items   []Item
	encoded []byte // the frame that was read last
	raw     []byte // its bytes, if they were compressed
	err     error  // of the call that failed; nothing is read after it
}

// NewReader reads frames from r. It may read further than the frames that it gives.
func NewReader(r io.Reader) *Reader { return &Reader{source: bufio.NewReaderSize(r, 64<<10)} }

// Only makes the reader refuse frames of other kinds as [ErrBadFrame], before it reads what they hold. It returns the
// reader.
func (r *Reader) Only(kinds ...Kind) *Reader {
	r.only = kinds
	return r
}

// Next reads the next frame and checks the id of each of its items. The frame is valid until the next call. After an
// error, all further calls return the same error.
//
// Errors: io.EOF at the border between two frames; io.ErrUnexpectedEOF inside a frame; [ErrBadFrame]; [ErrWrongID],
// which names the item; what the stream returned.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	h, err := r.read()
	if err == io.EOF { // the border, which read leaves bare
		r.err = err
		return Frame{}, err
	}
	var frame Frame
	if err == nil {
		frame, err = r.open(h)
	}
	if err != nil {
		r.err = fmt.Errorf("reading a frame: %w", err)
	}
	return frame, r.err
}

// read takes in the bytes of the next frame, and looks at nothing but its framing.
func (r *Reader) read() (header, error) {
	if cap(r.encoded) > 4*MaxData {
		r.encoded, r.raw = nil, nil // a recipe came; what follows is rarely as large
	}
	h, err := readHeader(r.source, r.only, r.items[:0])
	if err != nil {
		return header{}, err
	}
	r.items = h.items
	r.encoded = h.append(r.encoded[:0])
	r.encoded, err = readOn(r.source, r.encoded, h.stored)
	return h, inside(err)
}

// readOn appends n bytes of source to b. It asks for memory piece by piece, as the bytes come.
func readOn(source io.Reader, b []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, MaxData)
		b = slices.Grow(b, step)
		if _, err := io.ReadFull(source, b[len(b):len(b)+step]); err != nil {
			return b, err
		}
		b, n = b[:len(b)+step], n-step
	}
	return b, nil
}

// open gives the frame that was read last, with its items checked.
func (r *Reader) open(h header) (Frame, error) {
	frame, err := h.open(r.encoded, r.raw)
	if h.encoding == zstdEncoding && err == nil {
		r.raw = frame.Data
	}
	return frame, err
}

// open unfolds an encoded frame and checks its items.
func (h header) open(encoded, buffer []byte) (Frame, error) {
	frame, err := h.unfold(encoded, buffer)
	if err == nil {
		err = frame.checkIDs()
	}
	if err != nil {
		return Frame{}, err
	}
	return frame, nil
}

// unfold decompresses an encoded frame, into buffer if that has the room. The ids of its items are not checked.
func (h header) unfold(encoded, buffer []byte) (Frame, error) {
	payload := encoded[len(encoded)-h.stored:]
	if h.encoding == zstdEncoding {
		var err error
		if payload, err = decompress(payload, h.raw, buffer); err != nil {
			return Frame{}, err
		}
	}
	return Frame{Kind: h.kind, Items: h.items, Data: payload, encoded: encoded}, nil
}

// parseHeader reads the header of the one frame that b holds.
func parseHeader(b []byte) (header, error) {
	source := bytes.NewReader(b)
	h, err := readHeader(source, nil, nil)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return header{}, fmt.Errorf("%w: it ends inside the header", ErrBadFrame)
	}
	if err != nil {
		return header{}, err
	}
	if source.Len() != h.stored {
		return header{}, fmt.Errorf("%w: a payload of %d bytes instead of %d", ErrBadFrame, source.Len(), h.stored)
	}
	return h, nil
}

// byteSource is what a header is read from.
type byteSource interface {
	io.Reader
	io.ByteReader
}

// readHeader reads a frame up to its payload, and appends its items to items. It returns io.EOF if source has ended
// already. What it accepts is what header.append writes, byte for byte.
func readHeader(source byteSource, only []Kind, items []Item) (header, error) {
	first, err := source.ReadByte()
	if err != nil {
		return header{}, err
	}
	h := header{kind: Kind(first), items: items}
	if h.kind.maxData() == 0 || only != nil && !slices.Contains(only, h.kind) {
		return header{}, fmt.Errorf("%w: %v has no place here", ErrBadFrame, h.kind)
	}
	if h.encoding, err = source.ReadByte(); err != nil {
		return header{}, inside(err)
	}
	if h.encoding > zstdEncoding {
		return header{}, fmt.Errorf("%w: unknown encoding %d", ErrBadFrame, h.encoding)
	}
	if h.items, err = readItems(source, h.kind, h.items); err != nil {
		return header{}, err
	}
	for _, item := range h.items {
		if h.raw += item.Length; h.raw > h.kind.maxData() {
			return header{}, fmt.Errorf("%w: more than %d bytes of %v", ErrBadFrame, h.kind.maxData(), h.kind)
		}
	}
	h.stored = h.raw
	if h.encoding == zstdEncoding {
		if h.stored, err = readNumber(source, h.raw-1); err != nil {
			return header{}, fmt.Errorf("compressed length: %w", err)
		}
		if h.stored == 0 {
			return header{}, fmt.Errorf("%w: nothing is compressed", ErrBadFrame)
		}
	}
	return h, nil
}

// readItems reads the number of items, and the length and the id of each, and appends them to items.
func readItems(source byteSource, kind Kind, items []Item) ([]Item, error) {
	count, err := readNumber(source, kind.maxItems())
	if err != nil {
		return nil, fmt.Errorf("number of items: %w", err)
	}
	if count == 0 {
		return nil, fmt.Errorf("%w: no items", ErrBadFrame)
	}
	for i := range count {
		length, err := readNumber(source, kind.maxData())
		if err != nil {
			return nil, fmt.Errorf("length of item %d: %w", i, err)
		}
		if err := checkLength(kind, i, length); err != nil {
			return nil, err
		}
		items = append(items, Item{Length: length})
		if _, err := io.ReadFull(source, items[len(items)-1].ID[:]); err != nil {
			return nil, inside(err)
		}
	}
	return items, nil
}

// readNumber reads an unsigned LEB128 of at most limit, written in as few bytes as it fits.
func readNumber(source io.ByteReader, limit int) (int, error) {
	var number uint64
	for shift := 0; ; shift += 7 {
		b, err := source.ReadByte()
		if err != nil {
			return 0, inside(err)
		}
		if b == 0 && shift > 0 {
			return 0, fmt.Errorf("%w: a number that is longer than it need be", ErrBadFrame)
		}
		if number |= uint64(b&0x7f) << shift; number > uint64(max(limit, 0)) || shift > 56 {
			return 0, fmt.Errorf("%w: a number above %d", ErrBadFrame, limit)
		}
		if b < 0x80 {
			return int(number), nil
		}
	}
}

// inside turns the end of a stream into the error that it is inside a frame.
func inside(err error) error {
	if err == io.EOF { // an error that wraps it is the stream's own
		return io.ErrUnexpectedEOF
	}
	return err
}
