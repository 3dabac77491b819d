package blend

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// shape is how one path stands for files.
type shape uint8

const (
	shapeFile       shape = iota // the file itself
	shapeSeveral                 // files of one folder, each named
	shapeSequence                // an image sequence: the files that its users show
	shapeTiles                   // one file for each tile
	shapeClip                    // all files from the stored one on
	shapeVolume                  // files numbered by the volume's own settings
	shapeFolder                  // everything below a folder
	shapePrefix                  // all files that begin so
	shapePointCache              // files with a frame and an index behind the name
)

// finding is a dependency before its files were looked for.
type finding struct {
	Dependency
	base      string // the .blend file that relative paths start from
	place     place  // of the path, or if name is a field of its own, of its folder; unknown if Blender makes up the path
	namePlace place
	archive   place  // of a library: where its path is written once more
	dir, name string // as stored, where they are two fields
	shape     shape
	image     imageKey   // of an image
	every     bool       // of a sequence: all files count, whoever shows them
	tiles     []int64    // of a tiled image
	volume    volumeUser // of a volume
	several   []string   // of a strip, as written
	// onlyIfThere: a text that looks like a path; it is one if there is such a file.
	onlyIfThere bool
	offset      int64 // of a clip
	cacheIndex  int64 // of a point cache; less than 0: none
}

// mostNumbers is how many files of sequences one trace asks for one by one. Of what comes after, those that are there
// count.
const mostNumbers = 2_000_000

// settle looks for the files of a finding.
func (t *tracer) settle(f *finding) {
	path, note, usable := resolve(f.Written, filepath.Dir(f.base), t.here)
	f.Resolved, f.Note = path, note
	if !usable {
		f.miss(path)
		return
	}
	switch f.shape {
	case shapeSeveral:
		for _, written := range f.several {
			if path, _, ok := resolve(written, filepath.Dir(f.base), t.here); ok {
				t.take(f, path)
			}
		}
	case shapeSequence:
		t.settleSequence(f)
	case shapeTiles:
		t.settleTiles(f)
	case shapeClip:
		t.settleClip(f)
	case shapeVolume:
		t.settleNumbers(f, f.volume.numbers(t.frames))
	case shapeFolder:
		f.Files = t.disk.below(path)
		f.missIfEmpty(path)
	case shapePrefix:
		t.settleMatches(f, func(name string) bool { return strings.HasPrefix(name, filepath.Base(path)) })
	case shapePointCache:
		t.settleMatches(f, func(name string) bool { return isCacheFile(name, filepath.Base(path), f.cacheIndex) })
	default:
		t.take(f, path)
		t.takeCompiled(f)
	}
}

// take adds one file, or reports it as missing.
func (t *tracer) take(f *finding, path string) {
	if t.disk.hasFile(path) {
		f.Files = append(f.Files, path)
		return
	}
	f.miss(path)
	if other := t.disk.otherCase(path); other != "" {
		f.Note = fmt.Sprintf("there is %q, which differs in upper and lower case only; rename one of them", other)
	}
}

func (f *finding) miss(path string) {
	if f.Required {
		f.Missing = append(f.Missing, path)
	}
}

func (f *finding) missIfEmpty(path string) {
	if len(f.Files) == 0 {
		f.miss(path)
	}
}

// takeCompiled adds what the OSL compiler left beside a script.
func (t *tracer) takeCompiled(f *finding) {
	if stem, ok := strings.CutSuffix(f.Resolved, ".osl"); ok && t.disk.hasFile(stem+".oso") {
		f.Files = append(f.Files, stem+".oso")
	}
}

func (t *tracer) settleSequence(f *finding) {
	var numbers []Range
	every := f.every || t.animated || len(t.users[f.image]) == 0
	for user := range t.users[f.image] {
		every = every || user.frames <= 0
		if !every {
			numbers = append(numbers, user.numbers(t.frames)...)
		}
	}
	if every {
		t.settleEvery(f, -lastFrame)
		return
	}
	t.settleNumbers(f, union(numbers))
}

func (t *tracer) settleClip(f *finding) {
	c, ok := splitCounter(filepath.Base(f.Resolved))
	if !ok {
		t.take(f, f.Resolved)
		return
	}
	t.settleEvery(f, c.number+min(f.offset, 0))
}

// settleEvery takes all files of a sequence whose numbers are at least first.
func (t *tracer) settleEvery(f *finding, first int64) {
	dir, name := filepath.Split(f.Resolved)
	c, ok := splitCounter(name)
	if !ok {
		t.take(f, f.Resolved)
		return
	}
	for number, path := range t.disk.matching(filepath.Clean(dir), c) {
		if number >= first {
			f.Files = append(f.Files, path)
		}
	}
	slices.Sort(f.Files)
	f.missIfEmpty(f.Resolved)
}

func (t *tracer) settleNumbers(f *finding, numbers []Range) {
	dir, name := filepath.Split(f.Resolved)
	c, ok := splitCounter(name)
	if !ok {
		t.take(f, f.Resolved)
		return
	}
	f.Frames = numbers
	if t.asked += countOf(numbers); t.asked > mostNumbers {
		for number, path := range t.disk.matching(filepath.Clean(dir), c) {
			if contains(numbers, number) {
				f.Files = append(f.Files, path)
			}
		}
		slices.Sort(f.Files)
		f.missIfEmpty(f.Resolved)
		return
	}
	for _, r := range numbers {
		for number := r.First; number <= r.Last; number++ {
			t.take(f, filepath.Join(dir, c.file(number)))
		}
	}
}

func (t *tracer) settleTiles(f *finding) {
	dir, name := filepath.Split(f.Resolved)
	slices.Sort(f.tiles)
	for _, tile := range f.tiles {
		t.take(f, filepath.Join(dir, tileName(name, tile)))
	}
}

// tileName puts a tile into the stored name. Files from before 3.1 store the name of one of the tiles.
func tileName(name string, tile int64) string {
	u, v := (tile-firstTile)%10, (tile-firstTile)/10
	switch {
	case strings.Contains(name, "<UDIM>"):
		return strings.Replace(name, "<UDIM>", fmt.Sprint(tile), 1)
	case strings.Contains(name, "<UVTILE>"):
		return strings.Replace(name, "<UVTILE>", fmt.Sprintf("u%d_v%d", u+1, v+1), 1)
	}
	for i := len(name) - 4; i >= 0; i-- {
		if isTile(name[i:i+4]) && (i == 0 || !isDigit(name[i-1])) && (i+4 == len(name) || !isDigit(name[i+4])) {
			return name[:i] + fmt.Sprint(tile) + name[i+4:]
		}
	}
	return name
}

func isTile(digits string) bool {
	return digits[0] == '1' && isDigit(digits[1]) && isDigit(digits[2]) && isDigit(digits[3]) && digits > "1000"
}

func (t *tracer) settleMatches(f *finding, match func(name string) bool) {
	dir := filepath.Dir(f.Resolved)
	for name, isFile := range t.disk.list(dir) {
		if isFile && match(name) {
			f.Files = append(f.Files, filepath.Join(dir, name))
		}
	}
	slices.Sort(f.Files)
	f.missIfEmpty(f.Resolved)
}

// isCacheFile knows "name_000012_00.bphys", and without an index "name_000012.bphys".
func isCacheFile(file, name string, index int64) bool {
	rest, ok := strings.CutPrefix(file, name+"_")
	if !ok {
		return false
	}
	if rest, ok = strings.CutSuffix(rest, ".bphys"); !ok {
		return false
	}
	frame, tail, indexed := strings.Cut(rest, "_")
	for i := range len(frame) {
		if !isDigit(frame[i]) {
			return false
		}
	}
	if !indexed {
		return len(frame) >= 6 && index < 0
	}
	return len(frame) >= 6 && tail == fmt.Sprintf("%02d", max(index, 0))
}
