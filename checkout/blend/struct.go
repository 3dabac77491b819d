package blend

import (
	"iter"
	"math"
	"strconv"
	"strings"
)

// Struct is one struct of a block, or one inside another. Its fields are read by name, since their places change from
// version to version.
//
// A field is named as C names it: "id.name", "tiles.first", "mat[2]". Names are those on disk, which are the oldest
// ones; where Blender renamed a field in its code, the new name works too.
type Struct struct {
	file  *File
	owner int32
	kind  *structType
	at    int64 // its first byte in the file without envelope
	data  []byte
}

// Value is one field of a struct.
type Value struct {
	file   *File
	owner  int32
	member *member
	at     int64 // as in Struct
	data   []byte
}

// Type is the struct's name on disk.
func (s Struct) Type() string {
	if s.kind == nil {
		return ""
	}
	return s.kind.name
}

// Fields yields the names of the struct's fields in their order, padding included.
func (s Struct) Fields() iter.Seq[string] {
	return func(yield func(string) bool) {
		if s.kind == nil {
			return
		}
		for i := range s.kind.members {
			if !yield(s.kind.members[i].name) {
				return
			}
		}
	}
}

// Field finds a field by its name; ok is false if structs of this file have none of that name.
func (s Struct) Field(name string) (value Value, ok bool) {
	for {
		first, rest, more := strings.Cut(name, ".")
		value, ok = s.own(first)
		if !ok || !more {
			return value, ok
		}
		if s, ok = value.Struct(); !ok {
			return Value{}, false
		}
		name = rest
	}
}

// own finds a field of the struct itself, which may carry an index.
func (s Struct) own(name string) (Value, bool) {
	name, index, indexed := strings.Cut(name, "[")
	m := s.member(name)
	if m == nil {
		return Value{}, false
	}
	v := Value{s.file, s.owner, m, s.at + m.offset, s.data[m.offset : m.offset+m.each*m.array]}
	if !indexed {
		return v, true
	}
	i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
	if err != nil {
		return Value{}, false
	}
	return v.At(i)
}

func (s Struct) member(name string) *member {
	if s.kind == nil {
		return nil
	}
	if m := s.kind.member(name); m != nil {
		return m
	}
	if other, ok := aliases[s.kind.name+"."+name]; ok {
		return s.kind.member(other)
	}
	return nil
}

func (s *structType) member(name string) *member {
	for i := range s.members {
		if s.members[i].name == name {
			return &s.members[i]
		}
	}
	return nil
}

// aliases lead from the name of a field in Blender's code to the one on disk.
var aliases = map[string]string{
	"Image.filepath": "name", "Library.filepath": "name", "MovieClip.filepath": "name", "VFont.filepath": "name",
	"bSound.filepath": "name", "Text.filepath": "name", "CustomDataExternal.filepath": "filename",
	"Strip.dirpath": "dir", "StripElem.filename": "name", "StripProxy.dirpath": "dir", "StripProxy.filename": "file",
	"FileGlobal.filepath": "filename", "NodesModifierData.bake_directory": "simulation_bake_directory",
	"Mesh.vert_data": "vdata", "Mesh.edge_data": "edata", "Mesh.face_data": "pdata", "Mesh.corner_data": "ldata",
	"Object.instance_collection": "dup_group", "Scene.compositing_node_group": "nodetree",
	// These lead from the old name to the new one, which Blender may write one day.
	"Image.name": "filepath", "Library.name": "filepath", "MovieClip.name": "filepath", "VFont.name": "filepath",
	"bSound.name": "filepath", "Text.name": "filepath", "CustomDataExternal.filename": "filepath",
	"Strip.dir": "dirpath", "StripElem.name": "filename", "StripProxy.dir": "dirpath", "StripProxy.file": "filename",
	"NodesModifierData.simulation_bake_directory": "bake_directory", "Mesh.ldata": "corner_data",
}

// Text is [Value.Text] of a field, or empty.
func (s Struct) Text(name string) string { v, _ := s.Field(name); return v.Text() }

// Int is [Value.Int] of a field, or zero.
func (s Struct) Int(name string) int64 { v, _ := s.Field(name); return v.Int() }

// Float is [Value.Float] of a field, or zero.
func (s Struct) Float(name string) float64 { v, _ := s.Field(name); return v.Float() }

// Follow is [Value.Follow] of a field.
func (s Struct) Follow(name string) (Block, bool) { v, _ := s.Field(name); return v.Follow() }

// List reads the elements of a linked list whose head (a ListBase) is the field. It ends at a pointer that leads
// nowhere, after an error, and in a loop when it has been through as many elements as the datablock has blocks.
func (s Struct) List(name string) iter.Seq2[Struct, error] {
	return func(yield func(Struct, error) bool) {
		block, ok := s.Follow(name + ".first")
		if !ok {
			return
		}
		for range len(s.file.scope(s.owner)) {
			if !ok {
				return
			}
			element, found, err := block.Struct()
			if err != nil || found {
				if !yield(element, err) || err != nil {
					return
				}
			}
			block, ok = element.next().Follow()
		}
	}
}

// next finds the pointer to the next element, which stands in the first member, or in the first member of that.
func (s Struct) next() Value {
	for range 8 {
		if v, ok := s.own("next"); ok {
			return v
		}
		if s.kind == nil || len(s.kind.members) == 0 || s.kind.members[0].inner < 0 {
			break
		}
		m := &s.kind.members[0]
		s, _ = Value{s.file, s.owner, m, s.at, s.data[:m.each*m.array]}.Struct()
	}
	return Value{}
}

// Kind is the name of the field's type: "int", "float", "ID".
func (v Value) Kind() string {
	if v.member == nil {
		return ""
	}
	return v.member.kind
}

// Len is how many elements the field has; 1 if it is no array.
func (v Value) Len() int {
	if v.member == nil || v.member.each == 0 {
		return 0
	}
	return len(v.data) / int(v.member.each)
}

// At is one element of an array; ok is false if it has none at i. The elements of a matrix are counted through.
func (v Value) At(i int) (element Value, ok bool) {
	if i < 0 || i >= v.Len() {
		return Value{}, false
	}
	v.at += int64(i) * v.member.each
	v.data = v.data[int64(i)*v.member.each:][:v.member.each]
	return v, true
}

// Bytes is the field as it is in the file.
func (v Value) Bytes() []byte { return v.data }

// Text is the field up to its first NUL, behind which is rubbish. It is UTF-8 by intent, but any bytes are possible.
func (v Value) Text() string {
	if v.member == nil || v.member.pointer > 0 {
		return ""
	}
	return cut(v.data)
}

// Int is the first element of a field of whole numbers or of an address; 0 for every other kind.
func (v Value) Int() int64 {
	switch {
	case v.member == nil || v.Len() == 0:
		return 0
	case v.member.pointer > 0:
		return int64(v.Address())
	}
	signed, whole := wholeKinds[v.member.kind]
	if !whole {
		return 0
	}
	order := v.file.order
	switch v.member.each { // The file says how long its types are.
	case 1:
		if signed {
			return int64(int8(v.data[0]))
		}
		return int64(v.data[0])
	case 2:
		if signed {
			return int64(int16(order.Uint16(v.data)))
		}
		return int64(order.Uint16(v.data))
	case 4:
		if signed {
			return int64(int32(order.Uint32(v.data)))
		}
		return int64(order.Uint32(v.data))
	case 8:
		return int64(order.Uint64(v.data))
	}
	return 0
}

// wholeKinds are the types of whole numbers; true for those with a sign.
var wholeKinds = map[string]bool{
	"char": true, "int8_t": true, "short": true, "int16_t": true, "int": true, "int32_t": true, "long": true, "int64_t": true,
	"uchar": false, "uint8_t": false, "bool": false, "ushort": false, "uint16_t": false, "uint": false, "uint32_t": false,
	"ulong": false, "uint64_t": false,
}

// Float is the first element of a field of any numbers.
func (v Value) Float() float64 {
	switch {
	case v.member == nil || v.member.pointer > 0 || v.Len() == 0:
		return 0
	case v.member.kind == "float" && v.member.each == 4:
		return float64(math.Float32frombits(v.file.order.Uint32(v.data)))
	case v.member.kind == "double" && v.member.each == 8:
		return math.Float64frombits(v.file.order.Uint64(v.data))
	}
	return float64(v.Int())
}

// Struct is the field as a struct of its own; ok is false if it is none.
func (v Value) Struct() (s Struct, ok bool) {
	if v.member == nil || v.member.inner < 0 || v.Len() == 0 {
		return Struct{}, false
	}
	return Struct{v.file, v.owner, &v.file.catalogue.structs[v.member.inner], v.at, v.data[:v.member.each]}, true
}

// Address is the pointer in the field, or 0 if it is none.
func (v Value) Address() uint64 {
	switch {
	case v.member == nil || v.member.pointer == 0 || v.Len() == 0:
		return 0
	case v.file.header.PointerSize == 4:
		return uint64(v.file.order.Uint32(v.data))
	}
	return v.file.order.Uint64(v.data)
}

// Follow is the block that the field points at; ok is false where it points at nothing that is in the file.
func (v Value) Follow() (b Block, ok bool) {
	if v.file == nil {
		return Block{}, false
	}
	return v.file.find(v.owner, v.Address())
}
