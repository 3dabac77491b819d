package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kind is one kind of dependency in a project of checkout/gather/shot/testdata.
type kind struct {
	Name, Datablock, Blend string
	Files                  []string
	Path                   string // what a message says that the files are
}

// everyKind makes a project with Blender, and gives its folder, its scene and its kinds.
func everyKind(t *testing.T) (top, scene string, kinds []kind) {
	t.Helper()
	return kindsOf(t, "every.py", "blender", "-b", "--factory-startup", "--python-exit-code", "1", "-P")
}

// kindsOf has the script of a project run by a command.
func kindsOf(t *testing.T, script string, command ...string) (top, scene string, kinds []kind) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if script, err = filepath.Abs(filepath.Join("..", "..", "checkout", "gather", "shot", "testdata", script)); err != nil {
		t.Fatal(err)
	}
	command = append(command, script, "--", top)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a project with Blender: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(top, "kinds.json"))
	if err == nil {
		err = json.Unmarshal(text, &kinds)
	}
	if err != nil {
		t.Fatal(err)
	}
	return top, filepath.Join(top, "project", "shots", "010.blend"), kinds
}

// TestEveryKindIsRefusedByName takes the files of one kind of dependency after the other away: the submission is refused,
// by the name of the datablock and the path, and nothing reaches the farm. Each Python of HAYLOFT_BPY has kinds of its own.
func TestEveryKindIsRefusedByName(t *testing.T) {
	t.Parallel()
	top, scene, kinds := everyKind(t)
	refusedByName(t, top, scene, kinds)
	for _, python := range filepath.SplitList(os.Getenv("HAYLOFT_BPY")) {
		top, scene, kinds := kindsOf(t, "newer.py", python)
		refusedByName(t, top, scene, kinds)
	}
}

func refusedByName(t *testing.T, top, scene string, kinds []kind) {
	t.Helper()
	f := startFarm(t, "--workers", "0")
	args := []string{"--manager", f.url, "--json", "--project", filepath.Join(top, "project"), scene, "--setting", "frames=3"}
	stored := func() []string { return filesIn(t, filepath.Join(f.data, "storage")) }
	before := stored()
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			for _, file := range k.Files {
				hide(t, file)
			}
			r := hayloft(t.Context(), append([]string{"plan"}, args...)...)
			required := checkMissing(t, k, lastLine[plan](t, r))
			if want := map[bool]int{true: 3, false: 0}[required]; r.code != want {
				t.Errorf("plan ended with exit code %d, want %d", r.code, want)
			}
			if !required {
				return
			}
			r = hayloft(t.Context(), append([]string{"submit"}, args...)...)
			line := fmt.Sprintf("%s: %s", k.Datablock[2:], k.Path)
			if refused := lastLine[submitted](t, r); r.code != 3 || refused.JobID != "" || !strings.Contains(r.stderr, line) {
				t.Errorf("submit: exit code %d, %q, and %q does not hold %q", r.code, r.stdout, r.stderr, line)
			}
		})
	}
	if diff := cmp.Diff(before, stored()); diff != "" {
		t.Errorf("the farm's storage before (-) and after (+) what was refused:\n%s", diff)
	}
	if r := hayloft(t.Context(), "job", "list", "--manager", f.url, "--json"); strings.Contains(r.stdout, `"id"`) {
		t.Errorf("a job was stored: %s", r.stdout)
	}
	r := hayloft(t.Context(), append([]string{"submit"}, args...)...)
	if done := lastLine[submitted](t, r); r.code != 0 || done.Files < len(kinds) || slices.Equal(before, stored()) {
		t.Errorf("with all files: exit code %d, %+v\n%s", r.code, done, r.stderr)
	}
}

// checkMissing finds a kind among what a plan misses, and tells whether it is required.
func checkMissing(t *testing.T, k kind, p plan) (required bool) {
	t.Helper()
	for _, m := range p.Missing {
		if m.Datablock == k.Datablock && m.Blend == k.Blend && m.Resolved == k.Path {
			return m.Required
		}
	}
	t.Errorf("the plan does not miss %s of %s in %s, but %+v", k.Path, k.Datablock, k.Blend, p.Missing)
	return false
}

// hide takes a file out of its folder until the test ends.
func hide(t *testing.T, file string) {
	t.Helper()
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(away, file); err != nil {
			t.Error(err)
		}
	})
}
