package castest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hayloft/cas"
)

// Run drives the whole suite. open returns a new, empty store each time, and cleans up with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) cas.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, cas.Store)
	}{
		{"Empty", testEmpty},
		{"PutGet", testPutGet},
		{"Piecewise", testPiecewise},
		{"Hints", testHints},
		{"StatBatch", testStatBatch},
		{"StatEnds", testStatEnds},
		{"Ranges", testRanges},
		{"List", testList},
		{"ListEnds", testListEnds},
		{"Duplicate", testDuplicate},
		{"WrongDigest", testWrongDigest},
		{"WrongSize", testWrongSize},
		{"ShortBody", testShortBody},
		{"BodyFails", testBodyFails},
		{"Abort", testAbort},
		{"AbortAfterCommit", testAbortAfterCommit},
		{"CommitTwice", testCommitTwice},
		{"UseAfterAbort", testUseAfterAbort},
		{"FailedCommitUsesUp", testFailedCommitUsesUp},
		{"InvisibleBeforeCommit", testInvisibleBeforeCommit},
		{"ContextEnded", testContextEnded},
		{"NotFound", testNotFound},
		{"SameBlobAtOnce", testSameBlobAtOnce},
		{"DifferentBlobsAtOnce", testDifferentBlobsAtOnce},
		{"ReadersBesideWriters", testReadersBesideWriters},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
}

// BlobOf names the given bytes.
func BlobOf(content []byte) cas.Blob {
	return cas.Blob{Digest: cas.SumBytes(content), Size: int64(len(content))}
}

// Content gives size bytes that do not compress and are the same for the same seed.
func Content(seed uint64, size int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	content := make([]byte, size)
	if _, err := rand.NewChaCha8(key).Read(content); err != nil {
		panic(err) // its documentation says that it never fails
	}
	return content
}

// Put stores the bytes through the front door and returns their name.
func Put(ctx context.Context, store cas.Creator, content []byte) (cas.Blob, error) {
	blob := BlobOf(content)
	w, err := store.Create(ctx, blob.Size)
	if err != nil {
		return blob, err
	}
	defer w.Abort()
	if _, err := w.Write(content); err != nil {
		return blob, err
	}
	return blob, w.Commit(ctx, blob)
}

func mustPut(t *testing.T, store cas.Creator, content []byte) cas.Blob {
	t.Helper()
	blob, err := Put(t.Context(), store, content)
	if err != nil {
		t.Fatalf("put %v: %v", blob, err)
	}
	return blob
}

// written returns a writer that has taken the content.
func written(t *testing.T, store cas.Creator, content []byte) cas.Writer {
	t.Helper()
	w, err := store.Create(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Abort)
	if n, err := w.Write(content); n != len(content) || err != nil {
		t.Fatalf("write %d bytes: %d, %v", len(content), n, err)
	}
	return w
}

func get(ctx context.Context, store cas.Opener, digest cas.Digest) (cas.Blob, []byte, error) {
	r, err := store.Open(ctx, digest)
	if err != nil {
		return cas.Blob{}, nil, err
	}
	content, readErr := io.ReadAll(r)
	blob := r.Blob()
	return blob, content, errors.Join(readErr, r.Close())
}

// wantHeld checks that the store gives the content by every way there is.
func wantHeld(t *testing.T, store cas.Store, content []byte) {
	t.Helper()
	blob := BlobOf(content)
	gotBlob, got, err := get(t.Context(), store, blob.Digest)
	if err != nil {
		t.Errorf("get %v: %v", blob, err)
		return
	}
	if gotBlob != blob || !bytes.Equal(got, content) {
		t.Errorf("get %v: got %v with %d bytes, digest %v", blob, gotBlob, len(got), cas.SumBytes(got))
	}
	if diff := cmp.Diff([]cas.Blob{blob}, stat(t, store, blob), blobs); diff != "" {
		t.Errorf("stat of a stored blob (-want +got):\n%s", diff)
	}
}

// wantAbsent checks that the store does not give the blob by any way there is.
func wantAbsent(t *testing.T, store cas.Store, blob cas.Blob) {
	t.Helper()
	if _, _, err := get(t.Context(), store, blob.Digest); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("open of an absent blob: %v, want ErrNotFound", err)
	}
	if diff := cmp.Diff([]cas.Blob(nil), stat(t, store, blob), blobs); diff != "" {
		t.Errorf("stat of an absent blob (-want +got):\n%s", diff)
	}
	if slices.Contains(list(t, store, cas.Digest{}), blob) {
		t.Errorf("the list has %v, which is absent", blob)
	}
}

// blobs compares blobs by value and takes a nil slice for an empty one.
var blobs = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b cas.Blob) bool { return a == b })}

func stat(t *testing.T, store cas.Stater, ask ...cas.Blob) (have []cas.Blob) {
	t.Helper()
	err := store.Stat(t.Context(), ask, func(b cas.Blob) error { have = append(have, b); return nil })
	if err != nil {
		t.Errorf("stat: %v", err)
	}
	return have
}

func list(t *testing.T, store cas.Lister, after cas.Digest) (all []cas.Blob) {
	t.Helper()
	err := store.List(t.Context(), after, func(b cas.Blob) error { all = append(all, b); return nil })
	if err != nil {
		t.Errorf("list: %v", err)
	}
	return all
}

func sorted(blobs []cas.Blob) []cas.Blob {
	return slices.SortedFunc(slices.Values(blobs), func(a, b cas.Blob) int { return a.Digest.Compare(b.Digest) })
}

func testEmpty(t *testing.T, store cas.Store) {
	if got := list(t, store, cas.Digest{}); len(got) != 0 {
		t.Errorf("a new store lists %v", got)
	}
	if got := stat(t, store); len(got) != 0 {
		t.Errorf("stat of nothing gives %v", got)
	}
	wantAbsent(t, store, BlobOf(nil))
}

// sizes lie around what back ends use as buffers and thresholds.
var sizes = []int{0, 1, 2, 511, 4096, 32<<10 + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1 << 20, 3<<20 + 17}

func testPutGet(t *testing.T, store cas.Store) {
	for i, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := Content(uint64(i), size)
			mustPut(t, store, content)
			wantHeld(t, store, content)
		})
	}
}

// testPiecewise feeds bodies through io.Copy, which takes another way when the writer is an io.ReaderFrom.
func testPiecewise(t *testing.T, store cas.Store) {
	shapes := map[string]func(io.Reader) io.Reader{
		"whole":     func(r io.Reader) io.Reader { return r },
		"halves":    iotest.HalfReader,
		"last+EOF":  iotest.DataErrReader,
		"odd bites": func(r io.Reader) io.Reader { return &biter{src: r} },
	}
	seed := uint64(100)
	for name, shape := range shapes {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				seed++
				content := Content(seed, size)
				w, err := store.Create(t.Context(), -1)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Abort()
				body := struct{ io.Reader }{shape(bytes.NewReader(content))} // hides WriteTo from io.Copy
				if n, err := io.Copy(w, body); n != int64(size) || err != nil {
					t.Fatalf("io.Copy = %d, %v; want %d", n, err, size)
				}
				if err := w.Commit(t.Context(), BlobOf(content)); err != nil {
					t.Fatal(err)
				}
				wantHeld(t, store, content)
			})
		}
	}
}

// biter gives what it has in pieces of 1 to 5,000 bytes, and now and then nothing.
type biter struct {
	src io.Reader
	n   int
}

func (b *biter) Read(p []byte) (int, error) {
	b.n = (b.n*31 + 7) % 5001
	return b.src.Read(p[:min(len(p), b.n)])
}

func testHints(t *testing.T, store cas.Store) {
	const size = 2 << 20
	for i, hint := range []int64{-1, 0, 1, size - 1, size, size + 1, 3 << 20} {
		t.Run(fmt.Sprint(hint), func(t *testing.T) {
			content := Content(uint64(i), size)
			w, err := store.Create(t.Context(), hint)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
			if err := w.Commit(t.Context(), BlobOf(content)); err != nil {
				t.Fatal(err)
			}
			wantHeld(t, store, content)
		})
	}
}

func testStatBatch(t *testing.T, store cas.Store) {
	a, b, c := mustPut(t, store, []byte("a")), mustPut(t, store, []byte("b")), mustPut(t, store, nil)
	absent := BlobOf([]byte("absent"))
	longer := cas.Blob{Digest: a.Digest, Size: a.Size + 1}
	shorter := cas.Blob{Digest: a.Digest, Size: 0}
	negative := cas.Blob{Digest: c.Digest, Size: -1}
	got := stat(t, store, c, absent, a, longer, b, shorter, a, cas.Blob{}, negative)
	if diff := cmp.Diff([]cas.Blob{c, a, b, a}, got, blobs); diff != "" {
		t.Errorf("stat in the order asked (-want +got):\n%s", diff)
	}
}

var errEnough = errors.New("enough")

func testStatEnds(t *testing.T, store cas.Store) {
	a, b := mustPut(t, store, []byte("a")), mustPut(t, store, []byte("b"))
	calls := 0
	err := store.Stat(t.Context(), []cas.Blob{a, b}, func(cas.Blob) error { calls++; return errEnough })
	if !errors.Is(err, errEnough) || calls != 1 {
		t.Errorf("stat went on after an error: %d calls, %v", calls, err)
	}
}

func testRanges(t *testing.T, store cas.Store) {
	content := Content(1, 300_001)
	blob := mustPut(t, store, content)
	r, err := store.Open(t.Context(), blob.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	// TestReader covers Read, Seek from all three origins, and ReadAt with its errors at the end.
	if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}
	part := make([]byte, 1000)
	if _, err := r.ReadAt(part, 123_456); err != nil || !bytes.Equal(part, content[123_456:124_456]) {
		t.Errorf("ReadAt in the middle: wrong bytes or %v", err)
	}
	if r.Blob() != blob {
		t.Errorf("Blob() = %v, want %v", r.Blob(), blob)
	}
}

func testList(t *testing.T, store cas.Store) {
	var all []cas.Blob
	for i := range 300 {
		all = append(all, mustPut(t, store, Content(uint64(i), i%7)))
	}
	all = slices.Compact(sorted(all))
	if diff := cmp.Diff(all, list(t, store, cas.Digest{}), blobs); diff != "" {
		t.Fatalf("whole list (-want +got):\n%s", diff)
	}
	var paged []cas.Blob
	for after := (cas.Digest{}); ; {
		var page []cas.Blob
		err := store.List(t.Context(), after, func(b cas.Blob) error {
			page = append(page, b)
			if len(page) == 7 {
				return errEnough
			}
			return nil
		})
		paged = append(paged, page...)
		if err == nil {
			break
		}
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		after = page[len(page)-1].Digest
	}
	if diff := cmp.Diff(all, paged, blobs); diff != "" {
		t.Errorf("list in pages of 7 (-want +got):\n%s", diff)
	}
	// A page may start at a digest that is not stored.
	between := BlobOf([]byte("never stored")).Digest
	var rest []cas.Blob
	for _, b := range all {
		if b.Digest.Compare(between) > 0 {
			rest = append(rest, b)
		}
	}
	if diff := cmp.Diff(rest, list(t, store, between), blobs); diff != "" {
		t.Errorf("list after an absent digest (-want +got):\n%s", diff)
	}
}

func testListEnds(t *testing.T, store cas.Store) {
	mustPut(t, store, []byte("a"))
	mustPut(t, store, []byte("b"))
	calls := 0
	err := store.List(t.Context(), cas.Digest{}, func(cas.Blob) error { calls++; return errEnough })
	if !errors.Is(err, errEnough) || calls != 1 {
		t.Errorf("list went on after an error: %d calls, %v", calls, err)
	}
}

func testDuplicate(t *testing.T, store cas.Store) {
	content := []byte("twice")
	blob := mustPut(t, store, content)
	mustPut(t, store, content)
	wantHeld(t, store, content)
	if diff := cmp.Diff([]cas.Blob{blob}, list(t, store, cas.Digest{}), blobs); diff != "" {
		t.Errorf("list after storing a blob twice (-want +got):\n%s", diff)
	}
}

func testNotFound(t *testing.T, store cas.Store) {
	mustPut(t, store, []byte("something else"))
	wantAbsent(t, store, BlobOf([]byte("absent")))
	wantAbsent(t, store, cas.Blob{})
}
