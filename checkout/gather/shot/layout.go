package shot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/fileindex"
	"hayloft/checkout/gather"
)

// field names one path field of a .blend file. Fields of one name that say the same get the same new text. Base is that of
// the dependency: data of several libraries that is packed into one file can have the same names.
type field struct{ Datablock, Kind, Field, Written, Base string }

func fieldOf(d blend.Dependency) field { return field{d.Datablock, d.Kind, d.Field, d.Written, d.Base} }

// chooseSide takes another name for the side folder if the project has something of that name that is needed.
func (g *gathering) chooseSide() {
	taken := map[string]bool{}
	for _, l := range g.found {
		if place, _, ok := g.places.inside(l.folder); ok && l.folder != "" {
			for _, f := range l.files {
				taken[fold(components(path.Join(place, f.below))[0])] = true
			}
		}
	}
	for taken[fold(g.places.side)] {
		g.places.side += "_"
	}
}

// layOut gives every file its place and every path field its text.
func (g *gathering) layOut() error {
	g.addFile(g.scenePlace(g.main), g.main, false)
	for _, l := range g.found {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		g.reportMissing(l)
		if l.folder == "" {
			continue
		}
		place, source, outside := g.placeOf(l)
		if len(l.files) == 0 && outside {
			continue // Nothing comes along that the path could name.
		}
		for _, f := range l.files {
			if !l.ignores(f, place, g.exclude) {
				g.layFile(l, f, place, source, outside)
			}
		}
		g.decide(l, place)
	}
	return nil
}

// layFile puts a file of a dependency at its place below that of the dependency.
func (g *gathering) layFile(l located, f laid, place, source string, outside bool) {
	below, inFolder := relativeTo(l.folder, f.source)
	switch {
	case l.Kind == libraryKind:
		scene := g.scene(f.source)
		g.addFile(g.scenePlace(scene), scene, outside)
	case inFolder:
		g.addFile(path.Join(place, f.below), filepath.Join(source, filepath.FromSlash(below)), outside)
	case g.isInside(f.source) && !outside:
		// Such as a layer of a cache: the file that names it keeps its place as well.
		own, spelling, _ := g.places.inside(filepath.Dir(f.source))
		g.addFile(path.Join(own, filepath.Base(f.source)), filepath.Join(spelling, filepath.Base(f.source)), false)
	default:
		g.warn("%s of %s names %s, which lies in another folder than the rest of it; it is left out", l.Datablock, l.Blend, f.source)
	}
}

func (g *gathering) isInside(file string) bool {
	_, _, ok := g.places.inside(filepath.Dir(file))
	return ok
}

// placeOf is the place of the folder that a dependency's path leads to; source is the spelling of that folder to read
// from.
func (g *gathering) placeOf(l located) (place, source string, outside bool) {
	folder := l.folder
	if l.Kind == libraryKind && len(l.files) > 0 {
		folder = filepath.Dir(g.scene(l.files[0].source))
	}
	if l.Field == unwritten {
		// Blender looks for it beside the .blend file, under the file's name, so that it goes where that goes.
		scene := cmp.Or(l.Base, l.Blend)
		_, _, inside := g.places.inside(filepath.Dir(g.scene(scene)))
		return path.Join(path.Dir(g.scenePlace(scene)), filepath.Base(folder)), folder, !inside
	}
	if place, source, ok := g.places.inside(folder); ok {
		return place, source, false
	}
	real := g.disk.real(folder)
	return g.places.outside(real), real, true
}

// unwritten is the field of caches whose folder Blender derives from the name of the .blend file.
const unwritten = "PointCache.name"

// scene is the spelling of a .blend file's path that counts.
func (g *gathering) scene(path string) string {
	return cmp.Or(g.scenes[g.sceneKey(path)], path)
}

// scenePlace is the place of a .blend file.
func (g *gathering) scenePlace(path string) string {
	scene := g.scene(path)
	place, _, _ := g.placeOf(located{folder: filepath.Dir(scene)})
	if place == "" {
		return filepath.Base(scene)
	}
	return place + "/" + filepath.Base(scene)
}

// ignores tells whether a file that a needed folder holds is none that belongs to it. A file that is named itself lies
// in no such folder.
func (l located) ignores(f laid, place string, exclude []string) bool {
	parts := components(f.below)
	if len(parts) < 2 || parts[0] != l.name {
		return false
	}
	at := place
	for i, part := range parts {
		at = path.Join(at, part)
		if i > 0 && (gather.Ignored(part) || excluded(exclude, at)) {
			return true
		}
	}
	return false
}

// decide finds the text that leads from the .blend file's place to the dependency's.
func (g *gathering) decide(l located, place string) {
	if l.Field == unwritten {
		return
	}
	base := cmp.Or(l.Base, l.Blend)
	_, _, inside := g.places.inside(filepath.Dir(base))
	if comes := g.scenes[g.sceneKey(base)] != ""; l.Base != "" && !inside && !comes {
		g.warn("%s of %s is stored with paths that start from %s, which lies outside the project; its files may not be found", l.Datablock, l.Blend, l.Base)
		return
	}
	from := strings.TrimSuffix(path.Dir(g.scenePlace(base)), ".")
	name := l.name
	if l.Kind == libraryKind && len(l.files) > 0 {
		name = filepath.Base(g.scene(l.files[0].source))
	}
	to := path.Join(place, name)
	if now, ok := target(from, l.Written); ok && now == to {
		return
	}
	wanted := text(from, to)
	if strings.HasSuffix(slashes(l.Written), "/") {
		wanted += "/"
	}
	scene := g.scene(l.Blend)
	if g.edits[scene] == nil {
		g.edits[scene] = map[field]string{}
	}
	f := fieldOf(l.Dependency)
	if f.Base == g.main {
		f.Base = "" // Who looks at a library alone does not know which file is rendered.
	}
	g.edits[scene][f] = wanted
}

func (g *gathering) reportMissing(l located) {
	if l.Field == unwritten && !l.Required {
		return // Nobody baked it, and Blender simulates it where it is shown.
	}
	for _, file := range l.missing {
		g.shot.Missing = append(g.shot.Missing, Missing{
			Datablock: l.Datablock, Kind: l.Kind, Path: l.Written, Resolved: file, Blend: l.Blend, Required: l.Required, Note: l.note,
		})
	}
}

// addFile puts a file at its place. Two spellings of one file are one.
func (g *gathering) addFile(place, source string, outside bool) {
	if known, ok := g.files[place]; ok && known.Source == source {
		return
	}
	info, err := os.Stat(source)
	if err != nil {
		g.faults = append(g.faults, err)
		return
	}
	parsed, err := checkout.ParsePath(place)
	if err != nil {
		g.faults = append(g.faults, fmt.Errorf("%q: %w", source, err))
		return
	}
	if known, ok := g.files[place]; ok {
		if other, err := os.Stat(known.Source); err == nil && !os.SameFile(info, other) {
			g.faults = append(g.faults, fmt.Errorf("%w: %q and %q would both be %q; rename one", checkout.ErrConflict, known.Source, source, place))
		}
		return
	}
	g.files[place] = treeFile(parsed, source, info)
	if outside {
		g.outside[place] = source
	}
}

func treeFile(place checkout.Path, source string, info fs.FileInfo) gather.File {
	mode := checkout.Regular
	if info.Mode().Perm()&0o111 != 0 && runtime.GOOS != "windows" {
		mode = checkout.Executable
	}
	return gather.File{Path: place, Source: source, Size: info.Size(), Mode: mode, ModTime: info.ModTime(), Stat: fileindex.StatOf(info)}
}

// changeScenes puts changed copies in the place of the .blend files in which a path must change.
func (g *gathering) changeScenes() error {
	for _, scene := range slices.Sorted(maps.Keys(g.edits)) {
		copied, unasked, err := g.spool.copy(g.ctx, scene, g.edits[scene])
		if err != nil {
			return err
		}
		for _, f := range unasked {
			g.warn("%s of %s (%s) cannot be changed in %s; on another machine it may not be found", f.Field, f.Datablock, f.Written, scene)
		}
		place := g.scenePlace(scene)
		old, ok := g.files[place]
		if !ok {
			continue // It is one of the faults.
		}
		info, err := os.Stat(copied)
		if err != nil {
			return err
		}
		changed := treeFile(old.Path, copied, info)
		changed.Mode = old.Mode
		g.files[place] = changed
	}
	return g.spool.prune()
}

// finish checks the tree as a whole.
func (g *gathering) finish() (Shot, error) {
	g.shot.Features = g.shot.Report.Features
	slices.SortFunc(g.shot.Missing, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.Blend, b.Blend), cmp.Compare(a.Datablock, b.Datablock), cmp.Compare(a.Resolved, b.Resolved), cmp.Compare(a.Kind, b.Kind))
	})
	g.shot.Missing = slices.Compact(g.shot.Missing)
	if len(g.faults) > 0 {
		return Shot{}, &gather.UnusableError{Root: g.shot.Root, Causes: g.faults}
	}
	tree := gather.Tree{Root: g.shot.Root, Roots: []string{g.shot.Root}}
	for _, place := range slices.Sorted(maps.Keys(g.files)) {
		file := g.files[place]
		tree.Files = append(tree.Files, file)
		tree.Root = above(tree.Root, filepath.Dir(file.Source))
		if _, below := relativeTo(g.shot.Root, file.Source); !below {
			tree.Roots = append(tree.Roots, file.Source)
		}
		if source, ok := g.outside[place]; ok {
			g.shot.Outside = append(g.shot.Outside, Outside{Path: source, As: file.Path})
		}
	}
	main, err := checkout.ParsePath(g.scenePlace(g.main))
	g.shot.Blend, g.shot.Tree = main, tree
	return g.shot, errors.Join(err, checkout.CheckPaths(func(yield func(checkout.Path) bool) {
		for _, f := range tree.Files {
			if !yield(f.Path) {
				return
			}
		}
	}))
}

// above is the deepest folder that both lie in. On Windows, folders on two drives have none; then it is a.
func above(a, b string) string {
	for folder := a; ; folder = filepath.Dir(folder) {
		if _, ok := relativeTo(folder, b); ok {
			return folder
		}
		if filepath.Dir(folder) == folder {
			return a
		}
	}
}

// parsePatterns refuses malformed patterns by name.
func parsePatterns(patterns []string) ([]string, error) {
	var parsed []string
	for _, pattern := range patterns {
		trimmed := strings.TrimSuffix(pattern, "/")
		if _, err := path.Match(trimmed, ""); err != nil || trimmed == "" {
			return nil, fmt.Errorf("bad exclude pattern %q: write names with *, ? and [a-z], like \"*.psd\" or \"cache/*\"", pattern)
		}
		parsed = append(parsed, trimmed)
	}
	return parsed, nil
}

// excluded tells whether a place of the tree matches one of the patterns, as in [gather.Options].
func excluded(patterns []string, place string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		subject := place
		if !strings.Contains(pattern, "/") {
			subject = path.Base(place)
		}
		ok, _ := path.Match(pattern, subject) //nolint:errcheck // parsePatterns took no malformed one.
		return ok
	})
}
