package blend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// mixture begins like a .blend file and goes on with noise, runs, and pieces of what was before.
func mixture(seed uint64, size int) []byte {
	source := rand.New(rand.NewPCG(seed, 1))
	plain := append(make([]byte, 0, 2*size), "BLENDER"...)
	for len(plain) < size {
		n := 1 + source.IntN(min(size, 100_000))
		switch source.IntN(3) {
		case 0:
			for range n / 8 {
				plain = binary.LittleEndian.AppendUint64(plain, source.Uint64())
			}
		case 1:
			plain = append(plain, bytes.Repeat([]byte{byte(n)}, n)...)
		case 2:
			from := source.IntN(len(plain))
			plain = append(plain, plain[from:min(len(plain), from+n)]...)
		}
	}
	return plain[:size]
}

// framesOf packs content into frames of the sizes given, in turn.
func framesOf(t failer, plain []byte, sizes []int, checksums bool) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(checksums))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close() //nolint:errcheck // It writes to nothing.
	var out, table []byte
	count := uint32(0)
	for ; len(plain) > 0; count++ {
		n := min(sizes[int(count)%len(sizes)], len(plain))
		packed := encoder.EncodeAll(plain[:n], nil)
		plain = plain[n:]
		out = append(out, packed...)
		table = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(table, uint32(len(packed))), uint32(n))
	}
	out = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(out, tableMagic), uint32(len(table)+footerSize))
	out = binary.LittleEndian.AppendUint32(append(out, table...), count)
	return binary.LittleEndian.AppendUint32(append(out, 0), footerMagic)
}

// span is a piece of a file.
type span struct{ at, n int }

// spans draws pieces: some anywhere, some one after the other, some back and forth, so that frames are decoded in
// part, ahead, and again.
func spans(t *rapid.T, size int) []span {
	var list []span
	at := 0
	for range rapid.IntRange(1, 12).Draw(t, "walks") {
		if rapid.Bool().Draw(t, "jump") {
			at = rapid.IntRange(0, size).Draw(t, "at")
		}
		n := rapid.SampledFrom([]int{0, 1, 24, 4096, 300_000}).Draw(t, "length")
		step := rapid.SampledFrom([]int{0, 24, 5000, 90_000, 400_000, -90_000}).Draw(t, "step")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			list = append(list, span{at, n})
			at = min(max(at+step, 0), size)
		}
	}
	return list
}

// TestFramesReadLikeTheWhole reads a seekable file at many places, with one goroutine and with several.
func TestFramesReadLikeTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := mixture(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]int{8, 5000, 3_000_000}).Draw(t, "size"))
		sizes := rapid.SliceOfN(rapid.IntRange(max(1, len(plain)/40), len(plain)/3+1), 1, 4).Draw(t, "frames")
		packed := framesOf(t, plain, sizes, rapid.Bool().Draw(t, "checksums"))
		f, err := openFramesWith(bytesAt(packed), int64(len(packed)), rapid.IntRange(1, 4).Draw(t, "workers"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // It has nothing to tell.
		for _, p := range spans(t, len(plain)) {
			got := make([]byte, p.n)
			n, err := f.ReadAt(got, int64(p.at))
			if want := plain[p.at:min(len(plain), p.at+p.n)]; !bytes.Equal(got[:n], want) || (n < len(got)) != (err == io.EOF) {
				t.Fatalf("at %d: %d of %d bytes, %v", p.at, n, len(got), err)
			}
			seen, err := f.view(int64(p.at), int64(p.n))
			if err != nil || !bytes.HasPrefix(plain[p.at:], seen) || len(seen) == 0 && p.n > 0 && p.at < len(plain) {
				t.Fatalf("at %d: a view of %d bytes, %v", p.at, len(seen), err)
			}
		}
	})
}

// TestDamageShowsTheSameToAll damages a file and reads it with one goroutine and with several. Bytes of frames that are
// whole are right, and errors come at the same places.
func TestDamageShowsTheSameToAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := mixture(rapid.Uint64().Draw(t, "seed"), 2_000_000)
		checksums := rapid.Bool().Draw(t, "checksums")
		packed := framesOf(t, plain, []int{300_000, 70_000}, checksums)
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			packed[rapid.IntRange(20, len(packed)*9/10).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		list := spans(t, len(plain))
		read := func(workers int) (results []string) {
			f, err := openFramesWith(bytesAt(packed), int64(len(packed)), workers)
			if err != nil {
				return []string{err.Error()}
			}
			defer f.Close() //nolint:errcheck // It has nothing to tell.
			for _, p := range list {
				got := make([]byte, p.n)
				n, err := f.ReadAt(got, int64(p.at))
				if err != nil && err != io.EOF && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("at %d: %v", p.at, err)
				}
				if checksums && !bytes.Equal(got[:n], plain[p.at:min(len(plain), p.at+n)]) {
					t.Fatalf("at %d: %d bytes are wrong, and nobody says so", p.at, n)
				}
				text := string(got[:n])
				if err != nil {
					text += err.Error()
				}
				results = append(results, text)
			}
			return results
		}
		alone := read(1)
		for _, workers := range []int{2, 4} {
			if many := read(workers); !cmp.Equal(alone, many) {
				t.Fatalf("%d goroutines read something else than one", workers)
			}
		}
	})
}

// TestOnlyNeededFramesAreDecoded puts a large block between small ones.
func TestOnlyNeededFramesAreDecoded(t *testing.T) {
	l := layouts["8 bytes, little"]
	b := build(l)
	noise := make([]byte, 4<<20)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(noise) //nolint:errcheck // It never fails.
	b.block("IM", kindImage, 100, 1, b.image("first", "//a.png", imageFile, 0)).block("DATA", 0, 1, 1, noise)
	b.block("IM", kindImage, 200, 1, b.image("second", "//b.png", imageFile, 0))
	packed := zstdFrames(t, b.end(), 256<<10, false)
	f := parsed(t, packed)
	if decoded := f.content.ReaderAt.(*frames).decodes.Load(); decoded > 2 {
		t.Errorf("%d frames were decoded, want the first and the last", decoded)
	}
	if got := tilesByImage(t, f); len(got) != 2 {
		t.Errorf("images: %v", got)
	}
}

// TestFramesAreDecodedOnce walks through a file as the reader of block heads does.
func TestFramesAreDecodedOnce(t *testing.T) {
	plain := mixture(1, 6_000_000)
	packed := framesOf(t, plain, []int{300_000}, false)
	for workers := 1; workers <= 4; workers++ {
		f, err := openFramesWith(bytesAt(packed), int64(len(packed)), workers)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(plain); at += 40_000 {
			if _, err := f.ReadAt(make([]byte, 24), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := f.decodes.Load(); got != 20 {
			t.Errorf("%d goroutines: 20 frames were decoded %d times", workers, got)
		}
	}
}

// TestManyTinyFrames reads a file of more frames than are kept, none of which has more than three bytes.
func TestManyTinyFrames(t *testing.T) {
	plain := sample(layouts["8 bytes, little"])
	packed := framesOf(t, plain, []int{3, 1, 2}, false)
	f := parsed(t, packed)
	if got := tilesByImage(t, f); len(got) != 2 {
		t.Errorf("images: %v", got)
	}
	from := f.content.ReaderAt.(*frames)
	if kept := len(from.cache); kept != mostCached || len(from.list) < 2*mostCached {
		t.Errorf("%d of %d frames are kept, want %d", kept, len(from.list), mostCached)
	}
}

// TestOnlyTheBeginIsDecoded reads the begin of a frame whose rest is damaged.
func TestOnlyTheBeginIsDecoded(t *testing.T) {
	plain := mixture(2, 1_000_000)
	for i := 0; len(plain) < 1_200_000; i++ {
		plain = fmt.Appendf(plain, "number %d;", i*i) // Text is never stored as it is: sequences end the frame.
	}
	plain = plain[:1_200_000]
	packed := framesOf(t, plain, []int{400_000}, false)
	list, err := readTable(bytesAt(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	clear(packed[list[2].packedAt+list[2].packedSize-2000:][:2000])
	f, err := openFrames(bytesAt(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // It has nothing to tell.
	got := make([]byte, 1000)
	if _, err := f.ReadAt(got, list[2].plainAt); err != nil || !bytes.Equal(got, plain[list[2].plainAt:][:1000]) {
		t.Errorf("the begin of the frame: %v", err)
	}
	if _, err := f.ReadAt(got, int64(len(plain)-1000)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("its end: %v", err)
	}
}
