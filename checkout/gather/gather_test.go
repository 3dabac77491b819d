package gather

import (
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
	if _, err := Walk(t.Context(), filepath.Join(root, "none"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Walk(ctx, root, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
func TestWalkTakesFilesAndSeveralRoots(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"shots/a.blend": "a", "shots/a.blend1": "old", "textures/x/wood.png": "w", "lib/textures/tin.png": "t", "other": "o"})
	at := func(path string) string { return filepath.Join(root, filepath.FromSlash(path)) }
	for name, test := range map[string]struct {
		roots []string
		want  []string
		top   string
	}{
		"a file":                       {[]string{"shots/a.blend"}, []string{"a.blend"}, "shots"},
		"a file that would be ignored": {[]string{"shots/a.blend1"}, []string{"a.blend1"}, "shots"},
		"a folder and a file":          {[]string{"textures", "shots/a.blend"}, []string{"a.blend", "textures/x/wood.png"}, "."},
		"folders of one name":          {[]string{"textures", "lib/textures"}, []string{"textures/tin.png", "textures/x/wood.png"}, "."},
		"the same twice":               {[]string{"shots", "shots"}, []string{"shots/a.blend"}, "shots"},
		"one inside the other":         {[]string{"textures", "textures/x"}, []string{"textures/x/wood.png", "x/wood.png"}, "textures"},
	} {
		var roots []string
		for _, path := range test.roots {
			roots = append(roots, at(path))
		}
		tree, err := WalkAll(t.Context(), roots, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.want, paths(tree)); diff != "" || tree.Root != at(test.top) {
			t.Errorf("%s: top %q\n%s", name, tree.Root, diff)
		}
	}
	lay(t, root, map[string]string{"lib/textures/x/wood.png": "another"})
	_, err := WalkAll(t.Context(), []string{at("textures"), at("lib/textures")}, Options{})
	if !errors.Is(err, checkout.ErrConflict) || !strings.Contains(err.Error(), at("lib/textures/x/wood.png")) {
		t.Errorf("two files of one path: %v", err)
	}
	tree, err := WalkAll(t.Context(), []string{at("shots"), at("textures")}, Options{Exclude: []string{"textures/x"}})
	if err != nil || !slices.Equal(paths(tree), []string{"shots/a.blend"}) {
		t.Errorf("excluded below a root: %q, %v", paths(tree), err)
	}
}
