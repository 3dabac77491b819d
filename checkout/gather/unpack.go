package gather

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"hayloft/checkout"
)

const (
	// spoolBytes is how much stays decoded until it is opened. What is beyond that is decoded once more then: a first
	// reading of many scenes must not fill the disk.
	spoolBytes = 8 << 30
	// maxUnpacked bounds what one file may decode to; beyond it the file is taken as it is.
	maxUnpacked = 16 << 30
	// maxWindow bounds the memory that a zstd frame may ask for. Blender's have up to 2 MiB.
	maxWindow = 64 << 20
)

// How the files begin: Blender compressed with gzip up to 2.93, and from 3.0 on with zstd, in many frames that a reader
// takes as one stream; the table of them at the end is a frame to be skipped.
var (
	blendMagic = []byte("BLENDER")
	gzipMagic  = []byte{0x1f, 0x8b}
	zstdMagic  = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// The sixteen numbers with which a skippable zstd frame can begin (RFC 8878, section 3.1.2).
const (
	skippableMagic = 0x184d2a50
	skippableMask  = 0xfffffff0
)

// mayBeCompressed tells whether a file is a scene by its name. Others are never decoded: programs that read them expect
// the envelope.
func mayBeCompressed(f File) bool {
	return strings.EqualFold(filepath.Ext(f.Source), ".blend")
}

// spool is where decoded files lie. It is for many goroutines.
type spool struct {
	folder string
	used   atomic.Int64 // bytes that wait to be opened
}

// unpacked is a file that was decoded. Its bytes lie in the spool, or are decoded once more when they are wanted.
type unpacked struct {
	spool  *spool
	source string // absolute
	from   checkout.Origin
	size   int64
	kept   atomic.Pointer[string] // the file in the spool, until somebody takes it
}

// origin of nothing is that of a file without an envelope.
func (u *unpacked) origin() checkout.Origin {
	if u == nil {
		return checkout.Plain
	}
	return u.from
}

// unpack decodes a file into the spool. It gives nothing at all if the file has no envelope, or one that is in doubt.
// The returned file is to be closed; the bytes then stay in the spool if there is room.
func (s *spool) unpack(ctx context.Context, path string, source io.ReaderAt, size int64) (*unpacked, Bytes, error) {
	plain, origin, err := s.decode(ctx, source, size)
	if err != nil || plain == nil {
		return nil, nil, err
	}
	u := &unpacked{spool: s, source: path, from: origin, size: plain.size}
	if s.used.Add(plain.size) > spoolBytes {
		s.used.Add(-plain.size)
		return u, plain, nil
	}
	name := plain.Name()
	u.kept.Store(&name)
	return u, plain.File, nil
}

// open gives the decoded bytes. Who is first takes those in the spool, and closing them removes them.
func (u *unpacked) open() (Bytes, error) {
	if name := u.kept.Swap(nil); name != nil {
		file, err := os.Open(*name)
		if err != nil {
			return nil, err
		}
		u.spool.used.Add(-u.size)
		return &spooled{File: file, size: u.size}, nil
	}
	source, err := os.Open(u.source)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return nil, err
	}
	plain, _, err := u.spool.decode(context.Background(), source, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%q: %w", u.source, err)
	}
	if plain == nil {
		return nil, fmt.Errorf("%q was compressed when it was read and is not any more: %w", u.source, ErrChanging)
	}
	return plain, nil
}

// discard forgets the bytes in the spool.
func (u *unpacked) discard() {
	if u == nil {
		return
	}
	if name := u.kept.Swap(nil); name != nil {
		u.spool.used.Add(-u.size)
		// What cannot be removed now goes with the folder.
		_ = os.Remove(*name)
	}
}

// spooled is a file of the spool that goes when it is closed.
type spooled struct {
	*os.File
	size int64
}

// Close removes the file.
func (f *spooled) Close() error { return errors.Join(f.File.Close(), os.Remove(f.Name())) }

// decode writes the plain bytes of a file into the spool. It gives nil if it is no compressed scene, whole and sound.
func (s *spool) decode(ctx context.Context, source io.ReaderAt, size int64) (*spooled, checkout.Origin, error) {
	stream, origin, err := openStream(source, size)
	if stream == nil {
		return nil, 0, err
	}
	defer stream.Close()
	head := make([]byte, len(blendMagic))
	if _, err := io.ReadFull(stream, head); err != nil || !bytes.Equal(head, blendMagic) {
		return nil, 0, nil //nolint:nilerr // Whatever it is, it is taken as it is; bytes that cannot be read are met again.
	}
	file, err := os.CreateTemp(s.folder, "plain-*.blend")
	if err != nil {
		return nil, 0, fmt.Errorf("make room to decode a scene: %w", err)
	}
	plain := &spooled{File: file}
	to := &spoolWriter{ctx: ctx, to: file}
	plain.size, err = io.Copy(to, io.LimitReader(io.MultiReader(bytes.NewReader(head), stream), maxUnpacked+1))
	switch {
	case to.err != nil:
		return nil, 0, errors.Join(fmt.Errorf("decode a scene: %w", to.err), plain.Close())
	case err != nil || plain.size > maxUnpacked:
		return nil, 0, plain.Close()
	}
	return plain, origin, nil
}

// openStream finds the envelope; nil if there is none.
func openStream(source io.ReaderAt, size int64) (io.ReadCloser, checkout.Origin, error) {
	head := make([]byte, min(size, 4))
	if n, err := source.ReadAt(head, 0); n < len(head) {
		if errors.Is(err, io.EOF) {
			err = nil // It became shorter, which is noticed when it is read.
		}
		return nil, 0, err
	}
	section := io.NewSectionReader(source, 0, size)
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		stream, err := gzip.NewReader(section)
		if err != nil {
			return nil, 0, nil //nolint:nilerr // no envelope that could be taken off
		}
		return stream, checkout.FromGzip, nil
	case bytes.HasPrefix(head, zstdMagic), len(head) == 4 && binary.LittleEndian.Uint32(head)&skippableMask == skippableMagic:
		stream, err := zstd.NewReader(section, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, 0, fmt.Errorf("start to decode a scene: %w", err)
		}
		return stream.IOReadCloser(), checkout.FromZstd, nil
	}
	return nil, 0, nil
}

// spoolWriter writes until ctx ends, and keeps its own error apart from those of the decoder.
type spoolWriter struct {
	ctx context.Context
	to  *os.File
	err error
}

func (w *spoolWriter) Write(p []byte) (int, error) {
	if w.err = w.ctx.Err(); w.err != nil {
		return 0, w.err
	}
	var n int
	n, w.err = w.to.Write(p)
	return n, w.err
}
