//go:build unix

package dropfolder

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody has no rights of its own on all common systems.
const nobody = 65534

// TestUnreadableDropsStopNoOthers watches as a user without rights, since tests often run as one who may read all. What may
// not be read is explained, is taken as soon as it may be, and does not keep the rest from being taken.
func TestUnreadableDropsStopNoOthers(t *testing.T) {
	t.Parallel()
	f := startFarm(t)
	project := filepath.Join(scenes(t), "project")
	// A folder of its own, since those of the test framework are closed to other users.
	base, err := os.MkdirTemp("", "dropfolder")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	dir := filepath.Join(base, "drops")
	closed := []string{"closed", "closed.zip"}
	copyFolder(t, project, filepath.Join(dir, closed[0]))
	put(t, filepath.Join(dir, closed[1]), zipFolder(t, project))
	put(t, filepath.Join(dir, "open.zip"), zipFolder(t, project))
	chmod := func(mode os.FileMode, paths ...string) {
		for _, path := range paths {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	chmod(0o777, base, dir)
	chmod(0, filepath.Join(dir, closed[0]), filepath.Join(dir, closed[1]))
	watching := startCommand(t, "the watched folder", asNobody(t, base, watchVariable+"="+dir, managerVariable+"="+f.url))

	watching.says("a drop is a job now", "open.zip")
	for _, name := range closed {
		sentence := filepath.Join(dir, name+errorSuffix)
		waitFor(t, sentence, func() bool { return exists(sentence) })
		if text, err := os.ReadFile(sentence); err != nil || !strings.Contains(string(text), name+" is not rendered yet: the manager may not read it") {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	chmod(0o755, filepath.Join(dir, closed[0]), filepath.Join(dir, closed[1]))
	for _, name := range closed {
		sentence := filepath.Join(dir, name+errorSuffix)
		waitFor(t, filepath.Join(dir, ownFolder, "any"), func() bool { return len(f.jobsOf(t)[name]) == 1 && !exists(sentence) })
	}
}

// asNobody is this test binary, run by a user without rights.
func asNobody(t *testing.T, dir string, environment ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), environment...)
	if os.Getuid() != 0 {
		return cmd
	}
	binary, err := os.ReadFile(self)
	copied := filepath.Join(dir, "dropfolder.test")
	if err := errors.Join(err, os.WriteFile(copied, binary, 0o755), os.Chmod(copied, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd.Path, cmd.Args = copied, []string{copied}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}
