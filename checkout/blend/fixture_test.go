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

func TestFixturesRewritten(t *testing.T) {
	for name := range fixtures {
		all := slices.DeleteFunc(expectedFields(t, name), func(d Dependency) bool { return d.Field == "PointCache.name" })
		data, changed := rewritten(t, filepath.Join("testdata", name+".blend"), func(d Dependency) (string, bool) { return moved(d), true })
		if changed != len(all) {
			t.Errorf("%s: %d of %d fields changed", name, changed, len(all))
		}
		path := saved(t, filepath.Join(t.TempDir(), name+".blend"), data)
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
