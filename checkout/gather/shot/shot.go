package shot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/gather"
)

// ErrOutsideRoot: the .blend file does not lie in the project folder.
var ErrOutsideRoot = errors.New("the .blend file lies outside the project folder; name a folder that holds it")

// Options of [Gather].
type Options struct {
	// Root is the project folder; empty means the folder of the .blend file.
	Root string
	// Frames are those that will be rendered; none means all of the file's scenes.
	Frames []blend.Range
	// Variables translate the beginnings of paths that mean nothing on this machine into folders of this machine:
	// "P:/film" to "/mnt/film". Slashes and backslashes count as equal; drive letters and names of servers are not told
	// apart by case. The longest one that fits counts. Paths that lead to something here are left alone.
	Variables map[string]string
	// Exclude are patterns as in [gather.Options]. They leave out what folders hold that are needed as a whole, such as
	// caches; never a file that is named.
	Exclude []string
	// Spool is a folder for the changed copies of .blend files; empty means that of [DefaultSpool]. It is kept from one
	// submission to the next; copies that were of no use for a month are removed.
	Spool string
	// Now is [time.Now] unless set. It tells which files are too young for their times to tell of every change, and which
	// copies are old.
	Now func() time.Time
}

// Missing is a file that a datablock names and that is not there.
type Missing struct {
	Datablock string `json:"datablock"` // two letters for its type, then its name: "IMwood"
	Kind      string `json:"kind"`      // as in [blend.Dependency]
	Path      string `json:"path"`      // as it is stored
	Resolved  string `json:"resolved"`  // the file that was looked for
	Blend     string `json:"blend"`     // the file that stores the datablock
	Required  bool   `json:"required"`  // without it, frames are wrong
	Note      string `json:"note"`      // what a person should know about it; may be empty
}

// Outside is a file from outside the project folder.
type Outside struct {
	Path string        `json:"path"` // absolute, on this machine
	As   checkout.Path `json:"as"`   // its place in the tree
}

// Shot is a .blend file with all that it needs.
type Shot struct {
	Root    string        `json:"root"`    // absolute
	Blend   checkout.Path `json:"blend"`   // the place of the .blend file in the tree
	Tree    gather.Tree   `json:"-"`       // Source of a changed .blend file is its copy in the spool
	Missing []Missing     `json:"missing"` // in ascending order of the .blend file, the datablock and the file
	Outside []Outside     `json:"outside"` // in ascending order of As
	// Features are those of [blend.Report].
	Features []string `json:"features"`
	// Scripts are the text blocks of the file that Blender runs when it opens it, in ascending order.
	Scripts []string `json:"scripts"`
	// AddOns tell of add-ons as far as the file does: the names of settings and kinds of nodes that Blender itself does
	// not have, in ascending order.
	AddOns   []string     `json:"addons"`
	Warnings []string     `json:"warnings"`
	Report   blend.Report `json:"-"` // what the trace found, under the paths of this machine
}

// Gather finds everything that the .blend file at path needs, and where it belongs in the tree.
//
// Errors: those of [blend.Trace] and [blend.Rewrite]; [ErrOutsideRoot]; [*gather.UnusableError] with all files that
// cannot be looked at and all names that [checkout.ParsePath] refuses; [checkout.ErrConflict] for paths that cannot be
// together on every platform; [gather.ErrChanging] for a .blend file that is written meanwhile; a bad pattern; a spool
// that cannot be written; ctx's. What is missing is no error.
func Gather(ctx context.Context, path string, options Options) (Shot, error) {
	shot, err := gatherShot(ctx, path, options)
	if err != nil {
		return Shot{}, fmt.Errorf("gather %q: %w", path, err)
	}
	return shot, nil
}

func gatherShot(ctx context.Context, path string, options Options) (Shot, error) {
	g, err := newGathering(ctx, path, options)
	if err != nil {
		return Shot{}, err
	}
	if err := g.trace(); err != nil {
		return Shot{}, err
	}
	g.chooseSide()
	if err := g.layOut(); err != nil {
		return Shot{}, err
	}
	if err := g.changeScenes(); err != nil {
		return Shot{}, err
	}
	if err := g.readExtensions(); err != nil {
		return Shot{}, err
	}
	return g.finish()
}

// gathering is one run of [Gather].
type gathering struct {
	ctx       context.Context
	options   Options
	main      string // the .blend file, absolute
	places    *places
	disk      *disk
	variables variables
	exclude   []string
	spool     spool
	found     []located
	numbers   map[string]*several         // by .blend file
	scenes    map[string]string           // of .blend files, by sceneKey: the spelling that counts
	edits     map[string]map[field]string // new texts, by the .blend file that stores the field
	files     map[string]gather.File      // by their places in the tree
	outside   map[string]string           // sources from outside, by their places in the tree
	faults    []error
	shot      Shot
}

func newGathering(ctx context.Context, path string, options Options) (*gathering, error) {
	main, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(main)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file; name a .blend file")
	case options.Root == "":
		options.Root = filepath.Dir(main)
	}
	root, err := filepath.Abs(options.Root)
	if err != nil {
		return nil, err
	}
	if options.Spool == "" {
		if options.Spool, err = DefaultSpool(); err != nil {
			return nil, err
		}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	exclude, err := parsePatterns(options.Exclude)
	if err != nil {
		return nil, err
	}
	g := &gathering{
		ctx: ctx, options: options, main: main, places: newPlaces(root), disk: newDisk(), variables: parseVariables(options.Variables),
		exclude: exclude, spool: spool{folder: options.Spool, now: options.Now}, scenes: map[string]string{}, edits: map[string]map[field]string{},
		numbers: map[string]*several{}, files: map[string]gather.File{}, outside: map[string]string{},
	}
	if _, _, inside := g.places.inside(filepath.Dir(main)); !inside {
		return nil, fmt.Errorf("%w (%q)", ErrOutsideRoot, root)
	}
	// Lists without elements are lists in JSON too.
	g.shot = Shot{Root: root, Missing: []Missing{}, Outside: []Outside{}, Scripts: []string{}, AddOns: []string{}, Warnings: []string{}}
	return g, nil
}

// trace finds all dependencies. A library that is only found by another spelling of its path, or by a variable, is unknown
// to the trace, so that the trace is told and begins anew.
func (g *gathering) trace() error {
	elsewhere := map[string]string{}
	for {
		report, err := blend.Trace(g.ctx, []string{g.main}, blend.Options{Frames: g.options.Frames, Libraries: elsewhere})
		if err != nil {
			return err
		}
		g.shot.Report, g.found = report, make([]located, 0, len(report.Dependencies))
		before := len(elsewhere)
		for _, d := range report.Dependencies {
			l, err := g.locate(d)
			if err != nil {
				return err
			}
			if d.Kind == libraryKind && len(d.Files) == 0 && len(l.files) > 0 {
				elsewhere[d.Resolved] = l.files[0].source
			}
			g.found = append(g.found, l)
		}
		if len(elsewhere) == before {
			g.reportUnreadable()
			g.nameScenes()
			return nil
		}
	}
}

// reportUnreadable counts libraries that nobody can read as missing: nothing of what is linked from them would be there.
func (g *gathering) reportUnreadable() {
	reasons := map[string][]string{} // one for each spelling
	for _, path := range slices.Sorted(maps.Keys(g.shot.Report.Unreadable)) {
		real := g.disk.real(path)
		reasons[real] = append(reasons[real], g.shot.Report.Unreadable[path])
	}
	told := map[string]bool{}
	for i := range g.found {
		l := &g.found[i]
		if l.Kind != libraryKind || len(l.files) == 0 {
			continue
		}
		for _, why := range reasons[g.disk.real(l.files[0].source)] {
			l.missing, l.note, told[why] = []string{l.files[0].source}, why, true
		}
	}
	for _, text := range g.shot.Report.Warnings {
		if !told[text] {
			g.warn("%s", text)
		}
	}
}

// libraryKind is the Kind of dependencies on .blend files.
const libraryKind = "library"

// nameScenes decides which spelling of each .blend file counts, where several lead to it: the trace's own, since the
// relative paths in the file were taken from there.
func (g *gathering) nameScenes() {
	g.nameScene(g.main)
	for _, l := range g.found {
		g.nameScene(l.Blend)
	}
	for _, l := range g.found {
		if l.Kind == libraryKind && len(l.files) > 0 {
			g.nameScene(l.files[0].source)
		}
	}
}

func (g *gathering) nameScene(path string) {
	if key := g.sceneKey(path); g.scenes[key] == "" {
		g.scenes[key] = path
	}
}

// sceneKey is the same for spellings of one .blend file that lead to one place in the tree. A link in another folder of
// the project is a file of its own: the relative paths in it start from there.
func (g *gathering) sceneKey(path string) string {
	folder, _, inside := g.places.inside(filepath.Dir(path))
	if !inside {
		folder = g.disk.real(filepath.Dir(path))
	}
	return folder + "\x00" + g.disk.real(path)
}

func (g *gathering) warn(format string, args ...any) {
	g.shot.Warnings = append(g.shot.Warnings, fmt.Sprintf(format, args...))
}
