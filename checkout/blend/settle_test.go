package blend

import (
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

func TestCounterMatchesWhatItNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9_]{0,8}[0-9]{1,6}[a-z_]{0,4}(\.png)?`).Draw(t, "name")
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
		want := map[int64]bool{}
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
				want[position+u.offset] = true
			}
		}
		got := map[int64]bool{}
		for _, r := range u.numbers([]Range{frames}) {
			for n := r.First; n <= r.Last; n++ {
				got[n] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
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

func TestTileNames(t *testing.T) {
	for name, want := range map[string]string{
		"t.<UDIM>.png": "t.1013.png", "t_<UVTILE>.png": "t_u3_v2.png", "t.1001.png": "t.1013.png", "2048_t.1001.png": "2048_t.1013.png", "t.png": "t.png",
	} {
		if got := tileName(name, 1013); got != want {
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

func TestAWholeDiskIsNoCache(t *testing.T) {
	disk := &folders{listings: map[string]map[string]bool{}, trees: map[string][]string{}}
	if got := disk.below(filepath.VolumeName(corpusTop) + string(filepath.Separator)); len(got) > 0 {
		t.Errorf("%d files", len(got))
	}
}
