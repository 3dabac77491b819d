package blend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Rewrite writes a copy of the .blend file at path to w, in which path fields say something else. It returns how many
// of them it changed. The file itself is only read.
//
// It calls replace once for each path field of all datablocks that the file stores, in the order of the file; those of
// libraries are in other files. The [Dependency] is that of [Trace] with Blend, Datablock, Kind, Field, Written,
// Resolved, Base, Required and Note; Files and Missing are not looked for. replace answers with the new text, or with ok false
// for a field that stays. One answer is for all files of a sequence, of tiles, and of a strip of images: a strip takes
// the folder of the text for all its images, and its name for the first one. A point cache takes folder and name in the
// same way. A library of which datablocks are packed into the file takes the text in both places that name it, and the
// relative paths of those datablocks start from there. Caches that Blender looks for under the name of the .blend file
// are in no field; they are not asked for, and neither are the fields inside of a library that is packed as a whole.
//
// Nothing is written to w before all new texts are known to fit. The same file and the same answers give the same bytes.
// A plain file stays plain, gzip stays gzip. zstd stays zstd with a seek table, and its frames are copied byte for byte
// save those in which a field changed. A copy in which nothing changed has the bytes of the file.
//
// Errors: those of [Open], [ErrPathTooLong] and [ErrBadText] with the datablock, those of w, and ctx's.
func Rewrite(ctx context.Context, path string, w io.Writer, replace func(Dependency) (text string, ok bool)) (changed int, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return 0, fmt.Errorf("rewrite %q: %w", path, err)
	}
	file, err := Open(absolute)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	rw := &rewriter{file: file, replace: replace}
	if err := rw.ask(ctx, absolute); err != nil {
		return 0, fmt.Errorf("rewrite %q: %w", path, err)
	}
	if err := rw.write(ctx, absolute, w); err != nil {
		return 0, fmt.Errorf("write a copy of %q: %w", path, err)
	}
	return rw.changed, nil
}

// rewriter is one run of Rewrite.
type rewriter struct {
	file    *File
	replace func(Dependency) (string, bool)
	edits   []edit // in ascending order once all are known
	changed int
}

// ask finds all path fields and collects the edits.
func (rw *rewriter) ask(ctx context.Context, path string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	t := newTracer(ctx, here, Options{})
	t.root = path
	s := t.find(path)
	s.all = true
	if err := newReach(t, s, rw.file).run(); err != nil {
		return err
	}
	for i := range t.findings {
		f := &t.findings[i]
		if !f.place.known() {
			continue
		}
		f.Resolved, f.Note, _ = resolve(cmp.Or(f.meant, f.Written), filepath.Dir(f.base), here)
		if f.onlyIfThere && !isRegular(f.Resolved) {
			continue
		}
		text, ok := rw.replace(f.Dependency)
		if !ok || text == f.Written {
			continue
		}
		if err := rw.put(f, text); err != nil {
			return fmt.Errorf("put %q into %s of %s: %w", text, f.Field, f.Datablock, err)
		}
		rw.changed++
	}
	rw.edits, err = inOrder(rw.edits)
	return err
}

// put turns one answer into edits.
func (rw *rewriter) put(f *finding, text string) error {
	if text == "" || strings.IndexByte(text, 0) >= 0 {
		return ErrBadText
	}
	if f.archive.known() {
		if err := rw.set(f.archive, text); err != nil {
			return err
		}
	}
	if !f.namePlace.known() {
		return rw.set(f.place, text)
	}
	dir, name := splitLike(text, f.name)
	if name == "" {
		return ErrBadText
	}
	if name != f.name {
		if err := rw.set(f.namePlace, name); err != nil {
			return err
		}
	}
	if dir == withSeparator(f.dir) {
		return nil
	}
	if !endsInSeparator(f.dir) && strings.Trim(dir, separators) != "" {
		dir = dir[:len(dir)-1]
	}
	return rw.set(f.place, dir)
}

// separators of folders in paths of any platform.
const separators = `/\`

func endsInSeparator(dir string) bool {
	return dir != "" && strings.IndexByte(separators, dir[len(dir)-1]) >= 0
}

// withSeparator is a folder as it stands before a name.
func withSeparator(dir string) string {
	if dir == "" || endsInSeparator(dir) {
		return dir
	}
	return dir + "/"
}

// splitLike cuts a path into folder and name, where the name may itself name folders, as many as the old one did.
func splitLike(text, old string) (dir, name string) {
	at := len(text)
	for range 1 + strings.Count(old, "/") + strings.Count(old, `\`) {
		next := strings.LastIndexAny(text[:at], separators)
		if next < 0 || next+1 == at && at < len(text) {
			break
		}
		at = next
	}
	if at == len(text) {
		return "", text
	}
	return text[:at+1], text[at+1:]
}

// set writes a text into its place.
func (rw *rewriter) set(p place, text string) error {
	need := int64(len(text)) + 1
	if need > p.size {
		return fmt.Errorf("%d bytes, of which %d fit: %w", need-1, p.size-1, ErrPathTooLong)
	}
	size := p.size
	if p.block > 0 {
		size = rw.grow(p.block, need)
	}
	for _, v := range p.lengths {
		rw.edits = append(rw.edits, edit{v.at, v.member.each, rw.number(uint64(need), v.member.each)})
	}
	data := make([]byte, size)
	copy(data, text)
	room := p.size
	if p.block > 0 {
		room = rw.file.blocks[p.block].size
	}
	rw.edits = append(rw.edits, edit{p.at, room, data})
	return nil
}

// grow makes room for a text in a block of its own, and returns the block's new length. Blocks behind it move, which
// harms nobody: nothing in a .blend file says where in the file something is.
func (rw *rewriter) grow(block int32, need int64) int64 {
	e := &rw.file.blocks[block]
	if need <= e.size {
		return e.size
	}
	size := (need + 3) &^ 3 // Blender too rounds the lengths of blocks up.
	at, width := int64(4), int64(4)
	if rw.file.header.LargeHeads {
		at, width = 16, 8
	}
	rw.edits = append(rw.edits, edit{e.at - rw.file.headSize() + at, width, rw.number(uint64(size), width)})
	return size
}

func (rw *rewriter) number(n uint64, width int64) []byte {
	data := make([]byte, width)
	switch width {
	case 2:
		rw.file.order.PutUint16(data, uint16(n))
	case 4:
		rw.file.order.PutUint32(data, uint32(n))
	case 8:
		rw.file.order.PutUint64(data, n)
	}
	return data
}
