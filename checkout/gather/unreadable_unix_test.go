//go:build unix

package gather

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const walkAsNobody = "GATHER_TEST_WALK_AS_NOBODY"

// TestAllThatIsUnreadableIsNamed walks and reads as a user without rights: the superuser, as whom tests often run, may read all.
func TestAllThatIsUnreadableIsNamed(t *testing.T) {
	if root := os.Getenv(walkAsNobody); root != "" {
		checkUnreadable(t, root)
		return
	}
	// A folder of its own, since those of the test framework are closed to other users.
	root, err := os.MkdirTemp("", "gather")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.Chmod(filepath.Join(root, "closed"), 0o777), os.RemoveAll(root)); err != nil {
			t.Error(err)
		}
	})
	lay(t, root, map[string]string{"fine": "x", "a secret": "x", "sub/b secret": "x", "closed/c": "x"})
	for path, mode := range map[string]fs.FileMode{".": 0o755, "sub": 0o755, "a secret": 0, "sub/b secret": 0, "closed": 0} {
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		checkUnreadable(t, root)
		return
	}
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(root, "gather.test")
	if err := os.WriteFile(self, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$")
	again.Dir = root
	again.Env = append(os.Environ(), walkAsNobody+"="+root)
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// checkUnreadable: the walk names the folders, and the reading the files, before it reads any.
func checkUnreadable(t *testing.T, root string) {
	_, err := Walk(t.Context(), root, Options{})
	checkNamed(t, err, filepath.Join(root, "closed"))
	tree, err := Walk(t.Context(), root, Options{Exclude: []string{"closed"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Read(t.Context(), tree, Reading{Read: neverRead})
	checkNamed(t, err, filepath.Join(root, "a secret"), filepath.Join(root, "sub/b secret"))
}

func checkNamed(t *testing.T, err error, paths ...string) {
	t.Helper()
	var unusable *UnusableError
	if !errors.As(err, &unusable) || len(unusable.Causes) != len(paths) || !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("got %v", err)
	}
	for _, path := range paths {
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %q", err, path)
		}
	}
}
