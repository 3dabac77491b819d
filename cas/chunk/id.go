package chunk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/zeebo/blake3"
)

// IDSize is the length of an [ID] in bytes.
const IDSize = 32

// ErrBadID: a text is not 64 lower-case hex digits, or an id is all zero.
var ErrBadID = errors.New("not a BLAKE3-256 in lower-case hex")

// ID names a chunk: the BLAKE3-256 of its bytes. It is private to transfer and storage; people and checkouts see the
// [cas.Digest] of whole files. The zero value names nothing, and [ID.IsZero] tells.
type ID struct{ sum [IDSize]byte }

// Sum is the id of the given bytes.
func Sum(data []byte) ID { return ID{sum: blake3.Sum256(data)} }

// IDFromBytes takes an id as it travels and lies on disk.
func IDFromBytes(sum [IDSize]byte) ID { return ID{sum: sum} }

// ParseID reads 64 lower-case hex digits; anything else is [ErrBadID].
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != hex.EncodedLen(IDSize) {
		return ID{}, fmt.Errorf("%w: %d characters instead of 64", ErrBadID, len(text))
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ID{}, fmt.Errorf("%w: character %q at %d", ErrBadID, c, i)
		}
	}
	if _, err := hex.Decode(id.sum[:], []byte(text)); err != nil {
		return ID{}, fmt.Errorf("%w: %w", ErrBadID, err)
	}
	return id, nil
}

// Bytes gives the id as it travels and lies on disk.
func (id ID) Bytes() [IDSize]byte { return id.sum }

// String gives 64 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id.sum[:]) }

// IsZero tells whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids bytewise, as bytes.Compare does.
func (id ID) Compare(other ID) int { return bytes.Compare(id.sum[:], other.sum[:]) }

// MarshalText gives the hex form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText parses the hex form; see [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
