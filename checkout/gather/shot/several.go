package shot

import (
	"errors"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"hayloft/checkout/blend"
)

// several is what a .blend file tells of paths that stand for many files. The trace knows it, but tells it only with the
// files, and there are none where a path is one of another system.
type several struct {
	sequences map[string]bool // datablocks whose files are numbered
	strips    [][]string      // names of the images of each strip
}

// several reads each .blend file once.
func (g *gathering) several(path string) (*several, error) {
	if known, ok := g.numbers[path]; ok {
		return known, nil
	}
	file, err := blend.Open(path)
	if err != nil {
		return nil, err
	}
	told := &several{sequences: map[string]bool{}}
	for block := range file.Blocks() {
		if err = errors.Join(told.read(block), g.ctx.Err()); err != nil {
			break
		}
	}
	g.numbers[path] = told
	return told, errors.Join(err, file.Close())
}

// The sources of images and clips that are several files (Blender's DNA: Image.source and MovieClip.source).
const (
	imageSequence = 2
	imageTiled    = 6
	clipSequence  = 1
)

func (told *several) read(block blend.Block) error {
	sources := map[string][]int64{"IM": {imageSequence, imageTiled}, "MC": {clipSequence}, "CF": {}, "VO": {}}
	if many, ok := sources[block.Code()]; ok {
		return each(block, func(s blend.Struct) error {
			if s.Int("is_sequence") != 0 || slices.Contains(many, s.Int("source")) {
				told.sequences[s.Text("id.name")] = true
			}
			return nil
		})
	}
	if block.Type() != "StripElem" {
		return nil
	}
	var names []string
	err := each(block, func(s blend.Struct) error {
		names = append(names, s.Text("name"))
		return nil
	})
	if len(names) > 1 {
		told.strips = append(told.strips, names)
	}
	return err
}

// stripKind is the Kind of dependencies on the images or the movie of a strip.
const stripKind = "sequencer strip"

// stripImages gives the names of all images of a strip; the first is the one that is written.
func (g *gathering) stripImages(d blend.Dependency) ([]string, error) {
	told, err := g.several(d.Blend)
	if err != nil {
		return nil, err
	}
	names := []string{path.Base(slashes(d.Written))}
	for _, all := range told.strips {
		if all[0] == names[0] {
			names = append(names, all[1:]...)
		}
	}
	return names, nil
}

var digits = regexp.MustCompile(`[0-9]+`)

// numbered matches the names of all files that belong together with the one of that name; nil if it stands alone. Which
// frames are shown of a sequence that the trace could not look for is not known, so that all count.
func (g *gathering) numbered(d blend.Dependency, name string) (*regexp.Regexp, error) {
	if !utf8.ValidString(name) {
		return nil, nil // No tree can hold it.
	}
	quote := regexp.QuoteMeta
	if d.Kind == "point cache" {
		return regexp.Compile("^" + quote(name) + `_[0-9]{6,}(_[0-9]{2,})?\.bphys$`)
	}
	if before, after, ok := strings.Cut(name, "<UDIM>"); ok {
		return regexp.Compile("^" + quote(before) + "1[0-9]{3}" + quote(after) + "$")
	}
	if before, after, ok := strings.Cut(name, "<UVTILE>"); ok {
		return regexp.Compile("^" + quote(before) + "u[0-9]+_v[0-9]+" + quote(after) + "$")
	}
	counters := digits.FindAllStringIndex(strings.TrimSuffix(name, filepath.Ext(name)), -1)
	if len(counters) == 0 {
		return nil, nil
	}
	told, err := g.several(d.Blend)
	if err != nil || !told.sequences[d.Datablock] {
		return nil, err
	}
	last := counters[len(counters)-1]
	return regexp.Compile("^" + quote(name[:last[0]]) + "[0-9]+" + quote(name[last[1]:]) + "$")
}
