package chunk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hayloft/cas"
)

// drawSpans draws spans that do not touch, over a file of size bytes.
func drawSpans(t *rapid.T, size int64) (spans []Range) {
	lengths := rapid.OneOf(rapid.Int64Range(SmallPayload+1, MinSize+9), rapid.Int64Range(MaxSize-2, 3<<20))
	gaps := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, 2<<20))
	for offset := int64(0); ; {
		span := Range{Offset: offset + gaps.Draw(t, "gap"), Length: lengths.Draw(t, "length")}
		if span.End() > size {
			return spans
		}
		spans, offset = append(spans, span), span.End()
	}
}

func TestSplitMakesTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.OneOf(rapid.Int64Range(0, MinSize+1), rapid.Int64Range(MaxSize-1, readSize+1),
			rapid.Int64Range(readSize+MaxSize-1, 2*readSize), rapid.Int64Range(3*readSize-1, 4*readSize))
		size := sizes.Draw(t, "size")
		data := generated(rapid.Uint64().Draw(t, "seed"), int(size))
		if rapid.Bool().Draw(t, "blank") { // a long run of zeros is cut only where it must be
			clear(data[size/5 : size-size/5])
		}
		spans := []Range{{Length: size}}
		if rapid.Bool().Draw(t, "structured") {
			spans = drawSpans(t, size)
		}
		chunks := store{}
		recipe, err := split(context.Background(), bytes.NewReader(data), size, spans, chunks.put)
		if err != nil {
			t.Fatal(err)
		}
		makes(t, recipe, chunks, data)
		if want := (cas.Blob{Digest: cas.SumBytes(data), Size: size}); recipe.Blob() != want {
			t.Fatalf("the recipe is of %v, the file is %v", recipe.Blob(), want)
		}
		followsTheRule(t, recipe, data, spans)
	})
}

// followsTheRule compares with cutting each span, and the bytes between them, in one piece of memory.
func followsTheRule(t failer, recipe Recipe, data []byte, spans []Range) {
	var want []int
	var literal []byte
	offset := int64(0)
	for _, span := range spans {
		literal = append(literal, data[offset:span.Offset]...)
		offset = span.End()
	}
	want = lengths(append(literal, data[offset:]...))
	for _, span := range spans {
		want = append(want, lengths(data[span.Offset:span.End()])...)
	}
	next := 0
	for c := range recipe.Chunks() {
		if next == len(want) || c.Length != want[next] {
			t.Fatalf("chunk %d has %d bytes, the rule says %v", next, c.Length, want[next:])
		}
		next++
	}
	if next != len(want) {
		t.Fatalf("%d chunks, the rule says %d", next, len(want))
	}
}

// TestCutsAtTheEndsOfBuffers shifts a long run of zeros, whose chunks are the longest, against the buffers byte by byte:
// a cut that was decided with a byte too few would show.
func TestCutsAtTheEndsOfBuffers(t *testing.T) {
	data := make([]byte, readSize+3*MaxSize)
	for shift := range int64(4) {
		for _, span := range []Range{
			{Offset: shift, Length: int64(len(data)) - shift},
			{Offset: int64(len(data)) - 5000 - shift, Length: 5000},
		} {
			recipe, chunks := inSpans(t, data, span)
			makes(t, recipe, chunks, data)
			followsTheRule(t, recipe, data, []Range{span})
		}
	}
}

// whims is a file that answers reads in many small pieces and, at its end, with or without io.EOF.
type whims struct {
	data   []byte
	random *rand.Rand
}

func (w whims) ReadAt(b []byte, offset int64) (n int, err error) {
	for n < len(b) && offset+int64(n) < int64(len(w.data)) {
		piece := min(1+w.random.IntN(70_000), len(b)-n)
		n += copy(b[n:n+piece], w.data[offset+int64(n):])
	}
	if n < len(b) || offset+int64(n) == int64(len(w.data)) && w.random.IntN(2) == 0 {
		err = io.EOF
	}
	return n, err
}

// TestCutsDoNotDependOnReading reads a .blend file and plain ones from a source with whims.
func TestCutsDoNotDependOnReading(t *testing.T) {
	scene, _ := forms[2].file(1<<20, payloads(5)...)
	rapid.Check(t, func(t *rapid.T) {
		data := scene
		if rapid.Bool().Draw(t, "plain") {
			data = generated(9, rapid.IntRange(readSize, readSize+2*MaxSize).Draw(t, "size"))
		}
		want, err := Split(context.Background(), bytes.NewReader(data), int64(len(data)), func(Piece) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		odd := whims{data, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
		got, err := Split(context.Background(), odd, int64(len(data)), func(Piece) error { return nil })
		if err != nil || got.ID() != want.ID() {
			t.Fatalf("read otherwise, the file is cut otherwise (%v)", err)
		}
	})
}

// TestEditsStayLocal inserts a few bytes: the cuts fall into step again soon after.
func TestEditsStayLocal(t *testing.T) {
	data := generated(11, 1<<20)
	_, have := splitBytes(t, data)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(data)).Draw(t, "at")
		inserted := generated(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 2000).Draw(t, "inserted"))
		lacking := 0
		for rest := slices.Concat(data[:at], inserted, data[at:]); len(rest) > 0; {
			n := cut(rest)
			if _, known := have[Sum(rest[:n])]; !known {
				lacking += n
			}
			rest = rest[n:]
		}
		if lacking == 0 || lacking > 2*MaxSize {
			t.Fatalf("%d bytes inserted at %d make %d bytes new", len(inserted), at, lacking)
		}
	})
}

func TestSplitRefuses(t *testing.T) {
	data := generated(1, 5<<20)
	file := bytes.NewReader(data)
	none := func(Piece) error { return nil }
	ended, end := context.WithCancel(t.Context())
	end()
	stop := errors.New("stop")
	count := 0
	for name, test := range map[string]struct {
		ctx  context.Context
		file io.ReaderAt
		size int64
		emit func(Piece) error
		want error
	}{
		"negative size": {t.Context(), file, -1, none, cas.ErrSizeMismatch},
		"shorter file":  {t.Context(), file, file.Size() + 1, none, cas.ErrSizeMismatch},
		"unreadable":    {t.Context(), iotestErr{}, 1, none, errUnreadable},
		"ended":         {ended, file, file.Size(), none, context.Canceled},
		"emit": {t.Context(), file, file.Size(), func(Piece) error {
			if count++; count == 40 {
				return stop
			}
			return nil
		}, stop},
	} {
		if _, err := Split(test.ctx, test.file, test.size, test.emit); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if count != 40 {
		t.Errorf("emit was called %d times, after its error too", count)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("a little"), uint32(1), uint32(5000), uint32(70_000), uint32(300_000))
	f.Add([]byte{}, uint32(2_100_000), uint32(262_144), uint32(24), uint32(4097))
	f.Fuzz(func(t *testing.T, pattern []byte, gap, length, gap2, length2 uint32) {
		const most = 3 << 20
		first := Range{Offset: 1 + int64(gap%most), Length: SmallPayload + 1 + int64(length%most)}
		second := Range{Offset: first.End() + 1 + int64(gap2%most), Length: SmallPayload + 1 + int64(length2%most)}
		data := generated(uint64(len(pattern)), int(second.End())+len(pattern))
		copy(data[first.Offset:], pattern)
		for _, spans := range [][]Range{nil, {first}, {first, second}, {{Length: int64(len(data))}}} {
			recipe, chunks := inSpans(t, data, spans...)
			makes(t, recipe, chunks, data)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	plain := generated(3, 128<<20)
	var blocks [][]byte
	for i := range 1500 {
		blocks = append(blocks, plain[i*80:i*80+150], plain[i*80_000:i*80_000+5000+i%50*1000], plain[i*99:i*99+64])
	}
	scene, _ := forms[2].file(1<<20, blocks...)
	for name, data := range map[string][]byte{"plain": plain, "blend": scene} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Split(b.Context(), bytes.NewReader(data), int64(len(data)), func(Piece) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBlendSpans(b *testing.B) {
	scene, _ := forms[2].file(1<<20, payloads(5)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, sure := BlendSpans(bytes.NewReader(scene), int64(len(scene))); !sure {
			b.Fatal("in doubt of a sound scene")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(payloads(5))), "ns/head")
}
