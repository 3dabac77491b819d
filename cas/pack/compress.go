package pack

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// window bounds what an encoder remembers, in bytes. No frame but a recipe is longer.
const window = 1 << 20

// encoder and decoder are shared by all goroutines; each keeps as many workers as there are processors. The ids guard
// the bytes, so that zstd need not add its own sum.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithWindowSize(window))
		if err != nil {
			panic("pack: the zstd encoder refuses its options: " + err.Error())
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		// The cap limit makes the decoder stop at the size that the frame announced, whatever the payload claims.
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxRecipe),
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic("pack: the zstd decoder refuses its options: " + err.Error())
		}
		return d
	})
)

// scratch is a pooled buffer for the output of the encoder, of about [MaxData] bytes.
type scratch struct{ bytes []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// compress gives data as zstd in a pooled buffer, which the caller releases.
func compress(data []byte) *scratch {
	s := scratches.Get().(*scratch)
	s.bytes = encoder().EncodeAll(data, s.bytes[:0])
	return s
}

func (s *scratch) release() {
	if cap(s.bytes) <= 2*MaxData {
		scratches.Put(s)
	}
}

// decompress appends nothing beyond size to buffer, which it grows at most to that many bytes.
func decompress(payload []byte, size int, buffer []byte) ([]byte, error) {
	if cap(buffer) < size {
		buffer = make([]byte, size)
	}
	raw, err := decoder().DecodeAll(payload, buffer[:0:size])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFrame, err)
	}
	if len(raw) != size {
		return nil, fmt.Errorf("%w: the payload has %d bytes instead of %d", ErrBadFrame, len(raw), size)
	}
	return raw, nil
}
