package blend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestResolve(t *testing.T) {
	for written, want := range map[string]string{
		"//tex/a.png": "/film/tex/a.png", `//tex\a.png`: "/film/tex/a.png", "//": "/film", "//../up/./a.png": "/up/a.png",
		"//tex//a.png": "/film/tex/a.png", "/abs/../a.png": "/a.png", "a.png": "/here/a.png",
		`\\server\share\a.png`: `\\server\share\a.png`, `C:\a.png`: `C:\a.png`, "D:/a.png": "D:/a.png", "//[a]*?.png": "/film/[a]*?.png",
	} {
		got, note, usable := resolve(written, "/film", "/here")
		if got != want {
			t.Errorf("%q becomes %q, want %q", written, got, want)
		}
		if foreign := !strings.HasPrefix(want, "/"); foreign == usable || foreign && note == "" {
			t.Errorf("%q: usable %v, note %q", written, usable, note)
		}
	}
}

func TestCounterIsTheLastRunOfDigits(t *testing.T) {
	for name, want := range map[string]string{
		"shot_001_left.png": "shot_007_left.png", "clip_010_v2.png": "clip_010_v7.png", "a1.2.png": "a1.7.png", "0099": "0007", "x9": "x7", ".5x": ".7x",
	} {
		c, ok := splitCounter(name)
		if got := c.file(7); !ok || got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if _, ok := splitCounter("no_number.mp4"); ok {
		t.Error("the digit of an extension was taken for a counter")
	}
}

func TestCountersAsBlenderLooksForThem(t *testing.T) {
	volume, cache, image := finding{shape: shapeVolume}, finding{shape: shapeSequence, every: true}, finding{shape: shapeSequence}
	for _, c := range []struct {
		f          finding
		name, want string // want is the seventh file, or empty for a name that is no sequence's
	}{
		{volume, "smoke_0001.vdb", "smoke_0007.vdb"}, {volume, "smoke_0001_low.vdb", ""}, {volume, "smoke1.low.vdb", ""}, {volume, "smoke0001", ""},
		{cache, "run2.abc", "run7.abc"}, {cache, "run2end.abc", ""}, {image, "shot_01_left.png", "shot_07_left.png"}, {image, "plain.png", "plain7.png"},
		{image, "id99999999999.png", "id999999999997.png"}, {finding{shape: shapeClip}, "id99999999999.png", ""}, {finding{shape: shapeClip}, "plain.png", ""},
	} {
		got := ""
		if counter, ok := c.f.counter(c.name); ok {
			got = counter.file(7)
		}
		if got != c.want {
			t.Errorf("shape %d of %q: %q, want %q", c.f.shape, c.name, got, c.want)
		}
	}
}

func TestCounterMatchesWhatItNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`([a-z0-9_]{0,7}[a-z_])?[0-9]{1,6}[a-z_]{0,4}(\.png)?`).Draw(t, "name")
		c, ok := splitCounter(name)
		if !ok {
			t.Fatalf("%q has no counter", name)
		}
		number := rapid.Int64Range(0, 2_000_000).Draw(t, "number")
		if got, ok := c.match(c.file(number)); !ok || got != number {
			t.Fatalf("%q with %d is %q, which matches as %d, %v", name, number, c.file(number), got, ok)
		}
		if _, ok := c.match(c.file(number) + "_old"); ok && !strings.HasSuffix(c.after, "_old") {
			t.Fatalf("%q matches with something behind it", name)
		}
	})
}

// TestImageUserNumbers holds the ranges against the rule for a single frame.
func TestImageUserNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(-20, 20)
		u := imageUser{frames: rapid.Int64Range(1, 12).Draw(t, "frames"), offset: small.Draw(t, "offset"), start: small.Draw(t, "start"), cyclic: rapid.Bool().Draw(t, "cyclic")}
		first := small.Draw(t, "first")
		frames := Range{first, first + rapid.Int64Range(0, 30).Draw(t, "length")}
		want, wantIdle := map[int64]bool{}, map[int64]bool{}
		for frame := frames.First; frame <= frames.Last; frame++ {
			position := frame - u.start + 1
			if u.cyclic {
				for position < 1 {
					position += u.frames
				}
				for position > u.frames {
					position -= u.frames
				}
			}
			if position = min(position, u.frames); position > 0 {
				want[max(position+u.offset, 0)] = true
			} else {
				wantIdle[max(u.offset, 0)] = true
			}
		}
		shown, idle := u.numbers([]Range{frames})
		if diff := cmp.Diff(want, each(shown)); diff != "" {
			t.Fatalf("shown (- wanted, + found):\n%s", diff)
		}
		if diff := cmp.Diff(wantIdle, each(idle)); diff != "" {
			t.Fatalf("before its start (- wanted, + found):\n%s", diff)
		}
	})
}

func each(ranges []Range) map[int64]bool {
	all := map[int64]bool{}
	for _, r := range ranges {
		for n := r.First; n <= r.Last; n++ {
			all[n] = true
		}
	}
	return all
}

func TestVolumeNumbers(t *testing.T) {
	for _, test := range []struct {
		mode   int64
		frames Range
		want   []Range
	}{
		{volumeClip, Range{1, 3}, []Range{{11, 11}}}, {volumeClip, Range{20, 30}, []Range{}}, {volumeExtend, Range{20, 30}, []Range{{14, 14}}},
		{volumeExtend, Range{-5, 1}, []Range{{11, 11}}}, {volumeRepeat, Range{6, 8}, []Range{{11, 12}, {14, 14}}}, {3, Range{5, 5}, []Range{{11, 14}}},
	} {
		v := volumeUser{start: 3, duration: 4, offset: 10, mode: test.mode}
		if diff := cmp.Diff(test.want, v.numbers([]Range{test.frames})); diff != "" {
			t.Errorf("mode %d, frames %v: %s", test.mode, test.frames, diff)
		}
	}
	if got := (volumeUser{mode: volumeRepeat}).numbers([]Range{{1, 9}}); got != nil {
		t.Errorf("a volume without frames needs %v", got)
	}
}

// TestNumbersBelowZero: the width is that of the digits, the sign not counted.
func TestNumbersBelowZero(t *testing.T) {
	c, ok := splitCounter("s_005.vdb")
	if !ok || c.file(-2) != "s_-002.vdb" || c.file(12345) != "s_12345.vdb" {
		t.Errorf("%q, %q", c.file(-2), c.file(12345))
	}
	if number, ok := c.match("s_-002.vdb"); !ok || number != -2 {
		t.Errorf("%d, %v", number, ok)
	}
	if _, ok := c.match("s_-02.vdb"); ok {
		t.Error("a number that is too short counts")
	}
}

func TestTilePaths(t *testing.T) {
	for name, want := range map[string]string{
		"t.<UDIM>.png": "t.1013.png", "t_<UVTILE>.png": "t_u3_v2.png", "t.1001.png": "t.1013.png", "2048_t.1001.png": "2048_t.1013.png", "t.png": "t.png",
		"/1001/<UDIM>/t.<UDIM>.png": "/1001/1013/t.1013.png", "/1001/t.png": "/1001/t.png",
	} {
		if got := tilePath(name, 1013); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestCacheFileNames(t *testing.T) {
	for _, test := range []struct {
		file  string
		index int64
		want  bool
	}{
		{"636C_000001_00.bphys", 0, true}, {"636C_000001_01.bphys", 0, false}, {"636C_000001.bphys", -1, true}, {"636C_000001_00.bphys", -1, true},
		{"636C_000001.bphys", 0, false}, {"636C_x00001_00.bphys", 0, false}, {"636C1_000001_00.bphys", 0, false}, {"636C_000001_00.txt", 0, false},
	} {
		if got := isCacheFile(test.file, "636C", test.index); got != test.want {
			t.Errorf("%s with index %d: %v", test.file, test.index, got)
		}
	}
}

func TestAFolderIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wood.png")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	f := finding{Dependency: Dependency{Required: true}}
	newTracer(t.Context(), "", Options{}).take(&f, path)
	if len(f.Files) > 0 || len(f.Missing) != 1 || !strings.Contains(f.Note, "folder") {
		t.Errorf("%+v", f.Dependency)
	}
}

func TestAWholeDiskIsNoCache(t *testing.T) {
	disk := &folders{listings: map[string]map[string]bool{}, trees: map[string][]string{}}
	if got := disk.below(filepath.VolumeName(corpusTop) + string(filepath.Separator)); len(got) > 0 {
		t.Errorf("%d files", len(got))
	}
}
