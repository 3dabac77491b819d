package blend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// The seekable form of zstd, as Blender writes it (fact: "zstd seekable format", version 0.1.0): independent frames,
// then a skippable frame with the sizes of them all, whose last nine bytes tell how many there are.
const (
	skippableMask  = 0xFFFFFFF0
	skippableMagic = 0x184D2A50
	tableMagic     = 0x184D2A5E
	footerMagic    = 0x8F92EAB1
	skippableHead  = 8
	footerSize     = 9
	hasChecksums   = 1 << 7
)

var (
	zstdMagic  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	errNoTable = errors.New("no usable seek table")
)

func isZstd(head []byte) bool {
	if bytes.HasPrefix(head, zstdMagic) {
		return true
	}
	return len(head) >= 4 && binary.LittleEndian.Uint32(head)&skippableMask == skippableMagic
}

// frame is one independently decodable piece of a file.
type frame struct {
	packedAt, plainAt     int64
	packedSize, plainSize int64
}

// frames reads a seekable zstd file at random, decoding only what is asked for.
type frames struct {
	from    io.ReaderAt
	list    []frame // in ascending order of plainAt, without gaps
	size    int64   // bytes when decoded
	decoder *zstd.Decoder
	cache   []decodedFrame // the most recently used last
	cached  int64          // bytes
	packed  []byte         // reused for each frame
	decodes int
}

type decodedFrame struct {
	index int
	plain []byte
}

// openFrames reads and checks the seek table. It returns errNoTable where the file must be read as a stream.
func openFrames(r io.ReaderAt, size int64) (*frames, error) {
	list, err := readTable(r, size)
	if err != nil {
		return nil, err
	}
	f := &frames{from: r, list: list}
	if len(list) > 0 {
		last := list[len(list)-1]
		f.size = last.plainAt + last.plainSize
	}
	f.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	var head [8]byte
	if n, err := f.ReadAt(head[:], 0); n < len(magic) || !bytes.HasPrefix(head[:], magic) {
		f.decoder.Close()
		return nil, errors.Join(ErrNotBlend, err)
	}
	return f, nil
}

func readTable(r io.ReaderAt, size int64) ([]frame, error) {
	var footer [footerSize]byte
	if size < footerSize+skippableHead {
		return nil, errNoTable
	}
	if _, err := r.ReadAt(footer[:], size-footerSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if binary.LittleEndian.Uint32(footer[5:]) != footerMagic {
		return nil, errNoTable
	}
	count, entry := int64(binary.LittleEndian.Uint32(footer[:])), int64(8)
	if footer[4]&hasChecksums != 0 {
		entry = 12
	}
	length := skippableHead + count*entry + footerSize
	if count > maxBlocks || length > size {
		return nil, errNoTable
	}
	table := make([]byte, length)
	if _, err := r.ReadAt(table, size-length); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if binary.LittleEndian.Uint32(table) != tableMagic || int64(binary.LittleEndian.Uint32(table[4:])) != length-skippableHead {
		return nil, errNoTable
	}
	list := make([]frame, count)
	var packedAt, plainAt int64
	for i := range list {
		at := table[skippableHead+int64(i)*entry:]
		f := frame{packedAt, plainAt, int64(binary.LittleEndian.Uint32(at)), int64(binary.LittleEndian.Uint32(at[4:]))}
		if f.plainSize > maxFrame || f.packedSize > maxFrame {
			return nil, errNoTable // A stream decodes it piece by piece.
		}
		list[i] = f
		packedAt += f.packedSize
		plainAt += f.plainSize
	}
	if packedAt != size-length {
		return nil, errNoTable
	}
	return list, nil
}

// ReadAt fills p from the decoded file.
func (f *frames) ReadAt(p []byte, at int64) (int, error) {
	done := 0
	for done < len(p) {
		if at >= f.size {
			return done, io.EOF
		}
		index := sort.Search(len(f.list), func(i int) bool { return f.list[i].plainAt+f.list[i].plainSize > at })
		plain, err := f.decode(index)
		if err != nil {
			return done, err
		}
		n := copy(p[done:], plain[at-f.list[index].plainAt:])
		done += n
		at += int64(n)
	}
	return done, nil
}

func (f *frames) decode(index int) ([]byte, error) {
	for i := len(f.cache) - 1; i >= 0; i-- {
		if hit := f.cache[i]; hit.index == index {
			if i < len(f.cache)-1 {
				f.cache = append(slices.Delete(f.cache, i, i+1), hit)
			}
			return hit.plain, nil
		}
	}
	entry := f.list[index]
	f.packed = slices.Grow(f.packed[:0], int(entry.packedSize))[:entry.packedSize]
	if _, err := f.from.ReadAt(f.packed, entry.packedAt); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var header zstd.Header
	if err := header.Decode(f.packed); err != nil || header.Skippable || header.HasFCS && header.FrameContentSize != uint64(entry.plainSize) {
		return nil, corrupt("zstd frame %d is not what the seek table says", index)
	}
	var room []byte // of a frame that leaves the cache, if it is long enough
	for len(f.cache) > 0 && f.cached+entry.plainSize > maxCached {
		oldest := f.cache[0].plain
		f.cached -= int64(len(oldest))
		f.cache = slices.Delete(f.cache, 0, 1)
		if int64(cap(oldest)) >= entry.plainSize && int64(cap(oldest)) < 2*entry.plainSize {
			room = oldest[:0:entry.plainSize]
		}
	}
	if room == nil {
		room = make([]byte, 0, entry.plainSize)
	}
	plain, err := f.decoder.DecodeAll(f.packed, room)
	if err != nil || int64(len(plain)) != entry.plainSize {
		return nil, corrupt("zstd frame %d does not decode to the %d bytes that the seek table says", index, entry.plainSize)
	}
	f.decodes++
	f.cache = append(f.cache, decodedFrame{index, plain})
	f.cached += entry.plainSize
	return plain, nil
}

// Close frees the decoder.
func (f *frames) Close() error {
	f.decoder.Close()
	return nil
}
