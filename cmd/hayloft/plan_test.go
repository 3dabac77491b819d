package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPlanIsWhatHappens compares the numbers of a plan with those of the submission after it, for a project that the farm
// has never seen, for one that it has, and for one of which a texture was changed.
func TestPlanIsWhatHappens(t *testing.T) {
	t.Parallel()
	blend := project(t, 2)
	f := startFarm(t, "--workers", "0")
	args := []string{"--manager", f.url, "--json", blend, "--setting", "frames=1-2"}
	step := func(what string, lacking bool) {
		t.Helper()
		r := hayloft(t.Context(), append([]string{"plan"}, args...)...)
		planned := lastLine[plan](t, r)
		if r.code != 0 || planned.FrameCount != 2 || len(planned.Missing) != 0 {
			t.Fatalf("%s: exit code %d, %+v\n%s", what, r.code, planned, r.stderr)
		}
		r = hayloft(t.Context(), append([]string{"submit"}, args...)...)
		done := lastLine[submitted](t, r)
		if r.code != 0 || planned.Files != done.Files || planned.Bytes != done.BytesTotal ||
			planned.FilesToSend != done.FilesUploaded || planned.BytesToSend != done.BytesUploaded {
			t.Errorf("%s: exit code %d, planned %+v, and then %+v\n%s", what, r.code, planned, done, r.stderr)
		}
		if (done.FilesUploaded > 0) != lacking {
			t.Errorf("%s: %d files were sent", what, done.FilesUploaded)
		}
	}
	step("a new project", true)
	step("a known project", false)
	texture := onlyPNG(t, filepath.Dir(blend))
	content, err := os.ReadFile(texture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(texture, append(content, 0), 0o644); err != nil {
		t.Fatal(err)
	}
	step("a changed texture", true)
}

// TestMissingFilesAreRefusedByName takes a texture away: nothing is sent, and the message names the image.
func TestMissingFilesAreRefusedByName(t *testing.T) {
	t.Parallel()
	blend := project(t, 1)
	texture := onlyPNG(t, filepath.Dir(blend))
	if err := os.Remove(texture); err != nil {
		t.Fatal(err)
	}
	f := startFarm(t, "--workers", "0")
	args := []string{"--manager", f.url, "--json", blend, "--setting", "frames=1"}
	r := hayloft(t.Context(), append([]string{"plan"}, args...)...)
	if planned := lastLine[plan](t, r); r.code != 3 || len(planned.Missing) != 1 || !planned.Missing[0].Required || planned.Missing[0].Resolved != texture {
		t.Errorf("plan: exit code %d, %+v", r.code, planned)
	}
	r = hayloft(t.Context(), append([]string{"submit"}, args...)...)
	if r.code != 3 || r.stdout != "" || !strings.Contains(r.stderr, texture) || !strings.Contains(r.stderr, "--allow-missing") {
		t.Errorf("submit: exit code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if stored := filesIn(t, filepath.Join(f.data, "storage", "jobs")); len(stored) > 0 {
		t.Errorf("a refused submission left %v", stored)
	}
	r = hayloft(t.Context(), append([]string{"submit", "--allow-missing"}, args...)...)
	done := lastLine[submitted](t, r)
	if r.code != 0 || len(done.Missing) != 1 {
		t.Fatalf("submit --allow-missing: exit code %d, %+v\n%s", r.code, done, r.stderr)
	}
	shown := hayloft(t.Context(), "job", "show", "--manager", f.url, "--json", done.JobID)
	if !strings.Contains(shown.stdout, "allowed-missing") || !strings.Contains(shown.stdout, filepath.Base(texture)) {
		t.Errorf("the job does not say what it goes without: %s", shown.stdout)
	}
}

// onlyPNG finds the one texture of the test project.
func onlyPNG(t *testing.T, dir string) string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.png", "*/*.png"} {
		matches, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, matches...)
	}
	if slices.Sort(found); len(found) != 1 {
		t.Fatalf("the project has the textures %v; want one", found)
	}
	return found[0]
}
