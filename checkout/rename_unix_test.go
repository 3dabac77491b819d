//go:build unix

package checkout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenameReserved(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, path := range []string{"from", "full", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, path, "x"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, rename := range []func(*os.Root, string, string) error{renameReserved, renameNoReplace} {
		before := contents(t, dir)
		for _, pair := range [][2]string{{"from", "full"}, {"from", "empty"}, {"from", "file"}, {"file", "full"}} {
			if err := rename(root, pair[0], pair[1]); !errors.Is(err, os.ErrExist) {
				t.Errorf("%s over %s: %v", pair[0], pair[1], err)
			}
		}
		if err := rename(root, "absent", "new"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("absent: %v", err)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Error(diff)
		}
		for _, path := range []string{"from", "file"} {
			if err := errors.Join(rename(root, path, "new"), rename(root, "new", path)); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
}
