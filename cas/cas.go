package cas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// Size of a SHA-256 digest in bytes.
const Size = sha256.Size

// Errors by meaning. Implementations wrap them with what was attempted on which blob; callers test with [errors.Is].
var (
	// ErrNotFound: the store does not hold the blob.
	ErrNotFound = errors.New("blob not found")
	// ErrDigestMismatch: the bytes do not have the announced SHA-256.
	ErrDigestMismatch = errors.New("content does not match its SHA-256")
	// ErrSizeMismatch: more or fewer bytes came than were announced, or the stored blob has another size.
	ErrSizeMismatch = errors.New("content does not have the announced size")
	// ErrBadDigest: a text is not 64 lower-case hex digits.
	ErrBadDigest = errors.New("not a SHA-256 in lower-case hex")
	// ErrNoSpace: the disk is full. What was written so far has been removed.
	ErrNoSpace = errors.New("no space left in the store")
	// ErrNewerFormat: the store was written by a newer version than this one can read.
	ErrNewerFormat = errors.New("the store has a newer format")
	// ErrClosed: the writer was committed or aborted before, or the store was closed.
	ErrClosed = errors.New("already closed")
)

// Digest is the SHA-256 (FIPS 180-4) of a file's bytes. Its only field is private, so that every Digest was either
// computed or parsed; the zero value is not a digest of anything and [Digest.IsZero] tells.
type Digest struct{ sum [Size]byte }

// ParseDigest reads 64 lower-case hex digits; anything else is [ErrBadDigest].
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(Size) {
		return Digest{}, fmt.Errorf("%w: %d characters instead of 64", ErrBadDigest, len(text))
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Digest{}, fmt.Errorf("%w: character %q at %d", ErrBadDigest, c, i)
		}
	}
	if _, err := hex.Decode(d.sum[:], []byte(text)); err != nil {
		return Digest{}, fmt.Errorf("%w: %w", ErrBadDigest, err)
	}
	return d, nil
}

// SumBytes is the digest of a byte slice.
func SumBytes(b []byte) Digest { return Digest{sum: sha256.Sum256(b)} }

// SumHash takes the digest out of a running SHA-256; any other kind of hash is a programming error and panics.
func SumHash(h hash.Hash) Digest {
	if h.Size() != Size {
		panic("cas: SumHash of something that is not SHA-256")
	}
	var d Digest
	h.Sum(d.sum[:0])
	return d
}

// sumBuffers are reused: for many small files, making room to read into would cost more than the hash.
var sumBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// SumReader reads to the end and gives the blob that the bytes are.
func SumReader(r io.Reader) (Blob, error) {
	buffer := sumBuffers.Get().(*[64 << 10]byte)
	defer sumBuffers.Put(buffer)
	sum := sha256.New()
	n, err := io.CopyBuffer(sum, r, buffer[:])
	return Blob{Digest: SumHash(sum), Size: n}, err
}

// DigestFromBytes takes a digest as it travels and lies on disk.
func DigestFromBytes(sum [Size]byte) Digest { return Digest{sum: sum} }

// Bytes gives the digest as it travels and lies on disk.
func (d Digest) Bytes() [Size]byte { return d.sum }

// String gives 64 lower-case hex digits.
func (d Digest) String() string { return hex.EncodeToString(d.sum[:]) }

// IsZero tells whether d names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// Compare orders digests bytewise, as bytes.Compare does.
func (d Digest) Compare(e Digest) int {
	for i := range d.sum {
		if d.sum[i] != e.sum[i] {
			return int(d.sum[i]) - int(e.sum[i])
		}
	}
	return 0
}

// MarshalText gives the hex form, for JSON and YAML.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses the hex form; see [ParseDigest].
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Blob names the bytes of one whole file: their SHA-256 and their number.
type Blob struct {
	Digest Digest `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// String gives "<hex>/<size>".
func (b Blob) String() string { return fmt.Sprintf("%s/%d", b.Digest, b.Size) }

// Stater tells which blobs a store holds.
type Stater interface {
	// Stat calls have once for each of the given blobs that is stored with exactly that size, in the order given.
	// Absence is no error. An error from have ends the call and is returned.
	Stat(ctx context.Context, blobs []Blob, have func(Blob) error) error
}

// Opener gives the bytes of blobs.
type Opener interface {
	// Open returns a reader over the whole blob, or an error that is [ErrNotFound]. The caller closes it.
	Open(ctx context.Context, digest Digest) (Reader, error)
}

// Reader reads one blob. It can be read from any offset, so that a range costs only itself.
type Reader interface {
	io.ReadSeeker
	io.ReaderAt
	io.Closer
	Blob() Blob
}

// Creator takes new blobs in.
type Creator interface {
	// Create starts a blob. hint is the announced size in bytes, or -1; it is used to reserve space, not trusted.
	Create(ctx context.Context, hint int64) (Writer, error)
}

// Writer takes the bytes of one blob and ends with exactly one of Commit and Abort. It belongs to one goroutine. A
// Writer may also be an [io.ReaderFrom]; then io.Copy into it is the fastest way.
type Writer interface {
	io.Writer
	// Commit makes the blob durable, then visible, if the bytes written are exactly the expected blob; otherwise it
	// returns [ErrSizeMismatch] or [ErrDigestMismatch] and leaves nothing. Committing a blob that the store already
	// holds, or that another writer commits at the same moment, succeeds. Whatever it returns, the writer is used up:
	// a further Write or Commit returns [ErrClosed].
	Commit(ctx context.Context, expected Blob) error
	// Abort removes what was written. After Commit it does nothing, so "defer w.Abort()" is always right.
	Abort()
}

// Lister enumerates a store.
type Lister interface {
	// List calls each for every blob whose digest is greater than after (zero: all), in ascending order of digests,
	// until each returns an error, which is returned.
	List(ctx context.Context, after Digest, each func(Blob) error) error
}

// Store is the whole of a store; functions take the smallest of its parts that they need.
type Store interface {
	Stater
	Opener
	Creator
	Lister
}
