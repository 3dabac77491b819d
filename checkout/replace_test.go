package checkout

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// replacement is a directory, what it is to become, and what Options make of it.
type replacement struct {
	there, manifest, want map[string]string
	link                  string // to the folder "tex"
	o                     Options
	occupied              string
}

var replaced = map[string]replacement{
	"files that differ": {
		there:    map[string]string{"a": "old", "b": "same", "mine": "mine"},
		manifest: map[string]string{"a": "new", "b": "same", "c": "new too"},
		o:        Options{Replace: true},
		want:     map[string]string{"a": "new", "b": "same", "c": "new too", "mine": "mine"},
	},
	"extra files": {
		there:    map[string]string{"a": "a", "x": "x", "f/x": "x", "f/a": "a", "g/h/x": "x", ".git/config": "x", "f/keep/x": "x"},
		manifest: map[string]string{"a": "a", "f/a": "a"},
		o:        Options{Delete: true, Spare: func(path string, folder bool) bool { return folder && (path == ".git" || path == "f/keep") }},
		want:     map[string]string{"a": "a", "f/a": "a", ".git/config": "x", "f/keep/x": "x"},
	},
	"another spelling may be the same file": {
		there:    map[string]string{"A": "x", "b": "x"},
		manifest: map[string]string{"a": "a"},
		o:        Options{Delete: true, Replace: true},
		want:     map[string]string{"a": "a", "A": "x"},
	},
	"a folder for a file, deleted": {there: map[string]string{"a/b/c": "x"}, manifest: map[string]string{"a": "a"}, o: Options{Delete: true}, want: map[string]string{"a": "a"}},
	"a file for a folder, deleted": {there: map[string]string{"a": "x"}, manifest: map[string]string{"a/b": "a"}, o: Options{Delete: true}, want: map[string]string{"a/b": "a"}},
	"a link to a folder": {
		there: map[string]string{"tex/a": "a"}, link: "link", manifest: map[string]string{"link/a": "a"}, want: map[string]string{"tex/a": "a", "link ->": "tex"},
	},
	"a link for a file": {
		there: map[string]string{"tex/a": "a"}, link: "a", manifest: map[string]string{"a": "x"}, o: Options{Replace: true}, want: map[string]string{"tex/a": "a", "a": "x"},
	},
}

var notReplaced = map[string]replacement{
	"a folder for a file, kept": {there: map[string]string{"a/b": "x"}, manifest: map[string]string{"a": "a"}, o: Options{Replace: true}, occupied: `"a" is no regular file`},
	"a file for a folder, kept": {there: map[string]string{"a": "x"}, manifest: map[string]string{"a/b": "a"}, o: Options{Replace: true}, occupied: `"a" is no folder`},
	"a spared folder for a file": {
		there: map[string]string{"a/b/c": "x"}, manifest: map[string]string{"a/b": "a"},
		o: Options{Delete: true, Spare: func(path string, _ bool) bool { return path == "a" }}, occupied: "spared",
	},
	"a spared file in a folder for a file": {
		there: map[string]string{"a/b/c": "x"}, manifest: map[string]string{"a": "a"},
		o: Options{Delete: true, Spare: func(path string, _ bool) bool { return path == "a/b/c" }}, occupied: "not empty",
	},
	"a spared file for a folder": {
		there: map[string]string{"a": "x"}, manifest: map[string]string{"a/b": "a"},
		o: Options{Delete: true, Spare: func(path string, _ bool) bool { return path == "a" }}, occupied: "spared",
	},
	"a file that differs stands against deleting": {
		there: map[string]string{"a": "x", "extra": "x"}, manifest: map[string]string{"a": "a"}, o: Options{Delete: true}, occupied: "other content",
	},
	"a link to a folder with Delete": {
		there: map[string]string{"tex/a": "a"}, link: "link", manifest: map[string]string{"link/a": "a"}, o: Options{Delete: true}, occupied: "is a link to a folder",
	},
}

func TestReplaceAndDelete(t *testing.T) {
	for name, test := range replaced {
		t.Run(name, func(t *testing.T) {
			dir, _, err := test.lay(t)
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.want, contents(t, dir)); diff != "" {
				t.Error(diff)
			}
			onlyThere(t, dir)
		})
	}
}

func TestReplaceAndDeleteKeepWhatIsInTheWay(t *testing.T) {
	for name, test := range notReplaced {
		t.Run(name, func(t *testing.T) {
			dir, before, err := test.lay(t)
			if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), test.occupied) {
				t.Errorf("got %v, want %s", err, test.occupied)
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Error(diff)
			}
			onlyThere(t, dir)
		})
	}
}

// lay gives the directory, and what was in it before.
func (r replacement) lay(t *testing.T) (dir string, before map[string]string, err error) {
	t.Helper()
	store := newStore(t, t.TempDir())
	m := store.tree(t, r.manifest)
	dir = t.TempDir()
	lay(t, dir, r.there)
	if r.link != "" {
		if err := os.Symlink("tex", filepath.Join(dir, r.link)); err != nil {
			t.Fatal(err)
		}
	}
	before = contents(t, dir)
	_, err = Materialise(t.Context(), dir, m, store, r.o)
	return dir, before, err
}

func TestDeleteIsCounted(t *testing.T) {
	store := newStore(t, t.TempDir())
	dir := t.TempDir()
	lay(t, dir, map[string]string{"a": "x", "b/c/d": "x", "b/e": "x", "kept": "kept"})
	result := mustLay(t, dir, store.tree(t, map[string]string{"kept": "kept"}), store, Options{Delete: true})
	if result.FilesDeleted != 3 || result.FilesKept != 1 || result.FilesWritten != 0 {
		t.Errorf("%+v", result)
	}
}

// Whatever lay there, with Replace and Delete the directory is the manifest's tree, and the second time nothing is done.
func TestAnyTreeBecomesTheManifests(t *testing.T) {
	outer := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		shared := filepath.Join(outer, fmt.Sprint(runs))
		r := &remote{folderStore: newStore(t, filepath.Join(shared, "store"))}
		dir := filepath.Join(shared, "dir")
		o := Options{
			Links: rapid.SampledFrom([]Way{Auto, Copy, Symlink, Hardlink}).Draw(rt, "links"), Local: r.local, Replace: true, Delete: true,
		}
		for range 3 {
			files := drawTree(rt)
			m := r.tree(t, files)
			if o.Links == Auto && rapid.Bool().Draw(rt, "remote") {
				o.Local, o.Fetch = nil, r
			}
			result, err := Materialise(t.Context(), dir, m, r, o)
			if err != nil || result.FilesKept+result.FilesWritten != m.Len() {
				rt.Fatalf("%+v, %v", result, err)
			}
			if diff := cmp.Diff(files, contents(t, dir)); diff != "" {
				rt.Fatal(diff)
			}
			again, err := Materialise(t.Context(), dir, m, r, o)
			if diff := cmp.Diff(Result{FilesKept: m.Len(), How: map[Way]int{}}, again); err != nil || diff != "" {
				rt.Fatal(err, diff)
			}
		}
	})
}

// drawTree gives files of which none is in another's way, though those of another draw may be.
func drawTree(t *rapid.T) map[string]string {
	files := map[string]string{}
	for _, path := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a/b", "a/b/c", "a/d", "e", "e/f", "g"}), 0, 6).Draw(t, "paths") {
		free := true
		for other := range files {
			free = free && !strings.HasPrefix(other, path+"/") && !strings.HasPrefix(path, other+"/")
		}
		if free {
			files[path] = rapid.SampledFrom([]string{"", "x", "y", "zz"}).Draw(t, "content")
		}
	}
	return files
}

func TestKnownFilesAreNotRead(t *testing.T) {
	store := newStore(t, t.TempDir())
	m := store.tree(t, someFiles)
	known := newMemory()
	dir := filepath.Join(t.TempDir(), "new")
	mustLay(t, dir, m, store, Options{Known: known})
	if len(known.blobs) != m.Len() {
		t.Errorf("learnt %d of %d files", len(known.blobs), m.Len())
	}
	// What is known to be something else is replaced, though it reads the same: so it was not read.
	path := filepath.Join(dir, "scene.blend")
	known.blobs[path] = blobOf("SCENE")
	if result := mustLay(t, dir, m, store, Options{Known: known, Replace: true}); result.FilesWritten != 1 || result.FilesKept != m.Len()-1 {
		t.Errorf("%+v", result)
	}
	// What is not known is read, and then known.
	delete(known.blobs, path)
	if result := mustLay(t, dir, m, store, Options{Known: known}); result.FilesKept != m.Len() || known.blobs[path] != blobOf(someFiles["scene.blend"]) {
		t.Errorf("%+v", result)
	}
}

func TestSeedsAreNotTrusted(t *testing.T) {
	r := newRemote(t)
	files := map[string]string{"scene.blend": random(1, 3<<20)}
	m := r.tree(t, files)
	dir := t.TempDir()
	lay(t, dir, map[string]string{"scene.blend": random(2, 3<<20)})
	info := stateOf(t, dir, "scene.blend")
	recipe, err := r.split(t.Context(), m.Blobs()[0].Digest, func(chunk.Piece) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	known := newMemory()
	path := filepath.Join(dir, "scene.blend")
	known.Learn(path, info, blobOf("something else"), recipe)
	known.cut[path] = recipe // is that of the new version, which does not lie there
	result := mustLay(t, dir, m, r, Options{Fetch: r, Replace: true, Known: known})
	isLaid(t, dir, files)
	if result.BytesFetched != m.Size() {
		t.Errorf("fetched %d of %d bytes", result.BytesFetched, m.Size())
	}
}

func TestCompressedOriginalsStay(t *testing.T) {
	plain := strings.Repeat("BLENDER and so on ", 10_000)
	var zipped, zstandard bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	zs, err := zstd.NewWriter(&zstandard)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []interface {
		Write([]byte) (int, error)
		Close() error
	}{gz, zs} {
		_, err := w.Write([]byte(plain))
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	store := newStore(t, t.TempDir())
	b := store.put(t, plain)
	for _, test := range []struct {
		origin Origin
		there  string
		stays  bool
	}{
		{FromZstd, zstandard.String(), true},
		{FromGzip, zipped.String(), true},
		{FromGzip, plain, true},
		{FromGzip, zstandard.String(), false},
		{FromZstd, zipped.String(), false},
		{Plain, zipped.String(), false},
		{FromZstd, zstandard.String()[:zstandard.Len()-1], false},
		{FromGzip, zipped.String() + "x", false},
	} {
		m := mustManifest(t, []Entry{{Path: mustPath(t, "scene.blend"), Blob: b, Origin: test.origin}})
		dir := t.TempDir()
		lay(t, dir, map[string]string{"scene.blend": test.there})
		_, err := Materialise(t.Context(), dir, m, store, Options{})
		if test.stays && err != nil || !test.stays && !errors.Is(err, ErrOccupied) {
			t.Errorf("%s of %d bytes: %v", test.origin, len(test.there), err)
		}
		isLaid(t, dir, map[string]string{"scene.blend": test.there})
	}
}

func TestProgress(t *testing.T) {
	r := newRemote(t)
	files := largeTree()
	m := r.tree(t, files)
	local := func(b cas.Blob) (string, bool) { return r.Path(b.Digest), true }
	for name, o := range map[string]Options{
		"opened": {}, "fetched": {Fetch: r}, "copied": {Local: local}, "linked": {Local: local, Links: Symlink}, "replaced": {Fetch: r, Replace: true},
	} {
		t.Run(name, func(t *testing.T) {
			var last, calls int64
			o.Progress = func(done, total int64) {
				if done < last || done > total || total != m.Size() {
					t.Errorf("%d after %d of %d", done, last, total)
				}
				last = done
				calls++
			}
			dir := t.TempDir()
			if o.Replace {
				lay(t, dir, map[string]string{"scene.blend": files["scene.blend"][1000:], "old/scene.blend": files["scene.blend"]})
			}
			mustLay(t, dir, m, r, o)
			if last != m.Size() || calls < 40 {
				t.Errorf("ended at %d of %d after %d calls", last, m.Size(), calls)
			}
		})
	}
}
