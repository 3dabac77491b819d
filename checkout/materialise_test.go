package checkout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
)

func TestMaterialiseNew(t *testing.T) {
	store := newStore(t, t.TempDir())
	m := store.tree(t, someFiles)
	dir := filepath.Join(t.TempDir(), "new", "project")
	if _, err := Materialise(t.Context(), dir, m, store, Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someFiles, contents(t, dir)); diff != "" {
		t.Error(diff)
	}
	info, err := os.Lstat(filepath.Join(dir, "scene.blend"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	onlyThere(t, dir)
}

// onlyThere fails if a stage is left in dir or beside it.
func onlyThere(t *testing.T, dir string) {
	t.Helper()
	for _, place := range []string{dir, filepath.Dir(dir)} {
		if left, err := filepath.Glob(filepath.Join(place, StagePrefix+"*")); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
}

func TestMaterialiseModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // has no such modes
	}
	store := newStore(t, t.TempDir())
	b := store.put(t, "x")
	m := mustManifest(t, []Entry{{Path: mustPath(t, "run"), Mode: Executable, Blob: b}, {Path: mustPath(t, "read"), Blob: b}})
	dir := filepath.Join(t.TempDir(), "d")
	if _, err := Materialise(t.Context(), dir, m, store, Options{}); err != nil {
		t.Fatal(err)
	}
	for name, executable := range map[string]bool{"run": true, "read": false} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || (info.Mode()&0o100 != 0) != executable {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// opened counts which blobs are read.
type opened struct {
	folderStore
	digests chan cas.Digest
}

func (o opened) Open(ctx context.Context, d cas.Digest) (cas.Reader, error) {
	o.digests <- d
	return o.folderStore.Open(ctx, d)
}

func TestMaterialiseAddsWhatIsLacking(t *testing.T) {
	store := opened{newStore(t, t.TempDir()), make(chan cas.Digest, 100)}
	m := store.tree(t, someFiles)
	dir := t.TempDir()
	mine := map[string]string{"scene.blend": "scene", "textures/mine.txt": "mine"}
	lay(t, dir, mine)
	before, err := os.Stat(filepath.Join(dir, "scene.blend"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Materialise(t.Context(), dir, m, store, Options{}); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"textures/mine.txt": "mine"}
		for path, content := range someFiles {
			want[path] = content
		}
		if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
			t.Error(diff)
		}
		onlyThere(t, dir)
	}
	after, err := os.Stat(filepath.Join(dir, "scene.blend"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("an equal file was replaced: %v", err)
	}
	if n, want := len(store.digests), len(m.Blobs())-1; n != want {
		t.Errorf("%d blobs were read, %d lacked", n, want)
	}
}

func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, content := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMaterialiseOverwritesNothing(t *testing.T) {
	store := newStore(t, t.TempDir())
	m := store.tree(t, someFiles)
	tests := map[string]struct {
		there map[string]string
		link  string
		named string
	}{
		"other content":           {there: map[string]string{"scene.blend": "SCENE"}, named: `"scene.blend" has other content`},
		"other size":              {there: map[string]string{"copy.blend": "x"}, named: `"copy.blend" has another size`},
		"a folder":                {there: map[string]string{"scene.blend/x": "x"}, named: `"scene.blend" is no regular file`},
		"a file for a folder":     {there: map[string]string{"textures": "x"}, named: `"textures" is no folder`},
		"a link":                  {link: "scene.blend", named: `"scene.blend" is no regular file`},
		"a link out for a folder": {link: "textures", named: "escapes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, outside := t.TempDir(), t.TempDir()
			lay(t, dir, test.there)
			if test.link != "" {
				if err := os.Symlink(outside, filepath.Join(dir, test.link)); err != nil {
					t.Fatal(err)
				}
			}
			before := contents(t, dir)
			_, err := Materialise(t.Context(), dir, m, store, Options{})
			if err == nil || test.named != "escapes" && !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), test.named) {
				t.Errorf("got %v, want %s", err, test.named)
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]string{}, contents(t, outside)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMaterialiseFailures(t *testing.T) {
	missing, longer, shorter, other := blobOf("missing"), blobOf("longer"), blobOf("shorter"), blobOf("other")
	store := newStore(t, t.TempDir())
	fine := store.put(t, "fine")
	lay(t, store.dir, map[string]string{longer.Digest.String(): "longer than that", shorter.Digest.String(): "short", other.Digest.String(): "OTHER"})
	for _, test := range []struct {
		blob cas.Blob
		want error
	}{
		{missing, cas.ErrNotFound}, {longer, cas.ErrSizeMismatch}, {shorter, cas.ErrSizeMismatch}, {other, cas.ErrDigestMismatch},
	} {
		m := mustManifest(t, []Entry{{Path: mustPath(t, "a/bad"), Blob: test.blob}, {Path: mustPath(t, "fine"), Blob: fine}})
		fresh, there := filepath.Join(t.TempDir(), "fresh"), t.TempDir()
		for _, dir := range []string{fresh, there} {
			_, err := Materialise(t.Context(), dir, m, store, Options{})
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), `"a/bad"`) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			onlyThere(t, dir)
			got := contents(t, dir)
			delete(got, "fine") // came before the other failed, or did not
			if diff := cmp.Diff(map[string]string{"a/": ""}, got); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestMaterialiseCancelled(t *testing.T) {
	store := newStore(t, t.TempDir())
	m := store.tree(t, someFiles)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "fresh")} {
		if _, err := Materialise(ctx, dir, m, store, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		onlyThere(t, dir)
	}
}
