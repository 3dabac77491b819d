package dropfolder

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/gather"
	"hayloft/checkout/gather/shot"
	"hayloft/cmd/scene"
)

// project is what a drop holds, as it lies on this machine.
type project struct {
	tree  gather.Tree
	blend gather.File // what is rendered
	alone bool        // nothing but the .blend was dropped
}

// gatherProject finds the files of a drop that lies at source, and which of them is rendered. A source that is a .blend is
// all there is; of a folder, everything is taken but what never belongs to a project.
// Stem is the name that the .blend has if it is to be told from others.
func gatherProject(ctx context.Context, source, stem string, limits Limits) (project, error) {
	tree, err := gather.Walk(ctx, source, gather.Options{MaxFiles: limits.Files, Exclude: litterPatterns})
	if err != nil {
		return project{}, err
	}
	file, err := chooseBlend(tree.Files, stem)
	if err == nil && file.Size == 0 {
		err = refuse("copy it here again", "%s is empty", file.Path.Base())
	}
	return project{tree: tree, blend: file, alone: len(tree.Files) == 1 && tree.Files[0].Source == source}, err
}

// checkLinks refuses links that lead out of a drop at source: whoever may put a file here is not to read the manager's by it.
func checkLinks(source string, tree gather.Tree) error {
	real, err := filepath.EvalSymlinks(source)
	if err != nil {
		return fmt.Errorf("look at the project: %w", err)
	}
	for _, file := range tree.Files {
		if !strings.HasPrefix(file.Source, source+string(filepath.Separator)) {
			continue // a changed copy of a .blend file
		}
		target, err := filepath.EvalSymlinks(file.Source)
		if err != nil {
			return fmt.Errorf("look at the project: %w", err)
		}
		if inside, err := filepath.Rel(real, target); err != nil || !filepath.IsLocal(inside) {
			return refuse("put the file itself in its place", "%s is a link that leads out of the folder", shown(file.Path.String()))
		}
	}
	return nil
}

// chooseBlend finds the .blend that is meant: the one at the top, where folders that hold nothing but one folder do not
// count; of several, the one with the name of the drop; or the only one there is.
func chooseBlend(files []gather.File, stem string) (gather.File, error) {
	top := topFolder(files)
	var all, upper, named, namedUpper []gather.File
	for _, file := range files {
		extension := filepath.Ext(file.Path.Base())
		if !strings.EqualFold(extension, ".blend") {
			continue
		}
		isNamed := strings.EqualFold(strings.TrimSuffix(file.Path.Base(), extension), stem)
		isUpper := file.Path.Dir() == top
		all = append(all, file)
		if isUpper {
			upper = append(upper, file)
		}
		if isNamed {
			named = append(named, file)
		}
		if isUpper && isNamed {
			namedUpper = append(namedUpper, file)
		}
	}
	if len(all) == 0 {
		return gather.File{}, noBlend(files)
	}
	for _, one := range [][]gather.File{upper, namedUpper, named, all} {
		if len(one) == 1 {
			return one[0], nil
		}
	}
	return gather.File{}, refuse(fmt.Sprintf("give the one to render the name %s.blend, or leave only that one at the top", stem),
		"it holds several .blend files: %s", listed(all))
}

// noBlend says that there is no scene, and where it may be.
func noBlend(files []gather.File) error {
	for _, file := range files {
		if name := file.Path.Base(); archives.MatchString(name) || strings.EqualFold(filepath.Ext(name), ".zip") {
			return refuse("unpack that and put here what is in it", "it holds no .blend file, but the archive %s", shown(name))
		}
	}
	return refuse("put the scene's .blend file into it", "it holds no .blend file")
}

// topFolder is the deepest folder that all files are in.
func topFolder(files []gather.File) string {
	if len(files) == 0 {
		return ""
	}
	top := files[0].Path.Dir()
	for _, file := range files[1:] {
		for top != "" && file.Path.Dir() != top && !strings.HasPrefix(file.Path.Dir(), top+"/") {
			top = parent(top)
		}
	}
	return top
}

// mostListed is how many names a message shows.
const mostListed = 10

func listed(files []gather.File) string {
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.Path.String()
	}
	return enumerate(names)
}

func enumerate(names []string) string {
	if more := len(names) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostListed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// complete finds out what the scene needs, and gives the project with all paths in it made relative: changed copies of .blend
// files go to the folder spool. Features are what a worker's Blender must be able to do. A project that lacks something which
// was not dropped with it is refused unless missing is allowed. A file of the manager's machine that a scene names was not
// dropped: it lacks as well, and is never sent.
func complete(ctx context.Context, p project, s scene.Scene, spool string, allowMissing bool) (whole project, features []string, err error) {
	found, err := shot.Gather(ctx, p.blend.Source, shot.Options{
		Root: p.tree.Root, Frames: []blend.Range{{First: s.First, Last: s.Last}}, Spool: spool,
	})
	if err != nil {
		return project{}, nil, err
	}
	strange := make(map[checkout.Path]bool, len(found.Outside))
	for _, o := range found.Outside {
		strange[o.As] = true
	}
	files := make(map[checkout.Path]gather.File, len(p.tree.Files))
	for _, file := range p.tree.Files {
		files[file.Path] = file
	}
	var lacking []string
	for _, m := range found.Missing {
		if m.Required {
			lacking = append(lacking, fmt.Sprintf("%s (wanted by %s %s)", m.Path, m.Kind, shown(datablockName(m.Datablock))))
		}
	}
	for _, file := range found.Tree.Files {
		if strange[file.Path] || p.alone && file.Path != p.blend.Path {
			lacking = append(lacking, file.Path.Base())
			continue
		}
		files[file.Path] = file
	}
	if len(lacking) > 0 && !allowMissing {
		return project{}, nil, refuse("put them with it and use relative paths, or pack them into the .blend with File > External Data > Pack Resources",
			"the scene needs files that are not with it: %s", enumerate(lacking))
	}
	p.tree.Files = slices.SortedFunc(maps.Values(files), func(a, b gather.File) int { return a.Path.Compare(b.Path) })
	return p, found.Features, nil
}

// datablockName is a datablock's name without the two letters of its type.
func datablockName(id string) string { return id[min(2, len(id)):] }
