package checkout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
)

// local gives what Options want to know of a store on this machine.
func (s folderStore) local(b cas.Blob) (string, bool) {
	info, err := os.Stat(s.Path(b.Digest))
	return s.Path(b.Digest), err == nil && info.Size() == b.Size
}

// localTree has an executable file, and one of which there are two.
func (s folderStore) localTree(t testing.TB) Manifest {
	t.Helper()
	m := mustManifest(t, []Entry{
		{Path: mustPath(t, "scene.blend"), Blob: s.put(t, random(1, 300_000))},
		{Path: mustPath(t, "old/scene.blend"), Blob: s.put(t, random(1, 300_000))},
		{Path: mustPath(t, "old/a.png"), Blob: s.put(t, "a")},
		{Path: mustPath(t, "tex/empty"), Blob: s.put(t, "")},
		{Path: mustPath(t, "run"), Mode: Executable, Blob: s.put(t, "run")},
	})
	for _, b := range m.Blobs() {
		if err := os.Chmod(s.Path(b.Digest), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func treeOf(t *testing.T, s folderStore, m Manifest) map[string]string {
	t.Helper()
	files := map[string]string{}
	for e := range m.Entries() {
		content, err := os.ReadFile(s.Path(e.Blob.Digest))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Path.String()] = string(content)
	}
	return files
}

func TestEveryWay(t *testing.T) {
	for _, way := range choices {
		t.Run(string(way), func(t *testing.T) {
			shared := t.TempDir()
			store := opened{newStore(t, filepath.Join(shared, "store")), make(chan cas.Digest, 100)}
			m := store.localTree(t)
			want := treeOf(t, store.folderStore, m)
			dir := filepath.Join(shared, "project")
			o := Options{Links: way, Local: store.local}
			result, err := Materialise(t.Context(), dir, m, store, o)
			if way == Reflink && errors.Is(err, ErrCannotLink) {
				return // not on this file system
			}
			if err != nil {
				t.Fatal(err)
			}
			isLaid(t, dir, want)
			onlyThere(t, dir)
			if result.FilesWritten != m.Len() || result.BytesFetched != 0 || len(store.digests) != 0 {
				t.Errorf("%+v, %d opened", result, len(store.digests))
			}
			if way == Symlink || way == Hardlink {
				if result.How[way] != m.Len()-1 {
					t.Errorf("%v", result.How)
				}
			}
			checkOwnership(t, store.folderStore, dir, m, way)
			before := stateOf(t, dir, "scene.blend")
			if again := mustLay(t, dir, m, store, o); again.FilesKept != m.Len() || again.FilesWritten != 0 {
				t.Errorf("again: %+v", again)
			}
			if !sameState(before, stateOf(t, dir, "scene.blend")) {
				t.Error("an equal file was touched")
			}
		})
	}
}

// checkOwnership fails if a file that is its owner's to edit cannot be, or if editing it reaches the store.
func checkOwnership(t *testing.T, store folderStore, dir string, m Manifest, way Way) {
	t.Helper()
	for e := range m.Entries() {
		path := filepath.Join(dir, e.Path.String())
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		own, err := os.Stat(store.Path(e.Blob.Digest))
		if err != nil {
			t.Fatal(err)
		}
		isLink := info.Mode()&os.ModeSymlink != 0 || os.SameFile(info, own)
		if shouldBe := (way == Symlink || way == Hardlink) && e.Mode != Executable; isLink != shouldBe {
			t.Errorf("%q: link %v", e.Path, isLink)
		}
		if !isLink && info.Mode()&0o200 == 0 {
			t.Errorf("%q cannot be edited: %v", e.Path, info.Mode())
		}
		if hasModes && !isLink && (info.Mode()&0o100 != 0) != (e.Mode == Executable) {
			t.Errorf("%q has mode %v", e.Path, info.Mode())
		}
	}
}

func TestFromLinksToOwnFilesAndBack(t *testing.T) {
	shared := t.TempDir()
	store := newStore(t, filepath.Join(shared, "store"))
	m := store.localTree(t)
	want := treeOf(t, store, m)
	dir := filepath.Join(shared, "project")
	for _, way := range []Way{Symlink, Auto, Hardlink, Copy, Symlink, Hardlink, Auto} {
		mustLay(t, dir, m, store, Options{Links: way, Local: store.local, Replace: true})
		isLaid(t, dir, want)
		if way == Auto || way == Copy {
			checkOwnership(t, store, dir, m, way)
		}
	}
	if diff := cmp.Diff(want, treeOf(t, store, m)); diff != "" {
		t.Error("the store has changed")
	}
}

func TestModesAreSet(t *testing.T) {
	if !hasModes {
		return
	}
	store := newStore(t, t.TempDir())
	b := store.put(t, "x")
	entries := []Entry{{Path: mustPath(t, "a"), Mode: Executable, Blob: b}, {Path: mustPath(t, "b"), Blob: b}}
	dir := t.TempDir()
	mustLay(t, dir, mustManifest(t, entries), store, Options{})
	entries[0].Mode, entries[1].Mode = Regular, Executable
	m := mustManifest(t, entries)
	for _, replace := range []bool{false, true} {
		before := stateOf(t, dir, "a")
		mustLay(t, dir, m, store, Options{Replace: replace})
		a, b := stateOf(t, dir, "a"), stateOf(t, dir, "b")
		if (a.Mode()&0o111 == 0) != replace || (b.Mode()&0o100 != 0) != replace || !os.SameFile(before, a) {
			t.Errorf("replace %v: %v, %v", replace, a.Mode(), b.Mode())
		}
	}
}

func TestWaysThatCannotBe(t *testing.T) {
	store := newStore(t, t.TempDir())
	m := store.localTree(t)
	nothing := func(cas.Blob) (string, bool) { return "", false }
	lost := func(b cas.Blob) (string, bool) { return store.Path(b.Digest) + "lost", true }
	other := func(cas.Blob) (string, bool) { return store.Path(m.entries[0].Blob.Digest), true }
	tests := map[string]struct {
		o    Options
		want error
	}{
		"no such way":           {Options{Links: "teleport", Local: store.local}, ErrCannotLink},
		"fetch is no choice":    {Options{Links: Fetch, Local: store.local}, ErrCannotLink},
		"symlink without store": {Options{Links: Symlink}, ErrCannotLink},
		"symlink to nothing":    {Options{Links: Symlink, Local: nothing}, ErrCannotLink},
		"hardlink to nothing":   {Options{Links: Hardlink, Local: nothing}, ErrCannotLink},
		"reflink of nothing":    {Options{Links: Reflink, Local: nothing}, ErrCannotLink},
		"symlink to lost files": {Options{Links: Symlink, Local: lost}, cas.ErrNotFound},
		"hardlink to another":   {Options{Links: Hardlink, Local: other}, cas.ErrSizeMismatch},
		"copy of another":       {Options{Links: Copy, Local: other}, cas.ErrSizeMismatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Materialise(t.Context(), dir, m, store, test.o); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			onlyThere(t, dir)
		})
	}
	for _, links := range []Way{Auto, Copy} {
		mustLay(t, t.TempDir(), m, store, Options{Links: links, Local: lost})
		mustLay(t, t.TempDir(), m, store, Options{Links: links, Local: nothing})
	}
	for _, way := range choices {
		if got, err := ParseWay(string(way)); got != way || err != nil {
			t.Errorf("%q: %q, %v", way, got, err)
		}
	}
}
