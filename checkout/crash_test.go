package checkout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// killedAt names the environment variable that makes this test binary create "film/new" and remove "gone/old" in the
// storage that killedIn names, and die without any cleaning up at the step that killedAt names.
const (
	killedAt = "CHECKOUT_TEST_KILLED_AT"
	killedIn = "CHECKOUT_TEST_KILLED_IN"
)

// exitKilled is the exit code of a process that died where it was told to.
const exitKilled = 77

func runUntilKilled() {
	shared, at := os.Getenv(killedIn), step(os.Getenv(killedAt))
	c, err := New(filepath.Join(shared, "jobs"), folderStore{dir: filepath.Join(shared, "blobs")})
	if err == nil {
		c.atStep = func(s step) error {
			if s == at {
				os.Exit(exitKilled)
			}
			return nil
		}
		err = createAndRemove(c, filepath.Join(shared, "manifest"))
	}
	fmt.Fprintln(os.Stderr, "was not killed at", at, err)
	os.Exit(1)
}

func createAndRemove(c *Checkouts, manifest string) error {
	f, err := os.Open(manifest)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := Decode(f, DefaultLimits)
	if err != nil {
		return err
	}
	_, err = c.Create(context.Background(), "film/new", m)
	return errors.Join(err, c.Remove(context.Background(), "gone/old"))
}

// A process that dies between two steps leaves a new checkout whole or not there, an old one likewise, and after the
// next start nothing else.
func TestKilledBetweenSteps(t *testing.T) {
	tests := []struct {
		at        step
		isNew     bool // the checkout being created is there
		isOld     bool // the checkout being removed is there
		leftovers bool // something waits in .building
	}{
		{stepAside, false, true, true},
		{stepLinked, false, true, true},
		{stepShaped, false, true, true},
		{stepSynced, false, true, true},
		{stepLevel, false, true, true},
		{stepRenamed, true, true, false},
		{stepPublished, true, true, false},
		{stepSetAside, true, false, true},
		{stepUnnamed, true, false, true},
		{stepUnmarked, true, false, false},
	}
	for _, test := range tests {
		t.Run(string(test.at), func(t *testing.T) {
			t.Parallel()
			f := newFarm(t)
			m := f.store.tree(t, someFiles)
			if err := os.WriteFile(filepath.Join(f.shared, "manifest"), encode(t, m), 0o666); err != nil {
				t.Fatal(err)
			}
			f.mustCreate(t, "gone/old", m)
			f.mustCreate(t, "other", m)
			killAt(t, f.shared, test.at)
			if left := f.names(t, buildingDir); (len(left) > 0) != test.leftovers {
				t.Errorf("in %s: %v", buildingDir, left)
			}
			again, err := New(f.root, f.store)
			if err != nil {
				t.Fatal(err)
			}
			f.Checkouts = again
			f.nothingLeft(t)
			for name, there := range map[string]bool{"film/new": test.isNew, "gone/old": test.isOld, "other": true} {
				if _, err := os.Stat(filepath.Join(f.root, name)); there != !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%q: %v", name, err)
				} else if diff := ""; there {
					if diff = cmp.Diff(someFiles, f.contents(t, name)); diff != "" {
						t.Errorf("%q: %s", name, diff)
					}
				}
			}
			names := []string{f.mustCreate(t, "film/new", m), f.mustCreate(t, "gone/old", m)}
			if slices.Equal(names, []string{"film/new", "gone/old"}) == (test.isNew || test.isOld) {
				t.Errorf("created again as %q", names)
			}
		})
	}
}

func killAt(t *testing.T, shared string, at step) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dying := exec.CommandContext(t.Context(), self)
	dying.Env = append(os.Environ(), killedAt+"="+string(at), killedIn+"="+shared)
	out, err := dying.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitKilled {
		t.Fatalf("%v: %s", err, out)
	}
}
