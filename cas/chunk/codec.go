package chunk

import (
	"encoding/binary"
	"fmt"
	"math"

	"hayloft/cas"
)

// The first byte of an encoding. A change of the table, the bounds or the rule of cutting changes no recipe's meaning,
// but would take new numbers, since equal files would no longer share chunks.
const (
	recipeVersion = 0x01
	deltaVersion  = 0x81
)

// The lowest bit of a part's first number.
const (
	literalPart = 0
	chunkPart   = 1
)

// leastPart is how many bytes the shortest part takes: a literal of few bytes.
const leastPart = 1

// MaxEncodedSize bounds the bytes of the encoding of any recipe of a file with that many bytes, so that a reader of
// recipes knows when to stop.
func MaxEncodedSize(size int64) int64 {
	const header = 1 + binary.MaxVarintLen64 + cas.Size + 2*binary.MaxVarintLen64
	const each = IDSize + 3 // lengths below 2^20 and the bit take three bytes
	if size < 0 || size > math.MaxInt64/4 {
		return math.MaxInt64
	}
	payloads := size/(SmallPayload+1) + 1 // and as many literals between them, and one more
	return header + each*(2*(size/MinSize+1)+payloads) + binary.MaxVarintLen64*(payloads+1)
}

// AppendBinary appends the encoding that the package comment describes. The error is always nil.
func (r Recipe) AppendBinary(b []byte) ([]byte, error) {
	b = appendHead(append(b, recipeVersion), r.blob)
	for _, list := range [][]part{r.literals, r.parts} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, p := range list {
			b = appendPart(b, p)
		}
	}
	return b, nil
}

// MarshalBinary gives the encoding that the package comment describes. The error is always nil.
func (r Recipe) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// ID is the BLAKE3-256 of the encoding. A delta names its base by it.
func (r Recipe) ID() ID {
	encoded, _ := r.AppendBinary(nil) // the error is always nil
	return Sum(encoded)
}

func appendHead(b []byte, blob cas.Blob) []byte {
	b = binary.AppendUvarint(b, uint64(blob.Size))
	sum := blob.Digest.Bytes()
	return append(b, sum[:]...)
}

func appendPart(b []byte, p part) []byte {
	if p.isLiteral() {
		return binary.AppendUvarint(b, uint64(p.length)<<1|literalPart)
	}
	b = binary.AppendUvarint(b, uint64(p.length)<<1|chunkPart)
	return append(b, p.id.sum[:]...)
}

// DecodeRecipe reads the encoding of one recipe and nothing after it. Anything that [Recipe.AppendBinary] would not
// have written is refused with an error that is [ErrBadRecipe]. Memory is bounded by a small multiple of len(b).
func DecodeRecipe(b []byte) (Recipe, error) {
	r, err := decodeRecipe(b)
	if err != nil {
		return Recipe{}, fmt.Errorf("%w: %w", ErrBadRecipe, err)
	}
	return r, nil
}

func decodeRecipe(b []byte) (r Recipe, err error) {
	d := decoder{rest: b}
	if err := d.version(recipeVersion); err != nil {
		return Recipe{}, err
	}
	if r.blob, err = d.head(); err != nil {
		return Recipe{}, err
	}
	for _, list := range []*[]part{&r.literals, &r.parts} {
		n, err := d.count(leastPart)
		if err != nil {
			return Recipe{}, err
		}
		if *list, err = d.parts(nil, n); err != nil {
			return Recipe{}, err
		}
	}
	if len(d.rest) > 0 {
		return Recipe{}, fmt.Errorf("%w: %d", ErrTrailing, len(d.rest))
	}
	return r, r.check()
}

// decoder takes an encoding apart from its front.
type decoder struct{ rest []byte }

func (d *decoder) version(want byte) error {
	if len(d.rest) == 0 {
		return ErrTruncated
	}
	if d.rest[0] != want {
		return fmt.Errorf("%w: %#02x instead of %#02x", ErrVersion, d.rest[0], want)
	}
	d.rest = d.rest[1:]
	return nil
}

// number reads an unsigned LEB128 of at most 63 bits. A number has one form only, so that a recipe has.
func (d *decoder) number() (int64, error) {
	v, n := binary.Uvarint(d.rest)
	switch {
	case n == 0:
		return 0, ErrTruncated
	case n < 0 || v > math.MaxInt64:
		return 0, fmt.Errorf("%w: more than 63 bits", ErrNumber)
	case n > 1 && d.rest[n-1] == 0:
		return 0, fmt.Errorf("%w: %d in %d bytes", ErrNumber, v, n)
	}
	d.rest = d.rest[n:]
	return int64(v), nil
}

// count reads how many things follow that take at least the given bytes each.
func (d *decoder) count(least int) (int, error) {
	n, err := d.number()
	if err != nil {
		return 0, err
	}
	if n > int64(len(d.rest)/least) {
		return 0, fmt.Errorf("%w: %d in %d bytes", ErrTooMany, n, len(d.rest))
	}
	return int(n), nil
}

func (d *decoder) take(n int) ([]byte, error) {
	if len(d.rest) < n {
		return nil, ErrTruncated
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken, nil
}

func (d *decoder) head() (blob cas.Blob, err error) {
	if blob.Size, err = d.number(); err != nil {
		return cas.Blob{}, err
	}
	sum, err := d.take(cas.Size)
	if err != nil {
		return cas.Blob{}, err
	}
	blob.Digest = cas.DigestFromBytes([cas.Size]byte(sum))
	return blob, nil
}

func (d *decoder) id() (ID, error) {
	sum, err := d.take(IDSize)
	if err != nil {
		return ID{}, err
	}
	id := IDFromBytes([IDSize]byte(sum))
	if id.IsZero() {
		return ID{}, ErrChunkName
	}
	return id, nil
}

// parts appends n parts to list. It grows with what is read, not with what is announced.
func (d *decoder) parts(list []part, n int) ([]part, error) {
	for range n {
		v, err := d.number()
		if err != nil {
			return nil, err
		}
		p := part{length: v >> 1}
		if v&1 == chunkPart {
			if p.id, err = d.id(); err != nil {
				return nil, err
			}
		}
		list = append(list, p)
	}
	return list, nil
}
