package blend

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixtures were written by Blenders that a machine need not have; testdata/fixture.py made them.
var fixtures = map[string]Header{
	"v4_2": {Version: 402, PointerSize: 8},
	"v4_5": {Version: 405, PointerSize: 8},
	"v5_0": {Version: 500, PointerSize: 8, LargeHeads: true},
}

// expectedFields lists what the script put into a fixture.
func expectedFields(t *testing.T, name string) []Dependency {
	t.Helper()
	var want []Dependency
	if err := json.Unmarshal(read(t, filepath.Join("testdata", name+".json")), &want); err != nil {
		t.Fatal(err)
	}
	return want
}

func sortedFields(list []Dependency, text func(Dependency) string) []string {
	var fields []string
	for _, d := range list {
		fields = append(fields, field(d)+" "+text(d))
	}
	slices.Sort(fields)
	return fields
}

func written(d Dependency) string { return d.Written }

func TestFixturesOfNewerBlenders(t *testing.T) {
	for name, header := range fixtures {
		path := filepath.Join("testdata", name+".blend")
		f := parsed(t, read(t, path))
		if diff := cmp.Diff(header, f.Header()); diff != "" || f.Compression() != Zstd {
			t.Errorf("%s: %s, header:\n%s", name, f.Compression(), diff)
		}
		want := sortedFields(expectedFields(t, name), written)
		got := sortedFields(traceOne(t, path, Options{}).Dependencies, written)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- written, + found):\n%s", name, diff)
		}
	}
}

// TestFixturesFindCaches looks for the files of the scenes that exist, layers that only a cache names included.
func TestFixturesFindCaches(t *testing.T) {
	layers := []string{"below.usdc", "clip.001.usdc", "clip.002.usdc", "clip.003.usdc", "manifest.usda", "referenced.usd"}
	layers = append(layers, "sub/deep.usda", "sub/deepest.usdc", "sub/payload.usdc", "top.usdc", "unanchored.usda", "variant.usdc")
	want := []string{"box.abc", "smoke.vdb"}
	for _, layer := range layers {
		want = append(want, filepath.Join("usd", layer))
	}
	for name := range fixtures {
		report := traceOne(t, filepath.Join("testdata", name+".blend"), Options{})
		var got []string
		for _, file := range report.Files {
			_, below, _ := strings.Cut(file, filepath.Join("testdata", "caches")+string(filepath.Separator))
			got = append(got, below)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- wanted, + found):\n%s", name, diff)
		}
		if gone := filepath.Join("caches", "usd", "gone.usdc"); !slices.ContainsFunc(report.Missing, func(path string) bool { return strings.HasSuffix(path, gone) }) {
			t.Errorf("%s: %s is not missing", name, gone)
		}
		for _, feature := range []string{"alembic", "usd", "openvdb", "osl"} {
			if !slices.Contains(report.Features, feature) {
				t.Errorf("%s needs %q, and not %s", name, report.Features, feature)
			}
		}
	}
}

// TestSoundStripsFollowTheirSounds has a strip that still names another file than its sound, which is what Blender plays.
func TestSoundStripsFollowTheirSounds(t *testing.T) {
	played, err := filepath.Abs(filepath.Join("testdata", "media", "played.wav"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"v4_5", "v5_0"} {
		list := traceOne(t, filepath.Join("testdata", name+".blend"), Options{}).Dependencies
		at := slices.IndexFunc(list, func(d Dependency) bool { return d.Kind == "sound strip" })
		if at < 0 {
			t.Fatalf("%s has no sound strip", name)
		}
		if d := list[at]; d.Written != "/tmp/fixture/beep.wav" || d.Resolved != played || d.Required {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestSequencesOfNodesCountWhole has a sequence of which a material shows two frames, and geometry nodes any.
func TestSequencesOfNodesCountWhole(t *testing.T) {
	for name := range fixtures {
		for _, d := range traceOne(t, filepath.Join("testdata", name+".blend"), Options{}).Dependencies {
			if d.Datablock == "IMrun" && (len(d.Missing) != 1 || d.Frames != nil) {
				t.Errorf("%s: frames %v, missing %q", name, d.Frames, d.Missing)
			}
		}
	}
}

func TestFixturesRewritten(t *testing.T) {
	for name := range fixtures {
		all := slices.DeleteFunc(expectedFields(t, name), func(d Dependency) bool { return d.Field == "PointCache.name" })
		data, changed := rewritten(t, filepath.Join("testdata", name+".blend"), func(d Dependency) (string, bool) { return moved(d), true })
		if changed != len(all) {
			t.Errorf("%s: %d of %d fields changed", name, changed, len(all))
		}
		path := saved(t, filepath.Join(t.TempDir(), name+".blend"), data)
		for _, d := range all {
			if d.Field == "NodeInputString.string" { // A text that is no path unless there is such a file.
				saved(t, filepath.Join(filepath.Dir(path), moved(d)), nil)
			}
		}
		got := slices.DeleteFunc(traceOne(t, path, Options{}).Dependencies, func(d Dependency) bool { return d.Field == "PointCache.name" })
		if diff := cmp.Diff(sortedFields(all, moved), sortedFields(got, written)); diff != "" {
			t.Errorf("%s (- asked for, + found):\n%s", name, diff)
		}
		for _, d := range got {
			if d.Kind == "sequencer strip" && !strings.HasSuffix(d.Resolved, "/first.png") {
				t.Errorf("%s: the strip begins with %s", name, d.Resolved)
			}
		}
	}
}
