package index

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// model is what an index should know, kept in maps.
type model struct {
	position pack.Place
	blobs    map[cas.Digest]Location
	recipes  map[cas.Digest][]Addition // in the order they came
	chunks   map[chunk.ID]ChunkAt
	damaged  map[cas.Digest]bool
}

func newModel() *model {
	return &model{
		blobs: map[cas.Digest]Location{}, recipes: map[cas.Digest][]Addition{},
		chunks: map[chunk.ID]ChunkAt{}, damaged: map[cas.Digest]bool{},
	}
}

func (m *model) addRecipe(a Addition) {
	m.position = a.Place
	blob := a.Recipe.Blob()
	known := m.recipes[blob.Digest]
	at := slices.IndexFunc(known, func(b Addition) bool { return b.Recipe.ID() == a.Recipe.ID() })
	if at < 0 {
		m.recipes[blob.Digest] = append(known, a)
		at = len(known)
	} else {
		known[at].Place = a.Place
	}
	m.damaged[blob.Digest] = false
	if at > 0 {
		return
	}
	ordinal := 0
	seen := map[chunk.ID]bool{}
	for c := range a.Recipe.Chunks() {
		old, ok := m.chunks[c.ID]
		if !seen[c.ID] && (!ok || m.damaged[old.Blob.Digest]) {
			m.chunks[c.ID] = ChunkAt{Blob: blob, Ordinal: ordinal}
		}
		seen[c.ID] = true
		ordinal++
	}
}

const (
	modelBlobs  = 30
	modelChunks = 20
)

// same compares an index with the model in everything that can be asked.
func (m *model) same(t *rapid.T, ctx context.Context, x *Index) {
	position, err := x.Position(ctx)
	if err != nil || position != m.position {
		t.Fatalf("position %v instead of %v: %v", position, m.position, err)
	}
	var digests []cas.Digest
	var totals Totals
	for n := range modelBlobs {
		digests = append(digests, digestFor(n))
	}
	locations, err := x.Blobs(ctx, digests)
	if err != nil {
		t.Fatal(err)
	}
	for i, digest := range digests {
		if locations[i] != m.blobs[digest] {
			t.Fatalf("blob %d: %v instead of %v", i, locations[i], m.blobs[digest])
		}
		totals.Recipes += int64(len(m.recipes[digest]))
	}
	m.sameRecipes(t, ctx, x, rapid.SampledFrom(digests).Draw(t, "whose recipes"))
	var ids []chunk.ID
	var want []ChunkAt
	for n := range modelChunks {
		at := m.chunks[idFor(n)]
		if m.damaged[at.Blob.Digest] {
			at = ChunkAt{}
		}
		ids, want = append(ids, idFor(n)), append(want, at)
	}
	found, err := x.FindChunks(ctx, ids)
	if err != nil || !slices.Equal(found, want) {
		t.Fatalf("chunks %v instead of %v: %v", found, want, err)
	}
	for _, location := range m.blobs {
		totals.Blobs++
		totals.BlobBytes += location.Size
	}
	totals.Chunks = int64(len(m.chunks))
	got, err := x.Totals(ctx)
	if err != nil || got != totals {
		t.Fatalf("totals %+v instead of %+v: %v", got, totals, err)
	}
	m.sameList(t, ctx, x)
}

func (m *model) sameRecipes(t *rapid.T, ctx context.Context, x *Index, digest cas.Digest) {
	place, ok, err := x.Recipe(ctx, digest)
	known := m.recipes[digest]
	if err != nil || ok != (len(known) > 0) || ok && place != known[0].Place {
		t.Fatalf("recipe of %v at %v, %v: %v", digest, place, ok, err)
	}
	for _, a := range known {
		place, ok, err := x.RecipeByID(ctx, a.Recipe.ID())
		if err != nil || !ok || place != a.Place {
			t.Fatalf("recipe %v at %v, %v: %v", a.Recipe.ID(), place, ok, err)
		}
	}
}

func (m *model) sameList(t *rapid.T, ctx context.Context, x *Index) {
	after := cas.Digest{}
	if rapid.Bool().Draw(t, "from the middle") {
		after = digestFor(rapid.IntRange(0, modelBlobs).Draw(t, "after"))
	}
	want := 0
	for digest := range m.blobs {
		if digest.Compare(after) > 0 {
			want++
		}
	}
	last, seen := after, 0
	if err := x.EachBlob(ctx, after, func(blob cas.Blob, l Location) error {
		if blob.Digest.Compare(last) <= 0 || l != m.blobs[blob.Digest] || l.Size != blob.Size {
			t.Fatalf("%v at %v behind %v", blob, l, last)
		}
		last = blob.Digest
		seen++
		return nil
	}); err != nil || seen != want {
		t.Fatalf("%d of %d blobs listed: %v", seen, want, err)
	}
}

func TestAnIndexKnowsWhatWasAdded(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, rapid.StringMatching(`[a-z]{12}`).Draw(rt, "name")+".db")
		for _, end := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + end) // of an earlier draw of the same name
		}
		x, err := Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = x.Close() }()
		m, frames := newModel(), 0
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				var additions []Addition
				for range rapid.IntRange(0, 3).Draw(rt, "frames") {
					additions = append(additions, drawAddition(rt, t, m, frames))
					frames++
				}
				if err := x.Add(t.Context(), additions); err != nil {
					rt.Fatal(err)
				}
			},
			"forget": func(rt *rapid.T) {
				digest := digestFor(rapid.IntRange(0, modelBlobs-1).Draw(rt, "blob"))
				if len(m.recipes[digest]) > 0 {
					m.damaged[digest] = true
				}
				if err := x.ForgetChunks(t.Context(), digest); err != nil {
					rt.Fatal(err)
				}
			},
			"open again": func(rt *rapid.T) {
				if err := x.Close(); err != nil {
					rt.Fatal(err)
				}
				if x, err = Open(path); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) { m.same(rt, t.Context(), x) },
		})
	})
}

// drawAddition makes a frame with that number and tells the model of it.
func drawAddition(rt *rapid.T, t *testing.T, m *model, frame int) Addition {
	if rapid.Bool().Draw(rt, "recipe") {
		blob := rapid.IntRange(0, modelBlobs-1).Draw(rt, "blob")
		chunks := rapid.SliceOfN(rapid.IntRange(0, modelChunks-1), 1, 6).Draw(rt, "chunks")
		a := recipeAddition(frame, recipeFor(t, blob, chunks...))
		m.addRecipe(a)
		return a
	}
	a := Addition{Place: placeAt(frame), Kind: pack.BlobKind}
	for i, n := range rapid.SliceOfN(rapid.IntRange(0, modelBlobs-1), 1, 5).Draw(rt, "blobs") {
		size := 7 * n // a blob has one size wherever it lies
		a.Items = append(a.Items, itemFor(n, size))
		m.blobs[digestFor(n)] = Location{Place: a.Place, Item: i, Size: int64(size)}
	}
	m.position = a.Place
	return a
}

func TestManyAtOnce(t *testing.T) {
	x := openTest(t)
	const n = 3*mostKeys + 17
	var digests []cas.Digest
	var all, ids []int
	for frame := range n / 1000 {
		a := Addition{Place: placeAt(frame), Kind: pack.BlobKind}
		for i := range 1000 {
			a.Items = append(a.Items, itemFor(frame*1000+i, i))
		}
		mustAdd(t, x, a)
	}
	for i := range n {
		digests, all = append(digests, digestFor(i)), append(all, i)
	}
	locations, err := x.Blobs(t.Context(), digests)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range locations {
		want := Location{Place: placeAt(i / 1000), Item: i % 1000, Size: int64(i % 1000)}
		if i >= n/1000*1000 {
			want = Location{}
		}
		if l != want {
			t.Fatalf("blob %d: %v instead of %v", i, l, want)
		}
	}
	recipe := recipeFor(t, 1, all...)
	mustAdd(t, x, recipeAddition(99, recipe))
	var asked []chunk.ID
	for i := range n {
		ids = append(ids, (i*7919)%n)
		asked = append(asked, idFor(ids[i]))
	}
	found, err := x.FindChunks(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range found {
		if want := (ChunkAt{Blob: recipe.Blob(), Ordinal: ids[i]}); at != want {
			t.Fatalf("chunk %d: %v instead of %v", ids[i], at, want)
		}
	}
	listed := 0
	if err := x.EachBlob(t.Context(), cas.Digest{}, func(cas.Blob, Location) error {
		listed++
		return nil
	}); err != nil || listed != n/1000*1000 {
		t.Errorf("%d blobs listed: %v", listed, err)
	}
}

func TestFailedAdditionsLeaveNothing(t *testing.T) {
	x := openTest(t)
	recipe := recipeFor(t, 1, 2, 3)
	wrong := recipeAddition(2, recipe)
	wrong.Items = []pack.Item{itemFor(5, 100)}
	for name, bad := range map[string]Addition{
		"another id": wrong,
		"no recipe":  {Place: placeAt(2), Kind: pack.RecipeKind, Items: wrong.Items},
		"no item":    {Place: placeAt(2), Kind: pack.RecipeKind, Recipe: &recipe},
	} {
		good := Addition{Place: placeAt(1), Kind: pack.BlobKind, Items: []pack.Item{itemFor(1, 10)}}
		if err := x.Add(t.Context(), []Addition{good, recipeAddition(1, recipe), bad}); !errors.Is(err, errWrongRecipe) {
			t.Errorf("%s: %v", name, err)
		}
		totals, err := x.Totals(t.Context())
		if err != nil || totals != (Totals{}) {
			t.Errorf("%s: %+v is there: %v", name, totals, err)
		}
		if position, err := x.Position(t.Context()); !position.IsZero() || err != nil {
			t.Errorf("%s: position %v, %v", name, position, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Add(ended, []Addition{recipeAddition(1, recipe)}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestThePositionNeverGoesBack(t *testing.T) {
	x := openTest(t)
	mustAdd(t, x, recipeAddition(8, recipeFor(t, 1, 1)))
	mustAdd(t, x, recipeAddition(3, recipeFor(t, 2, 2)))
	if position, err := x.Position(t.Context()); err != nil || position != placeAt(8) {
		t.Errorf("%v, %v", position, err)
	}
}

// TestACrashLeavesWholeAdditions copies the files as they lie there while the index is open, as a killed process leaves
// them, and opens the copy.
func TestACrashLeavesWholeAdditions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	x := openAt(t, path)
	for frame := range 30 {
		mustAdd(t, x, Addition{Place: placeAt(frame), Kind: pack.BlobKind, Items: []pack.Item{itemFor(frame, 1)}})
		left := filepath.Join(t.TempDir(), "index.db")
		for _, end := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + end)
			if err == nil {
				err = os.WriteFile(left+end, content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Truncate(left+"-wal", fileSize(t, left+"-wal")-int64(frame)*100); err != nil {
			t.Fatal(err)
		}
		crashed := openAt(t, left)
		position, err := crashed.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		listed, last := 0, pack.Place{}
		if err := crashed.EachBlob(t.Context(), cas.Digest{}, func(_ cas.Blob, l Location) error {
			listed++
			if l.Place.Compare(last) > 0 {
				last = l.Place
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		totals, err := crashed.Totals(t.Context())
		if err != nil || last != position || totals.Blobs != int64(listed) || frame == 0 && listed != 1 {
			t.Fatalf("after %d: %d blobs up to %v, position %v, %+v: %v", frame+1, listed, last, position, totals, err)
		}
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestReadingBesideAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	if _, err := OpenReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	x := openAt(t, path)
	outside, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for range 50 {
				if _, err := outside.FindChunks(t.Context(), []chunk.ID{idFor(1), idFor(2)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for frame := range 20 {
		mustAdd(t, x, recipeAddition(frame, recipeFor(t, frame, frame, frame+1)))
	}
	wait.Wait()
	if position, err := outside.Position(t.Context()); err != nil || position != placeAt(19) {
		t.Errorf("%v, %v", position, err)
	}
	if err := outside.Add(t.Context(), []Addition{recipeAddition(30, recipeFor(t, 1, 1))}); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := outside.ForgetChunks(t.Context(), digestFor(1)); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
}

func TestVisitorsEndWithTheirError(t *testing.T) {
	x := openTest(t)
	mustAdd(t, x, Addition{Place: placeAt(0), Kind: pack.BlobKind, Items: []pack.Item{itemFor(1, 1), itemFor(2, 2)}})
	enough, seen := errors.New("enough"), 0
	err := x.EachBlob(t.Context(), cas.Digest{}, func(cas.Blob, Location) error {
		seen++
		return enough
	})
	if err != enough || seen != 1 {
		t.Errorf("%v after %d", err, seen)
	}
}

func TestDamagedFilesAreToldApart(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "index.db")
	x := openAt(t, whole)
	for frame := range 20 {
		a := Addition{Place: placeAt(frame), Kind: pack.BlobKind}
		for i := range 100 {
			a.Items = append(a.Items, itemFor(frame*100+i, 1))
		}
		mustAdd(t, x, a)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(do func(b []byte) []byte) []byte { return do(slices.Clone(content)) }
	for name, damaged := range map[string][]byte{
		"a poem":       []byte("this is somebody's poem, and it is long enough to be read as a header of one hundred bytes, nearly"),
		"half":         content[:len(content)/2],
		"one page":     content[:4096],
		"zeros inside": edit(func(b []byte) []byte { clear(b[4096:]); return b }),
		"a program of others": edit(func(b []byte) []byte {
			b[68] ^= 1 // application id; https://www.sqlite.org/fileformat.html, section 1.3
			return b
		}),
		"another version": edit(func(b []byte) []byte {
			b[63] = 9 // user version
			return b
		}),
	} {
		path := filepath.Join(t.TempDir(), "index.db")
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := useAll(t, func() (*Index, error) { return OpenReadOnly(path) }); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, for reading: %v", name, err)
		}
		if err := useAll(t, func() (*Index, error) { return Open(path) }); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// useAll opens an index and reads all of it.
func useAll(t *testing.T, open func() (*Index, error)) error {
	t.Helper()
	x, err := open()
	if err != nil {
		return err
	}
	listed := 0
	err = x.EachBlob(t.Context(), cas.Digest{}, func(cas.Blob, Location) error {
		listed++
		return nil
	})
	if err == nil && listed != 2000 {
		t.Errorf("%d blobs, and no error", listed)
	}
	return errors.Join(err, x.Close())
}

func TestAForgottenBlobIsNoSeed(t *testing.T) {
	x := openTest(t)
	first, second := recipeFor(t, 1, 10, 11), recipeFor(t, 2, 11, 12)
	find := func() []ChunkAt {
		t.Helper()
		found, err := x.FindChunks(t.Context(), []chunk.ID{idFor(10), idFor(11), idFor(12)})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	expect := func(want ...ChunkAt) {
		t.Helper()
		if diff := cmp.Diff(want, find(), cmp.Comparer(func(a, b cas.Digest) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	}
	inFirst := func(ordinal int) ChunkAt { return ChunkAt{Blob: first.Blob(), Ordinal: ordinal} }
	inSecond := func(ordinal int) ChunkAt { return ChunkAt{Blob: second.Blob(), Ordinal: ordinal} }
	mustAdd(t, x, recipeAddition(1, first))
	if err := x.ForgetChunks(t.Context(), first.Blob().Digest); err != nil {
		t.Fatal(err)
	}
	expect(ChunkAt{}, ChunkAt{}, ChunkAt{})
	mustAdd(t, x, recipeAddition(2, second))
	expect(ChunkAt{}, inSecond(0), inSecond(1))
	mustAdd(t, x, recipeAddition(3, first))
	expect(inFirst(0), inSecond(0), inSecond(1))
	mustAdd(t, x, recipeAddition(4, recipeFor(t, 1, 12, 10))) // the same blob, cut in another way
	expect(inFirst(0), inSecond(0), inSecond(1))
}

func TestNamesThatURLsWouldChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "50% more?", "ü #1")
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(path, "index.db")
	openAt(t, path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
