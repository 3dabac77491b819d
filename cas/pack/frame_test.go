package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// random gives bytes that no encoder makes shorter.
func random(seed uint64, size int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// itemsOf names contents as a frame of the kind does, and joins them.
func itemsOf(kind Kind, contents ...[]byte) (items []Item, data []byte) {
	for _, content := range contents {
		id := blake3.Sum256(content)
		if kind == BlobKind {
			id = sha256.Sum256(content)
		}
		items = append(items, Item{ID: id, Length: len(content)})
		data = append(data, content...)
	}
	return items, data
}

func frameOf(kind Kind, contents ...[]byte) []byte {
	items, data := itemsOf(kind, contents...)
	return Append(nil, kind, items, data)
}

// plainFrame is a frame by hand, so that it can be wrong.
func plainFrame(kind Kind, encoding byte, items []Item, rest ...byte) []byte {
	b := appendItems([]byte{byte(kind), encoding}, items)
	return append(b, rest...)
}

// readAll reads frames to the end and gives what each held.
func readAll(r io.Reader) (held [][][]byte, err error) {
	frames := NewReader(r)
	for {
		frame, err := frames.Next()
		if err == io.EOF {
			return held, nil
		}
		if err != nil {
			return held, err
		}
		var contents [][]byte
		_ = frame.Each(func(_ Item, data []byte) error { // never fails
			contents = append(contents, bytes.Clone(data))
			return nil
		})
		held = append(held, contents)
	}
}

func TestFramesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want [][][]byte
		var kinds []Kind
		for range rapid.IntRange(1, 4).Draw(t, "frames") {
			kind := rapid.SampledFrom([]Kind{BlobKind, ChunkKind, RecipeKind}).Draw(t, "kind")
			contents := rapid.SliceOfN(rapid.OneOf(
				rapid.SliceOfN(rapid.Byte(), 1, 30),
				rapid.Map(rapid.IntRange(1, 900), func(n int) []byte { return bytes.Repeat([]byte("abcd"), n) }),
			), 1, min(kind.maxItems(), 5)).Draw(t, "contents")
			items, data := itemsOf(kind, contents...)
			stream = Append(stream, kind, items, data)
			want, kinds = append(want, contents), append(kinds, kind)
		}
		for _, way := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader, iotest.HalfReader} {
			got, err := readAll(way(bytes.NewReader(stream)))
			if err != nil {
				t.Fatal(err)
			}
			// cmp.Diff looks at byte after byte, which takes too long here.
			if !slices.EqualFunc(want, got, func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }) {
				t.Fatalf("%d frames came back as %d others", len(want), len(got))
			}
		}
		again := []byte{}
		frames := NewReader(bytes.NewReader(stream))
		for _, kind := range kinds {
			frame, err := frames.Next()
			if err != nil || frame.Kind != kind {
				t.Fatalf("%v instead of %v: %v", frame.Kind, kind, err)
			}
			again = append(again, frame.Encoded()...)
		}
		if !bytes.Equal(again, stream) {
			t.Fatal("the encoded frames are not the stream")
		}
	})
}

// TestAnEndInsideAFrame cuts a stream of two frames at every byte.
func TestAnEndInsideAFrame(t *testing.T) {
	first := frameOf(BlobKind, []byte("one"), nil, []byte("three"))
	stream := append(bytes.Clone(first), frameOf(ChunkKind, bytes.Repeat([]byte("x"), 500))...)
	for cut := range len(stream) + 1 {
		_, err := readAll(bytes.NewReader(stream[:cut]))
		border := cut == 0 || cut == len(first) || cut == len(stream)
		if border && err != nil || !border && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d of %d: %v", cut, len(stream), err)
		}
	}
}

func TestErrorsOfTheStreamAreKept(t *testing.T) {
	broken := errors.New("the line is dead")
	frame := frameOf(BlobKind, []byte("some bytes"))
	for cut := range frame {
		frames := NewReader(io.MultiReader(bytes.NewReader(frame[:cut]), iotest.ErrReader(broken)))
		for range 2 {
			if _, err := frames.Next(); !errors.Is(err, broken) {
				t.Fatalf("broken after %d bytes: %v", cut, err)
			}
		}
	}
}

func TestCompressedOnlyWhereItPays(t *testing.T) {
	for _, test := range []struct {
		name string
		data []byte
		want byte
	}{
		{"noise", random(1, 1<<16), plainEncoding},
		{"text", bytes.Repeat([]byte("all work and no play "), 100), zstdEncoding},
		{"one part in thirty-two", append(random(2, 31<<10), make([]byte, 1<<10)...), plainEncoding},
		{"one part in eight", append(random(2, 28<<10), make([]byte, 4<<10)...), zstdEncoding},
		{"nothing", nil, plainEncoding},
	} {
		frame := frameOf(BlobKind, test.data)
		if frame[1] != test.want {
			t.Errorf("%s: encoding %d instead of %d", test.name, frame[1], test.want)
		}
		if most := len(test.data) + 2 + 1 + 4 + 32; len(frame) > most {
			t.Errorf("%s: %d bytes, more than %d", test.name, len(frame), most)
		}
	}
}

func TestPlainIsNeverCompressed(t *testing.T) {
	data := bytes.Repeat([]byte("all work and no play "), 100)
	items := []Item{{ID: BlobKind.sum(data), Length: len(data)}}
	frame, err := NewReader(bytes.NewReader(AppendPlain(nil, BlobKind, items, data))).Next()
	if err != nil || !bytes.Equal(frame.Data, data) || frame.Encoded()[1] != plainEncoding || len(frame.Encoded()) < len(data) {
		t.Errorf("%d bytes came back in a frame of %d, %v", len(frame.Data), len(frame.Encoded()), err)
	}
}

func zstdOf(t testing.TB, data []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(data, nil)
}

// withLength is a payload behind its length.
func withLength(payload []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(payload))), payload...)
}

func TestBadFramesAreRefused(t *testing.T) {
	one, data := itemsOf(BlobKind, []byte("content"))
	long := Item{Length: MaxData}
	noise := random(3, 4000)
	noisy, _ := itemsOf(BlobKind, noise)
	for name, test := range map[string]struct {
		frame []byte
		want  error
	}{
		"no kind":              {plainFrame(0, 0, one, data...), ErrBadFrame},
		"kind of the future":   {plainFrame(4, 0, one, data...), ErrBadFrame},
		"unknown encoding":     {plainFrame(BlobKind, 2, one, data...), ErrBadFrame},
		"no items":             {[]byte{1, 0, 0}, ErrBadFrame},
		"too many items":       {binary.AppendUvarint([]byte{1, 0}, MaxItems+1), ErrBadFrame},
		"two recipes":          {plainFrame(RecipeKind, 0, append(one, one...), data...), ErrBadFrame},
		"number too long":      {[]byte{1, 0, 0x81, 0}, ErrBadFrame},
		"endless number":       {append([]byte{1, 0}, bytes.Repeat([]byte{0x80}, 20)...), ErrBadFrame},
		"item too long":        {plainFrame(BlobKind, 0, []Item{{Length: MaxData + 1}}), ErrBadFrame},
		"together too long":    {plainFrame(BlobKind, 0, []Item{long, {Length: 1}}), ErrBadFrame},
		"recipe too long":      {plainFrame(RecipeKind, 0, []Item{{Length: MaxRecipe + 1}}), ErrBadFrame},
		"empty chunk":          {plainFrame(ChunkKind, 0, []Item{{}}), ErrBadFrame},
		"wrong id":             {plainFrame(ChunkKind, 0, one, data...), ErrWrongID},
		"wrong byte":           {plainFrame(BlobKind, 0, one, []byte("cOntent")...), ErrWrongID},
		"no zstd":              {plainFrame(BlobKind, 1, one, withLength([]byte("zzzz"))...), ErrBadFrame},
		"zstd of nothing":      {plainFrame(BlobKind, 1, one, 0), ErrBadFrame},
		"zstd that gains none": {plainFrame(BlobKind, 1, one, withLength([]byte("content"))...), ErrBadFrame},
		"zstd of less":         {plainFrame(BlobKind, 1, noisy, withLength(zstdOf(t, make([]byte, 3999)))...), ErrBadFrame},
		"zstd of more":         {plainFrame(BlobKind, 1, noisy, withLength(zstdOf(t, make([]byte, 4001)))...), ErrBadFrame},
		"zstd of other bytes":  {plainFrame(BlobKind, 1, noisy, withLength(zstdOf(t, make([]byte, 4000)))...), ErrWrongID},
		"bomb":                 {plainFrame(BlobKind, 1, noisy, withLength(zstdOf(t, make([]byte, 64<<20)))...), ErrBadFrame},
	} {
		if _, err := readAll(bytes.NewReader(test.frame)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestWhatIsOnlyAnnouncedCostsNothing(t *testing.T) {
	announced := plainFrame(RecipeKind, 0, []Item{{Length: MaxRecipe}}, 1, 2, 3)
	frames := NewReader(bytes.NewReader(announced))
	if _, err := frames.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if held := cap(frames.encoded) + cap(frames.raw); held > 4*MaxData {
		t.Errorf("%d bytes of memory for a frame of %d", held, len(announced))
	}
}

func TestOtherKindsAreRefusedUnread(t *testing.T) {
	recipe := frameOf(RecipeKind, []byte("r"))
	if _, err := NewReader(bytes.NewReader(recipe[:1])).Only(BlobKind, ChunkKind).Next(); !errors.Is(err, ErrBadFrame) {
		t.Error(err)
	}
	if _, err := NewReader(bytes.NewReader(recipe)).Only(RecipeKind).Next(); err != nil {
		t.Error(err)
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	frame, err := NewReader(bytes.NewReader(frameOf(BlobKind, []byte("a"), []byte("b")))).Next()
	if err != nil {
		t.Fatal(err)
	}
	enough, seen := errors.New("enough"), 0
	err = frame.Each(func(Item, []byte) error {
		seen++
		return enough
	})
	if err != enough || seen != 1 {
		t.Errorf("%v after %d items", err, seen)
	}
}

func TestWrongItemsPanic(t *testing.T) {
	items, data := itemsOf(BlobKind, []byte("content"))
	for name, call := range map[string]func(){
		"less data": func() { Append(nil, BlobKind, items, data[1:]) },
		"no items":  func() { Append(nil, BlobKind, nil, nil) },
		"no kind":   func() { Append(nil, 9, items, data) },
		"too long":  func() { Append(nil, ChunkKind, []Item{{Length: MaxData + 1}}, make([]byte, MaxData+1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

func TestManyEncodeAtOnce(t *testing.T) {
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			content := bytes.Repeat([]byte{byte(i), byte(i + 1)}, 5000)
			got, err := readAll(bytes.NewReader(frameOf(BlobKind, content)))
			if err != nil || !bytes.Equal(got[0][0], content) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wait.Wait()
}

// golden compares with a file, or writes it when the tests run with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: the format has changed:\ngot  %x\nwant %x", name, got, want)
	}
}

func goldenContents() [][][]byte {
	return [][][]byte{
		{[]byte("a small file\n"), {}, []byte("another")},
		{random(7, 300)},
		{[]byte("not a recipe, but named as one")},
	}
}

func TestGoldenFrames(t *testing.T) {
	var stream []byte
	for i, kind := range []Kind{BlobKind, ChunkKind, RecipeKind} {
		stream = append(stream, frameOf(kind, goldenContents()[i]...)...)
	}
	golden(t, "frames.golden", stream)
}

// TestGoldenCompressed reads what an encoder wrote once. Others may write other bytes for the same content.
func TestGoldenCompressed(t *testing.T) {
	content := bytes.Repeat([]byte("hayloft "), 200)
	path := filepath.Join("testdata", "compressed.golden")
	if *update {
		if err := os.WriteFile(path, frameOf(BlobKind, content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := readAll(file)
	if diff := cmp.Diff([][][]byte{{content}}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(frameOf(BlobKind, []byte("one"), nil))
	f.Add(frameOf(ChunkKind, bytes.Repeat([]byte("x"), 500)))
	f.Add(frameOf(RecipeKind, []byte("r")))
	f.Fuzz(func(t *testing.T, stream []byte) {
		frames := NewReader(bytes.NewReader(stream))
		rest := stream
		for {
			frame, err := frames.Next()
			if err == io.EOF && len(rest) > 0 {
				t.Fatalf("%d bytes were passed over", len(rest))
			}
			if err != nil {
				return
			}
			if !bytes.HasPrefix(rest, frame.Encoded()) {
				t.Fatal("the encoded frame is not what was read")
			}
			rest = rest[len(frame.Encoded()):]
			if len(frame.Data) > frame.Kind.maxData() || len(frame.Items) > MaxItems {
				t.Fatalf("%d bytes, %d items", len(frame.Data), len(frame.Items))
			}
			if err := frame.checkIDs(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, data := range map[string][]byte{
		"noise": random(1, MaxData), "text": bytes.Repeat([]byte("all work and no play "), MaxData/21),
	} {
		b.Run(name, func(b *testing.B) {
			items, data := itemsOf(ChunkKind, data)
			var frame []byte
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				frame = Append(frame[:0], ChunkKind, items, data)
			}
		})
	}
}
