package fileindex

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/checkout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var sameBlob = cmp.Comparer(func(a, b cas.Blob) bool { return a == b })

func opened(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func blobOf(text string) cas.Blob {
	return cas.Blob{Digest: cas.SumBytes([]byte(text)), Size: int64(len(text))}
}

func recipeOf(t testing.TB, content []byte) chunk.Recipe {
	t.Helper()
	recipe, err := chunk.Split(t.Context(), bytes.NewReader(content), int64(len(content)), func(chunk.Piece) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return recipe
}

// longAgo is a moment of writing, now one of reading.
var (
	longAgo = time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)
	now     = time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)
)

func factOf(path, content string) Fact {
	return Fact{Path: path, Read: now, Blob: blobOf(content), Stat: Stat{
		Size: int64(len(content)), ModTime: longAgo.UnixNano(), ChangeTime: longAgo.UnixNano() + 1, Inode: 1<<64 - 1, Device: 7,
	}}
}

func TestWhatWasRememberedIsKnownInTheNextRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "files.db")
	root := t.TempDir()
	x := opened(t, path)
	fact := factOf(filepath.Join(root, "a", "b.blend"), "content")
	fact.Origin, fact.Verbatim, fact.Recipe = checkout.FromZstd, true, recipeOf(t, bytes.Repeat([]byte("hay"), 100_000))
	if err := x.Remember(t.Context(), []Fact{fact, factOf(filepath.Join(root, "c"), "x")}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Under(t.Context(), root); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed index: %v", err)
	}
	x = opened(t, path)
	found, err := x.Under(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Known{
		fact.Path:                {Stat: fact.Stat, Blob: fact.Blob, Origin: checkout.FromZstd, Verbatim: true, HasRecipe: true},
		filepath.Join(root, "c"): {Stat: factOf("", "x").Stat, Blob: blobOf("x")},
	}
	if diff := cmp.Diff(want, found, sameBlob); diff != "" {
		t.Error(diff)
	}
	recipe, ok, err := x.Recipe(t.Context(), fact.Path)
	if err != nil || !ok || recipe.ID() != fact.Recipe.ID() {
		t.Errorf("recipe %v, %v", ok, err)
	}
	// Without a recipe, the one of the earlier version does not stay.
	fact.Recipe = chunk.Recipe{}
	if err := x.Remember(t.Context(), []Fact{fact}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := x.Recipe(t.Context(), fact.Path); ok || err != nil {
		t.Errorf("a recipe is left: %v, %v", ok, err)
	}
	if x.Damage() != nil {
		t.Error(x.Damage())
	}
}

func TestUnderIsTheFolderAndNotItsNeighbours(t *testing.T) {
	x := opened(t, filepath.Join(t.TempDir(), "files.db"))
	slash := string(filepath.Separator)
	top := filepath.VolumeName(t.TempDir()) + slash
	var facts []Fact
	for _, path := range []string{"film", "film/a", "film/a/b", "film.blend", "film0", "film-2/a", "fil", "film/\xff odd"} {
		facts = append(facts, factOf(filepath.Join(top, filepath.FromSlash(path)), path))
	}
	if err := x.Remember(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string][]string{
		"film": {"film", "film/a", "film/a/b", "film/\xff odd"}, "film/a": {"film/a", "film/a/b"}, "film.blend": {"film.blend"}, "none": nil,
		"": {"fil", "film", "film-2/a", "film.blend", "film/a", "film/a/b", "film/\xff odd", "film0"},
	} {
		found, err := x.Under(t.Context(), filepath.Join(top, root)+slash)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for path := range found {
			got = append(got, filepath.ToSlash(strings.TrimPrefix(path, top)))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("under %q: %q, not %q", root, got, want)
		}
	}
}

// A file is trusted if its times are older than its reading by more than the clock of the file system ticks.
func TestRacilyClean(t *testing.T) {
	x := opened(t, filepath.Join(t.TempDir(), "files.db"))
	fine, whole := now.Truncate(time.Second).Add(7), now.Truncate(time.Second)
	for name, test := range map[string]struct {
		modified, changed time.Time
		read              time.Time
		trusted           bool
	}{
		"long before":                 {longAgo, longAgo, now, true},
		"at the moment":               {fine, fine, fine, false},
		"modified later":              {fine.Add(time.Hour), longAgo, fine, false},
		"changed later":               {longAgo, fine.Add(1), fine, false},
		"old, but put there just now": {longAgo, fine, fine.Add(time.Millisecond), false},
		"a tick before":               {fine, fine, fine.Add(fineTick), true},
		"less than a tick":            {fine, longAgo, fine.Add(fineTick - 1), false},
		"whole seconds":               {whole, fine.Add(-time.Hour), whole.Add(coarseTick - 1), false},
		"whole seconds, two before":   {whole, fine.Add(-time.Hour), whole.Add(coarseTick), true},
	} {
		fact := factOf(filepath.Join(t.TempDir(), "f"), "x")
		fact.Stat.ModTime, fact.Stat.ChangeTime, fact.Read = test.modified.UnixNano(), test.changed.UnixNano(), test.read
		if err := x.Remember(t.Context(), []Fact{fact}); err != nil {
			t.Fatal(err)
		}
		found, err := x.Under(t.Context(), fact.Path)
		if err != nil {
			t.Fatal(err)
		}
		known := found[fact.Path]
		if known.Unchanged(fact.Stat) != test.trusted || known.Racy == test.trusted || known.Blob != fact.Blob {
			t.Errorf("%s: %+v", name, known)
		}
		for what, other := range otherStats(fact.Stat) {
			if known.Unchanged(other) {
				t.Errorf("%s: another %s counts as unchanged", name, what)
			}
		}
	}
}

func otherStats(s Stat) map[string]Stat {
	size, modified, changed, inode, device := s, s, s, s, s
	size.Size++
	modified.ModTime--
	changed.ChangeTime++
	inode.Inode--
	device.Device++
	return map[string]Stat{"size": size, "time": modified, "change": changed, "inode": inode, "device": device}
}

func TestAnswersBelongToAGeneration(t *testing.T) {
	x := opened(t, filepath.Join(t.TempDir(), "files.db"))
	a, b, c := blobOf("a").Digest, blobOf("b").Digest, blobOf("c").Digest
	check := func(generation string, want ...bool) {
		t.Helper()
		got, err := x.Has(t.Context(), generation, []cas.Digest{a, b, c, a})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", generation, got, err)
		}
	}
	check("one", false, false, false, false)
	for range 2 {
		if err := errors.Join(x.NoteHas(t.Context(), "one", []cas.Digest{c, a}), x.NoteHas(t.Context(), "two", []cas.Digest{b}),
			x.NoteHas(t.Context(), "two", nil)); err != nil {
			t.Fatal(err)
		}
		check("one", true, false, true, true)
		check("two", false, true, false, false)
	}
	if err := x.Forget(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	check("one", false, false, false, false)
	check("two", false, true, false, false)
	for i := range maxStores {
		if err := x.NoteHas(t.Context(), fmt.Sprint(i), []cas.Digest{a}); err != nil {
			t.Fatal(err)
		}
	}
	check("two", false, false, false, false)
	check("0", true, false, false, true)
	if got, err := x.Has(t.Context(), "0", nil); err != nil || len(got) != 0 {
		t.Errorf("no question: %v, %v", got, err)
	}
}

func TestTwoProcessesAtOnce(t *testing.T) {
	path, root := filepath.Join(t.TempDir(), "files.db"), t.TempDir()
	indexes := []*Index{opened(t, path), opened(t, path)}
	var wait sync.WaitGroup
	for i, x := range indexes {
		for j := range 20 {
			wait.Go(func() {
				fact := factOf(filepath.Join(root, fmt.Sprint(i), fmt.Sprint(j)), "x")
				if err := x.Remember(t.Context(), []Fact{fact}); err != nil {
					t.Error(err)
				}
				if found, err := x.Under(t.Context(), root); err != nil || found[fact.Path].Blob != fact.Blob {
					t.Errorf("got %v, %v", found[fact.Path], err)
				}
			})
		}
	}
	wait.Wait()
	for _, x := range indexes {
		if found, err := x.Under(t.Context(), root); err != nil || len(found) != 40 || x.Damage() != nil {
			t.Errorf("%d files, %v, %v", len(found), err, x.Damage())
		}
	}
}

// Whatever Remember was told last is what Under and Recipe say.
func TestLastFactWins(t *testing.T) {
	recipes := []chunk.Recipe{{}, recipeOf(t, []byte("a")), recipeOf(t, bytes.Repeat([]byte("hay"), 200_000))}
	x := opened(t, filepath.Join(t.TempDir(), "files.db"))
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		model := map[string]Known{}
		hasRecipe := map[string]chunk.Recipe{}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			var facts []Fact
			for _, name := range rapid.SliceOfN(rapid.StringMatching(`[ab]{1,2}(/[ab])?`), 0, 6).Draw(rt, "names") {
				f := factOf(filepath.Join(root, name), rapid.String().Draw(rt, "content"))
				f.Stat.Inode, f.Stat.ModTime = rapid.Uint64().Draw(rt, "inode"), rapid.Int64Max(longAgo.UnixNano()).Draw(rt, "time")
				f.Origin = checkout.Origin(rapid.IntRange(0, 2).Draw(rt, "origin"))
				f.Verbatim, f.Recipe = rapid.Bool().Draw(rt, "verbatim"), rapid.SampledFrom(recipes).Draw(rt, "recipe")
				facts = append(facts, f)
				model[f.Path] = Known{Stat: f.Stat, Blob: f.Blob, Origin: f.Origin, Verbatim: f.Verbatim, HasRecipe: f.Recipe.Len() > 0}
				hasRecipe[f.Path] = f.Recipe
			}
			if err := x.Remember(t.Context(), facts); err != nil {
				rt.Fatal(err)
			}
		}
		found, err := x.Under(t.Context(), root)
		if err != nil || !maps.Equal(found, model) {
			rt.Fatalf("%v\n%s", err, cmp.Diff(model, found, sameBlob))
		}
		for path, want := range hasRecipe {
			got, ok, err := x.Recipe(t.Context(), path)
			if err != nil || ok != (want.Len() > 0) || ok && got.ID() != want.ID() {
				rt.Fatalf("recipe of %s: %v, %v", path, ok, err)
			}
		}
	})
}

func TestOldFilesMakeRoom(t *testing.T) {
	path, root := filepath.Join(t.TempDir(), "files.db"), t.TempDir()
	x := opened(t, path)
	var facts []Fact
	for i := range 2000 {
		f := factOf(filepath.Join(root, fmt.Sprintf("%04d", i)), "x")
		f.Read = now.Add(time.Duration(i) * time.Second)
		facts = append(facts, f)
	}
	if err := errors.Join(x.Remember(t.Context(), facts), x.Close()); err != nil {
		t.Fatal(err)
	}
	const limit = 200_000
	x, err := open(path, limit)
	if err != nil {
		t.Fatal(err)
	}
	found, err := x.Under(t.Context(), root)
	if err != nil || len(found) == 0 || len(found) > 1000 {
		t.Errorf("%d files left, %v", len(found), err)
	}
	for i, f := range facts {
		if _, left := found[f.Path]; left != (i >= 2000-len(found)) {
			t.Fatalf("%d of the oldest are gone, and file %d: left %v", 2000-len(found), i, left)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkUnder(b *testing.B) {
	x, root, digests := tenThousand(b)
	b.ReportAllocs()
	for b.Loop() {
		if found, err := x.Under(b.Context(), root); err != nil || len(found) != len(digests) {
			b.Fatal(len(found), err)
		}
	}
}

func BenchmarkHas(b *testing.B) {
	x, _, digests := tenThousand(b)
	for b.Loop() {
		if has, err := x.Has(b.Context(), "generation", digests); err != nil || slices.Contains(has, false) {
			b.Fatal(err)
		}
	}
}

func BenchmarkRemember(b *testing.B) {
	x, root, digests := tenThousand(b)
	var facts []Fact
	for i := range digests {
		facts = append(facts, factOf(filepath.Join(root, fmt.Sprint(i)), "x"))
	}
	for b.Loop() {
		if err := x.Remember(b.Context(), facts); err != nil {
			b.Fatal(err)
		}
	}
}

// tenThousand is an index of as many files in one tree, beside as many of another.
func tenThousand(b *testing.B) (x *Index, root string, digests []cas.Digest) {
	x, root = opened(b, filepath.Join(b.TempDir(), "files.db")), b.TempDir()
	var facts []Fact
	for i := range 10_000 {
		f := factOf(filepath.Join(root, fmt.Sprintf("textures/%03d", i%100), fmt.Sprintf("%d.png", i)), fmt.Sprint(i))
		other := f
		other.Path = filepath.Join(root+" other", fmt.Sprint(i))
		facts, digests = append(facts, f, other), append(digests, f.Blob.Digest)
	}
	if err := errors.Join(x.Remember(b.Context(), facts), x.NoteHas(b.Context(), "generation", digests)); err != nil {
		b.Fatal(err)
	}
	return x, root, digests
}
