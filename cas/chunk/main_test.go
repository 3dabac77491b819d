package chunk

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store keeps the chunks of a Split by id.
type store map[ID][]byte

func (s store) put(p Piece) error {
	s[p.ID] = bytes.Clone(p.Data)
	return nil
}

func (s store) get(c Chunk, _ bool) ([]byte, error) { return s[c.ID], nil }

// splitBytes cuts data as Split does.
func splitBytes(t testing.TB, data []byte) (Recipe, store) {
	t.Helper()
	chunks := store{}
	r, err := Split(t.Context(), bytes.NewReader(data), int64(len(data)), chunks.put)
	if err != nil {
		t.Fatal(err)
	}
	return r, chunks
}

// inSpans cuts data along spans of the test's choice.
func inSpans(t testing.TB, data []byte, spans ...Range) (Recipe, store) {
	t.Helper()
	chunks := store{}
	r, err := split(t.Context(), bytes.NewReader(data), int64(len(data)), spans, chunks.put)
	if err != nil {
		t.Fatal(err)
	}
	return r, chunks
}

func encoded(r Recipe) []byte {
	b, _ := r.MarshalBinary() // the error is always nil
	return b
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// makes fails unless recipe and chunks make exactly data, in both ways of putting it together, and the recipe survives
// its encoding.
func makes(t failer, r Recipe, chunks store, data []byte) {
	t.Helper()
	var assembled bytes.Buffer
	if err := r.Assemble(&assembled, chunks.get); err != nil {
		t.Fatalf("%v", err)
	}
	if !bytes.Equal(assembled.Bytes(), data) {
		t.Fatalf("assembled %d bytes that are not the %d of the file", assembled.Len(), len(data))
	}
	scattered, filled, count := make([]byte, len(data)), 0, 0
	for c, ranges := range r.Chunks() {
		content := chunks[c.ID]
		count++
		for _, place := range ranges {
			n := copy(scattered[place.Offset:place.End()], content)
			content, filled = content[n:], filled+n
		}
		if len(content) > 0 {
			t.Fatalf("%d bytes of chunk %s have no place", len(content), c.ID)
		}
	}
	if filled != len(data) || !bytes.Equal(scattered, data) || count != r.Len() {
		t.Fatalf("%d chunks of %d scatter over %d bytes of %d", count, r.Len(), filled, len(data))
	}
	encoding := encoded(r)
	if limit := MaxEncodedSize(int64(len(data))); int64(len(encoding)) > limit {
		t.Fatalf("%d bytes of recipe, more than the limit of %d", len(encoding), limit)
	}
	decoded, err := DecodeRecipe(encoding)
	if err != nil {
		t.Fatalf("a good recipe is refused: %v", err)
	}
	if decoded.ID() != r.ID() {
		t.Fatalf("the recipe comes back changed")
	}
}
