package chunk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
)

// golden compares with a file of hex digits, 32 bytes a line.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var text strings.Builder
	for line := range slices.Chunk(got, 32) {
		text.WriteString(hex.EncodeToString(line) + "\n")
	}
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("%s: the encoding has changed, and with it what others can read (-want +got):\n%s", name, diff)
	}
}

// twoVersions gives a scene and how it looks after addresses have moved and a payload has grown.
func twoVersions(t testing.TB) (before, after Recipe) {
	blocks := payloads(1)[:200]
	oldFile, _ := forms[4].file(1<<20, blocks...)
	blocks[62] = append(bytes.Clone(blocks[62]), "grown"...)
	newFile, _ := forms[4].file(1<<30, blocks...)
	before, _ = splitBytes(t, oldFile)
	after, _ = splitBytes(t, newFile)
	return before, after
}

func TestEncodingsAreGolden(t *testing.T) {
	plain, _ := splitBytes(t, generated(1, 300_000))
	before, after := twoVersions(t)
	golden(t, "recipe_plain.hex", encoded(plain))
	golden(t, "recipe_blend.hex", encoded(before))
	golden(t, "delta_blend.hex", after.AppendDelta(nil, before))
}

func TestRecipeOfNothing(t *testing.T) {
	recipe, chunks := splitBytes(t, nil)
	makes(t, recipe, chunks, nil)
	if recipe.Len() != 0 || recipe.Blob() != (cas.Blob{Digest: cas.SumBytes(nil)}) {
		t.Errorf("the empty file has %d chunks and is %v", recipe.Len(), recipe.Blob())
	}
}

// recipeOf writes an encoding by hand. A part without an id is literal.
func recipeOf(size int64, literals, parts []part) []byte {
	r := Recipe{blob: cas.Blob{Digest: cas.SumBytes(nil), Size: size}, literals: literals, parts: parts}
	return encoded(r)
}

func repeat(n int, p ...part) []part { return slices.Repeat(p, n) }

func TestRecipesThatCannotBe(t *testing.T) {
	id := Sum([]byte("some chunk"))
	literal := func(n int64) part { return part{length: n} }
	chunk := func(n int64) part { return part{id: id, length: n} }
	good := recipeOf(5010, []part{chunk(10)}, []part{literal(4), chunk(5000), literal(6)})
	if _, err := DecodeRecipe(good); err != nil {
		t.Fatalf("a good recipe is refused: %v", err)
	}
	head := good[:1+2+cas.Size]
	after := func(tail ...byte) []byte { return append(bytes.Clone(head), tail...) }
	zeroID := bytes.Replace(good, id.sum[:], make([]byte, IDSize), 1)
	for name, test := range map[string]struct {
		encoding []byte
		want     error
	}{
		"nothing":                      {nil, ErrTruncated},
		"newer version":                {append([]byte{2}, good[1:]...), ErrVersion},
		"a delta":                      {append([]byte{deltaVersion}, good[1:]...), ErrVersion},
		"bytes after the end":          {append(bytes.Clone(good), 0), ErrTrailing},
		"size of 64 bits":              {binary.AppendUvarint([]byte{recipeVersion}, 1<<63), ErrNumber},
		"size of more bits":            {append([]byte{recipeVersion}, bytes.Repeat([]byte{0xff}, 11)...), ErrNumber},
		"long-winded number":           {after(0x80, 0x00), ErrNumber},
		"count beyond the bytes":       {after(0x7f, 1, 2, 3), ErrTooMany},
		"count beyond all memory":      {binary.AppendUvarint(after(), 1<<62), ErrTooMany},
		"chunk without an id":          {zeroID, ErrChunkName},
		"a million chunks of one byte": {recipeOf(1e6, nil, repeat(1e6, chunk(1))), ErrChunkLength},
		"literal crumbs":               {recipeOf(1e4, repeat(1e4, chunk(1)), []part{literal(1e4)}), ErrChunkLength},
		"payload crumbs":               {recipeOf(2e4, []part{chunk(1e4)}, repeat(1e4, literal(1), chunk(1))), ErrLayout},
		"empty chunk":                  {recipeOf(0, nil, []part{chunk(0)}), ErrChunkLength},
		"chunk too long":               {recipeOf(MaxSize+1, nil, []part{chunk(MaxSize + 1)}), ErrChunkLength},
		"short chunk not last":         {recipeOf(2*MinSize-1, nil, []part{chunk(MinSize - 1), chunk(MinSize)}), ErrChunkLength},
		"size too small":               {recipeOf(4999, nil, []part{chunk(5000)}), ErrSum},
		"size too large":               {recipeOf(5001, nil, []part{chunk(5000)}), ErrSum},
		"lengths beyond 64 bits":       {recipeOf(9, []part{chunk(9)}, []part{literal(1<<62 - 1), chunk(5000), literal(1<<62 - 1)}), ErrSum},
		"literals nowhere used":        {recipeOf(5000, []part{chunk(10)}, []part{chunk(5000)}), ErrSum},
		"more literals than known":     {recipeOf(5011, []part{chunk(10)}, []part{literal(11), chunk(5000)}), ErrSum},
		"literals longer than all":     {recipeOf(9, []part{chunk(10)}, []part{literal(9)}), ErrSum},
		"literal of nothing":           {recipeOf(5010, []part{chunk(10)}, []part{literal(10), chunk(5000), literal(0)}), ErrSum},
		"literals in a row":            {recipeOf(10, []part{chunk(10)}, []part{literal(4), literal(6)}), ErrLayout},
		"small payload":                {recipeOf(4106, []part{chunk(10)}, []part{literal(10), chunk(4096)}), ErrLayout},
		"a literal literal":            {recipeOf(10, []part{literal(10)}, []part{literal(10)}), ErrChunkName},
	} {
		if _, err := DecodeRecipe(test.encoding); !errors.Is(err, ErrBadRecipe) || !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if _, err := DecodeRecipe(good[:n]); !errors.Is(err, ErrBadRecipe) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func TestAssembleNamesWhatIsWrong(t *testing.T) {
	data := generated(1, 300_000)
	recipe, chunks := splitBytes(t, data)
	stop := errors.New("stop")
	for name, test := range map[string]struct {
		recipe Recipe
		w      io.Writer
		fetch  func(Chunk, bool) ([]byte, error)
		want   error
	}{
		"fetch fails": {recipe, io.Discard, func(Chunk, bool) ([]byte, error) { return nil, stop }, stop},
		"other bytes": {recipe, io.Discard, func(c Chunk, _ bool) ([]byte, error) { return make([]byte, c.Length), nil }, ErrWrongChunk},
		"fewer bytes": {recipe, io.Discard, func(c Chunk, _ bool) ([]byte, error) { return chunks[c.ID][1:], nil }, ErrWrongChunk},
		"full disk":   {recipe, failing{stop}, chunks.get, stop},
		"lie": {Recipe{blob: cas.Blob{Digest: cas.SumBytes(nil), Size: int64(len(data))}, parts: recipe.parts},
			io.Discard, chunks.get, cas.ErrDigestMismatch},
	} {
		if err := test.recipe.Assemble(test.w, test.fetch); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing takes no byte.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestChunksStopsWhenAsked breaks the loop at each place; a loop that went on would panic.
func TestChunksStopsWhenAsked(t *testing.T) {
	recipe, _ := twoVersions(t)
	for stop := range recipe.Len() {
		at := 0
		for range recipe.Chunks() {
			if at == stop {
				break
			}
			at++
		}
		if at != stop {
			t.Fatalf("ended at %d, not at %d", at, stop)
		}
	}
}

func FuzzDecodeRecipe(f *testing.F) {
	before, after := twoVersions(f)
	plain, _ := splitBytes(f, generated(1, 300_000))
	for _, recipe := range []Recipe{before, after, plain} {
		f.Add(encoded(recipe))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		recipe, err := DecodeRecipe(b)
		if err != nil {
			if !errors.Is(err, ErrBadRecipe) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		if !bytes.Equal(encoded(recipe), b) {
			t.Error("the recipe has two encodings")
		}
		sound(t, recipe)
	})
}

// sound walks a decoded recipe: its ranges cover the file once, and its encoding has the promised bound.
func sound(t *testing.T, recipe Recipe) {
	t.Helper()
	var covered []Range
	for c, ranges := range recipe.Chunks() {
		length := int64(0)
		for _, place := range ranges {
			length += place.Length
		}
		if length != int64(c.Length) {
			t.Fatalf("a chunk of %d bytes fills %d", c.Length, length)
		}
		covered = append(covered, ranges...)
	}
	slices.SortFunc(covered, func(a, b Range) int { return int(a.Offset - b.Offset) })
	end := int64(0)
	for _, place := range covered {
		if place.Offset != end || place.Length <= 0 {
			t.Fatalf("%v follows after %d", place, end)
		}
		end = place.End()
	}
	if end != recipe.Blob().Size || int64(len(encoded(recipe))) > MaxEncodedSize(end) {
		t.Fatalf("%d bytes of %d are covered", end, recipe.Blob().Size)
	}
}
