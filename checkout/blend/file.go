package blend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sort"
)

// File is an open .blend file. It is for one goroutine at a time.
type File struct {
	content   content
	header    Header
	order     binary.ByteOrder
	blocks    []entry
	byAddress []int32           // blocks that are no DATA, in ascending order of address
	addresses []uint64          // of byAddress: nearly every pointer is looked for among them
	scopes    map[int32][]int32 // by owner: its DATA blocks in ascending order of address; made when first asked for
	catalogue *catalogue
	window    window
	close     func() error
}

// entry is one block of the index.
type entry struct {
	at, size, count int64
	old             uint64
	kind            int32 // index into the catalogue; 0 on DATA means that nothing is known of its content
	owner           int32 // the block that is no DATA before this one; itself, if it is none
	code            [4]byte
}

var (
	codeData = [4]byte{'D', 'A', 'T', 'A'}
	codeEnd  = [4]byte{'E', 'N', 'D', 'B'}
	codeDNA  = [4]byte{'D', 'N', 'A', '1'}
	codeID   = [4]byte{'I', 'D'}
)

// Open reads the index of a .blend file: its block heads and its catalogue of structs. The caller closes the File.
// Errors: those of the file system, [ErrNotBlend], [ErrNewer], [ErrCorrupt], [ErrTooLarge].
func Open(path string) (*File, error) { return open(path, nil) }

// open is Open with the catalogues of files that were read before.
func open(path string, known *catalogues) (*File, error) {
	info, err := os.Stat(path) // Opening a pipe would wait for somebody to write into it.
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %q: it is a folder or a device: %w", path, ErrNotBlend)
	}
	disk, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := openDisk(disk, known)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %q: %w", path, err), disk.Close())
	}
	f.close = disk.Close
	return f, nil
}

func openDisk(disk *os.File, known *catalogues) (*File, error) {
	info, err := disk.Stat()
	if err != nil {
		return nil, err
	}
	return parse(disk, info.Size(), known)
}

// Parse is [Open] for bytes that lie anywhere; size is their number. It never closes r.
func Parse(r io.ReaderAt, size int64) (*File, error) { return parse(r, size, nil) }

func parse(r io.ReaderAt, size int64, known *catalogues) (*File, error) {
	content, err := unwrap(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{content: content, close: nothingToClose, scopes: map[int32][]int32{}, window: window{from: content.ReaderAt, room: maxKept}}
	if err := f.read(known); err != nil {
		return nil, errors.Join(err, content.close())
	}
	return f, nil
}

// Close frees what reading needed. Blocks and structs of the file cannot be read afterwards.
func (f *File) Close() error { return errors.Join(f.content.close(), f.close()) }

// Header is the file's own first line.
func (f *File) Header() Header { return f.header }

// Compression is the envelope that the file was saved in.
func (f *File) Compression() Compression { return f.content.compression }

// Blocks yields all blocks in the order of the file, save its end mark.
func (f *File) Blocks() iter.Seq[Block] {
	return func(yield func(Block) bool) {
		for i := range f.blocks {
			if !yield(Block{f, int32(i)}) {
				return
			}
		}
	}
}

func (f *File) read(known *catalogues) error {
	head, err := f.window.read(0, min(f.content.size, largeHeaderSize))
	if err != nil {
		return err
	}
	if f.header, err = parseHeader(head); err != nil {
		return err
	}
	f.order = f.header.order()
	catalogueAt, err := f.readHeads()
	if err != nil {
		return err
	}
	data, err := Block{f, catalogueAt}.Data()
	if err != nil {
		return err
	}
	if f.catalogue, err = known.parse(data, f.header); err != nil {
		return err
	}
	return f.checkKinds()
}

// readHeads fills the index and returns where the catalogue is, which Blender writes last.
func (f *File) readHeads() (catalogueAt int32, err error) {
	catalogueAt = -1
	owner := int32(0)
	f.blocks = make([]entry, 0, min(f.content.size/blockOnAver+64, 1<<16))
	for at := f.header.size(); ; {
		e, err := f.readHead(at)
		if err != nil {
			return -1, err
		}
		if e.code == codeEnd {
			break
		}
		if len(f.blocks) == maxBlocks {
			return -1, tooLarge("it has more than %d blocks", maxBlocks)
		}
		index := int32(len(f.blocks))
		if e.code != codeData {
			owner = index
			f.byAddress = append(f.byAddress, index)
		}
		if e.code == codeDNA {
			catalogueAt = index
		}
		e.owner = owner
		if len(f.blocks) == cap(f.blocks) {
			f.blocks = slices.Grow(f.blocks, len(f.blocks)) // More than append does: its many copies would cost more.
		}
		f.blocks = append(f.blocks, e)
		if f.content.costly {
			if err := f.window.keep(at, f.headSize()+e.size); err != nil {
				return -1, err
			}
		}
		at = e.at + e.size
	}
	if catalogueAt < 0 {
		return -1, corrupt("it has no list of structs (DNA1)")
	}
	if size := f.blocks[catalogueAt].size; size > maxCatalogue {
		return -1, tooLarge("its list of structs (DNA1) has %d bytes", size)
	}
	f.sortByAddress(f.byAddress)
	f.addresses = make([]uint64, len(f.byAddress))
	for i, index := range f.byAddress {
		f.addresses[i] = f.blocks[index].old
	}
	return catalogueAt, nil
}

func (f *File) headSize() int64 {
	switch {
	case f.header.LargeHeads:
		return 32
	case f.header.PointerSize == 4:
		return 20
	}
	return 24
}

// readHead reads the block head that begins at a byte of the file and checks that the block ends inside it.
func (f *File) readHead(at int64) (entry, error) {
	raw, err := f.window.read(at, min(f.headSize(), f.content.size-at))
	if err != nil {
		return entry{}, err
	}
	var e entry
	if len(raw) >= 4 {
		e.code = [4]byte(raw)
	}
	switch {
	case e.code == codeEnd:
		return e, nil // Its own length may be cut short.
	case int64(len(raw)) < f.headSize():
		return e, corrupt("it ends at byte %d without an end mark", f.content.size)
	case f.header.LargeHeads:
		e.kind, e.old = int32(f.order.Uint32(raw[4:])), f.order.Uint64(raw[8:])
		e.size, e.count = int64(f.order.Uint64(raw[16:])), int64(f.order.Uint64(raw[24:]))
	case f.header.PointerSize == 4:
		e.size, e.old = int64(int32(f.order.Uint32(raw[4:]))), uint64(f.order.Uint32(raw[8:]))
		e.kind, e.count = int32(f.order.Uint32(raw[12:])), int64(int32(f.order.Uint32(raw[16:])))
	default:
		e.size, e.old = int64(int32(f.order.Uint32(raw[4:]))), f.order.Uint64(raw[8:])
		e.kind, e.count = int32(f.order.Uint32(raw[16:])), int64(int32(f.order.Uint32(raw[20:])))
	}
	e.at = at + f.headSize()
	if e.size < 0 || e.size > f.content.size-e.at || e.count < 0 || e.kind < 0 {
		return e, corrupt("block %q at byte %d is longer than the file", e.code[:], at)
	}
	return e, nil
}

// checkKinds makes sure that each block holds as many structs as it says.
func (f *File) checkKinds() error {
	for i := range f.blocks {
		e := &f.blocks[i]
		if int(e.kind) >= len(f.catalogue.structs) {
			return corrupt("block %q at byte %d is of an unknown struct", e.code[:], e.at)
		}
		if e.typed() {
			if size := f.catalogue.structs[e.kind].size; size > 0 && e.count > e.size/size {
				return corrupt("block %q at byte %d claims %d structs of %d bytes", e.code[:], e.at, e.count, size)
			}
		}
	}
	return nil
}

// typed says whether the block holds structs of its kind. Raw memory is marked with struct 0, and so are the blocks
// that are no datablocks.
func (e *entry) typed() bool { return e.kind != 0 }

func (f *File) sortByAddress(blocks []int32) {
	slices.SortStableFunc(blocks, func(a, b int32) int {
		switch x, y := f.blocks[a].old, f.blocks[b].old; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}

// datablock returns the block that is no DATA and had an address.
func (f *File) datablock(address uint64) (int32, bool) {
	i, ok := slices.BinarySearch(f.addresses, address)
	if !ok {
		return 0, false
	}
	return f.byAddress[i], true
}

func (f *File) search(blocks []int32, address uint64) (int32, bool) {
	i := sort.Search(len(blocks), func(i int) bool { return f.blocks[blocks[i]].old >= address })
	if i < len(blocks) && f.blocks[blocks[i]].old == address {
		return blocks[i], true
	}
	return 0, false
}

// find returns the block that had an address when the file was written, as a block of owner's datablock sees it: first
// its own DATA, since from 5.0 on the addresses of DATA are unique only inside a datablock, then all datablocks.
func (f *File) find(owner int32, address uint64) (Block, bool) {
	if address == 0 {
		return Block{}, false
	}
	if i, ok := f.search(f.scope(owner), address); ok {
		return Block{f, i}, true
	}
	i, ok := f.datablock(address)
	return Block{f, i}, ok
}

func (f *File) scope(owner int32) []int32 {
	if list, ok := f.scopes[owner]; ok {
		return list
	}
	var list []int32
	for i := owner + 1; int(i) < len(f.blocks) && f.blocks[i].owner == owner; i++ {
		list = append(list, i)
	}
	f.sortByAddress(list)
	f.scopes[owner] = list
	return list
}

// window is a piece of the file that was read together: most heads and small blocks lie side by side.
type window struct {
	from  io.ReaderAt
	begin int64
	data  []byte
	step  int64   // bytes that are read at least
	kept  []piece // in ascending order
	near  int     // the piece that was read last
	room  int64   // bytes of kept that are still allowed
}

// piece is a range of the file that stays in memory.
type piece struct {
	begin int64
	data  []byte
}

func (p piece) end() int64 { return p.begin + int64(len(p.data)) }

const (
	windowSize  = 4 << 10
	widestStep  = 64 << 10 // bytes that are read at least where one thing is read after the other
	pieceSize   = 128 << 10
	blockOnAver = 4 << 10 // bytes that a block of a large file has, on average, or more
)

// viewer gives bytes where they lie, for use until its next call; fewer than n where they do not lie in one place.
type viewer interface {
	view(at, n int64) ([]byte, error)
}

// keep holds on to a small block of a compressed file and its head while their frame is decoded anyway: datablocks and
// what hangs on them are small, and so need not be decoded again.
func (w *window) keep(at, n int64) error {
	if n > windowSize || n > w.room {
		return nil
	}
	data, err := w.read(at, n)
	if err != nil {
		return err
	}
	w.room -= n
	if last := len(w.kept) - 1; last >= 0 && w.kept[last].end() == at && len(w.kept[last].data)+len(data) <= cap(w.kept[last].data) {
		w.kept[last].data = append(w.kept[last].data, data...)
		return nil
	}
	p := piece{begin: at}
	if last := len(w.kept) - 1; last >= 0 { // What is left of the memory of the piece before.
		rest := w.kept[last].data
		w.kept[last].data = rest[:len(rest):len(rest)]
		p.data = rest[len(rest):cap(rest):cap(rest)][:0]
	}
	if cap(p.data) < len(data) {
		p.data = make([]byte, 0, pieceSize)
	}
	p.data = append(p.data, data...)
	w.kept = append(w.kept, p)
	return nil
}

// find gives bytes that are kept. They stay as they are.
func (w *window) find(at, n int64) ([]byte, bool) {
	if len(w.kept) == 0 || at >= w.kept[len(w.kept)-1].end() {
		return nil, false
	}
	if p := w.kept[w.near]; at < p.begin || at >= p.end() {
		w.near = max(sort.Search(len(w.kept), func(i int) bool { return w.kept[i].begin > at })-1, 0)
	}
	if p := w.kept[w.near]; at >= p.begin && at+n <= p.end() {
		return p.data[at-p.begin:][:n:n], true
	}
	return nil, false
}

// nextStep is how many bytes are read at least at a place: more and more of them where what was read before is used up.
func (w *window) nextStep(at int64) int64 {
	w.step = min(2*w.step, widestStep)
	if end := w.begin + int64(len(w.data)); at <= w.begin || at > end+windowSize {
		w.step = windowSize
	}
	return max(w.step, windowSize)
}

// read returns n bytes from a place of the file, for use until the next call. It answers with fewer only at the end of
// the file.
func (w *window) read(at, n int64) ([]byte, error) {
	if n <= 0 {
		return nil, nil
	}
	if at >= w.begin && at+n <= w.begin+int64(len(w.data)) {
		return w.data[at-w.begin:][:n], nil
	}
	if data, ok := w.find(at, n); ok {
		return data, nil
	}
	step := w.nextStep(at)
	if v, ok := w.from.(viewer); ok {
		if data, err := v.view(at, n); err != nil || int64(len(data)) == n {
			return data, err
		}
		step = n // What is behind it may lie in a frame that nobody needs.
	}
	w.begin, step = at, max(n, step)
	w.data = slices.Grow(w.data[:0], int(step))[:step]
	got, err := w.from.ReadAt(w.data, at)
	w.data = w.data[:got]
	if err != nil && !errors.Is(err, io.EOF) {
		w.data = w.data[:0]
		return nil, err
	}
	return w.data[:min(n, int64(got))], nil
}
