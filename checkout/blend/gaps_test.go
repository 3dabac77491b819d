package blend

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestNumberedFiles holds the ranges against the rule for a single frame.
func TestNumberedFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(-6, 12)
		first := small.Draw(t, "first")
		n := numbered{frames: Range{first, first + rapid.Int64Range(0, 8).Draw(t, "more")}, shift: small.Draw(t, "shift"), held: rapid.Bool().Draw(t, "held")}
		begin := small.Draw(t, "begin")
		scene := Range{begin, begin + rapid.Int64Range(0, 8).Draw(t, "length")}
		want := map[int64]bool{}
		for frame := scene.First; frame <= scene.Last; frame++ {
			shown := min(max(frame, n.frames.First), n.frames.Last)
			if shown == frame || n.held {
				want[shown+n.shift] = true
			}
		}
		got := map[int64]bool{}
		for _, r := range n.numbers([]Range{scene}) {
			for number := r.First; number <= r.Last; number++ {
				got[number] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v of %+v (- wanted, + found):\n%s", n, scene, diff)
		}
	})
}

// TestGapsAreMissing takes single files of a clip away: only those that a frame shows are missed.
func TestGapsAreMissing(t *testing.T) {
	corpus(t)
	for number, want := range map[int64]bool{4: false, 5: true, 6: true, 7: false, 10: false} {
		path := filepath.Join(corpusTop, "seq", counted{before: "clip.", after: ".png", width: 4}.file(number))
		away := filepath.Join(t.TempDir(), "away")
		if err := os.Rename(path, away); err != nil {
			t.Fatal(err)
		}
		report := traceOne(t, filepath.Join(corpusTop, "sequences.blend"), Options{Frames: []Range{{2, 3}}})
		if got := slices.Contains(report.Missing, path); got != want {
			t.Errorf("without %s: %q are missing", path, report.Missing)
		}
		if err := os.Rename(away, path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMostCommonName finds the files of a cache among others.
func TestMostCommonName(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"density_0001.uni", "fluid_data_0001.vdb", "fluid_data_0002.vdb", "fluid_data_0004.vdb", "notes.txt", "old_1.vdb", "old_2.vdb"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := newTracer(t.Context(), folder, Options{}).mostCommon(folder)
	if c == nil || c.file(3) != "fluid_data_0003.vdb" {
		t.Errorf("found %+v", c)
	}
	if c := newTracer(t.Context(), folder, Options{}).mostCommon(t.TempDir()); c != nil {
		t.Errorf("found %+v in an empty folder", c)
	}
}
