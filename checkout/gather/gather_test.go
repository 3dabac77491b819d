package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/checkout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lay(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for path, content := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func link(t testing.TB, target string, path ...string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

func walked(t testing.TB, root string, options Options) []string {
	t.Helper()
	tree, err := Walk(t.Context(), root, options)
	if err != nil {
		t.Fatal(err)
	}
	return paths(tree)
}

func paths(tree Tree) []string {
	found := []string{}
	for _, f := range tree.Files {
		found = append(found, f.Path.String())
	}
	return found
}

func TestWalkIgnoresAndExcludes(t *testing.T) {
	root := t.TempDir()
	kept := []string{".hidden", "a.blend", "a.blend0", "a.blend01", "a.blend1x", "a.blend33", "git/x", "tex/b.psd", "tex/cache/c", "thumbs.dbx"}
	ignored := []string{
		".git/config", "sub/.hg/x", ".svn/x", "py/__pycache__/m.pyc", ".DS_Store", "tex/Thumbs.db", "tex/thumbs.db",
		"a.blend1", "a.blend32", "sub/b.blend7", "a.blend@", ".~lock.notes.odt#", checkout.StagePrefix + "x/y",
	}
	for _, path := range slices.Concat(kept, ignored) {
		lay(t, root, map[string]string{path: path})
	}
	if diff := cmp.Diff(kept, walked(t, root, Options{})); diff != "" {
		t.Error(diff)
	}
	want := []string{"a.blend", "git/x"}
	if diff := cmp.Diff(want, walked(t, root, Options{Exclude: []string{"*.psd", "tex/cache/", "a.blend[0-9]*", ".hidden", "thumbs*"}})); diff != "" {
		t.Error(diff)
	}
	for _, pattern := range []string{"[", "", "/", "a/["} {
		if _, err := Walk(t.Context(), root, Options{Exclude: []string{pattern}}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", pattern)) {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
}

func TestWalkSaysWhatAFileIs(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"tools/run.sh": "#!/bin/sh\n"})
	source := filepath.Join(root, "tools", "run.sh")
	stamp := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := errors.Join(os.Chmod(source, 0o755), os.Chtimes(source, stamp, stamp)); err != nil {
		t.Fatal(err)
	}
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil || len(tree.Files) != 1 || tree.Size() != 10 {
		t.Fatalf("got %+v, %v", tree, err)
	}
	f := tree.Files[0]
	if f.Path.String() != "tools/run.sh" || f.Source != source || f.Size != 10 || f.Mode != checkout.Executable || !f.ModTime.Equal(stamp) {
		t.Errorf("got %+v", f)
	}
}

func TestWalkFollowsLinks(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	lay(t, root, map[string]string{"real/a.png": "a", "sub/deep/b.png": "b"})
	lay(t, outside, map[string]string{"lib/c.blend": "c"})
	link(t, "real/a.png", root, "a link.png")
	link(t, filepath.Join(outside, "lib"), root, "lib")
	link(t, "../real", root, "sub/real again")
	link(t, "..", root, "sub/up")
	link(t, ".", root, "self")
	link(t, "../..", root, "sub/deep/top")
	link(t, root, outside, "lib/back")
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a link.png", "lib/c.blend", "real/a.png", "sub/deep/b.png", "sub/real again/a.png"}
	if diff := cmp.Diff(want, paths(tree)); diff != "" {
		t.Error(diff)
	}
	var loops []string
	for _, loop := range tree.Loops {
		relative, err := filepath.Rel(root, loop)
		if err != nil {
			t.Fatal(err)
		}
		loops = append(loops, filepath.ToSlash(relative))
	}
	if diff := cmp.Diff([]string{"lib/back", "self", "sub/deep/top", "sub/up"}, loops); diff != "" {
		t.Error(diff)
	}
}

// Twenty folders that each show the next one twice look like a million.
func TestWalkIsBounded(t *testing.T) {
	root := t.TempDir()
	for i := range 20 {
		dir := filepath.Join(root, fmt.Sprintf("d%d", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		next := fmt.Sprintf("../d%d", i+1)
		if i < 19 {
			link(t, next, dir, "x")
			link(t, next, dir, "y")
		}
	}
	if _, err := Walk(t.Context(), root, Options{MaxFiles: 5000}); !errors.Is(err, ErrTooManyFiles) {
		t.Errorf("got %v", err)
	}
}

func TestWalkNamesAllThatIsUnusable(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"fine": "x", "nul.txt": "x", "sub/ends in dot.": "x", "sub/fine": "x"})
	link(t, "nowhere.png", root, "dangling.png")
	link(t, "round", root, "round")
	_, err := Walk(t.Context(), root, Options{})
	var unusable *UnusableError
	if !errors.Is(err, ErrUnusable) || !errors.As(err, &unusable) || len(unusable.Causes) != 4 {
		t.Fatalf("got %v", err)
	}
	if !errors.Is(err, checkout.ErrBadPath) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the causes are not found in %v", err)
	}
	for _, part := range []string{`"nul.txt"`, `"sub/ends in dot."`, "dangling.png", `"nowhere.png"`, "round"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if got := walked(t, root, Options{Exclude: []string{"nul.*", "*.", "dangling*", "round"}}); !slices.Equal(got, []string{"fine", "sub/fine"}) {
		t.Errorf("got %q", got)
	}
}

func TestWalkRefuses(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"Wood.png": "x", "wood.png": "y"})
	if _, err := Walk(t.Context(), root, Options{}); !errors.Is(err, checkout.ErrConflict) {
		t.Errorf("case: %v", err)
	}
	if _, err := Walk(t.Context(), filepath.Join(root, "Wood.png"), Options{}); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a file: %v", err)
	}
	if _, err := Walk(t.Context(), filepath.Join(root, "none"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Walk(ctx, root, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestHash(t *testing.T) {
	root := t.TempDir()
	big := string(bytes.Repeat([]byte("hay"), pieceBytes))
	files := map[string]string{"a": "one", "b/c": "two", "b/d": "one", "empty": "", "big": big}
	lay(t, root, files)
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var last, total int64
	m, sources, err := Hash(t.Context(), tree, func(done, all int64) {
		if done < last || done > all {
			t.Errorf("progress from %d to %d of %d", last, done, all)
		}
		last, total = done, all
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != tree.Size() || total != tree.Size() {
		t.Errorf("progress ended at %d of %d, not %d", last, total, tree.Size())
	}
	found := map[string]cas.Blob{}
	for e := range m.Entries() {
		found[e.Path.String()] = e.Blob
	}
	want := map[string]cas.Blob{}
	for path, content := range files {
		want[path] = cas.Blob{Digest: cas.SumBytes([]byte(content)), Size: int64(len(content))}
	}
	if diff := cmp.Diff(want, found, cmp.Comparer(func(a, b cas.Blob) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if len(sources) != 4 || !slices.IsSortedFunc(sources, func(a, b Source) int { return a.Blob.Digest.Compare(b.Blob.Digest) }) {
		t.Errorf("sources %v", sources)
	}
	for _, s := range sources {
		content, err := os.ReadFile(s.Path)
		if err != nil || cas.SumBytes(content) != s.Blob.Digest {
			t.Errorf("%v: %v", s, err)
		}
	}
}

// fileChanges are ways in which a file can differ from what was read of it.
func fileChanges(early time.Time) map[string]func(t *testing.T, path string, n int) {
	return map[string]func(t *testing.T, path string, n int){
		"grows": func(t *testing.T, path string, n int) {
			lay(t, filepath.Dir(path), map[string]string{"f": strings.Repeat("x", 10+n)})
		},
		"shrinks": func(t *testing.T, path string, n int) {
			lay(t, filepath.Dir(path), map[string]string{"f": strings.Repeat("x", 9-n)})
		},
		"touched": func(t *testing.T, path string, n int) {
			if err := os.Chtimes(path, early, early.Add(time.Duration(n)*time.Second)); err != nil {
				t.Error(err)
			}
		},
		"saved by renaming": func(t *testing.T, path string, n int) {
			// The new file has the old one's size and time.
			lay(t, filepath.Dir(path), map[string]string{"f@": fmt.Sprintf("xxxxxxxxx%d", n)})
			if err := errors.Join(os.Chtimes(path+"@", early, early), os.Rename(path+"@", path)); err != nil {
				t.Error(err)
			}
		},
	}
}

func TestHashReadsAChangedFileAgain(t *testing.T) {
	early := time.Now().Add(-time.Hour)
	for name, change := range fileChanges(early) {
		for _, times := range []int{1, readings - 1, readings} {
			t.Run(fmt.Sprintf("%s %d times", name, times), func(t *testing.T) { hashWhileItChanges(t, early, change, times) })
		}
	}
}

func hashWhileItChanges(t *testing.T, early time.Time, change func(t *testing.T, path string, n int), times int) {
	root := t.TempDir()
	lay(t, root, map[string]string{"f": "xxxxxxxxxx", "other": "still"})
	path := filepath.Join(root, "f")
	if err := os.Chtimes(path, early, early); err != nil {
		t.Fatal(err)
	}
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var done, total int64
	m, _, err := hashTree(t.Context(), tree, func(d, all int64) { done, total = d, all }, func(f File) {
		if f.Path.String() == "f" && n < times {
			n++
			change(t, path, n)
		}
	})
	if times == readings {
		if !errors.Is(err, ErrChanging) || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := firstEntry(m)
	if first.Blob.Digest != cas.SumBytes(content) || first.Blob.Size != int64(len(content)) {
		t.Errorf("hashed %v, the file has %q", first.Blob, content)
	}
	if want := int64(len(content)) + 5; done != want || total != want {
		t.Errorf("progress ended at %d of %d, not %d", done, total, want)
	}
}

func firstEntry(m checkout.Manifest) (checkout.Entry, bool) {
	for e := range m.Entries() {
		return e, true
	}
	return checkout.Entry{}, false
}

func TestHashNamesAllThatIsGone(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a": "a", "b": "b", "c": "c"})
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(root, "a")), os.Remove(filepath.Join(root, "c"))); err != nil {
		t.Fatal(err)
	}
	_, _, err = Hash(t.Context(), tree, nil)
	var unusable *UnusableError
	if !errors.As(err, &unusable) || len(unusable.Causes) != 2 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestHashCancelled(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a": "a", "b": "b"})
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err := hashTree(ctx, tree, nil, func(File) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What is laid out and gathered again is the same tree.
func TestThereAndBack(t *testing.T) {
	contents := rapid.MapOfN(rapid.StringMatching(`(a|b|é ü)(/(c|d){1,2}){0,2}\.png`), rapid.String(), 0, 8)
	rapid.Check(t, func(rt *rapid.T) {
		files := contents.Draw(rt, "files")
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		lay(t, root, files)
		tree, err := Walk(t.Context(), root, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		m, _, err := Hash(t.Context(), tree, nil)
		if err != nil {
			rt.Fatal(err)
		}
		var entries []checkout.Entry
		for text, content := range files {
			p, err := checkout.ParsePath(text)
			if err != nil {
				rt.Fatal(err)
			}
			entries = append(entries, checkout.Entry{Path: p, Blob: cas.Blob{Digest: cas.SumBytes([]byte(content)), Size: int64(len(content))}})
		}
		want, err := checkout.NewManifest(entries)
		if err != nil || want.Digest() != m.Digest() {
			rt.Fatalf("%v: another tree came back", err)
		}
	})
}
