package checkout

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	same := Entry{Path: mustPath(t, "b/same"), Blob: blobOf("same")}
	a := mustManifest(t, []Entry{same,
		{Path: mustPath(t, "a/removed"), Blob: blobOf("x")},
		{Path: mustPath(t, "content"), Blob: blobOf("x")},
		{Path: mustPath(t, "mode"), Blob: blobOf("x")},
		{Path: mustPath(t, "origin"), Blob: blobOf("x")},
	})
	b := mustManifest(t, []Entry{same,
		{Path: mustPath(t, "content"), Blob: blobOf("y")},
		{Path: mustPath(t, "mode"), Mode: Executable, Blob: blobOf("x")},
		{Path: mustPath(t, "origin"), Blob: blobOf("x"), Origin: FromGzip},
		{Path: mustPath(t, "z/added"), Blob: blobOf("x")},
	})
	got := map[string][5]bool{}
	var order []string
	for c := range Diff(a, b) {
		got[c.Path.String()] = [5]bool{c.Added(), c.Removed(), c.Content(), c.Mode(), c.Origin()}
		order = append(order, c.Path.String())
	}
	want := map[string][5]bool{
		"a/removed": {1: true}, "content": {2: true}, "mode": {3: true}, "origin": {4: true}, "z/added": {0: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.IsSorted(order) {
		t.Error(order)
	}
	for c := range Diff(a, b) {
		if c.Path.String() != "a/removed" {
			t.Errorf("went on to %s", c.Path)
		}
		break
	}
}

// What Diff says, done to the first manifest, makes the second.
func TestDiffMakesTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, errA := NewManifest(drawEntries(t))
		b, errB := NewManifest(drawEntries(t))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		tree := map[Path]Entry{}
		for e := range a.Entries() {
			tree[e.Path] = e
		}
		changes := slices.Collect(Diff(a, b))
		for _, c := range changes {
			if tree[c.Path] != c.Before || c.Before == c.After {
				t.Fatalf("%v was %v", c, tree[c.Path])
			}
			if delete(tree, c.Path); !c.Removed() {
				tree[c.Path] = c.After
			}
		}
		made := make([]Entry, 0, len(tree))
		for _, e := range tree {
			made = append(made, e)
		}
		again, err := NewManifest(made)
		if err != nil || again.Digest() != b.Digest() || (len(changes) == 0) != (a.Digest() == b.Digest()) {
			t.Fatalf("%d changes made something else: %v", len(changes), err)
		}
		if !slices.IsSortedFunc(changes, func(x, y Change) int { return x.Path.Compare(y.Path) }) {
			t.Fatal("not in order")
		}
	})
}
