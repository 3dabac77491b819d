package blend

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rewritten returns the bytes of a copy.
func rewritten(t testing.TB, path string, replace func(Dependency) (string, bool)) ([]byte, int) {
	t.Helper()
	var out bytes.Buffer
	changed, err := Rewrite(t.Context(), path, &out, replace)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), changed
}

func saved(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// field names a path of a file; several can have the same name.
func field(d Dependency) string {
	return d.Datablock + " " + d.Kind + " " + d.Field
}

// packedWhole is the folder of the corpus whose libraries are packed with all their bytes.
const packedWhole = "/packing/"

// fieldsOf lists the path fields that a file itself stores, as Trace finds them. Those inside of a library that it has
// packed are no fields of its own.
func fieldsOf(report Report, blend string) []string {
	var list []string
	for _, d := range report.Dependencies {
		if d.Blend == blend && d.Field != "PointCache.name" && !strings.Contains(d.Base, packedWhole) {
			list = append(list, field(d)+" "+d.Written)
		}
	}
	slices.Sort(list)
	return list
}

// moved gives each path a folder of its own that is longer than most.
func moved(d Dependency) string {
	name := d.Written[strings.LastIndexAny(d.Written, separators)+1:]
	return fmt.Sprintf("//_outside/a folder with a long name, in ünïcode/%x/%s", len(d.Written), name)
}

// TestBlenderReadsRewrittenFiles changes every path of every scene, lets Blender load the copies and save what it read.
func TestBlenderReadsRewrittenFiles(t *testing.T) {
	corpora, err := makeCorpora()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range pythons() {
		t.Run(filepath.Base(p.top), func(t *testing.T) {
			dir := t.TempDir()
			want := map[string][]string{}
			var args []string
			for name := range corpora[i] {
				source, copied := filepath.Join(p.top, name), filepath.Join(dir, "copy", name)
				data, _ := rewritten(t, source, func(d Dependency) (string, bool) {
					want[name] = append(want[name], field(d)+" "+moved(d))
					return moved(d), d.Kind != "library"
				})
				saved(t, copied, data)
				args = append(args, copied, filepath.Join(dir, "again", name))
			}
			for i := 1; i < len(args); i += 2 {
				if err := os.MkdirAll(filepath.Dir(args[i]), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := p.run("testdata/resave.py", args...); err != nil {
				t.Fatal(err)
			}
			for name, want := range want {
				path := filepath.Join(dir, "again", name)
				slices.Sort(want)
				// Texts that only look like paths are none where no file is.
				drop := func(text string) bool {
					return strings.Contains(text, " library ") || strings.Contains(text, " property undeclared ")
				}
				got := slices.DeleteFunc(fieldsOf(traceOne(t, path, Options{}), path), drop)
				if diff := cmp.Diff(slices.DeleteFunc(want, drop), got); diff != "" {
					t.Errorf("%s (- asked for, + what Blender read):\n%s", name, diff)
				}
			}
		})
	}
}

// TestRewriteAsksForWhatTraceFinds holds the two against each other, and a copy without changes against the file.
func TestRewriteAsksForWhatTraceFinds(t *testing.T) {
	eachScene(t, func(t *testing.T, p python, name string, _ want) {
		path := filepath.Join(p.top, name)
		before := read(t, path)
		var asked []string
		same, changed := rewritten(t, path, func(d Dependency) (string, bool) {
			if d.Resolved == "" {
				t.Errorf("%s has no resolved path", field(d))
			}
			asked = append(asked, field(d)+" "+d.Written)
			return d.Written, true
		})
		slices.Sort(asked)
		if diff := cmp.Diff(fieldsOf(traceOne(t, path, Options{}), path), asked); diff != "" {
			t.Errorf("(- found, + asked for):\n%s", diff)
		}
		if changed != 0 || !bytes.Equal(same, before) || !bytes.Equal(before, read(t, path)) {
			t.Errorf("%d changes; a copy with no change has other bytes, or the file was written to", changed)
		}
		first, _ := rewritten(t, path, func(d Dependency) (string, bool) { return moved(d), true })
		second, _ := rewritten(t, path, func(d Dependency) (string, bool) { return moved(d), true })
		if !bytes.Equal(first, second) {
			t.Error("two copies with the same changes differ")
		}
		if len(asked) > 0 && bytes.Equal(first, before) {
			t.Error("nothing changed")
		}
	})
}

// TestBlenderRendersRewrittenFiles moves a library and gives its material another texture, one file each in a folder of
// its own, and renders the result where none of the originals is left.
func TestBlenderRendersRewrittenFiles(t *testing.T) {
	for _, p := range pythons() {
		t.Run(filepath.Base(p.top), func(t *testing.T) {
			source, farm := filepath.Join(t.TempDir(), "source"), t.TempDir()
			if _, err := p.run("testdata/colour.py", "make", source); err != nil {
				t.Fatal(err)
			}
			shot, _ := rewritten(t, filepath.Join(source, "shot.blend"), to("//outside/1/moved.blend"))
			library, _ := rewritten(t, filepath.Join(source, "lib", "lib.blend"), to("//../2/blue.png"))
			saved(t, filepath.Join(farm, "shot.blend"), shot)
			saved(t, filepath.Join(farm, "outside", "1", "moved.blend"), library)
			saved(t, filepath.Join(farm, "outside", "2", "blue.png"), read(t, filepath.Join(source, "blue.png")))
			if err := os.RemoveAll(source); err != nil {
				t.Fatal(err)
			}
			out, err := p.run("testdata/colour.py", "show", filepath.Join(farm, "shot.blend"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(out), "colour 0 0 1\n") {
				t.Errorf("the texture is not blue:\n%s", out)
			}
		})
	}
}
