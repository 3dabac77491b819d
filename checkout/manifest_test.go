package checkout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
)

func TestNewManifestRefuses(t *testing.T) {
	one, two := blobOf("one"), blobOf("two")
	entry := func(path string, b cas.Blob) Entry { return Entry{Path: mustPath(t, path), Blob: b} }
	tests := map[string]struct {
		entries []Entry
		want    error
		named   []string
	}{
		"same path, other blob": {[]Entry{entry("a.png", one), entry("a.png", two)}, ErrConflict, []string{`"a.png"`, one.String(), two.String()}},
		"same path, other mode": {[]Entry{entry("a", one), {Path: mustPath(t, "a"), Mode: Executable, Blob: one}}, ErrConflict, []string{`"a"`, "executable"}},
		"case":                  {[]Entry{entry("Wood.PNG", one), entry("x", one), entry("wood.png", one)}, ErrConflict, []string{`"Wood.PNG"`, `"wood.png"`}},
		"case of a folder":      {[]Entry{entry("Tex/a", one), entry("tex/a", two)}, ErrConflict, []string{`"Tex/a"`, `"tex/a"`}},
		"case, not ASCII":       {[]Entry{entry("Σ", one), entry("ς", two)}, ErrConflict, []string{`"Σ"`, `"ς"`}},
		"file and folder":       {[]Entry{entry("a", one), entry("a-b", one), entry("a.c", one), entry("a/b", two)}, ErrConflict, []string{`"a"`, `"a/b"`}},
		"deep file and folder":  {[]Entry{entry("x/a/b/c", one), entry("x/a", two)}, ErrConflict, []string{`"x/a"`, `"x/a/b/c"`}},
		"file and folder, case": {[]Entry{entry("A", one), entry("a/b", two)}, ErrConflict, []string{`"A"`, `"a/b"`}},
		"no path":               {[]Entry{{Blob: one}}, ErrBadEntry, []string{one.String()}},
		"no digest":             {[]Entry{{Path: mustPath(t, "a")}}, ErrBadEntry, []string{`"a"`}},
		"negative size":         {[]Entry{entry("a", cas.Blob{Digest: one.Digest, Size: -1})}, ErrBadEntry, []string{`"a"`, "-1"}},
		"unknown mode":          {[]Entry{{Path: mustPath(t, "a"), Mode: 7, Blob: one}}, ErrBadEntry, []string{`"a"`, "7"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := NewManifest(test.entries)
			if !errors.Is(err, test.want) || m.Len() != 0 {
				t.Fatalf("got %d entries and %v, want %v", m.Len(), err, test.want)
			}
			for _, part := range test.named {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not name %s", err, part)
				}
			}
		})
	}
}

func TestNewManifestAccepts(t *testing.T) {
	b := blobOf("x")
	given := []Entry{
		{Path: mustPath(t, "tex/b"), Blob: b}, {Path: mustPath(t, "Tex/a"), Blob: b}, {Path: mustPath(t, "a/b"), Blob: b},
		{Path: mustPath(t, "a-b"), Blob: b}, {Path: mustPath(t, "a/b"), Blob: b},
	}
	before := slices.Clone(given)
	m := mustManifest(t, given)
	var paths []string
	for p := range m.Paths() {
		paths = append(paths, p.String())
	}
	if want := []string{"Tex/a", "a-b", "a/b", "tex/b"}; !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
	if len(m.Blobs()) != 1 || m.Size() != 4 {
		t.Errorf("%d blobs, %d bytes", len(m.Blobs()), m.Size())
	}
	if !slices.Equal(given, before) {
		t.Error("the given entries were changed")
	}
}

// drawEntries gives entries that go together: small folders and names, so that they often share one.
func drawEntries(t *rapid.T) []Entry {
	folder := rapid.SampledFrom([]string{"", "a/", "a/b/", "a-/", "a/b/c/", "ü/"})
	paths := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
		return folder.Draw(t, "folder") + fmt.Sprintf("f%d", rapid.IntRange(0, 40).Draw(t, "file"))
	}), 0, 30, rapid.ID).Draw(t, "paths")
	origins := rapid.SampledFrom([][]Origin{{Plain}, {Plain, FromZstd, FromGzip}}).Draw(t, "origins")
	entries := make([]Entry, len(paths))
	for i, text := range paths {
		path, err := ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		content := rapid.SampledFrom([]string{"", "x", "yy"}).Draw(t, "content")
		entries[i] = Entry{Path: path, Mode: rapid.SampledFrom([]Mode{Regular, Executable}).Draw(t, "mode"), Blob: blobOf(content),
			Origin: rapid.SampledFrom(origins).Draw(t, "origin")}
	}
	return entries
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawEntries(t)
		m, err := NewManifest(entries)
		if err != nil {
			t.Fatal(err)
		}
		mixed := rapid.Permutation(entries).Draw(t, "mixed")
		if len(mixed) > 0 {
			mixed = append(mixed, rapid.SampledFrom(entries).Draw(t, "again"))
		}
		again, err := NewManifest(mixed)
		if err != nil {
			t.Fatal(err)
		}
		if m.Digest() != again.Digest() {
			t.Fatal("another order gave another digest")
		}
		if len(entries) > 0 {
			fewer, err := NewManifest(entries[1:])
			if err != nil {
				t.Fatal(err)
			}
			if fewer.Digest() == m.Digest() {
				t.Fatal("a file less gave the same digest")
			}
		}
	})
}

// CheckPaths must find what comparing every pair finds.
func TestCheckPathsAgreesWithPairs(t *testing.T) {
	component := rapid.SampledFrom([]string{"a", "A", "a-", "a.b", "b", "B", "ſ", "s"})
	rapid.Check(t, func(t *rapid.T) {
		var paths []Path
		for _, parts := range rapid.SliceOfN(rapid.SliceOfN(component, 1, 3), 0, 5).Draw(t, "paths") {
			p, err := ParsePath(strings.Join(parts, "/"))
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, p)
		}
		conflict := false
		for _, p := range paths {
			for _, q := range paths {
				if p == q {
					continue
				}
				below := len(q.text) > len(p.text) && strings.Count(q.text, "/") > strings.Count(p.text, "/") &&
					strings.EqualFold(strings.Join(strings.Split(q.text, "/")[:strings.Count(p.text, "/")+1], "/"), p.text)
				conflict = conflict || below || strings.EqualFold(p.text, q.text)
			}
		}
		if err := CheckPaths(slices.Values(paths)); (err != nil) != conflict {
			t.Fatalf("%q: %v, want a conflict: %v", paths, err, conflict)
		}
	})
}

func TestFolders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := NewManifest(drawEntries(t))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		var files []Entry
		for i, f := range m.folders() {
			if (f.path == ".") != (i == 0) || seen[f.path] {
				t.Fatalf("folder %d is %q", i, f.path)
			}
			depth, parent := 0, "."
			if i > 0 {
				depth = strings.Count(f.path, "/") + 1
				if slash := strings.LastIndexByte(f.path, '/'); slash >= 0 {
					parent = f.path[:slash]
				}
				if !seen[parent] {
					t.Fatalf("%q comes before its parent", f.path)
				}
			}
			if f.depth != depth {
				t.Fatalf("%q has depth %d", f.path, f.depth)
			}
			seen[f.path] = true
			for _, e := range f.files {
				if dir := e.Path.Dir(); dir != f.path && (dir != "" || f.path != ".") {
					t.Fatalf("%q is in %q", e.Path, f.path)
				}
			}
			files = append(files, f.files...)
		}
		slices.SortFunc(files, func(a, b Entry) int { return a.Path.Compare(b.Path) })
		if diff := cmp.Diff(m.entries, files, cmp.Comparer(func(a, b Entry) bool { return a == b })); len(files)+m.Len() > 0 && diff != "" {
			t.Fatal(diff)
		}
	})
}
