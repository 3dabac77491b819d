package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/zeebo/blake3"
)

// Kind says what the items of a frame are, and so what their ids are.
type Kind byte

// The kinds. The id of a blob is its SHA-256, that of the others is the BLAKE3-256 of their bytes.
const (
	BlobKind   Kind = 1 // whole files
	ChunkKind  Kind = 2 // chunks of large files
	RecipeKind Kind = 3 // one encoded recipe
)

// Bounds of one frame.
const (
	MaxData   = 1 << 20  // raw bytes of all items, unless the frame holds a recipe
	MaxRecipe = 64 << 20 // raw bytes of an encoded recipe
	MaxItems  = 1024
	// MaxEncoded bounds the bytes of any encoded frame.
	MaxEncoded = MaxRecipe + 64
)

// Errors by meaning; they come wrapped with what is wrong where.
var (
	// ErrBadFrame: the bytes are not a frame, or not one within the bounds.
	ErrBadFrame = errors.New("malformed frame")
	// ErrWrongID: an item's bytes do not have the id that the frame says.
	ErrWrongID = errors.New("content does not match its id")
)

// String names the kind for messages.
func (k Kind) String() string {
	switch k {
	case BlobKind:
		return "blobs"
	case ChunkKind:
		return "chunks"
	case RecipeKind:
		return "recipe"
	default:
		return fmt.Sprintf("kind %d", byte(k))
	}
}

// maxData is how many raw bytes a frame of this kind may hold; 0 for what is no kind.
func (k Kind) maxData() int {
	switch k {
	case BlobKind, ChunkKind:
		return MaxData
	case RecipeKind:
		return MaxRecipe
	default:
		return 0
	}
}

// maxItems is how many items a frame of this kind may hold.
func (k Kind) maxItems() int {
	if k == RecipeKind {
		return 1
	}
	return MaxItems
}

func (k Kind) sum(data []byte) [32]byte {
	if k == BlobKind {
		return sha256.Sum256(data)
	}
	return blake3.Sum256(data)
}

// Item names one piece of content: its id as [Kind] says, and its length in bytes. Only a blob may be empty.
type Item struct {
	ID     [32]byte
	Length int
}

// Frame is some items with their bytes. A frame that a [Reader] or a [Dir] gave has been checked: every item has its id.
type Frame struct {
	Kind    Kind
	Items   []Item
	Data    []byte // the raw bytes of all items in order
	encoded []byte
}

// Each calls visit for every item with its bytes, in order, until visit returns an error, which is returned.
func (f Frame) Each(visit func(Item, []byte) error) error {
	rest := f.Data
	for _, item := range f.Items {
		if err := visit(item, rest[:item.Length:item.Length]); err != nil {
			return err
		}
		rest = rest[item.Length:]
	}
	return nil
}

// Encoded gives the frame as it was read, so that a store keeps it without compressing it again. It lives as long as
// the frame does; see [Reader.Next].
func (f Frame) Encoded() []byte { return f.encoded }

// The encodings of a payload.
const (
	plainEncoding = 0
	zstdEncoding  = 1
)

// leastSaving: a payload travels compressed if that saves at least this part of it.
const leastSaving = 16

// Append appends the encoding of one frame to b. data is the raw bytes of all items in order. It may be called from
// many goroutines at once. Items that are out of bounds or do not add up to data are a programming error and panic;
// that the ids are right is for the caller to know.
func Append(b []byte, kind Kind, items []Item, data []byte) []byte {
	h := plainHeader(kind, items, data)
	compressed := compress(data)
	defer compressed.release()
	payload := data
	if saved := len(data) - len(compressed.bytes); saved > 0 && saved*leastSaving >= len(data) {
		h.encoding, h.stored, payload = zstdEncoding, len(compressed.bytes), compressed.bytes
	}
	return h.appendWith(b, payload)
}

// AppendPlain is [Append] without compression, for where bytes cost less than processor time.
func AppendPlain(b []byte, kind Kind, items []Item, data []byte) []byte {
	return plainHeader(kind, items, data).appendWith(b, data)
}

// plainHeader is the header of a frame that is not compressed. It panics if the items are out of bounds.
func plainHeader(kind Kind, items []Item, data []byte) header {
	h := header{kind: kind, encoding: plainEncoding, items: items, raw: len(data), stored: len(data)}
	if err := h.check(); err != nil {
		panic("pack: Append: " + err.Error())
	}
	var total int
	for _, item := range items {
		total += item.Length
	}
	if total != len(data) {
		panic(fmt.Sprintf("pack: Append: items of %d bytes for data of %d bytes", total, len(data)))
	}
	return h
}

// header is a frame without its payload.
type header struct {
	kind     Kind
	encoding byte
	items    []Item
	raw      int // bytes of all items together
	stored   int // bytes of the payload as it is encoded
}

// appendWith appends the header and the payload as it is encoded.
func (h header) appendWith(b, payload []byte) []byte {
	b = slices.Grow(b, h.mostSize()+len(payload))
	return append(h.append(b), payload...)
}

func (h header) append(b []byte) []byte {
	b = append(b, byte(h.kind), h.encoding)
	b = appendItems(b, h.items)
	if h.encoding == zstdEncoding {
		b = binary.AppendUvarint(b, uint64(h.stored))
	}
	return b
}

// appendItems appends the number of items, and the length and the id of each.
func appendItems(b []byte, items []Item) []byte {
	b = binary.AppendUvarint(b, uint64(len(items)))
	for _, item := range items {
		b = binary.AppendUvarint(b, uint64(item.Length))
		b = append(b, item.ID[:]...)
	}
	return b
}

// mostSize bounds the bytes of the encoded header.
func (h header) mostSize() int { return 16 + len(h.items)*mostItem }

// mostItem bounds the bytes of one item: a length below 2^28 and the id.
const mostItem = 4 + 32

// check proves that the numbers are within the bounds of the kind. h.raw is known to be the sum.
func (h header) check() error {
	if h.kind.maxData() == 0 {
		return fmt.Errorf("%w: %v", ErrBadFrame, h.kind)
	}
	if len(h.items) < 1 || len(h.items) > h.kind.maxItems() {
		return fmt.Errorf("%w: %d items in a frame of %v", ErrBadFrame, len(h.items), h.kind)
	}
	for i, item := range h.items {
		if err := checkLength(h.kind, i, item.Length); err != nil {
			return err
		}
	}
	if h.raw > h.kind.maxData() {
		return fmt.Errorf("%w: %d bytes in a frame of %v", ErrBadFrame, h.raw, h.kind)
	}
	return nil
}

func checkLength(kind Kind, at, length int) error {
	if length < 0 || length > kind.maxData() || length == 0 && kind != BlobKind {
		return fmt.Errorf("%w: item %d of %v has %d bytes", ErrBadFrame, at, kind, length)
	}
	return nil
}

// checkIDs hashes every item.
func (f Frame) checkIDs() error {
	return f.Each(f.checkID)
}

func (f Frame) checkID(item Item, data []byte) error {
	if f.Kind.sum(data) != item.ID {
		return fmt.Errorf("%w: %x, %d bytes in a frame of %v", ErrWrongID, item.ID, item.Length, f.Kind)
	}
	return nil
}
