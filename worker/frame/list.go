package frame

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxFrames bounds how many frames one list may name.
const MaxFrames = 100_000

// maxNumber is the highest frame number that Blender accepts.
const maxNumber = 1_048_574

// ErrUnmanaged says that a command line, a frame list or an output path is not of the form that can be followed frame
// by frame. The command may still be perfectly good for Blender.
var ErrUnmanaged = errors.New("not a form that can be followed frame by frame")

// ParseList reads the value of Blender's --render-frame: comma-separated numbers and ranges written a..b. The result is
// ascending and without duplicates. Relative frames (+1, -1) and anything else give ErrUnmanaged.
func ParseList(text string) ([]int, error) {
	var frames []int
	for _, part := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(part, "..")
		from, err := parseNumber(first)
		if err != nil {
			return nil, err
		}
		to := from
		if isRange {
			if to, err = parseNumber(last); err != nil {
				return nil, err
			}
		}
		if to < from {
			return nil, fmt.Errorf("frame range %q runs backwards: %w", part, ErrUnmanaged)
		}
		if len(frames)+to-from+1 > MaxFrames {
			return nil, fmt.Errorf("more than %d frames: %w", MaxFrames, ErrUnmanaged)
		}
		for n := from; n <= to; n++ {
			frames = append(frames, n)
		}
	}
	slices.Sort(frames)
	return slices.Compact(frames), nil
}

func parseNumber(text string) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("frame number %q: %w", text, ErrUnmanaged)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > maxNumber {
		return 0, fmt.Errorf("frame number %q is above %d: %w", text, maxNumber, ErrUnmanaged)
	}
	return n, nil
}

// FormatList writes ascending frames the way ParseList reads them. Runs of three or more become ranges.
func FormatList(frames []int) string {
	var parts []string
	for i := 0; i < len(frames); {
		j := i
		for j+1 < len(frames) && frames[j+1] == frames[j]+1 {
			j++
		}
		if j-i >= 2 {
			parts = append(parts, fmt.Sprintf("%d..%d", frames[i], frames[j]))
		} else {
			for _, n := range frames[i : j+1] {
				parts = append(parts, strconv.Itoa(n))
			}
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
