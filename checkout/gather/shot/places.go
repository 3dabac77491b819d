package shot

import (
	"crypto/sha256"
	"encoding/base32"
	"path"
	"path/filepath"
	"strings"
)

// places says where in the tree a folder of this machine belongs.
type places struct {
	root, realRoot string
	side           string // the folder at the top of the tree for what comes from outside
	known          map[string]inner
}

// inner is what [places.inside] found out about a folder.
type inner struct {
	place, source string
	ok            bool
}

const sideFolder = "_outside"

func newPlaces(root string) *places {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		real = root
	}
	return &places{root: root, realRoot: real, side: sideFolder, known: map[string]inner{}}
}

// inside gives the place of a folder that lies in the project, by its spelling or once links are followed, and the
// spelling of it that begins with the project folder. The place of the project folder itself is empty.
func (p *places) inside(folder string) (place, source string, ok bool) {
	i, known := p.known[folder]
	if !known {
		i = p.find(folder)
		p.known[folder] = i
	}
	return i.place, i.source, i.ok
}

func (p *places) find(folder string) inner {
	if below, ok := relativeTo(p.root, folder); ok {
		return inner{below, folder, true}
	}
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return inner{}
	}
	below, ok := relativeTo(p.realRoot, real)
	return inner{below, filepath.Join(p.root, filepath.FromSlash(below)), ok}
}

// relativeTo gives the path of folder from root, with slashes; empty for root itself.
func relativeTo(root, folder string) (below string, ok bool) {
	below, err := filepath.Rel(root, folder)
	switch {
	case err != nil || !filepath.IsLocal(below):
		return "", false
	case below == ".":
		return "", true
	}
	return filepath.ToSlash(below), true
}

// digestBytes of a folder's name make a name of 16 letters: with a million folders, two that share one are less likely
// than one in a trillion. Were it to happen, layOut refuses two files of one place.
const digestBytes = 10

// outside is the place of a folder that lies outside the project. It depends on nothing but the folder's path, so that
// it is the same whatever else is needed, and the same in each submission.
func (p *places) outside(folder string) string {
	sum := sha256.Sum256([]byte(filepath.ToSlash(folder)))
	return path.Join(p.side, strings.ToLower(base32.StdEncoding.EncodeToString(sum[:digestBytes])))
}

// text is how a .blend file in the folder base of the tree names something at a place of the tree.
func text(base, place string) string {
	from, to := components(base), components(place)
	for len(from) > 0 && len(to) > 1 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	return "//" + strings.Repeat("../", len(from)) + strings.Join(to, "/")
}

func components(place string) []string {
	if place == "" {
		return nil
	}
	return strings.Split(place, "/")
}

// target is the place that a path leads to which a .blend file in the folder base of the tree stores; ok is false if it
// leads out of the tree.
func target(base, written string) (place string, ok bool) {
	below, relative := strings.CutPrefix(strings.ReplaceAll(written, `\`, "/"), "//")
	if !relative || strings.HasPrefix(written, `\`) {
		return "", false
	}
	parts := components(base)
	for component := range strings.SplitSeq(below, "/") {
		switch component {
		case "", ".":
		case "..":
			// Who leaves the tree and enters it again does not find the same on another machine.
			if len(parts) == 0 {
				return "", false
			}
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, component)
		}
	}
	return strings.Join(parts, "/"), true
}
