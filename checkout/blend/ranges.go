package blend

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Range is a run of whole numbers, both ends included: frames of a scene, or numbers in the names of files.
type Range struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// String is "4" or "1-10".
func (r Range) String() string {
	if r.First == r.Last {
		return strconv.FormatInt(r.First, 10)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// lastFrame is the highest frame that Blender knows, and less one the lowest.
const lastFrame = 1_048_574

// clampFrames keeps a range inside the frames that Blender knows.
func clampFrames(first, last int64) Range {
	return Range{min(max(first, -lastFrame), lastFrame), min(max(last, -lastFrame), lastFrame)}
}

// union sorts ranges and joins those that touch. Empty ones are left out.
func union(ranges []Range) []Range {
	sorted := slices.DeleteFunc(slices.Clone(ranges), func(r Range) bool { return r.Last < r.First })
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	joined := sorted[:0]
	for _, r := range sorted {
		if n := len(joined); n > 0 && r.First <= joined[n-1].Last+1 {
			joined[n-1].Last = max(joined[n-1].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

func countOf(ranges []Range) int64 {
	var sum int64
	for _, r := range ranges {
		sum += r.Last - r.First + 1
	}
	return sum
}

func contains(ranges []Range, n int64) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool { return r.First <= n && n <= r.Last })
}

// cycle maps positions onto 1…length, as often as they go round it.
func cycle(r Range, length int64) []Range {
	if r.Last-r.First+1 >= length {
		return []Range{{1, length}}
	}
	first, last := wrap(r.First, length), wrap(r.Last, length)
	if first <= last {
		return []Range{{first, last}}
	}
	return []Range{{1, last}, {first, length}}
}

func wrap(n, length int64) int64 { return ((n-1)%length+length)%length + 1 }

// counted is the name of a file of a sequence, split at its counter: the last run of digits before the extension,
// wherever it stands (fact sheet, section 8).
type counted struct {
	before, after string
	width         int // digits of the stored name: the least that each number has
	number        int64
}

func splitCounter(name string) (counted, bool) {
	end := len(name)
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		end = dot
	}
	for end > 0 && !isDigit(name[end-1]) {
		end--
	}
	begin := end
	for begin > 0 && isDigit(name[begin-1]) {
		begin--
	}
	number, err := strconv.ParseInt(name[begin:end], 10, 32) // A number beyond that is none to Blender.
	if err != nil {
		return counted{}, false
	}
	return counted{name[:begin], name[end:], end - begin, number}, true
}

// splitLastCounter knows a counter only right before the extension, as Blender does for volumes and cache files.
func splitLastCounter(name string) (counted, bool) {
	c, ok := splitCounter(name)
	return c, ok && c.after != "" && c.after == filepath.Ext(name)
}

// splitImage is for image sequences: in a name without a counter Blender puts the number behind it.
func splitImage(name string) counted {
	if c, ok := splitCounter(name); ok {
		return c
	}
	extension := filepath.Ext(name)
	return counted{before: strings.TrimSuffix(name, extension), after: extension}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// file is the name of the file with a number.
func (c counted) file(number int64) string {
	sign := ""
	if number < 0 {
		sign, number = "-", -number // The width is that of the digits.
	}
	return fmt.Sprintf("%s%s%0*d%s", c.before, sign, c.width, number, c.after)
}

// match is the number of a file, if its name differs from this sequence's in nothing but the number.
func (c counted) match(name string) (number int64, ok bool) {
	middle, ok := strings.CutPrefix(name, c.before)
	if !ok {
		return 0, false
	}
	if middle, ok = strings.CutSuffix(middle, c.after); !ok {
		return 0, false
	}
	number, err := strconv.ParseInt(middle, 10, 64)
	return number, err == nil && c.file(number) == name
}
