package fileindex

import (
	"bytes"
	"path/filepath"
	"testing"

	"hayloft/cas"
)

// TestBaseIsWhatTheStoreHas reads versions of a file of which a store gets only some.
func TestBaseIsWhatTheStoreHas(t *testing.T) {
	x := opened(t, filepath.Join(t.TempDir(), "files.db"))
	path := filepath.Join(t.TempDir(), "scene.blend")
	read := func(version string) cas.Blob {
		t.Helper()
		fact := factOf(path, version)
		fact.Recipe = recipeOf(t, bytes.Repeat([]byte(version), 100_000))
		fact.Blob = fact.Recipe.Blob()
		if err := x.Remember(t.Context(), []Fact{fact}); err != nil {
			t.Fatal(err)
		}
		return fact.Blob
	}
	base := func() cas.Blob {
		t.Helper()
		recipe, ok, err := x.Base(t.Context(), path)
		if err != nil || ok != (recipe.Len() > 0) {
			t.Fatal(ok, err)
		}
		return recipe.Blob()
	}
	send := func(b cas.Blob) {
		t.Helper()
		if err := x.NoteHas(t.Context(), "a store", []cas.Digest{b.Digest}); err != nil {
			t.Fatal(err)
		}
	}
	first := read("first")
	if got := base(); got != (cas.Blob{}) {
		t.Errorf("the first version has the base %v", got)
	}
	send(first)
	for _, version := range []string{"second", "second", "third"} {
		read(version)
		if got := base(); got != first {
			t.Errorf("%s: base %v, want the first version, which was sent last", version, got)
		}
	}
	fourth := read("fourth")
	send(fourth)
	if read("fourth"); base() != first {
		t.Errorf("the same version again has itself for a base")
	}
	if read("fifth"); base() != fourth {
		t.Errorf("the fifth version's base is not the fourth, which was sent last")
	}
	small := factOf(path, "small")
	if err := x.Remember(t.Context(), []Fact{small}); err != nil {
		t.Fatal(err)
	}
	if base() != fourth {
		t.Error("a small version made the base go")
	}
}
