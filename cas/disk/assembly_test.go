package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"testing"

	"hayloft/cas"
	"hayloft/cas/castest"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

func mustCut(t *testing.T, content []byte) (chunk.Recipe, []pack.Frame) {
	t.Helper()
	recipe, frames, err := cutUp(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	return recipe, frames
}

func mustAssemble(t *testing.T, store *Store, recipe chunk.Recipe) *Assembly {
	t.Helper()
	a, err := store.Assemble(t.Context(), recipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func count(lacking []bool) (n int) {
	for _, lacks := range lacking {
		if lacks {
			n++
		}
	}
	return n
}

func wantNothingAssembling(t *testing.T, store *Store) {
	t.Helper()
	entries, err := os.ReadDir(store.layout.join(assembleName))
	if err != nil || len(entries) > 0 {
		t.Errorf("%v is left in %s; %v", entries, assembleName, err)
	}
}

// TestAssembleFromManyHands: two actors put all chunks, each in its own order, and each commits.
func TestAssembleFromManyHands(t *testing.T) {
	store := openNew(t)
	content := castest.Content(1, 3<<20)
	content = append(content, content[:2<<20]...) // with chunks that occur twice
	recipe, frames := mustCut(t, content)
	a := mustAssemble(t, store, recipe)
	if _, err := store.Assemble(t.Context(), recipe); !errors.Is(err, ErrAssembling) {
		t.Errorf("a second assembly of the blob: %v, want ErrAssembling", err)
	}
	if err := a.Commit(t.Context()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("commit of nothing: %v, want ErrIncomplete", err)
	}
	backwards := slices.Clone(frames)
	slices.Reverse(backwards)
	var actors sync.WaitGroup
	for _, order := range [][]pack.Frame{frames, backwards} {
		actors.Go(func() {
			for _, frame := range order {
				if err := a.Put(t.Context(), frame); err != nil {
					t.Error(err)
				}
			}
		})
	}
	actors.Wait()
	var mu sync.Mutex
	committed := 0
	for range 2 {
		actors.Go(func() {
			err := a.Commit(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				committed++
			} else if !errors.Is(err, ErrAssembling) && !errors.Is(err, cas.ErrClosed) {
				t.Error(err)
			}
		})
	}
	actors.Wait()
	if committed != 1 {
		t.Errorf("%d of two commits succeeded", committed)
	}
	wantHeldBytes(t, &store.View, [][]byte{content})
	wantRecipe(t, store, content)
	wantSound(t, store)
	wantNothingAssembling(t, store)
	if err := a.Put(t.Context(), frames[0]); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("put after the end: %v, want ErrClosed", err)
	}
}

func TestAssembleFromSeeds(t *testing.T) {
	store := openNew(t)
	old := castest.Content(1, 8<<20)
	if _, err := store.Ingest(t.Context(), bytes.NewReader(old), int64(len(old))); err != nil {
		t.Fatal(err)
	}
	content := slices.Concat(old[:3<<20], []byte("a few bytes more"), old[3<<20:])
	recipe, frames := mustCut(t, content)
	a := mustAssemble(t, store, recipe)
	lacking := a.Lacking()
	if n := count(lacking); n == 0 || n > 6 {
		t.Errorf("%d of %d chunks are lacking", n, len(lacking))
	}
	for i, frame := range frames {
		if lacking[i] {
			if err := a.Put(t.Context(), frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHeldBytes(t, &store.View, [][]byte{content, old})
	wantSound(t, store)
}

// TestAssemblyIsTakenUpAgain after Close, after the store was opened anew, and with another recipe.
func TestAssemblyIsTakenUpAgain(t *testing.T) {
	root := t.TempDir()
	store := openUnsynced(t, root)
	content := castest.Content(1, 4<<20)
	recipe, frames := mustCut(t, content)
	a, err := store.Assemble(t.Context(), recipe)
	if err != nil {
		t.Fatal(err)
	}
	half := len(frames) / 2
	for _, frame := range frames[:half] {
		if err := a.Put(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	die(store)
	orphan := layout(root).part(cas.SumBytes(nil))
	if err := os.WriteFile(orphan, content, 0o600); err != nil {
		t.Fatal(err)
	}

	again := reopen(t, root)
	if _, err := os.Stat(orphan); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part without a recipe is still there; %v", err)
	}
	if left, err := again.Assemblies(t.Context()); err != nil || len(left) != 1 || left[0] != recipe.Blob() {
		t.Errorf("left are %v, %v", left, err)
	}
	b := mustAssemble(t, again, recipe)
	if got, want := count(b.Lacking()), len(frames)-half; got != want {
		t.Errorf("%d chunks are lacking, want %d", got, want)
	}
	for _, frame := range frames[half:] {
		if err := b.Put(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.DropAssembly(recipe.Blob().Digest); !errors.Is(err, ErrAssembling) {
		t.Errorf("drop of an open assembly: %v, want ErrAssembling", err)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHeldBytes(t, &again.View, [][]byte{content})
	wantNothingAssembling(t, again)
}

func TestAssemblyRefusesForeignChunks(t *testing.T) {
	store := openNew(t)
	recipe, frames := mustCut(t, castest.Content(1, 2<<20))
	_, foreign := mustCut(t, castest.Content(2, 100_000))
	a := mustAssemble(t, store, recipe)
	if err := a.Put(t.Context(), foreign[0]); !errors.Is(err, ErrUnknownChunk) {
		t.Errorf("a foreign chunk: %v, want ErrUnknownChunk", err)
	}
	wrong := frames[0]
	wrong.Kind = pack.BlobKind
	if err := a.Put(t.Context(), wrong); !errors.Is(err, pack.ErrBadFrame) {
		t.Errorf("a frame of blobs: %v, want ErrBadFrame", err)
	}
	a.Abort()
	a.Abort()
	wantNothingAssembling(t, store)
}

// TestLyingRecipe has the right chunks and the wrong digest.
func TestLyingRecipe(t *testing.T) {
	store := openNew(t)
	content := castest.Content(1, 2<<20)
	recipe, frames := mustCut(t, content)
	encoded, err := recipe.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	digest := recipe.Blob().Digest.Bytes()
	at := bytes.Index(encoded, digest[:])
	encoded[at] ^= 1
	lie, err := chunk.DecodeRecipe(encoded)
	if err != nil {
		t.Fatal(err)
	}
	a := mustAssemble(t, store, lie)
	for _, frame := range frames {
		if err := a.Put(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Commit(t.Context()); !errors.Is(err, cas.ErrDigestMismatch) {
		t.Errorf("commit: %v, want ErrDigestMismatch", err)
	}
	if isHeld(t, store, lie.Blob()) {
		t.Error("the blob is visible")
	}
	wantNothingAssembling(t, store)
}

// TestDamagedSeed: what rots in the store is found out, and asked for.
func TestDamagedSeed(t *testing.T) {
	for what, harm := range map[string]func(*testing.T, string, []byte){
		"changed": func(t *testing.T, path string, old []byte) {
			rotten := bytes.Clone(old)
			rotten[1<<20] ^= 1
			overwrite(t, path, string(rotten))
		},
		"gone": func(t *testing.T, path string, _ []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			store := openNew(t)
			old := castest.Content(1, 4<<20)
			done, err := store.Ingest(t.Context(), bytes.NewReader(old), int64(len(old)))
			if err != nil {
				t.Fatal(err)
			}
			content := append([]byte("before"), old...)
			recipe, frames := mustCut(t, content)
			a := mustAssemble(t, store, recipe)
			give := func() {
				lacking := a.Lacking()
				for i, frame := range frames {
					if lacking[i] {
						if err := a.Put(t.Context(), frame); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			give()
			harm(t, store.Path(done.Blob.Digest), old)
			if err := a.Commit(t.Context()); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("commit with a damaged seed: %v, want ErrIncomplete", err)
			}
			if count(a.Lacking()) == 0 {
				t.Fatal("nothing is lacking")
			}
			give()
			if err := a.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := mustRead(t, store, recipe.Blob().Digest); !bytes.Equal(got, content) {
				t.Error("other bytes came back")
			}
		})
	}
}

// TestPlan: neighbours are copied as one, and what can be shared is what is aligned.
func TestPlan(t *testing.T) {
	blob := castest.BlobOf([]byte("source"))
	all := appendCopyings(nil, []chunk.Range{{Offset: 10, Length: 5}, {Offset: 100, Length: 10}},
		Seed{Blob: blob, Ranges: []chunk.Range{{Offset: 0, Length: 7}, {Offset: 50, Length: 8}}})
	want := []copying{
		{chunk.Range{Offset: 10, Length: 5}, blob, 0},
		{chunk.Range{Offset: 100, Length: 2}, blob, 5},
		{chunk.Range{Offset: 102, Length: 8}, blob, 50},
	}
	if !slices.Equal(all, want) {
		t.Errorf("copies are %v, want %v", all, want)
	}
	whole := copying{chunk.Range{Offset: shareUnit + 1, Length: 3 << 20}, blob, 1}
	inner, ok := aligned(whole)
	if !ok || inner.Offset != 2*shareUnit || inner.from != shareUnit || inner.Length%shareUnit != 0 || inner.End() > whole.End() {
		t.Errorf("%v of %v is shared, %t", inner, whole, ok)
	}
	rest := append(appendAround(nil, whole, inner), inner)
	var sum int64
	for _, c := range rest {
		sum += c.Length
		if c.Offset-c.from != whole.Offset-whole.from {
			t.Errorf("%v is shifted", c)
		}
	}
	if sum != whole.Length {
		t.Errorf("the pieces have %d bytes of %d", sum, whole.Length)
	}
	if _, ok := aligned(copying{chunk.Range{Offset: 1, Length: 3 << 20}, blob, 0}); ok {
		t.Error("a shifted range is to be shared")
	}
}
