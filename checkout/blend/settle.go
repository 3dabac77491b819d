package blend

import (
	"cmp"
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
	id        idKey      // of an image or a volume
	every     bool       // of a sequence: all files count, whoever shows them
	tiles     []int64    // of a tiled image
	volume    volumeUser // of a volume
	several   []string   // of a strip, as written
	others    []string   // of a strip, as written: its files if they are there
	meant     string     // the path that counts in place of the written one, if that is another
	// onlyIfThere: a text that looks like a path; it is one if there is such a file.
	onlyIfThere bool
	offset      int64     // of a clip
	numbered    *numbered // of a clip or a cache's folder
	cacheIndex  int64     // of a point cache; less than 0: none
	unnamed     bool      // of an external point cache: Blender leaves the name out of its files
}

// mostNumbers is how many files of sequences one trace asks for one by one. Of what comes after, those that are there
// count.
const mostNumbers = 2_000_000

// settle looks for the files of a finding.
func (t *tracer) settle(f *finding) {
	path, note, usable := resolve(cmp.Or(f.meant, f.Written), filepath.Dir(f.base), t.here)
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
		for _, written := range f.others {
			if path, _, ok := resolve(written, filepath.Dir(f.base), t.here); ok && t.disk.hasFile(path) {
				f.Files = append(f.Files, path)
			}
		}
	case shapeSequence:
		t.settleSequence(f)
	case shapeTiles:
		t.settleTiles(f)
	case shapeClip:
		t.settleClip(f)
	case shapeVolume:
		t.settleVolume(f)
	case shapeFolder:
		f.Files = t.filesOfFolder(f, path)
		f.missIfEmpty(path)
		t.missGaps(f, path)
	case shapePrefix:
		t.settleMatches(f, func(name string) bool { return strings.HasPrefix(name, filepath.Base(path)) })
	case shapePointCache:
		t.settleMatches(f, func(name string) bool {
			return isCacheFile(name, filepath.Base(path), f.cacheIndex) || f.unnamed && isCacheFile(name, "", f.cacheIndex)
		})
	default:
		t.take(f, path)
	}
	t.takeCompanions(f)
}

// cacheNames are how the entries of cache folders are named, by the kind of dependency.
var cacheNames = map[string][]string{
	"fluid cache":         {"config", "data", "guiding", "mesh", "noise", "particles", "script"},
	"ocean cache":         {"disp_*.exr", "foam_*.exr", "normal_*.exr", "spray_*.exr"},
	"geometry nodes bake": {"meta", "blobs", "bdata", "[0-9]*"},
}

// filesOfFolder lists everything below a folder. In one that holds the .blend file too, such as "//", only what is named
// like a part of such a cache belongs to it.
func (t *tracer) filesOfFolder(f *finding, dir string) []string {
	if to, err := filepath.Rel(dir, filepath.Dir(f.base)); err != nil || to == ".." || strings.HasPrefix(to, ".."+string(filepath.Separator)) {
		return t.disk.below(dir)
	}
	var files []string
	for name, isFile := range t.disk.list(dir) {
		path := filepath.Join(dir, name)
		named := slices.ContainsFunc(cacheNames[f.Kind], func(pattern string) bool {
			matched, err := filepath.Match(pattern, name)
			return matched && err == nil
		})
		switch {
		case !named:
		case isFile:
			files = append(files, path)
		default:
			files = append(files, t.disk.below(path)...)
		}
	}
	slices.Sort(files)
	return files
}

// take adds one file, or reports it as missing.
func (t *tracer) take(f *finding, path string) {
	if t.disk.hasFile(path) {
		f.Files = append(f.Files, path)
		return
	}
	f.miss(path)
	if isFile, there := t.disk.list(filepath.Dir(path))[filepath.Base(path)]; there && !isFile {
		f.Note = "there is something else of that name, such as a folder or a link that leads nowhere"
	}
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

func (t *tracer) settleSequence(f *finding) {
	var numbers, idle []Range
	every := f.every || t.animated || len(t.users[f.id]) == 0
	for user := range t.users[f.id] {
		every = every || user.frames <= 0 || t.changing.datablocks[user.by]
		if !every {
			shown, before := user.numbers(t.frames)
			numbers, idle = append(numbers, shown...), append(idle, before...)
		}
	}
	if _, ok := splitCounter(filepath.Base(f.Resolved)); !ok && !f.every && t.disk.hasFile(f.Resolved) {
		f.Files = append(f.Files, f.Resolved) // Blender opens it, although what it shows are others.
	}
	if every {
		first := int64(0)
		if f.every {
			first = -lastFrame
		}
		t.settleEvery(f, first)
		return
	}
	t.settleNumbers(f, union(numbers))
	t.takeIdle(f, union(idle))
}

// takeIdle adds files that would be shown outside a sequence, if they are there.
func (t *tracer) takeIdle(f *finding, numbers []Range) {
	dir, name := filepath.Split(f.Resolved)
	c, ok := f.counter(name)
	if !ok {
		return
	}
	for _, r := range numbers {
		for number := r.First; number <= r.Last; number++ {
			if path := filepath.Join(dir, c.file(number)); !slices.Contains(f.Files, path) && t.disk.hasFile(path) {
				f.Files = append(f.Files, path)
			}
		}
	}
}

// counter finds where a name has the number, as Blender does for the kind of the dependency.
func (f *finding) counter(name string) (counted, bool) {
	switch {
	case f.shape == shapeVolume || f.every:
		return splitLastCounter(name)
	case f.shape == shapeSequence:
		return splitImage(name), true
	}
	return splitCounter(name)
}

func (t *tracer) settleVolume(f *finding) {
	if t.animated || t.changing.datablocks[f.id] {
		t.settleEvery(f, -lastFrame)
		return
	}
	t.settleNumbers(f, f.volume.numbers(t.frames))
}

func (t *tracer) settleClip(f *finding) {
	c, ok := splitCounter(filepath.Base(f.Resolved))
	if !ok {
		t.take(f, f.Resolved)
		return
	}
	first := c.number + min(f.offset, 0)
	if f.numbered != nil && len(t.frames) > 0 {
		first = min(first, t.frames[0].First+f.numbered.shift) // Frames before its start show files before the stored one.
	}
	t.settleEvery(f, max(first, 0))
	t.missGaps(f, filepath.Dir(f.Resolved))
}

// settleEvery takes all files of a sequence whose numbers are at least first.
func (t *tracer) settleEvery(f *finding, first int64) {
	dir, name := filepath.Split(f.Resolved)
	c, ok := f.counter(name)
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
	c, ok := f.counter(name)
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
	for _, tile := range f.tiles {
		t.take(f, tilePath(f.Resolved, tile))
	}
}

// tilePath puts a tile into the stored path, in which the token may stand anywhere, and more than once. Files from before
// 3.1 store the name of one of the tiles.
func tilePath(path string, tile int64) string {
	u, v := (tile-firstTile)%10, (tile-firstTile)/10
	switch {
	case strings.Contains(path, "<UDIM>"):
		return strings.ReplaceAll(path, "<UDIM>", fmt.Sprint(tile))
	case strings.Contains(path, "<UVTILE>"):
		return strings.ReplaceAll(path, "<UVTILE>", fmt.Sprintf("u%d_v%d", u+1, v+1))
	}
	dir, name := filepath.Split(path)
	for i := len(name) - 4; i >= 0; i-- {
		if isTile(name[i:i+4]) && (i == 0 || !isDigit(name[i-1])) && (i+4 == len(name) || !isDigit(name[i+4])) {
			return dir + name[:i] + fmt.Sprint(tile) + name[i+4:]
		}
	}
	return path
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
