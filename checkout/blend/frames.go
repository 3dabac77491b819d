package blend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

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

// Limits of what is kept beside maxCached.
const (
	mostCached = 256      // frames; a real file has some dozens in maxCached bytes
	mostRooms  = 8        // rooms that are free
	leastRoom  = 64 << 10 // bytes of a room that is worth keeping
	mostRoom   = 4 << 20  // bytes of the largest room that is kept
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

// frames reads a seekable zstd file at random, decoding only what is asked for. It is for one goroutine at a time.
type frames struct {
	from    io.ReaderAt
	list    []frame // in ascending order of plainAt, without gaps
	size    int64   // bytes when decoded
	decoder *zstd.Decoder
	stream  stream
	ahead   ahead
	cache   []*decoded // the most recently used last
	cached  int64      // bytes
	rooms   []room
	latest  int          // the frame that was asked for last
	run     int          // how many frames before that one were asked for one after the other
	decodes atomic.Int64 // of whole frames and of begins of frames
}

// decoded is what is known of one frame.
type decoded struct {
	index int
	room
	whole bool // it may not be decoded in part: it is short, or has a checksum of all its bytes
	err   error
	end   chan struct{} // closed when it is decoded; nil if nobody else decodes it
}

// room is memory that one frame after the other uses.
type room struct{ packed, plain []byte }

// openFrames reads and checks the seek table. It returns errNoTable where the file must be read as a stream.
func openFrames(r io.ReaderAt, size int64) (*frames, error) {
	return openFramesWith(r, size, min(runtime.GOMAXPROCS(0), mostWorkers))
}

// openFramesWith is openFrames with the number of goroutines that decode at the same time. What can be read does not
// depend on it.
func openFramesWith(r io.ReaderAt, size int64, workers int) (*frames, error) {
	list, err := readTable(r, size)
	if err != nil {
		return nil, err
	}
	f := &frames{from: r, list: list, latest: -1}
	if len(list) > 0 {
		last := list[len(list)-1]
		f.size = last.plainAt + last.plainSize
	}
	if f.size < leastAhead {
		workers = 1
	}
	if f.decoder, err = wholeFrames(); err != nil {
		return nil, err
	}
	f.ahead = newAhead(f, workers)
	var head [8]byte
	if n, err := f.ReadAt(head[:], 0); n < len(magic) || !bytes.HasPrefix(head[:], magic) {
		return nil, errors.Join(ErrNotBlend, err, f.Close())
	}
	return f, nil
}

// wholeFrames is the decoder of whole frames. Files share it, at the same time too: it keeps nothing of a frame but
// memory, which is worth more than the rest of a short file's decoding.
var wholeFrames = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(mostWorkers), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecodeAllCapLimit(true))
})

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
		piece, err := f.view(at, int64(len(p)-done))
		if err != nil {
			return done, err
		}
		done += copy(p[done:], piece)
		at += int64(len(piece))
	}
	return done, nil
}

// view gives up to n bytes of the decoded file, for use until the next call: fewer where a frame ends, and none only at
// the end of the file.
func (f *frames) view(at, n int64) ([]byte, error) {
	if at >= f.size || n <= 0 {
		return nil, nil
	}
	index := f.latest // Most often it is the same one again.
	if index < 0 || !f.list[index].has(at) {
		index = sort.Search(len(f.list), func(i int) bool { return f.list[i].plainAt+f.list[i].plainSize > at })
	}
	begin := at - f.list[index].plainAt
	end := min(begin+n, f.list[index].plainSize)
	plain, err := f.get(index, end)
	if err != nil {
		return nil, err
	}
	return plain[begin:end:end], nil
}

func (e frame) has(at int64) bool { return e.plainAt <= at && at < e.plainAt+e.plainSize }

// get gives a frame, of which at least so many bytes are decoded.
func (f *frames) get(index int, need int64) ([]byte, error) {
	if index != f.latest {
		if f.run++; index != f.latest+1 {
			f.run = 0
			f.ahead.stop()
		}
		f.latest = index
	}
	d := f.find(index)
	if d == nil {
		if d = f.ahead.take(index); d == nil {
			d = &decoded{index: index, room: f.newRoom(index)}
			if d.err = f.load(d); d.err == nil && (d.whole || f.run > runBeforeAhead) {
				d.err = f.decodeLoaded(d)
			}
		}
		f.add(d)
	}
	if f.run >= runBeforeAhead {
		f.ahead.start(index + 1)
	}
	if d.end != nil {
		<-d.end
		d.end = nil
	}
	if d.err == nil && int64(len(d.plain)) < need {
		d.err = f.extend(d, need)
	}
	if d.err != nil {
		f.drop(d)
		return nil, d.err
	}
	return d.plain, nil
}

// extend decodes more of a frame that is loaded.
func (f *frames) extend(d *decoded, need int64) error {
	if f.stream.of != d {
		if len(d.plain) > 0 || f.stream.open(d) != nil {
			return f.decodeLoaded(d)
		}
		f.decodes.Add(1)
	}
	if f.stream.read(need, f.list[d.index].plainSize) != nil {
		return f.decodeLoaded(d) // It may only be one that cannot be streamed.
	}
	return nil
}

// find gives a frame of the cache, or nil.
func (f *frames) find(index int) *decoded {
	for i := len(f.cache) - 1; i >= 0; i-- {
		if hit := f.cache[i]; hit.index == index {
			if i < len(f.cache)-1 {
				f.cache = append(slices.Delete(f.cache, i, i+1), hit)
			}
			return hit
		}
	}
	return nil
}

func (f *frames) has(index int) bool {
	return slices.ContainsFunc(f.cache, func(d *decoded) bool { return d.index == index })
}

// add takes a frame into the cache, and leaves others out for it.
func (f *frames) add(d *decoded) {
	size := f.list[d.index].plainSize
	for len(f.cache) > 0 && (f.cached+size > maxCached || len(f.cache) == mostCached) {
		oldest := f.cache[0]
		if n := cap(oldest.plain); len(f.rooms) < mostRooms && leastRoom <= n && n <= mostRoom {
			f.rooms = append(f.rooms, oldest.room)
		}
		f.drop(oldest)
	}
	f.cache = append(f.cache, d)
	f.cached += size
}

func (f *frames) drop(d *decoded) {
	if i := slices.Index(f.cache, d); i >= 0 {
		f.cache = slices.Delete(f.cache, i, i+1)
		f.cached -= f.list[d.index].plainSize
	}
	if f.stream.of == d {
		f.stream.of = nil
	}
}

// newRoom gives room for a frame: that of one that left the cache, if there is one of about the same size.
func (f *frames) newRoom(index int) room {
	entry := f.list[index]
	i := slices.IndexFunc(f.rooms, func(r room) bool { return fits(r.plain, entry.plainSize) })
	if i < 0 {
		return room{packed: spacious(entry.packedSize), plain: spacious(entry.plainSize)}
	}
	r := f.rooms[i]
	f.rooms = slices.Delete(f.rooms, i, i+1)
	if !fits(r.packed, entry.packedSize) {
		r.packed = spacious(entry.packedSize)
	}
	return room{packed: r.packed[:0], plain: r.plain[:0]}
}

func fits(old []byte, size int64) bool {
	return int64(cap(old)) >= size && int64(cap(old)) <= 2*size+leastStreamed
}

// spacious has room for size bytes and some more, since frames differ a little.
func spacious(size int64) []byte { return make([]byte, 0, size+size/8) }

// load reads the packed bytes of a frame and checks its head. It may run beside others.
func (f *frames) load(d *decoded) error {
	entry := f.list[d.index]
	d.packed = d.packed[:entry.packedSize]
	if n, err := f.from.ReadAt(d.packed, entry.packedAt); n < len(d.packed) && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var header zstd.Header
	if err := header.Decode(d.packed); err != nil || header.Skippable || header.HasFCS && header.FrameContentSize != uint64(entry.plainSize) {
		return corrupt("zstd frame %d is not what the seek table says", d.index)
	}
	d.whole = header.HasCheckSum || entry.plainSize < leastStreamed
	return nil
}

// decode decodes a frame whole. It may run beside others.
func (f *frames) decode(d *decoded) {
	if d.err = f.load(d); d.err == nil {
		d.err = f.decodeLoaded(d)
	}
}

func (f *frames) decodeLoaded(d *decoded) (err error) {
	f.decodes.Add(1)
	size := f.list[d.index].plainSize
	d.plain, err = f.decoder.DecodeAll(d.packed, d.plain[:0:size])
	if err != nil || int64(len(d.plain)) != size {
		return corrupt("zstd frame %d does not decode to the %d bytes that the seek table says", d.index, size)
	}
	return nil
}

// Close ends the goroutines.
func (f *frames) Close() error {
	f.ahead.close()
	f.stream.close()
	return nil
}
