package jobtype_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/scheduler/jobtype"
)

func TestParseFrames(t *testing.T) {
	for _, test := range []struct {
		text, want string
		count      int
	}{
		{"1", "1", 1},
		{"0", "0", 1},
		{"1-3,5,7,8", "1-3,5,7,8", 6},
		{"1..3", "1-3", 3},
		{" 4 - 5 , 1 .. 2 ", "1,2,4,5", 4},
		{"8,7,5,1-3", "1-3,5,7,8", 6},
		{"1-4,3-6,6", "1-6", 6},
		{"5,5,5", "5", 1},
		{"1,2", "1,2", 2},
		{"007", "7", 1},
		{"3-3", "3", 1},
		{"1-10000000", "1-10000000", jobtype.MaxFrames},
	} {
		t.Run(test.text, func(t *testing.T) {
			r, err := jobtype.ParseFrames(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got := r.Count(); got != test.count {
				t.Errorf("got %d frames, want %d", got, test.count)
			}
		})
	}
}

func TestParseFramesRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                        "it is empty",
		"  ":                      "it is empty",
		"10-1":                    `"10-1" runs backwards; write 1-10`,
		"1-5,9..7":                `"9..7" runs backwards; write 7-9`,
		"abc":                     `"abc" is not a frame`,
		"1-x":                     `"1-x" is not a frame`,
		"1-10x2":                  `"1-10x2" is not a frame`,
		"1,,2":                    "a part between commas is empty",
		"1,":                      "a part between commas is empty",
		"-5":                      `"-5" has a negative frame`,
		"-5--1":                   `"-5--1" has a negative frame`,
		"1--5":                    `"1--5" has a negative frame`,
		"1..-5":                   `"1..-5" has a negative frame`,
		"5-":                      `"5-" lacks a frame number`,
		"..5":                     `"..5" lacks a frame number`,
		"1.5":                     `"1.5" is not a frame`,
		"2147483648":              "above 2147483647",
		"99999999999999999999":    "above 2147483647",
		"0-10000000":              "has 10000001 frames",
		strings.Repeat("1,", 1e6): "its text has",
	} {
		t.Run(text[:min(len(text), 20)], func(t *testing.T) {
			_, err := jobtype.ParseFrames(text)
			if !errors.Is(err, jobtype.ErrFrameRange) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want a sentence with %q", err, says)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// writeFrames writes a set of frames in one of the many ways that are allowed.
func writeFrames(t *rapid.T, frames map[int]bool) string {
	var parts []string
	sorted := slices.Sorted(maps.Keys(frames))
	for i := 0; i < len(sorted); {
		last := i
		for last+1 < len(sorted) && sorted[last+1] == sorted[last]+1 && rapid.Bool().Draw(t, "extend") {
			last++
		}
		part := strconv.Itoa(sorted[i])
		if last > i || rapid.Bool().Draw(t, "run of one") {
			part = fmt.Sprintf("%d%s%d", sorted[i], rapid.SampledFrom([]string{"-", "..", " - "}).Draw(t, "sign"), sorted[last])
		}
		parts = append(parts, part)
		if rapid.Bool().Draw(t, "repeat") {
			parts = append(parts, strconv.Itoa(sorted[last]))
		}
		i = last + 1
	}
	return strings.Join(rapid.Permutation(parts).Draw(t, "order"), ",")
}

// readFrames reads what FrameRange.String writes, frame by frame.
func readFrames(t *rapid.T, text string) (frames []int) {
	for part := range strings.SplitSeq(text, ",") {
		left, right, isRun := strings.Cut(part, "-")
		first, err := strconv.Atoi(left)
		last := first
		if err == nil && isRun {
			last, err = strconv.Atoi(right)
		}
		if err != nil {
			t.Fatalf("chunk %s: %v", text, err)
		}
		for f := first; f <= last; f++ {
			frames = append(frames, f)
		}
	}
	return frames
}

func TestChunksCoverEachFrameOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := map[int]bool{}
		for _, f := range rapid.SliceOfN(rapid.IntRange(0, 60), 1, 60).Draw(t, "frames") {
			frames[f] = true
		}
		want := slices.Sorted(maps.Keys(frames))
		r, err := jobtype.ParseFrames(writeFrames(t, frames))
		if err != nil {
			t.Fatal(err)
		}
		size := rapid.IntRange(1, 70).Draw(t, "size")
		var got []int
		for chunk := range r.Chunks(size) {
			if rest := len(want) - len(got); chunk.Count() != min(size, rest) {
				t.Fatalf("chunk %s has %d frames, want %d", chunk, chunk.Count(), min(size, rest))
			}
			got = append(got, readFrames(t, chunk.String())...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("frames (-want +got):\n%s", diff)
		}
	})
}

func TestChunksStopEarly(t *testing.T) {
	r, err := jobtype.ParseFrames("1-9")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for chunk := range r.Chunks(2) {
		if got = append(got, chunk.String()); len(got) == 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"1,2", "3,4"}, got); diff != "" {
		t.Errorf("chunks (-want +got):\n%s", diff)
	}
	for chunk := range r.Chunks(0) {
		t.Errorf("size 0 gave chunk %s", chunk)
	}
}

func FuzzParseFrames(f *testing.F) {
	for _, seed := range []string{"1-3,5,7,8", "1..10", "10-1", "abc", " 4 - 5 ,1", "-5", "2147483647", "1,,2", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := jobtype.ParseFrames(text)
		if err != nil {
			if !errors.Is(err, jobtype.ErrFrameRange) {
				t.Fatalf("error without meaning: %v", err)
			}
			return
		}
		if r.Count() < 1 || r.Count() > jobtype.MaxFrames {
			t.Fatalf("%q has %d frames", text, r.Count())
		}
		again, err := jobtype.ParseFrames(r.String())
		if err != nil || again.String() != r.String() || again.Count() != r.Count() {
			t.Fatalf("%q reads as %s, and that as %s (%v)", text, r, again, err)
		}
	})
}
