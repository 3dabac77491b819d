package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

const (
	packMagic    = "hayloft-pack 1\n"
	trailerMagic = "hayloft-trailer\n"
	// trailerMark stands where a frame has its kind.
	trailerMark = 0
	// footerSize is what follows the trailer's listing: its BLAKE3-256, its length in 8 bytes, the magic.
	footerSize = 32 + 8 + len(trailerMagic)
	// maxListing bounds a listing in bytes: a full pack of the shortest frames takes less.
	maxListing = 64 << 20
)

// ErrDamaged: a file in the directory is not a sound pack.
var ErrDamaged = errors.New("damaged pack")

// entry is one frame of a pack, without its payload.
type entry struct {
	offset, length int64
	kind           Kind
	items          []Item
}

// listing is the frames of a pack in the order of their places, as the trailer has them.
type listing struct {
	frames  int
	encoded []byte
	end     int64 // of the last frame; of the magic if there is none
}

// add appends one frame. gap is how many damaged bytes lie between the last frame and this one.
func (l *listing) add(gap, length int64, h header) {
	l.encoded = append(l.encoded, byte(h.kind))
	l.encoded = binary.AppendUvarint(l.encoded, uint64(gap))
	l.encoded = binary.AppendUvarint(l.encoded, uint64(length))
	l.encoded = appendItems(l.encoded, h.items)
	l.end += gap + length
	l.frames++
}

// each visits the frames in order. The slice of items is valid until the next step.
func (l listing) each(visit func(entry) error) error {
	source := bytes.NewReader(l.encoded)
	e := entry{offset: int64(len(packMagic))}
	for range l.frames {
		if err := e.read(source); err != nil {
			return fmt.Errorf("%w: listing: %w", ErrDamaged, err)
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// read moves on from one frame to the next. A listing that has its BLAKE3 is as it was written, so that what is checked
// here only keeps a foreign one from doing harm.
func (e *entry) read(source *bytes.Reader) error {
	kind, err := source.ReadByte()
	if err != nil {
		return inside(err)
	}
	if e.kind = Kind(kind); e.kind.maxData() == 0 {
		return fmt.Errorf("%w: %v", ErrBadFrame, e.kind)
	}
	gap, err := binary.ReadUvarint(source)
	if err != nil {
		return inside(err)
	}
	length, err := readNumber(source, MaxEncoded)
	if err != nil {
		return err
	}
	if gap > maxPack {
		return fmt.Errorf("%w: a gap of %d bytes", ErrBadFrame, gap)
	}
	e.offset, e.length = e.offset+e.length+int64(gap), int64(length)
	e.items, err = readItems(source, e.kind, e.items[:0])
	return err
}

// trailer is what a sealed pack ends with.
func (l listing) trailer() []byte {
	body := binary.AppendUvarint(nil, uint64(l.frames))
	body = append(body, l.encoded...)
	sum := blake3.Sum256(body)
	out := append([]byte{trailerMark}, body...)
	out = append(out, sum[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(len(body)))
	return append(out, trailerMagic...)
}

// errNoTrailer: the pack is not sealed, or its trailer is damaged.
var errNoTrailer = errors.New("no trailer")

// readTrailer reads the listing of a sealed pack of size bytes, or returns errNoTrailer.
func readTrailer(file io.ReaderAt, size int64) (listing, error) {
	footer := make([]byte, footerSize)
	start := size - int64(footerSize)
	if start <= int64(len(packMagic)) {
		return listing{}, errNoTrailer
	}
	if _, err := file.ReadAt(footer, start); err != nil {
		return listing{}, cutShort(err)
	}
	length := binary.BigEndian.Uint64(footer[32:40])
	if string(footer[40:]) != trailerMagic || length > maxListing || int64(length) >= start-int64(len(packMagic)) {
		return listing{}, errNoTrailer
	}
	body := make([]byte, 1+length)
	start -= int64(len(body))
	if _, err := file.ReadAt(body, start); err != nil {
		return listing{}, cutShort(err)
	}
	if body[0] != trailerMark || blake3.Sum256(body[1:]) != [32]byte(footer[:32]) {
		return listing{}, errNoTrailer
	}
	return parseListing(body[1:], start)
}

// cutShort: a pack that got shorter meanwhile has been opened again by the process that writes, and has no trailer now.
func cutShort(err error) error {
	if err == io.EOF {
		return errNoTrailer
	}
	return err
}

// parseListing checks a listing of frames that end at end.
func parseListing(body []byte, end int64) (listing, error) {
	source := bytes.NewReader(body)
	frames, err := readNumber(source, len(body))
	if err != nil {
		return listing{}, fmt.Errorf("%w: listing: %w", ErrDamaged, err)
	}
	l := listing{frames: frames, encoded: body[len(body)-source.Len():], end: int64(len(packMagic))}
	err = l.each(func(e entry) error {
		l.end = e.offset + e.length
		return nil
	})
	if err == nil && l.end != end {
		err = fmt.Errorf("%w: the frames end at %d, the trailer begins at %d", ErrDamaged, l.end, end)
	}
	return l, err
}
