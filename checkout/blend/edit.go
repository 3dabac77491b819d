package blend

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// place is where a path lies in the file without envelope.
type place struct {
	at      int64
	size    int64   // bytes that fit, the NUL at the end included
	block   int32   // more than 0: a block of its own, which can grow
	lengths []Value // numbers that tell the length of the text, its NUL included
}

func (p place) known() bool { return p.size > 0 }

func placeOf(s Struct, field string) place {
	v, _ := s.Field(field)
	return place{at: v.at, size: int64(len(v.data))}
}

// edit puts other bytes in the place of some of the file without envelope.
type edit struct {
	at, size int64
	data     []byte
}

func (e edit) end() int64 { return e.at + e.size }

// inOrder sorts edits and refuses those that contradict each other: two fields of a damaged file can share a place.
func inOrder(edits []edit) ([]edit, error) {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.at, b.at) })
	kept := edits[:0]
	for _, e := range edits {
		if n := len(kept); n > 0 && e.at < kept[n-1].end() {
			if last := kept[n-1]; e.at == last.at && e.size == last.size && bytes.Equal(e.data, last.data) {
				continue
			}
			return nil, corrupt("two fields share their place at byte %d", e.at)
		}
		kept = append(kept, e)
	}
	return kept, nil
}

// cutAt splits the edits that cross a border, so that each lies on one side. The last piece takes what an edit adds.
func cutAt(edits []edit, border int64) (before, after []edit) {
	n := 0
	for n < len(edits) && edits[n].end() <= border {
		n++
	}
	if n == len(edits) || edits[n].at >= border {
		return edits[:n], edits[n:]
	}
	e := edits[n]
	k := min(border-e.at, int64(len(e.data)))
	left := edit{e.at, border - e.at, e.data[:k]}
	right := edit{border, e.end() - border, e.data[k:]}
	return append(slices.Clone(edits[:n]), left), append([]edit{right}, edits[n+1:]...)
}

// copyStep is how many bytes are copied between two looks at the context.
const copyStep = 8 << 20

// copyEdited writes the bytes first…last of a file with the edits that lie in them.
func copyEdited(ctx context.Context, w io.Writer, from io.ReaderAt, first, last int64, edits []edit) error {
	for _, e := range edits {
		if err := copyRange(ctx, w, from, first, e.at); err != nil {
			return err
		}
		if _, err := w.Write(e.data); err != nil {
			return err
		}
		first = e.end()
	}
	return copyRange(ctx, w, from, first, last)
}

func copyRange(ctx context.Context, w io.Writer, from io.ReaderAt, first, last int64) error {
	for first < last {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(last-first, copyStep)
		if _, err := io.CopyN(w, io.NewSectionReader(from, first, n), n); err != nil {
			return err // Also if the file became shorter in the meantime.
		}
		first += n
	}
	return nil
}

// write copies the file with its edits in the envelope that it had.
func (rw *rewriter) write(ctx context.Context, path string, w io.Writer) error {
	if out, ok := w.(*os.File); ok {
		if err := refuseSame(out, path); err != nil {
			return err
		}
	}
	c := rw.file.content
	switch frames, seekable := c.ReaderAt.(*frames); {
	case len(rw.edits) == 0:
		return copyFile(ctx, w, path)
	case seekable:
		return writeFrames(ctx, w, frames, rw.edits)
	case c.compression == Gzip:
		packed := gzip.NewWriter(w)
		if err := copyEdited(ctx, packed, c, 0, c.size, rw.edits); err != nil {
			return err
		}
		return packed.Close()
	case c.compression == Zstd:
		return writeStream(ctx, w, c, rw.edits)
	}
	return copyEdited(ctx, w, c, 0, c.size, rw.edits)
}

func refuseSame(out *os.File, path string) error {
	a, err := out.Stat()
	if err != nil {
		return err
	}
	b, err := os.Stat(path)
	if err != nil {
		return err
	}
	if os.SameFile(a, b) {
		return ErrSameFile
	}
	return nil
}

func copyFile(ctx context.Context, w io.Writer, path string) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	info, err := from.Stat()
	if err != nil {
		return err
	}
	return copyRange(ctx, w, from, 0, info.Size())
}

// packer writes zstd frames and remembers their sizes for the seek table.
type packer struct {
	w       io.Writer
	encoder *zstd.Encoder
	packed  []byte
	table   []byte
	count   uint32
}

func newPacker(w io.Writer) (*packer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	return &packer{w: w, encoder: encoder}, err
}

// frame packs and writes one frame.
func (p *packer) frame(plain []byte) error {
	p.packed = p.encoder.EncodeAll(plain, p.packed[:0])
	p.note(int64(len(p.packed)), int64(len(plain)))
	_, err := p.w.Write(p.packed)
	return err
}

func (p *packer) note(packed, plain int64) {
	p.table = binary.LittleEndian.AppendUint32(p.table, uint32(packed))
	p.table = binary.LittleEndian.AppendUint32(p.table, uint32(plain))
	p.count++
}

// finish writes the seek table. It holds no checksums; those are in the frames.
func (p *packer) finish() error {
	head := binary.LittleEndian.AppendUint32(nil, tableMagic)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(p.table)+footerSize))
	p.table = binary.LittleEndian.AppendUint32(append(head, p.table...), p.count)
	p.table = binary.LittleEndian.AppendUint32(append(p.table, 0), footerMagic)
	_, err := p.w.Write(p.table)
	return err
}

// writeFrames packs the frames anew that an edit lies in, and copies all others.
func writeFrames(ctx context.Context, w io.Writer, from *frames, edits []edit) error {
	p, err := newPacker(w)
	if err != nil {
		return err
	}
	defer p.encoder.Close() //nolint:errcheck // It has no stream to end.
	copied := int64(0)      // up to here the packed file is written
	for index, frame := range from.list {
		var here []edit
		if here, edits = cutAt(edits, frame.plainAt+frame.plainSize); len(here) == 0 {
			p.note(frame.packedSize, frame.plainSize)
			continue
		}
		if err := copyRange(ctx, w, from.from, copied, frame.packedAt); err != nil {
			return err
		}
		copied = frame.packedAt + frame.packedSize
		plain, err := from.get(index, frame.plainSize)
		if err != nil {
			return err
		}
		var edited bytes.Buffer
		edited.Grow(len(plain))
		at := frame.plainAt
		for _, e := range here {
			edited.Write(plain[at-frame.plainAt : e.at-frame.plainAt])
			edited.Write(e.data)
			at = e.end()
		}
		edited.Write(plain[at-frame.plainAt:])
		if err := p.frame(edited.Bytes()); err != nil {
			return err
		}
	}
	if n := len(from.list); n > 0 {
		if err := copyRange(ctx, w, from.from, copied, from.list[n-1].packedAt+from.list[n-1].packedSize); err != nil {
			return err
		}
	}
	return p.finish()
}

// frameSize is about that of the frames that Blender writes.
const frameSize = 1 << 20

// writeStream packs a file anew that had no seek table.
func writeStream(ctx context.Context, w io.Writer, c content, edits []edit) error {
	p, err := newPacker(w)
	if err != nil {
		return err
	}
	defer p.encoder.Close() //nolint:errcheck // It has no stream to end.
	var plain bytes.Buffer
	for at := int64(0); at < c.size; at += frameSize {
		last := min(at+frameSize, c.size)
		var here []edit
		here, edits = cutAt(edits, last)
		plain.Reset()
		if err := copyEdited(ctx, &plain, c, at, last, here); err != nil {
			return err
		}
		if err := p.frame(plain.Bytes()); err != nil {
			return err
		}
	}
	return p.finish()
}
