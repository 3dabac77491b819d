package jobtype

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxFrames is the largest number of frames that one [FrameRange] may hold.
const MaxFrames = 10_000_000

// maxFrameText bounds the text of a frame range, in bytes.
const maxFrameText = 1 << 20

// ErrFrameRange marks a text that is no frame range. The message names the part that is wrong and says how to write it.
var ErrFrameRange = errors.New("not a frame range")

// FrameRange is a set of frame numbers, each at least 0, sorted and without duplicates. The zero value is empty.
type FrameRange struct {
	spans []span
}

// span is the frames first to last, both included.
type span struct {
	first, last int
}

func (s span) count() int { return s.last - s.first + 1 }

// ParseFrames reads a comma-separated list of N, A-B and A..B. Spaces around numbers do not matter, and a frame that is
// named twice counts once. It returns an error that wraps [ErrFrameRange] for an empty text or part, anything that is
// not a number, a negative frame, a part that runs backwards, and more than [MaxFrames] frames.
func ParseFrames(text string) (FrameRange, error) {
	if strings.TrimSpace(text) == "" {
		return FrameRange{}, fmt.Errorf("%w: it is empty; write frames such as 1-10,15", ErrFrameRange)
	}
	if len(text) > maxFrameText {
		return FrameRange{}, fmt.Errorf("%w: its text has %d bytes, at most %d are read; write runs as first-last",
			ErrFrameRange, len(text), maxFrameText)
	}
	var spans []span
	for part := range strings.SplitSeq(text, ",") {
		s, err := parseSpan(strings.TrimSpace(part))
		if err != nil {
			return FrameRange{}, fmt.Errorf("%w: %q: %w", ErrFrameRange, shorten(text), err)
		}
		spans = append(spans, s)
	}
	r := FrameRange{spans: mergeSpans(spans)}
	if r.Count() > MaxFrames {
		return FrameRange{}, fmt.Errorf("%w: %q has %d frames, at most %d are allowed; split the job",
			ErrFrameRange, shorten(text), r.Count(), MaxFrames)
	}
	return r, nil
}

func parseSpan(part string) (span, error) {
	if part == "" {
		return span{}, errors.New("a part between commas is empty; remove the extra comma")
	}
	if strings.HasPrefix(part, "-") {
		return span{}, fmt.Errorf("the part %q has a negative frame; frames start at 0", part)
	}
	left, right, isRun := strings.Cut(part, "..")
	if !isRun {
		left, right, isRun = strings.Cut(part, "-")
	}
	first, err := parseFrame(left, part)
	if err != nil || !isRun {
		return span{first, first}, err
	}
	if strings.HasPrefix(strings.TrimSpace(right), "-") {
		return span{}, fmt.Errorf("the part %q has a negative frame; frames start at 0", part)
	}
	last, err := parseFrame(right, part)
	if err != nil {
		return span{}, err
	}
	if last < first {
		return span{}, fmt.Errorf("the part %q runs backwards; write %d-%d", part, last, first)
	}
	return span{first, last}, nil
}

func parseFrame(text, part string) (int, error) {
	text = strings.TrimSpace(text)
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("the part %q is not a frame or a run of frames; write frames such as 1-10,15", shorten(part))
		}
	}
	if text == "" {
		return 0, fmt.Errorf("the part %q lacks a frame number; write frames such as 1-10,15", shorten(part))
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("the part %q has a frame above %d", shorten(part), math.MaxInt32)
	}
	return int(n), nil
}

// mergeSpans sorts spans and joins those that overlap or touch.
func mergeSpans(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s.first <= merged[n-1].last+1 {
			merged[n-1].last = max(merged[n-1].last, s.last)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// Count returns the number of frames.
func (r FrameRange) Count() int {
	n := 0
	for _, s := range r.spans {
		n += s.count()
	}
	return n
}

// Spans gives the runs of consecutive frames in ascending order, first and last frame of each.
func (r FrameRange) Spans() iter.Seq2[int, int] {
	return func(yield func(first, last int) bool) {
		for _, s := range r.spans {
			if !yield(s.first, s.last) {
				return
			}
		}
	}
}

// Chunks cuts the sorted frames into ranges of size frames each; the last one may be shorter. A chunk holds gaps where
// the range does. It yields nothing when size is less than 1.
func (r FrameRange) Chunks(size int) iter.Seq[FrameRange] {
	return func(yield func(FrameRange) bool) {
		if size < 1 {
			return
		}
		var chunk []span
		free := size
		for _, s := range r.spans {
			for s.first <= s.last {
				take := min(free, s.count())
				chunk = append(chunk, span{s.first, s.first + take - 1})
				s.first += take
				free -= take
				if free > 0 {
					continue
				}
				if !yield(FrameRange{chunk}) {
					return
				}
				chunk, free = nil, size
			}
		}
		if len(chunk) > 0 {
			yield(FrameRange{chunk})
		}
	}
}

// String writes runs of three or more frames as first-last and shorter ones as single frames: "1-3,5,7,8".
func (r FrameRange) String() string {
	var b []byte
	number := func(n int) {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	for _, s := range r.spans {
		number(s.first)
		switch s.count() {
		case 1:
		case 2:
			number(s.last)
		default:
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(s.last), 10)
		}
	}
	return string(b)
}

// shorten keeps a quoted text in a message to a length that a person reads.
func shorten(text string) string {
	const limit = 80
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
