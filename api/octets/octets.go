package octets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"hayloft/cas"
)

// FramesType is the media type of frames. The version is part of it and is always told.
const FramesType = "application/vnd.hayloft.frames; version=1"

// Bounds of one request.
const (
	MaxQuestions = 10_000   // blobs asked for
	MaxFiles     = 10_000   // blobs read
	MaxFile      = 1 << 20  // bytes of each of these
	MaxFrames    = 64 << 20 // bytes of frames sent
	MaxBitmap    = 1 << 20  // bytes of a bitmap sent
)

// QuestionSize is the length of one question in bytes: a SHA-256 and a size.
const QuestionSize = cas.Size + 8

// ErrMalformed: the bytes do not have the format.
var ErrMalformed = errors.New("malformed body")

// AppendQuestions appends a question for each blob: its SHA-256, and its size in 8 bytes, big-endian.
func AppendQuestions(b []byte, blobs []cas.Blob) []byte {
	for _, blob := range blobs {
		sum := blob.Digest.Bytes()
		b = append(b, sum[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(blob.Size))
	}
	return b
}

// ParseQuestions reads what [AppendQuestions] wrote.
func ParseQuestions(b []byte) ([]cas.Blob, error) {
	if len(b)%QuestionSize != 0 || len(b) > MaxQuestions*QuestionSize {
		return nil, fmt.Errorf("%w: %d bytes are not up to %d questions of %d bytes each", ErrMalformed, len(b), MaxQuestions, QuestionSize)
	}
	blobs := make([]cas.Blob, len(b)/QuestionSize)
	for i := range blobs {
		question := b[i*QuestionSize:][:QuestionSize]
		size := binary.BigEndian.Uint64(question[cas.Size:])
		if size > math.MaxInt64 {
			return nil, fmt.Errorf("%w: question %d is about a blob of %d bytes", ErrMalformed, i, size)
		}
		blobs[i] = cas.Blob{Digest: cas.DigestFromBytes([cas.Size]byte(question)), Size: int64(size)}
	}
	return blobs, nil
}

// AppendDigests appends each SHA-256.
func AppendDigests(b []byte, digests []cas.Digest) []byte {
	for _, d := range digests {
		sum := d.Bytes()
		b = append(b, sum[:]...)
	}
	return b
}

// ParseDigests reads what [AppendDigests] wrote.
func ParseDigests(b []byte) ([]cas.Digest, error) {
	if len(b)%cas.Size != 0 || len(b) > MaxFiles*cas.Size {
		return nil, fmt.Errorf("%w: %d bytes are not up to %d digests of %d bytes each", ErrMalformed, len(b), MaxFiles, cas.Size)
	}
	digests := make([]cas.Digest, len(b)/cas.Size)
	for i := range digests {
		digests[i] = cas.DigestFromBytes([cas.Size]byte(b[i*cas.Size:]))
	}
	return digests, nil
}

// Bitmap packs bits: bit i%8 of byte i/8, the lowest first. It is never nil.
func Bitmap(bits []bool) []byte {
	b := make([]byte, (len(bits)+7)/8)
	for i, set := range bits {
		if set {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

// ParseBitmap reads n bits. There must be as many bytes as they need, and the bits left over must be zero.
func ParseBitmap(b []byte, n int) ([]bool, error) {
	if n < 0 || len(b) != (n+7)/8 {
		return nil, fmt.Errorf("%w: %d bytes are not a bitmap of %d bits", ErrMalformed, len(b), n)
	}
	if n%8 != 0 && b[len(b)-1]>>(n%8) != 0 {
		return nil, fmt.Errorf("%w: the bitmap has bits beyond the %d that count", ErrMalformed, n)
	}
	bits := make([]bool, n)
	for i := range bits {
		bits[i] = b[i/8]>>(i%8)&1 == 1
	}
	return bits, nil
}
