package chunk

import (
	"encoding/binary"
	"fmt"
)

// The lowest bit of an op's first number.
const (
	freshOp = 0
	copyOp  = 1
)

// A delta may copy at most this many times the parts that its base's list has. So a few bytes cannot grow into a recipe
// out of all proportion, and a file that says the same thing for ever is merely written out.
const mostCopies = 2

// AppendDelta appends an encoding of r that refers to the parts of base wherever the two run alike, as the package
// comment describes. Where they have nothing in common it is a few bytes longer than [Recipe.AppendBinary]'s.
func (r Recipe) AppendDelta(b []byte, base Recipe) []byte {
	baseID := base.ID()
	b = append(append(b, deltaVersion), baseID.sum[:]...)
	b = appendHead(b, r.blob)
	b = appendOps(b, r.literals, base.literals)
	return appendOps(b, r.parts, base.parts)
}

// DecodeDelta rebuilds the recipe that was encoded against base. A delta against another recipe is [ErrWrongBase], one
// that [Recipe.AppendDelta] could not have written for any file is [ErrBadRecipe]. Memory is bounded by a small multiple
// of len(b) and base together.
func DecodeDelta(b []byte, base Recipe) (Recipe, error) {
	id, err := DeltaBase(b)
	if err != nil {
		return Recipe{}, err
	}
	if have := base.ID(); id != have {
		return Recipe{}, fmt.Errorf("%w: it needs %s, not %s", ErrWrongBase, id, have)
	}
	r, err := decodeDelta(b[1+IDSize:], base)
	if err != nil {
		return Recipe{}, fmt.Errorf("%w: %w", ErrBadRecipe, err)
	}
	return r, nil
}

// DeltaBase tells against which recipe a delta was made: the [Recipe.ID] of that recipe. Bytes that do not begin as a
// delta does are [ErrBadRecipe].
func DeltaBase(b []byte) (ID, error) {
	d := decoder{rest: b}
	if err := d.version(deltaVersion); err != nil {
		return ID{}, fmt.Errorf("%w: %w", ErrBadRecipe, err)
	}
	id, err := d.id()
	if err != nil {
		return ID{}, fmt.Errorf("%w: %w", ErrBadRecipe, err)
	}
	return id, nil
}

// decodeDelta reads what follows the name of the base.
func decodeDelta(b []byte, base Recipe) (r Recipe, err error) {
	d := decoder{rest: b}
	if r.blob, err = d.head(); err != nil {
		return Recipe{}, err
	}
	if r.literals, err = d.ops(base.literals); err != nil {
		return Recipe{}, err
	}
	if r.parts, err = d.ops(base.parts); err != nil {
		return Recipe{}, err
	}
	if len(d.rest) > 0 {
		return Recipe{}, fmt.Errorf("%w: %d", ErrTrailing, len(d.rest))
	}
	return r, r.check()
}

// ops reads one list, which is a number of parts and then ops until there are as many.
func (d *decoder) ops(base []part) ([]part, error) {
	total, err := d.number()
	if err != nil {
		return nil, err
	}
	copies := int64(mostCopies * len(base))
	if total > copies+int64(len(d.rest)/leastPart) {
		return nil, fmt.Errorf("%w: %d from %d bytes and a base of %d", ErrTooMany, total, len(d.rest), len(base))
	}
	var list []part
	cursor := 0 // where base goes on, if the two run alike
	for left := total; left > 0; left = total - int64(len(list)) {
		v, err := d.number()
		if err != nil {
			return nil, err
		}
		n := v >> 1
		if n < 1 || n > left {
			return nil, fmt.Errorf("%w: an op of %d parts where %d are left", ErrTooMany, n, left)
		}
		if v&1 == freshOp {
			if list, err = d.parts(list, int(n)); err != nil {
				return nil, err
			}
			cursor = min(cursor+int(n), len(base))
			continue
		}
		if copies -= n; copies < 0 {
			return nil, fmt.Errorf("%w: more copies than %d times the base", ErrTooMany, mostCopies)
		}
		from, err := d.position(cursor, len(base)-int(n))
		if err != nil {
			return nil, err
		}
		cursor = from + int(n)
		list = append(list, base[from:cursor]...)
	}
	return list, nil
}

// position reads a place from 0 to last, told from the cursor: the distance doubled, and one less if it goes back.
func (d *decoder) position(cursor, last int) (int, error) {
	v, err := d.number()
	if err != nil {
		return 0, err
	}
	distance := v >> 1
	if v&1 == 1 {
		distance = -distance - 1
	}
	at := int64(cursor) + distance
	if at < 0 || at > int64(last) {
		return 0, fmt.Errorf("%w: parts from %d on are not in the base", ErrNumber, at)
	}
	return int(at), nil
}

// appendOps writes list as runs of base and parts of its own.
func appendOps(b []byte, list, base []part) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	finder := newFinder(base)
	cursor := 0
	for at := 0; at < len(list); {
		if from, n := finder.run(list[at:], cursor); n > 0 {
			b = binary.AppendUvarint(b, uint64(n)<<1|copyOp)
			b = binary.AppendVarint(b, int64(from-cursor))
			finder.copies -= n
			cursor, at = from+n, at+n
			continue
		}
		start := at
		for n := 0; n == 0 && at < len(list); {
			at, cursor = at+1, min(cursor+1, len(base))
			_, n = finder.run(list[at:], cursor)
		}
		b = binary.AppendUvarint(b, uint64(at-start)<<1|freshOp)
		for _, p := range list[start:at] {
			b = appendPart(b, p)
		}
	}
	return b
}

// finder finds runs of a list of parts.
type finder struct {
	base   []part
	first  map[ID]int // where a chunk stands first
	copies int        // how many parts may be copied yet
}

func newFinder(base []part) finder {
	f := finder{base: base, first: make(map[ID]int, len(base)), copies: mostCopies * len(base)}
	for i, p := range base {
		if _, known := f.first[p.id]; !known && !p.isLiteral() {
			f.first[p.id] = i
		}
	}
	return f
}

// run finds parts of the base that list begins with, and how many: at the cursor if the two run alike there, else where
// the first chunk stands in the base. A literal is only a length, so it is looked for nowhere but at the cursor.
func (f finder) run(list []part, cursor int) (from, n int) {
	list = list[:min(len(list), f.copies)]
	if len(list) == 0 {
		return 0, 0
	}
	if n = sameParts(list, f.base[cursor:]); n > 0 {
		return cursor, n
	}
	if from, known := f.first[list[0].id]; known {
		return from, sameParts(list, f.base[from:])
	}
	return 0, 0
}

// sameParts counts how many parts two lists begin with in common.
func sameParts(a, b []part) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
