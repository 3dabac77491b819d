package checkout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
	"hayloft/cas/disk"
)

// Both ways of laying out work on the store that farms have, with files that lie in its packs alone.
func TestOnADiskStore(t *testing.T) {
	shared := t.TempDir()
	store, err := disk.Open(filepath.Join(shared, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	var contentsOf [][]byte
	var entries []Entry
	for path, content := range someFiles {
		contentsOf = append(contentsOf, []byte(content))
		entries = append(entries, Entry{Path: mustPath(t, path), Blob: blobOf(content)})
	}
	if _, err := store.PutSmall(t.Context(), contentsOf); err != nil {
		t.Fatal(err)
	}
	m := mustManifest(t, entries)
	local := func(b cas.Blob) (string, bool) {
		_, err := os.Lstat(store.Path(b.Digest))
		return store.Path(b.Digest), err == nil
	}
	own := filepath.Join(shared, "own")
	mustLay(t, own, m, store, Options{Local: local})
	if diff := cmp.Diff(someFiles, contents(t, own)); diff != "" {
		t.Error(diff)
	}
	linked := filepath.Join(shared, "linked")
	if _, err := Materialise(t.Context(), linked, m, store, Options{Local: local, Links: Symlink}); !errors.Is(err, ErrCannotLink) {
		t.Errorf("links to packed files: %v", err)
	}
	c, err := New(filepath.Join(shared, "jobs"), store)
	if err != nil {
		t.Fatal(err)
	}
	name, err := c.Create(t.Context(), "job", m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someFiles, contents(t, filepath.Join(shared, "jobs", name))); diff != "" {
		t.Error(diff)
	}
	mustLay(t, linked, m, store, Options{Local: local, Links: Symlink})
	if diff := cmp.Diff(someFiles, contents(t, linked)); diff != "" {
		t.Error(diff)
	}
}
