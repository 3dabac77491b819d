package blend

import (
	"path/filepath"
)

// numbered tells which file of a clip or of a cache's folder each frame of the scene shows, so that a gap is noticed
// although the other files are there.
type numbered struct {
	frames Range // that have files
	shift  int64 // from a frame to the number of its file
	held   bool  // before and after these frames the first and the last file are shown; otherwise nothing
	below  string
	name   *counted // nil: the name that most files have
}

// numbers are those of the files that frames of the scene show.
func (n numbered) numbers(frames []Range) []Range {
	var shown []Range
	for _, r := range frames {
		at := Range{max(r.First, n.frames.First), min(r.Last, n.frames.Last)}
		if n.held {
			at = Range{min(at.First, n.frames.Last), max(at.Last, n.frames.First)}
		}
		shown = append(shown, Range{at.First + n.shift, at.Last + n.shift})
	}
	return union(shown)
}

// missGaps reports the files that frames of the scene show and that are not there. It asks for no more files than the
// bounds of a trace let it.
func (t *tracer) missGaps(f *finding, folder string) {
	if f.numbered == nil || !f.Required || len(f.Files) == 0 {
		return
	}
	folder = filepath.Join(folder, f.numbered.below)
	name := f.numbered.name
	if name == nil {
		if name = t.mostCommon(folder); name == nil {
			return
		}
	}
	frames := t.frames
	if t.animated {
		frames = []Range{f.numbered.frames}
	}
	numbers := f.numbered.numbers(frames)
	if t.asked += countOf(numbers); t.asked > mostNumbers {
		return
	}
	for _, r := range numbers {
		for number := r.First; number <= r.Last; number++ {
			if path := filepath.Join(folder, name.file(number)); !t.disk.hasFile(path) {
				f.miss(path)
			}
		}
	}
}

// mostCommon is the name, but for the number, of most files in a folder.
func (t *tracer) mostCommon(folder string) *counted {
	count := map[counted]int{}
	var most *counted
	for _, name := range ascending(t.disk.list(folder)) {
		c, ok := splitCounter(name)
		if c.number = 0; !ok {
			continue
		}
		if count[c]++; most == nil || count[c] > count[*most] {
			most = &c
		}
	}
	return most
}

// clipFiles are the pictures of a clip: as many as there were when it was saved, from the stored one on.
func clipFiles(s Struct, written string) *numbered {
	c, ok := splitCounter(filepath.Base(written))
	length, start := s.Int("len"), s.Int("start_frame")
	if !ok || length <= 0 {
		return nil
	}
	return &numbered{frames: clampFrames(start, start+length-1), shift: c.number - start + s.Int("frame_offset"), name: &c}
}

// oceanFiles are the displacements of a baked ocean; foam and spray come with them.
func oceanFiles(s Struct) *numbered {
	return &numbered{frames: clampFrames(s.Int("bakestart"), s.Int("bakeend")), held: true, name: &counted{before: "disp_", after: ".exr", width: 4}}
}

// fluidFiles are the data of a baked fluid; a bake that was paused has them up to there.
func fluidFiles(s Struct) *numbered {
	last := s.Int("cache_frame_end")
	if pause := s.Int("cache_frame_pause_data"); pause > 0 {
		last = min(last, pause)
	}
	return &numbered{frames: clampFrames(s.Int("cache_frame_start"), last), shift: -s.Int("cache_frame_offset"), below: "data"}
}
