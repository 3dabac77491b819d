package checkout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
)

func TestCreateShapesWhatIsPacked(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	f.store.pack(t, m.Blobs()[1:]...)
	name := f.mustCreate(t, "job", m)
	if diff := cmp.Diff(someFiles, f.contents(t, name)); diff != "" {
		t.Error(diff)
	}
}

// alwaysThere is a store that says it has what it cannot lay out.
type alwaysThere struct{ folderStore }

func (alwaysThere) Stat(_ context.Context, blobs []cas.Blob, have func(cas.Blob) error) error {
	for _, b := range blobs {
		if err := have(b); err != nil {
			return err
		}
	}
	return nil
}

func TestCreateWithoutShapes(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	f.store.pack(t, m.Blobs()...)
	if err := os.Rename(f.store.Path(m.Blobs()[2].Digest)+packed, filepath.Join(f.shared, "gone")); err != nil {
		t.Fatal(err)
	}
	f.blobs = alwaysThere{f.store}
	if _, err := f.Create(t.Context(), "job", m); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	f.nothingLeft(t)
	if names := f.names(t, ""); len(names) > 0 {
		t.Errorf("there are %v", names)
	}
	if f.shapes.isDurable(f.shapes.made) {
		t.Error("files that a failed call made count as durable")
	}
}

func TestFilesAreSyncedOncePerShaping(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	f.mustCreate(t, "first", m)
	if done, err := syncWhole(mustRoot(t, f.root)); err != nil || !done {
		return // each Create syncs each file where there is no call for all of them
	}
	before := f.shapes.durable
	if before == 0 {
		t.Error("what an earlier process may have left was not synced")
	}
	f.mustCreate(t, "flat", m)
	if f.shapes.made != before {
		t.Error("nothing was shaped, but there is something to sync")
	}
	f.store.pack(t, m.Blobs()[0])
	f.mustCreate(t, "shaped", m)
	if f.shapes.made == before || f.shapes.durable != f.shapes.made {
		t.Errorf("after shaping: made %d, durable %d", f.shapes.made, f.shapes.durable)
	}
}

func mustRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestSyncEachFile(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	if err := f.syncEachFile(t.Context(), m); err != nil {
		t.Error(err)
	}
	f.store.pack(t, m.Blobs()[1])
	if err := f.syncEachFile(t.Context(), m); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// No call of Shape takes a file for durable that is not, however calls overlap.
func TestShapesAreNeverDurableTooEarly(t *testing.T) {
	type call struct{ made, met []int }
	rapid.Check(t, func(t *rapid.T) {
		s := shapes{made: 1}
		there, durable := map[int]bool{0: true}, map[int]bool{} // files; 0 was left by an earlier process
		next := 1
		underWay := map[int]*call{}
		calls := 0
		settled := func(c *call, at moment) {
			if !s.isDurable(at) {
				if rapid.Bool().Draw(t, "sync fails") {
					return
				}
				for f := range there {
					durable[f] = true
				}
				s.becameDurable(at)
			}
			for _, f := range append(c.met, c.made...) {
				if !durable[f] {
					t.Fatalf("file %d counts as durable", f)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) {
				s.begin()
				calls++
				underWay[calls] = &call{}
			},
			"make": func(t *rapid.T) {
				if c := anyCall(t, underWay); c != 0 {
					underWay[c].made, there[next] = append(underWay[c].made, next), true
					next++
				}
			},
			"meet": func(t *rapid.T) {
				if c := anyCall(t, underWay); c != 0 {
					underWay[c].met = append(underWay[c].met, rapid.IntRange(0, next-1).Draw(t, "file"))
				}
			},
			"end": func(t *rapid.T) {
				if c := anyCall(t, underWay); c != 0 {
					ended := underWay[c]
					delete(underWay, c)
					settled(ended, s.end(len(ended.made)))
				}
			},
		})
	})
}

func anyCall[C any](t *rapid.T, underWay map[int]C) int {
	var all []int
	for id := 1; len(all) < len(underWay); id++ {
		if _, ok := underWay[id]; ok {
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return 0
	}
	return rapid.SampledFrom(all).Draw(t, "call")
}
