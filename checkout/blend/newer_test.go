package blend

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNewerBlenders traces what Blender 4.2 and later can do, with real caches as far as a Blender makes them, copies what was found to an empty place,
// and lets Blender show the copies where the originals are gone.
func TestNewerBlenders(t *testing.T) {
	for _, p := range pythons() {
		t.Run(filepath.Base(p.top), func(t *testing.T) {
			top, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			project := filepath.Join(top, "project")
			if _, err := p.run("testdata/newer.py", "make", project); err != nil {
				t.Fatal(err)
			}
			var scenes map[string]want
			if err := json.Unmarshal(read(t, filepath.Join(project, "expected.json")), &scenes); err != nil {
				t.Fatal(err)
			}
			farm := filepath.Join(top, "farm")
			for name, want := range scenes {
				scene := filepath.Join(project, filepath.FromSlash(name))
				report := traceOne(t, scene, Options{})
				slices.Sort(want.Files)
				if diff := cmp.Diff(want.Files, report.Files); diff != "" {
					t.Errorf("%s: files (- wanted, + found):\n%s", name, diff)
				}
				if diff := cmp.Diff(want.Missing, report.Missing); diff != "" {
					t.Errorf("%s: missing (- wanted, + found):\n%s", name, diff)
				}
				if name == "scenes/tiles.blend" { // It has the engine of a new scene, whose name differs from version to version.
					if !slices.ContainsFunc(report.Features, func(f string) bool { return strings.HasPrefix(f, "engine:BLENDER_EEVEE") }) || !slices.Contains(report.Features, "gpu") {
						t.Errorf("%s needs %q", name, report.Features)
					}
				}
				for _, file := range append(report.Files, scene) {
					var data []byte
					if strings.HasSuffix(file, ".blend") {
						data, _ = rewritten(t, file, func(d Dependency) (string, bool) { return relativeIn(project, d) })
					} else {
						data = read(t, file)
					}
					saved(t, filepath.Join(farm, strings.TrimPrefix(file, project)), data)
				}
			}
			before := shownBy(t, p, project)
			if err := os.RemoveAll(project); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, shownBy(t, p, farm)); diff != "" || len(before) == 0 {
				t.Errorf("%d lines (- the originals, + the copies):\n%s", len(before), diff)
			}
		})
	}
}

// relativeIn makes a path relative to the .blend file that it starts from.
func relativeIn(project string, d Dependency) (string, bool) {
	base := d.Blend
	if d.Base != "" {
		base = d.Base
	}
	below, err := filepath.Rel(filepath.Dir(base), d.Resolved)
	return "//" + filepath.ToSlash(below), err == nil && strings.HasPrefix(d.Resolved, project)
}

// shownBy is what Blender sees in the scenes below a folder.
func shownBy(t *testing.T, p python, dir string) []string {
	t.Helper()
	out, err := p.run("testdata/newer.py", "show", dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return !strings.HasPrefix(line, "shows ") })
}
