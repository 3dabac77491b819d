package blend

import (
	"fmt"
	"path/filepath"
	"strings"
)

// reach walks the datablocks of one file: the named ones, and all that they lead to.
type reach struct {
	t        *tracer
	scene    *scene
	file     *File
	seen     []bool // by block
	waits    []bool // by block: datablocks to look at
	waiting  int
	id       datablock
	linked   map[int32]linked // by placeholder
	archives map[int32]place  // by block of the library that was packed: where its path is written once more
	bases    map[int64]string // by place of what is an input of a group: the .blend file that its relative path starts from
	unread   map[int64]bool   // by place: texts that may be paths, and that no render reads
	needed   map[int32]bool   // libraries with placeholders; true if one of those is more than a weak one
}

// datablock is the one that is looked at.
type datablock struct {
	index int32
	code  string
	name  string // with its two letters: "OBCube"
	base  string // the .blend file that its relative paths start from
}

// linked is where a placeholder's datablock really is.
type linked struct {
	path string // of the library; empty if that is unknown
	name string
}

// weakLink marks placeholders that only the interface points at.
const weakLink = 1 << 11

// interfaceCodes are datablocks of the interface: what they show is not what is rendered.
var interfaceCodes = map[string]bool{"WM": true, "SN": true, "SR": true, "WS": true}

func newReach(t *tracer, s *scene, file *File) *reach {
	return &reach{t: t, scene: s, file: file, seen: make([]bool, len(file.blocks)), waits: make([]bool, len(file.blocks)), linked: map[int32]linked{}, archives: map[int32]place{}, bases: map[int64]string{}, unread: map[int64]bool{}, needed: map[int32]bool{}}
}

func (r *reach) run() error {
	if r.file.header.Version > r.t.version.Version {
		r.t.version = r.file.header
	}
	if err := r.start(); err != nil {
		return err
	}
	// Each sweep goes through the file once, in its order, so that no frame is decoded more than once a sweep.
	for r.waiting > 0 {
		for index := range r.waits {
			if !r.waits[index] {
				continue
			}
			r.waits[index] = false
			r.waiting--
			if err := r.visit(int32(index)); err != nil {
				return err
			}
		}
	}
	return nil
}

// start queues the datablocks that count: all of a file that the caller named, the wanted ones of a library.
func (r *reach) start() error {
	wanted := r.scene.wanted
	r.scene.wanted = map[string]bool{}
	if err := r.noteArchives(); err != nil {
		return err
	}
	for i := range r.file.blocks {
		index := int32(i)
		b := Block{r.file, index}
		if b.entry().owner != index {
			continue
		}
		placeholder := b.entry().code == codeID
		if r.scene.all && !placeholder {
			// The sweep will read it: a pass through the file for all names would decode every frame once more.
			if !interfaceCodes[b.Code()] {
				r.push(index)
			}
			continue
		}
		id, ok, err := r.head(b)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		weak := false
		if library, ok := id.Follow("lib"); ok && placeholder {
			weak = id.Int("flag")&weakLink != 0
			r.needed[library.index] = r.needed[library.index] || !weak
		}
		// A weak placeholder counts only if something that renders points at it after all.
		if name := id.Text("name"); wanted[name] || r.scene.all && !weak {
			delete(wanted, name)
			r.push(index)
		}
	}
	r.warnOfAbsent(wanted)
	return nil
}

// noteArchives finds the libraries of which datablocks are packed into this file, as Blender does from 5.0 on.
func (r *reach) noteArchives() error {
	if r.file.header.Version < 500 {
		return nil
	}
	for _, index := range r.file.byAddress {
		b := Block{r.file, index}
		if b.Type() != "Library" {
			continue
		}
		s, ok, err := b.Struct()
		if err != nil {
			return err
		}
		if parent, found := s.Follow("archive_parent_library"); ok && found && s.Int("flag")&archiveLibrary != 0 {
			r.archives[parent.index] = placeOf(s, "name")
		}
	}
	return nil
}

// warnOfAbsent tells of datablocks that others link to and that the file does not have.
func (r *reach) warnOfAbsent(names map[string]bool) {
	for _, name := range ascending(names) {
		if !r.scene.all && !r.scene.reached[name] {
			r.scene.reached[name] = true
			r.t.warnings = append(r.t.warnings, fmt.Sprintf("library %s has no datablock %q; what it would need is unknown", r.scene.path, name))
		}
	}
}

// head reads a datablock's ID; ok is false for a block that is no datablock.
func (r *reach) head(b Block) (id Struct, ok bool, err error) {
	kind := b.entry().kind
	if !b.entry().typed() || b.Count() == 0 {
		return Struct{}, false, nil
	}
	shape := &r.file.catalogue.structs[kind]
	if shape.name != "ID" && (len(shape.members) == 0 || shape.members[0].kind != "ID" || shape.members[0].inner < 0) {
		return Struct{}, false, nil
	}
	idKind := &r.file.catalogue.structs[kind]
	if shape.name != "ID" {
		idKind = &r.file.catalogue.structs[shape.members[0].inner]
	}
	data, err := b.slice(0, idKind.size)
	return Struct{r.file, b.index, idKind, b.entry().at, data}, err == nil, err
}

func (r *reach) push(index int32) {
	if !r.seen[index] {
		r.seen[index] = true
		r.waits[index] = true
		r.waiting++
	}
}

func (r *reach) visit(index int32) error {
	if err := r.t.ctx.Err(); err != nil {
		return err
	}
	b := Block{r.file, index}
	id, ok, err := r.head(b)
	if err != nil || !ok {
		return err
	}
	if b.entry().code == codeID {
		l, err := r.follow(b)
		if err == nil && l.path != "" {
			r.t.want(l.path, l.name)
		}
		return err
	}
	name := id.Text("name")
	r.id = datablock{index: index, code: b.Code(), name: name, base: r.scene.path}
	key := name
	if archive, ok := id.Follow("lib"); ok {
		// From 5.0 on datablocks of a library may be stored in this file; their paths still start from the library, and
		// those of two libraries can have one name.
		if path, err := r.libraryPath(archive); err != nil {
			return err
		} else if path != "" {
			r.id.base = path
		}
		key = fmt.Sprintf("%s\x00%d", name, archive.index)
	}
	if r.scene.reached[key] {
		return nil
	}
	r.scene.reached[key] = true
	if err := r.visitBlock(b); err != nil {
		return err
	}
	for i := index + 1; int(i) < len(r.file.blocks) && r.file.blocks[i].owner == index; i++ {
		if err := r.visitBlock(Block{r.file, i}); err != nil {
			return err
		}
	}
	return nil
}

// visitBlock looks for paths in a block and follows its pointers. Blocks that can hold neither are not read: that is
// nearly all bytes of a large file.
func (r *reach) visitBlock(b Block) error {
	if !b.entry().typed() {
		return nil
	}
	kind := &r.file.catalogue.structs[b.entry().kind]
	find := finders[kind.name]
	if find == nil && len(kind.pointers) == 0 {
		return nil
	}
	for s, err := range b.Structs() {
		if err != nil {
			return err
		}
		if find != nil {
			if err := find(r, s); err != nil {
				return err
			}
		}
		if err := r.followAll(s); err != nil {
			return err
		}
	}
	return nil
}

func (r *reach) followAll(s Struct) error {
	size := int64(r.file.header.PointerSize)
	for _, p := range s.kind.pointers {
		address := r.address(s.data[p.offset : p.offset+size])
		if address == 0 {
			continue
		}
		if !p.list {
			if i, ok := r.file.datablock(address); ok {
				r.push(i)
			}
			continue
		}
		if list, ok := r.file.find(s.owner, address); ok && !r.seen[list.index] {
			r.seen[list.index] = true
			if err := r.followList(list); err != nil {
				return err
			}
		}
	}
	return nil
}

// followList follows each pointer of an array, such as the materials of a mesh.
func (r *reach) followList(list Block) error {
	size := int64(r.file.header.PointerSize)
	for at := int64(0); at+size <= list.Size(); at += windowSize {
		data, err := list.slice(at, min(windowSize, (list.Size()-at)/size*size))
		if err != nil {
			return err
		}
		for ; len(data) > 0; data = data[size:] {
			if i, ok := r.file.datablock(r.address(data[:size])); ok {
				r.push(i)
			}
		}
	}
	return nil
}

func (r *reach) address(raw []byte) uint64 {
	if len(raw) == 4 {
		return uint64(r.file.order.Uint32(raw))
	}
	return r.file.order.Uint64(raw)
}

// follow says where a placeholder's datablock is, and lists its library as needed.
func (r *reach) follow(placeholder Block) (linked, error) {
	if l, ok := r.linked[placeholder.index]; ok {
		return l, nil
	}
	id, _, err := r.head(placeholder)
	if err != nil {
		return linked{}, err
	}
	l := linked{name: id.Text("name")}
	library, ok := id.Follow("lib")
	if ok {
		r.push(library.index)
		if l.path, err = r.libraryPath(library); err != nil {
			return linked{}, err
		}
	}
	r.linked[placeholder.index] = l
	return l, nil
}

// libraryPath is the absolute path of a library; empty if it is not to be had on this machine.
func (r *reach) libraryPath(b Block) (string, error) {
	if b.Type() != "Library" {
		return "", nil
	}
	s, ok, err := b.Struct()
	if err != nil || !ok {
		return "", err
	}
	path, _, usable := resolve(s.Text("name"), filepath.Dir(r.scene.path), r.t.here)
	if found, ok := r.t.libraries[path]; ok {
		return found, nil
	}
	if !usable || s.Text("name") == "" {
		return "", nil
	}
	return path, nil
}

// takePacked tells whether a library's bytes are part of a .blend file of the trace, and remembers where. Blender looks
// only in the file that it opens: what a library has packed itself counts for nothing there.
func (r *reach) takePacked(s Struct) (bool, error) {
	path, err := r.libraryPath(Block{r.file, r.id.index})
	if err != nil || path == "" {
		return isPacked(s) && r.scene.all, err
	}
	library := r.t.find(path)
	if !r.scene.all {
		return r.t.roots == 1 && library.packed != nil, nil
	}
	block, ok := s.Follow("packedfile")
	if !ok {
		return false, nil
	}
	packed, ok, err := block.Struct()
	if err != nil || !ok {
		return ok, err
	}
	bytes, ok := packed.Follow("data")
	if !ok {
		return true, nil
	}
	size := bytes.Size()
	if n := packed.Int("size"); n > 0 {
		size = min(n, size)
	}
	if !library.all {
		library.packed = &packedLibrary{r.scene.stored(), bytes.index, size}
	}
	return true, nil
}

// found notes a dependency of the datablock that is looked at.
func (r *reach) found(f finding) error {
	if strings.Trim(f.Written, separators) == "" && f.shape != shapeFolder {
		return nil // It names nothing; "//" is the folder of the .blend file.
	}
	f.Blend, f.Datablock = r.scene.stored(), r.id.name
	if f.base == "" {
		f.base = r.id.base
	}
	if f.base != f.Blend {
		f.Base = f.base
	}
	return r.t.add(f)
}

// keyOf names a datablock, wherever it lies; ok is false for one that nobody knows where to look for.
func (r *reach) keyOf(b Block) (key idKey, ok bool, err error) {
	id, ok, err := r.head(b)
	if err != nil || !ok {
		return idKey{}, false, err
	}
	if b.entry().code != codeID {
		return idKey{r.scene, id.Text("name")}, true, nil
	}
	l, err := r.follow(b)
	if err != nil || l.path == "" {
		return idKey{}, false, err
	}
	return idKey{r.t.find(l.path), l.name}, true, nil
}

// user notes where and how an image sequence is shown.
func (r *reach) user(image Block, u imageUser) error {
	key, ok, err := r.keyOf(image)
	if err != nil || !ok {
		return err
	}
	u.by = idKey{r.scene, r.id.name}
	if r.t.users[key] == nil {
		r.t.users[key] = map[imageUser]bool{}
	}
	r.t.users[key][u] = true
	return nil
}
