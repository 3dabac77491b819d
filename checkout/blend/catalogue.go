package blend

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// catalogue is the DNA1 block: what every struct of the file is made of, as the Blender that wrote it laid it out.
type catalogue struct {
	structs []structType
	room    int // how many more pointers may be listed
}

// structType is one struct of the catalogue.
type structType struct {
	name     string
	size     int64
	members  []member
	pointers []pointerAt // every pointer in it that may lead to a datablock or to a list of datablocks
}

// member is one field of a struct.
type member struct {
	name    string // without stars and dimensions
	kind    string // name of its type: "int", "char", "ID", …
	inner   int    // index of its struct, or -1
	offset  int64  // bytes from the struct's begin
	each    int64  // bytes of one element
	array   int64  // elements: the product of all dimensions
	pointer int    // stars: 0 value, 1 pointer, 2 pointer to pointers
	code    bool   // a pointer to a function
}

// pointerAt is a pointer inside a struct, members of members included.
type pointerAt struct {
	offset int64
	list   bool // it leads to an array of pointers
}

// decoderOf the catalogue; every read is checked against what is left.
type decoderOf struct {
	data  []byte
	text  string // the same bytes: names are pieces of it
	at    int
	order binary.ByteOrder
	err   error
}

func (d *decoderOf) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.data)-d.at {
		if d.err == nil {
			d.err = corrupt("the list of structs (DNA1) ends too early")
		}
		return nil
	}
	d.at += n
	return d.data[d.at-n : d.at]
}

func (d *decoderOf) section(tag string) {
	d.take((4 - d.at%4) % 4)
	if got := d.take(4); d.err == nil && string(got) != tag {
		d.err = corrupt("the list of structs (DNA1) has %q where %q belongs", got, tag)
	}
}

// count reads how many entries follow, each of which takes at least least bytes.
func (d *decoderOf) count(least int) int {
	raw := d.take(4)
	if raw == nil {
		return 0
	}
	n := d.order.Uint32(raw)
	if int64(n)*int64(least) > int64(len(d.data)-d.at) {
		d.err = corrupt("the list of structs (DNA1) claims %d entries", n)
		return 0
	}
	return int(n)
}

func (d *decoderOf) u16() int {
	raw := d.take(2)
	if raw == nil {
		return 0
	}
	return int(d.order.Uint16(raw))
}

func (d *decoderOf) texts(tag string) []string {
	d.section(tag)
	list := make([]string, d.count(1))
	for i := range list {
		if d.err != nil {
			return nil
		}
		end := bytes.IndexByte(d.data[d.at:], 0)
		if end < 0 {
			d.err = corrupt("the list of structs (DNA1) has a name without an end")
			return nil
		}
		list[i] = d.text[d.at : d.at+end]
		d.take(end + 1)
	}
	return list
}

// parseCatalogue reads a DNA1 block and checks that each struct's members add up to its size.
func parseCatalogue(data []byte, order binary.ByteOrder, pointerSize int64) (*catalogue, error) {
	d := &decoderOf{data: data, text: string(data), order: order}
	d.section("SDNA")
	names, types := d.texts("NAME"), d.texts("TYPE")
	d.section("TLEN")
	sizes := make([]int64, len(types))
	for i := range sizes {
		sizes[i] = int64(d.u16())
	}
	d.section("STRC")
	shapes := make([][]byte, d.count(4))
	structOf := make(map[int]int, len(shapes))
	total := 0 // members of all structs
	for i := range shapes {
		kind, members := d.u16(), d.u16()
		shapes[i] = d.take(4 * members)
		total += members
		if d.err == nil && kind >= len(types) {
			d.err = corrupt("struct %d is of type %d, of which there are %d", i, kind, len(types))
		}
		if d.err != nil {
			return nil, d.err
		}
		structOf[kind] = i
	}
	if d.err != nil {
		return nil, d.err
	}
	c := &catalogue{structs: make([]structType, len(shapes)), room: mostPointers}
	for kind, i := range structOf {
		c.structs[i] = structType{name: types[kind], size: sizes[kind]}
	}
	declared := declarations(names)
	room := make([]member, total)
	for i := range c.structs {
		n := len(shapes[i]) / 4
		c.structs[i].members, room = room[:0:n], room[n:]
		if err := c.lay(i, shapes[i], declared, types, sizes, structOf, order, pointerSize); err != nil {
			return nil, err
		}
	}
	return c, c.findPointers()
}

// catalogues remembers those of files that were read before: most files of a shot come from one Blender, and so have the
// same one. A nil one remembers nothing.
type catalogues struct{ known []knownCatalogue }

type knownCatalogue struct {
	header Header
	data   []byte
	parsed *catalogue
}

const mostCatalogues = 4

func (c *catalogues) parse(data []byte, header Header) (*catalogue, error) {
	if c != nil {
		for _, k := range c.known {
			if k.header == header && bytes.Equal(k.data, data) {
				return k.parsed, nil
			}
		}
	}
	parsed, err := parseCatalogue(data, header.order(), int64(header.PointerSize))
	if err == nil && c != nil && len(c.known) < mostCatalogues {
		c.known = append(c.known, knownCatalogue{header, data, parsed})
	}
	return parsed, err
}

// declaration is a member's name as C writes it, taken apart.
type declaration struct {
	name    string
	array   int64 // 0: the dimensions make no sense
	pointer int
	code    bool
}

func declarations(names []string) []declaration {
	list := make([]declaration, len(names))
	for i, name := range names {
		list[i] = parseDeclaration(name)
	}
	return list
}

// parseDeclaration understands "*next", "mat[4][4]", "**mat" and "(*func)()".
func parseDeclaration(text string) declaration {
	if rest, ok := strings.CutPrefix(text, "(*"); ok {
		name, _, _ := strings.Cut(rest, ")")
		return declaration{name: name, array: 1, pointer: 1, code: true}
	}
	d := declaration{array: 1}
	name := strings.TrimLeft(text, "*")
	d.pointer = len(text) - len(name)
	name, dimensions, _ := strings.Cut(name, "[")
	d.name = name
	for dimensions != "" {
		number, rest, _ := strings.Cut(dimensions, "]")
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n < 0 || d.array*n > math.MaxInt32 {
			d.array = 0
			return d
		}
		d.array *= n
		dimensions = strings.TrimPrefix(rest, "[")
	}
	return d
}

// lay computes the offsets of a struct's members. Padding is a member like any other, so offsets are running sums.
func (c *catalogue) lay(index int, shape []byte, declared []declaration, types []string, sizes []int64, structOf map[int]int, order binary.ByteOrder, pointerSize int64) error {
	s := &c.structs[index]
	var offset int64
	for ; len(shape) >= 4; shape = shape[4:] {
		kind, name := int(order.Uint16(shape)), int(order.Uint16(shape[2:]))
		if kind >= len(types) || name >= len(declared) {
			return corrupt("struct %s has a member of unknown type or name", s.name)
		}
		d := declared[name]
		if s.name == "ClothSimSettings" && d.name == "" && d.pointer == 0 {
			d.name = "gravity" // Blender 2.4x wrote this one name as "[3]".
		}
		m := member{name: d.name, kind: types[kind], inner: -1, offset: offset, each: sizes[kind], array: d.array, pointer: d.pointer, code: d.code}
		if d.pointer > 0 {
			m.each = pointerSize
		} else if inner, ok := structOf[kind]; ok {
			m.inner = inner
		}
		s.members = append(s.members, m)
		offset += m.each * m.array
	}
	if offset != s.size {
		return corrupt("struct %s has %d bytes, its members %d", s.name, s.size, offset)
	}
	return nil
}

// runtimePointers are what a datablock's head holds for Blender itself; none of them is something that it needs.
var runtimePointers = map[string]bool{"next": true, "prev": true, "newid": true, "orig_id": true, "lib": true, "py_instance": true}

// mostPointers bounds the pointers of all structs together; those of Blender 3.4 have 7,000.
const mostPointers = 1 << 20

// findPointers lists each struct's pointers, those of the structs inside it included.
func (c *catalogue) findPointers() error {
	const (
		untouched = iota
		open
		done
	)
	state := make([]uint8, len(c.structs))
	var visit func(index, depth int) error
	visit = func(index, depth int) error {
		s := &c.structs[index]
		if state[index] == open || depth > 32 {
			return corrupt("struct %s contains itself", s.name)
		}
		if state[index] == done {
			return nil
		}
		state[index] = open
		for _, m := range s.members {
			if m.inner >= 0 {
				if err := visit(m.inner, depth+1); err != nil {
					return err
				}
			}
			if err := s.addPointers(m, c); err != nil {
				return err
			}
		}
		state[index] = done
		return nil
	}
	for i := range c.structs {
		if err := visit(i, 0); err != nil {
			return err
		}
	}
	return nil
}

// geometry are the structs of large arrays whose pointers lead to plain numbers only.
var geometry = map[string]bool{"MDeformVert": true, "MDisps": true, "GridPaintMask": true}

func (s *structType) addPointers(m member, c *catalogue) error {
	if m.code || geometry[s.name] || s.name == "ID" && runtimePointers[m.name] || s.name == "Library" && m.name == "parent" {
		return nil // The parent of a library is another one that happened to be loaded before it.
	}
	var inside []pointerAt
	switch {
	case m.pointer > 0:
		inside = []pointerAt{{list: m.pointer > 1}}
	case m.inner >= 0:
		inside = c.structs[m.inner].pointers
	}
	if len(inside) == 0 {
		return nil
	}
	if m.array*int64(len(inside)) > int64(c.room) {
		return tooLarge("its structs have more than %d pointers", mostPointers)
	}
	c.room -= int(m.array) * len(inside)
	for i := range m.array {
		for _, p := range inside {
			s.pointers = append(s.pointers, pointerAt{m.offset + i*m.each + p.offset, p.list})
		}
	}
	return nil
}
