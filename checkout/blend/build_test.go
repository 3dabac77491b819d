package blend

import (
	"encoding/binary"
	"testing"
)

// layout is one of the forms that a file can have.
type layout struct {
	header Header
	begin  string
}

var layouts = map[string]layout{
	"4 bytes, little": {Header{Version: 248, PointerSize: 4}, "BLENDER_v248"},
	"4 bytes, big":    {Header{Version: 260, PointerSize: 4, BigEndian: true}, "BLENDER_V260"},
	"8 bytes, little": {Header{Version: 304, PointerSize: 8}, "BLENDER-v304"},
	"8 bytes, big":    {Header{Version: 279, PointerSize: 8, BigEndian: true}, "BLENDER-V279"},
	"17-byte header":  {Header{Version: 500, PointerSize: 8, LargeHeads: true}, "BLENDER17-01v0500"},
}

// builder writes a small file in any layout.
type builder struct {
	layout
	out []byte
}

func build(l layout) *builder { return &builder{layout: l, out: []byte(l.begin)} }

func (b *builder) number(data []byte, size int, n uint64) []byte {
	order := b.header.order()
	switch size {
	case 2:
		return order.(binary.AppendByteOrder).AppendUint16(data, uint16(n))
	case 4:
		return order.(binary.AppendByteOrder).AppendUint32(data, uint32(n))
	}
	return order.(binary.AppendByteOrder).AppendUint64(data, n)
}

func (b *builder) block(code string, kind int, old uint64, count int, data []byte) *builder {
	head := append([]byte(code), make([]byte, 4-len(code))...)
	size, address := uint64(len(data)), b.header.PointerSize
	if b.header.LargeHeads {
		head = b.number(b.number(head, 4, uint64(kind)), 8, old)
		head = b.number(b.number(head, 8, size), 8, uint64(count))
	} else {
		head = b.number(b.number(head, 4, size), address, old)
		head = b.number(b.number(head, 4, uint64(kind)), 4, uint64(count))
	}
	b.out = append(append(b.out, head...), data...)
	return b
}

// The structs of built files, by their numbers.
const (
	kindLink = iota
	kindList
	kindID
	kindLibrary
	kindImage
	kindTile
)

// catalogueBlock describes those structs.
func (b *builder) catalogueBlock() []byte {
	names := []string{"*next", "*prev", "*first", "*last", "*lib", "name[66]", "flag", "id", "name[64]", "*packedfile", "source", "tiles", "tile_number", "scale[2][2]", "_pad[2]"}
	types := []string{"char", "short", "int", "float", "void", "Link", "ListBase", "ID", "Library", "Image", "ImageTile"}
	pointer := uint64(b.header.PointerSize)
	id := 3*pointer + 66 + 2
	sizes := []uint64{1, 2, 4, 4, 0, 2 * pointer, 2 * pointer, id, id + 64 + pointer, id + 64 + pointer + 2 + 2 + 2*pointer + 16, 2*pointer + 4}
	structs := [][]int{ // type, then pairs of type and name
		{5, 5, 0, 5, 1}, {6, 4, 2, 4, 3}, {7, 4, 0, 4, 1, 8, 4, 0, 5, 1, 6}, {8, 7, 7, 0, 8, 4, 9},
		{9, 7, 7, 0, 8, 4, 9, 1, 10, 0, 14, 6, 11, 3, 13}, {10, 10, 0, 10, 1, 2, 12},
	}
	data := b.texts(b.texts([]byte("SDNA"), "NAME", names), "TYPE", types)
	data = append(data, "TLEN"...)
	for _, size := range sizes {
		data = b.number(data, 2, size)
	}
	data = b.number(append(pad(data), "STRC"...), 4, uint64(len(structs)))
	for _, s := range structs {
		data = b.number(b.number(data, 2, uint64(s[0])), 2, uint64(len(s)/2))
		for _, n := range s[1:] {
			data = b.number(data, 2, uint64(n))
		}
	}
	return data
}

func pad(data []byte) []byte { return append(data, make([]byte, (4-len(data)%4)%4)...) }

func (b *builder) texts(data []byte, tag string, list []string) []byte {
	data = b.number(append(data, tag...), 4, uint64(len(list)))
	for _, text := range list {
		data = append(append(data, text...), 0)
	}
	return pad(data)
}

func fixed(text string, size int) []byte {
	return append([]byte(text), make([]byte, size-len(text))...)
}

func (b *builder) id(name string, lib uint64, flag uint64) []byte {
	size := b.header.PointerSize
	data := b.number(b.number(b.number(nil, size, 0), size, 0), size, lib)
	return b.number(append(data, fixed(name, 66)...), 2, flag)
}

// image is an Image with a list of tiles.
func (b *builder) image(name, path string, source, first uint64) []byte {
	size := b.header.PointerSize
	data := append(b.id("IM"+name, 0, 0), fixed(path, 64)...)
	data = b.number(b.number(data, size, 0), 2, source)
	data = b.number(b.number(append(data, 0, 0), size, first), size, first)
	for i := range 4 {
		data = b.number(data, 4, uint64([]uint32{0x3f800000, 0, 0xc0200000, 0x3f800000}[i])) // 1, 0, -2.5, 1
	}
	return data
}

func (b *builder) library(name, path string) []byte {
	data := append(b.id("LI"+name, 0, 0), fixed(path, 64)...)
	return b.number(data, b.header.PointerSize, 0)
}

func (b *builder) tile(next, number uint64) []byte {
	size := b.header.PointerSize
	return b.number(b.number(b.number(nil, size, next), size, 0), 4, number)
}

func (b *builder) end() []byte {
	b.block("DNA1", 0, 1, 1, b.catalogueBlock())
	return append(b.out, "ENDB"...)
}

// sample is a file with two images, whose DATA have the same addresses as from 5.0 on, and a library.
func sample(l layout) []byte {
	b := build(l)
	b.block("GLOB", 0, 9, 1, make([]byte, 16))
	b.block("IM", kindImage, 100, 1, b.image("tiled", "//t.<UDIM>.png", imageTiled, 1))
	b.block("DATA", kindTile, 1, 1, b.tile(2, 1001))
	b.block("DATA", kindTile, 2, 1, b.tile(1, 1005)) // Its list is a loop.
	b.block("IM", kindImage, 200, 1, b.image("other", "//u.<UDIM>.png", imageTiled, 1))
	b.block("DATA", kindTile, 1, 1, b.tile(0, 1012))
	b.block("DATA", kindLink, 7, 1, []byte("raw memory"))
	b.block("LI", kindLibrary, 300, 1, b.library("lib.blend", "//lib.blend"))
	b.block("ID", kindID, 400, 1, b.id("OBchair", 300, 0))
	return b.end()
}

func parsed(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := Parse(bytesAt(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
