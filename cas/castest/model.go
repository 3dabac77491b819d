package castest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
)

// testModel runs random sequences of calls against the store and against a map, and compares what they answer.
func testModel(t *testing.T, open func(t *testing.T) cas.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{t: t, store: open(t), held: make(map[cas.Digest][]byte)}
		defer m.abortAll()
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"put":    m.put,
			"begin":  m.begin,
			"write":  m.write,
			"commit": m.commit,
			"abort":  m.abort,
			"stat":   m.stat,
			"read":   m.read,
		})
	})
}

// model is what a store must hold, and the writers that are open on it.
type model struct {
	t     *testing.T
	store cas.Store
	held  map[cas.Digest][]byte
	open  []*openWriter
}

type openWriter struct {
	w   cas.Writer
	got []byte
}

// contents are few and small, so that sequences meet the same blob again.
var contents = rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 0, 3)

func (m *model) put(t *rapid.T) {
	content := contents.Draw(t, "content")
	if blob, err := Put(m.t.Context(), m.store, content); err != nil {
		t.Fatalf("put %v: %v", blob, err)
	}
	m.held[cas.SumBytes(content)] = content
}

func (m *model) begin(t *rapid.T) {
	if len(m.open) == 4 {
		t.Skip("enough writers")
	}
	w, err := m.store.Create(m.t.Context(), rapid.Int64Range(-1, 5).Draw(t, "hint"))
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	m.open = append(m.open, &openWriter{w: w})
}

func (m *model) pick(t *rapid.T) int {
	if len(m.open) == 0 {
		t.Skip("no writer is open")
	}
	return rapid.IntRange(0, len(m.open)-1).Draw(t, "writer")
}

func (m *model) write(t *rapid.T) {
	o := m.open[m.pick(t)]
	content := contents.Draw(t, "content")
	if n, err := o.w.Write(content); n != len(content) || err != nil {
		t.Fatalf("write %d bytes: %d, %v", len(content), n, err)
	}
	o.got = append(o.got, content...)
}

func (m *model) commit(t *rapid.T) {
	i := m.pick(t)
	o := m.open[i]
	expected := BlobOf(o.got)
	var want error
	switch rapid.SampledFrom([]string{"right", "right", "size", "digest"}).Draw(t, "announced") {
	case "size":
		expected.Size++
		want = cas.ErrSizeMismatch
	case "digest":
		expected.Digest = cas.SumBytes([]byte("something else"))
		want = cas.ErrDigestMismatch
	default:
		m.held[expected.Digest] = o.got
	}
	if err := o.w.Commit(m.t.Context(), expected); !errors.Is(err, want) {
		t.Fatalf("commit %v: %v, want %v", expected, err, want)
	}
	m.forget(i)
}

func (m *model) abort(t *rapid.T) {
	i := m.pick(t)
	m.open[i].w.Abort()
	m.forget(i)
}

func (m *model) forget(i int) { m.open = append(m.open[:i], m.open[i+1:]...) }

func (m *model) abortAll() {
	for _, o := range m.open {
		o.w.Abort()
	}
}

func (m *model) stat(t *rapid.T) {
	var ask, want, got []cas.Blob
	for _, content := range rapid.SliceOfN(contents, 0, 8).Draw(t, "asked") {
		blob := BlobOf(content)
		blob.Size += int64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "too long by"))
		ask = append(ask, blob)
		if held, ok := m.held[blob.Digest]; ok && int64(len(held)) == blob.Size {
			want = append(want, blob)
		}
	}
	err := m.store.Stat(m.t.Context(), ask, func(b cas.Blob) error { got = append(got, b); return nil })
	if diff := cmp.Diff(want, got, blobs); diff != "" || err != nil {
		t.Fatalf("stat: %v (-want +got):\n%s", err, diff)
	}
}

func (m *model) read(t *rapid.T) {
	content := contents.Draw(t, "content")
	r, err := m.store.Open(m.t.Context(), cas.SumBytes(content))
	if _, ok := m.held[cas.SumBytes(content)]; !ok {
		if !errors.Is(err, cas.ErrNotFound) {
			t.Fatalf("open of an absent blob: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	from := rapid.IntRange(0, len(content)).Draw(t, "from")
	got, err := io.ReadAll(io.NewSectionReader(r, int64(from), int64(len(content))))
	if !bytes.Equal(got, content[from:]) || err != nil {
		t.Fatalf("from %d of %q: %q, %v", from, content, got, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// check compares the whole list, from a random place on.
func (m *model) check(t *rapid.T) {
	after := rapid.SampledFrom([]cas.Digest{{}, cas.SumBytes([]byte("a")), cas.SumBytes([]byte("elsewhere"))}).Draw(t, "after")
	var want, got []cas.Blob
	for digest, content := range m.held {
		if digest.Compare(after) > 0 {
			want = append(want, cas.Blob{Digest: digest, Size: int64(len(content))})
		}
	}
	err := m.store.List(m.t.Context(), after, func(b cas.Blob) error { got = append(got, b); return nil })
	if diff := cmp.Diff(sorted(want), got, blobs); diff != "" || err != nil {
		t.Fatalf("list: %v (-want +got):\n%s", err, diff)
	}
}
