package checkout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListGivesWhatWasCreated(t *testing.T) {
	f := newFarm(t)
	for _, m := range []Manifest{f.store.tree(t, someFiles), {}} {
		got, err := f.List(t.Context(), f.mustCreate(t, "film/shot", m))
		if err != nil || got.Digest() != m.Digest() {
			t.Errorf("%v, %d files instead of %d", err, got.Len(), m.Len())
		}
	}
}

func TestListRefusesWhatIsNoCheckout(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	for what, spoil := range map[string]func(dir string) error{
		"a file":           func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), nil, 0o644) },
		"a link elsewhere": func(dir string) error { return os.Symlink("/etc/hosts", filepath.Join(dir, "x")) },
		"a link that lies": func(dir string) error {
			return os.Symlink("/nowhere/"+blobOf("wood").Digest.String(), filepath.Join(dir, "x"))
		},
		"another blob's name": func(dir string) error {
			lie := filepath.Join(t.TempDir(), blobOf("wood").Digest.String())
			return errors.Join(os.WriteFile(lie, []byte("lie"), 0o644), os.Symlink(lie, filepath.Join(dir, "x")))
		},
	} {
		name := f.mustCreate(t, "shot", m)
		path, err := f.Path(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if _, err := f.List(t.Context(), name); err == nil {
			t.Errorf("%s: it was listed", what)
		}
	}
	f.mustCreate(t, "film/shot", m)
	got := map[string]bool{}
	for _, name := range []string{"film", "elsewhere", "film/shot/textures"} {
		_, err := f.List(t.Context(), name)
		got[name] = errors.Is(err, ErrNotCheckout)
	}
	if diff := cmp.Diff(map[string]bool{"film": true, "elsewhere": true, "film/shot/textures": true}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := f.List(t.Context(), "../jobs"); !errors.Is(err, ErrBadName) {
		t.Errorf("a way out: %v", err)
	}
}
