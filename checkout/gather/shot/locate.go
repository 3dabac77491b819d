package shot

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"hayloft/checkout/blend"
)

// located is a dependency with its files as they are on disk.
type located struct {
	blend.Dependency
	folder  string // what [split] gives, as it is on disk; "" for a path of another system
	name    string // the rest of the path, as it is on disk, with tokens and counters as they are written
	files   []laid
	missing []string
	note    string
}

// laid is one file of a dependency. All files of one dependency keep their ways from each other.
type laid struct {
	source string
	below  string // its path from the dependency's folder, with slashes
}

// locate finds the files of a dependency, also where its path is one of another system or spelled differently.
func (g *gathering) locate(d blend.Dependency) (located, error) {
	path, wanted := d.Resolved, d.Missing
	l := located{Dependency: d, note: d.Note}
	if len(d.Files) == 0 {
		if len(wanted) == 0 {
			wanted = []string{path} // It is optional.
		}
		if mapped, ok := g.variables.apply(d.Written); ok && (isForeign(d.Written) || !exists(path)) {
			wanted, l.note = moveAll(wanted, filepath.Dir(path), filepath.Dir(mapped)), ""
			if isForeign(d.Written) {
				wanted = []string{mapped}
			}
			path = mapped
		} else if isForeign(d.Written) {
			l.missing = []string{d.Resolved}
			return l, nil
		}
	}
	top, name := split(path)
	l.folder, _ = g.disk.spelled(top)
	l.name = name
	for _, file := range d.Files {
		l.add(top, file)
	}
	if len(d.Files) == 1 && len(wanted) == 0 && d.Files[0] == path {
		// On a disk that does not tell cases apart, the path can be spelled differently all the same.
		l.respell(g.disk)
	}
	if d.Kind == stripKind && isForeign(d.Written) && path != d.Resolved {
		names, err := g.stripImages(d)
		if err != nil {
			return located{}, err
		}
		wanted = moveAll(names, "", filepath.Dir(path))
	}
	for _, file := range wanted {
		if err := g.search(&l, path, file); err != nil {
			return located{}, err
		}
	}
	return l, nil
}

// split parts a path before its last component, or before the first one with a token for tiles: that stands for a folder
// each. name has slashes.
func split(path string) (folder, name string) {
	folder = filepath.Dir(path)
	for strings.Contains(folder, "<UDIM>") || strings.Contains(folder, "<UVTILE>") {
		folder = filepath.Dir(folder)
	}
	name, inside := relativeTo(folder, path)
	if !inside || name == "" {
		return folder, filepath.Base(path)
	}
	return folder, name
}

// moveAll gives the paths in another folder.
func moveAll(files []string, from, to string) []string {
	var moved []string
	for _, file := range files {
		if below, err := filepath.Rel(from, file); err == nil {
			moved = append(moved, filepath.Join(to, below))
		}
	}
	return moved
}

// exists tells whether there is something under exactly that path.
func exists(path string) bool { return isFile(path) || isFolder(path) }

// add takes in a file that lies under its own name.
func (l *located) add(top, file string) {
	below, err := filepath.Rel(top, file)
	if err != nil {
		below = filepath.Base(file)
	}
	l.files = append(l.files, laid{filepath.Join(l.folder, below), filepath.ToSlash(below)})
}

func (l *located) respell(d *disk) {
	if actual, ok := d.spelled(filepath.Join(l.folder, l.name)); ok && filepath.Base(actual) != l.name {
		l.name = filepath.Base(actual)
		l.files = []laid{{actual, l.name}}
	}
}

// search looks for a file of a dependency that is not where it should be. path is the dependency's own one.
func (g *gathering) search(l *located, path, file string) error {
	top, _ := split(path)
	below, err := filepath.Rel(top, file)
	if err != nil {
		return err
	}
	actual, exists := g.disk.spelled(filepath.Join(l.folder, below))
	// Which files it is was told by the trace, save for a path that led nowhere as a whole.
	whole := file == path && l.Kind != stripKind && len(l.Files) == 0 && len(l.Missing) < 2 && l.Frames == nil
	switch {
	case !whole && exists && isFile(actual):
		l.files = append(l.files, laid{actual, filepath.ToSlash(below)})
		return nil
	case whole && actual != l.Resolved:
		found, err := g.around(l.Dependency, actual)
		if err != nil {
			return err
		}
		if found != nil {
			l.name, l.files = filepath.Base(actual), found
			return nil
		}
	case !l.Required && exists:
		return nil // An empty folder is as good as one that is not there yet.
	}
	l.missing = append(l.missing, file)
	if several := g.disk.ambiguous(file); several != nil {
		l.note = fmt.Sprintf("its name can stand for %q; rename all but one", several)
	}
	return nil
}

// folderKinds are the kinds of dependencies that are folders. A custom property is not among them: as long as its path is
// one of another machine, nobody knows whether it means a file or all that a folder holds.
var folderKinds = []string{"fluid cache", "ocean cache", "geometry nodes bake", "movie clip proxies"}

// around finds all files of a dependency by its own path on disk; nil if there are none that it could do with.
func (g *gathering) around(d blend.Dependency, path string) ([]laid, error) {
	if slices.Contains(folderKinds, d.Kind) {
		files, err := g.below(path)
		if len(files) == 0 && !d.Required && err == nil && isFolder(path) {
			files = []laid{}
		}
		return files, err
	}
	dir, name := filepath.Split(path)
	pattern, err := g.numbered(d, name)
	if err != nil {
		return nil, err
	}
	var files []laid
	if pattern == nil {
		for _, one := range alone(d, path) {
			if isFile(one) {
				files = append(files, laid{one, filepath.Base(one)})
			}
		}
		return files, nil
	}
	for _, other := range g.disk.list(filepath.Clean(dir)).order {
		if pattern.MatchString(other) && isFile(filepath.Join(dir, other)) {
			files = append(files, laid{filepath.Join(dir, other), other})
		}
	}
	return files, nil
}

// alone gives the files of a dependency that is one file, and what the OSL compiler left beside it.
func alone(d blend.Dependency, path string) []string {
	if stem, ok := strings.CutSuffix(path, ".osl"); ok && d.Kind == "OSL script" {
		return []string{path, stem + ".oso"}
	}
	return []string{path}
}

// mostBelow bounds the files of one folder, as [blend.Trace] does.
const mostBelow = 1_000_000

// below lists all files in a folder that is needed whole. Links inside it are not followed.
func (g *gathering) below(folder string) ([]laid, error) {
	var files []laid
	if filepath.Dir(folder) == folder {
		return nil, nil
	}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		if len(files) >= mostBelow {
			return fs.SkipAll
		}
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // What cannot be read is missing to Blender too.
		}
		below, err := filepath.Rel(filepath.Dir(folder), path)
		files = append(files, laid{path, filepath.ToSlash(below)})
		return err
	})
	return files, err
}
