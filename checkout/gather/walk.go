package gather

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"hayloft/checkout"
	"hayloft/checkout/fileindex"
)

// Errors by meaning; test with [errors.Is].
var (
	// ErrUnusable: files of the project cannot be read, or cannot have a place in a manifest. The error is a
	// [*UnusableError].
	ErrUnusable = errors.New("some files of the project cannot be used")
	// ErrTooManyFiles: the project has more files and folders than [Options.MaxFiles].
	ErrTooManyFiles = errors.New("the project has too many files")
	// ErrChanging: a file was written to each time it was read.
	ErrChanging = errors.New("the file keeps changing while it is read; wait until it is saved and try again")
)

// UnusableError names every file of a project that stands in the way.
type UnusableError struct {
	Root   string
	Causes []error // each names its path
}

// Error lists the causes, one a line.
func (e *UnusableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v (%d in %q); mend or exclude them:", ErrUnusable, len(e.Causes), e.Root)
	for _, cause := range e.Causes {
		fmt.Fprintf(&b, "\n  %v", cause)
	}
	return b.String()
}

// Unwrap makes errors.Is find [ErrUnusable] and the causes.
func (e *UnusableError) Unwrap() []error { return append([]error{ErrUnusable}, e.Causes...) }

// DefaultMaxFiles is as many as a manager takes; see [checkout.DefaultLimits].
const DefaultMaxFiles = 1_000_000

// Options of [Walk].
type Options struct {
	// Exclude are patterns in the manner of [path.Match]. One without a slash is held against the name of each file and
	// folder, one with a slash against the path from the project's top.
	Exclude []string
	// MaxFiles bounds the files and folders that are looked at, since links can make a few of them look like very many;
	// 0 means [DefaultMaxFiles].
	MaxFiles int
}

// File is one file of a project.
type File struct {
	Path    checkout.Path
	Source  string // absolute path on this machine; links on the way are not resolved
	Size    int64  // bytes
	Mode    checkout.Mode
	ModTime time.Time
	Stat    fileindex.Stat // when it was listed
}

// Tree is a project on disk.
type Tree struct {
	Root  string // absolute; the deepest folder that all of it is in
	Files []File // in ascending order of Path
	// Loops are links that were not followed, because they lead back to a folder that they lie in.
	Loops []string

	// Roots are folders and files, absolute, that between them hold all files: where [Read] has its index look. None means
	// Root.
	Roots []string

	folders []string // all that were listed, by absolute paths
}

// Size is the sum of all files' sizes in bytes.
func (t Tree) Size() int64 {
	var sum int64
	for _, f := range t.Files {
		sum += f.Size
	}
	return sum
}

// Walk lists the files of the project folder root as it is, but for what is ignored: .git, .hg, .svn, __pycache__,
// .DS_Store, Thumbs.db, .~lock*, Blender's *.blend1 to *.blend32 and *.blend@, what [checkout.Materialise] left, and the
// excluded. Links count as what they lead to, inside the project or outside. Sockets, pipes and devices have no content
// and are left out. A root that is a file makes a tree of that one file, whatever its name is. Each file costs one stat;
// none is opened.
//
// Errors: [*UnusableError] with all folders that cannot be read, links that lead nowhere, and names that
// [checkout.ParsePath] refuses; [checkout.ErrConflict] for paths that cannot be together on every platform;
// [ErrTooManyFiles]; a bad pattern; ctx's.
func Walk(ctx context.Context, root string, options Options) (Tree, error) {
	return WalkAll(ctx, []string{root}, options)
}

// WalkAll is [Walk] for several folders and files. If there is more than one, each has its own name at the top of the
// tree, so that "textures" and "shots/a.blend" give "textures/..." and "a.blend". Folders of one name become one; two
// files that would have the same path are [checkout.ErrConflict].
func WalkAll(ctx context.Context, roots []string, options Options) (Tree, error) {
	tree, err := walkRoots(ctx, roots, options)
	if err != nil {
		return Tree{}, err
	}
	return tree, nil
}

// walkRoots is WalkAll, but with an error it gives as much of the tree as it saw.
func walkRoots(ctx context.Context, roots []string, options Options) (Tree, error) {
	exclude, err := parseExclusions(options.Exclude)
	if err != nil {
		return Tree{}, err
	}
	w := walker{ctx: ctx, exclude: exclude, room: options.MaxFiles}
	if w.room == 0 {
		w.room = DefaultMaxFiles
	}
	for _, root := range roots {
		absolute, err := filepath.Abs(root)
		if err == nil {
			w.tree.Roots = append(w.tree.Roots, absolute)
			err = w.root(absolute, len(roots) > 1)
		}
		if err != nil {
			return w.tree, fmt.Errorf("gather %q: %w", root, err)
		}
	}
	if err := w.finish(); err != nil {
		return w.tree, fmt.Errorf("gather %q: %w", strings.Join(roots, `", "`), err)
	}
	return w.tree, nil
}

type walker struct {
	ctx     context.Context
	tree    Tree
	exclude exclusions
	room    int           // how many more files and folders may come
	above   []os.FileInfo // the folders that lead to the one at hand
	faults  []error
}

// root takes in one root; named puts it under its own name.
func (w *walker) root(source string, named bool) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	folder, relative := source, ""
	if !info.IsDir() {
		folder, named = filepath.Dir(source), true
	}
	if base := filepath.Base(source); named && filepath.IsLocal(base) {
		relative = base
	}
	w.tree.Root = common(w.tree.Root, folder)
	switch {
	case info.IsDir():
		return w.folder(source, relative, info)
	case info.Mode().IsRegular():
		return w.file(source, relative, info)
	}
	return errors.New("it is neither a folder nor a file; name the folder that the project is in")
}

// common is the deepest folder that both lie in; an empty one stands for none yet.
func common(a, b string) string {
	if a == "" {
		return b
	}
	for {
		inside, err := filepath.Rel(a, b)
		if err == nil && filepath.IsLocal(inside) {
			return a
		}
		parent := filepath.Dir(a)
		if parent == a {
			return a
		}
		a = parent
	}
}

// finish sorts what was found and checks it as a whole.
func (w *walker) finish() error {
	if len(w.faults) > 0 {
		return &UnusableError{Root: w.tree.Root, Causes: w.faults}
	}
	files := w.tree.Files
	slices.SortStableFunc(files, func(a, b File) int { return a.Path.Compare(b.Path) })
	w.tree.Files = slices.CompactFunc(files, func(a, b File) bool { return a.Path == b.Path && a.Source == b.Source })
	for i := 1; i < len(w.tree.Files); i++ {
		if a, b := w.tree.Files[i-1], w.tree.Files[i]; a.Path == b.Path {
			return fmt.Errorf("%w: %q and %q would both be %q; rename one, or gather the folder that both are in",
				checkout.ErrConflict, a.Source, b.Source, a.Path)
		}
	}
	return checkout.CheckPaths(func(yield func(checkout.Path) bool) {
		for _, f := range w.tree.Files {
			if !yield(f.Path) {
				return
			}
		}
	})
}

// folder takes in what lies below source, whose path from the project's top is relative, with forward slashes. It
// returns only errors that end the walk.
func (w *walker) folder(source, relative string, info os.FileInfo) error {
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	w.tree.folders = append(w.tree.folders, source)
	entries, err := os.ReadDir(source)
	if err != nil {
		w.faults = append(w.faults, err)
		return nil
	}
	for _, entry := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		below := entry.Name()
		if relative != "" {
			below = relative + "/" + below
		}
		if Ignored(entry.Name()) || w.exclude.match(below) {
			continue
		}
		if err := w.entry(filepath.Join(source, entry.Name()), below); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(source, relative string) error {
	if w.room--; w.room < 0 {
		return fmt.Errorf("%w: stopped at %q; name the folder of one project, or exclude what it does not need", ErrTooManyFiles, source)
	}
	info, err := os.Stat(source)
	switch {
	case err != nil:
		w.faults = append(w.faults, statFault(source, err))
		return nil
	case info.IsDir() && w.leadsBack(info):
		w.tree.Loops = append(w.tree.Loops, source)
		return nil
	case info.IsDir() && len(w.above) >= checkout.MaxPathDepth:
		w.faults = append(w.faults, fmt.Errorf("%q: more than %d folders deep", source, checkout.MaxPathDepth))
		return nil
	case info.IsDir():
		return w.folder(source, relative, info)
	case info.Mode().IsRegular():
		return w.file(source, relative, info)
	}
	return nil
}

func (w *walker) file(source, relative string, info os.FileInfo) error {
	path, err := checkout.ParsePath(relative)
	if err != nil {
		w.faults = append(w.faults, err)
		return nil
	}
	mode := checkout.Regular
	if info.Mode().Perm()&0o111 != 0 && runtime.GOOS != "windows" {
		mode = checkout.Executable
	}
	w.tree.Files = append(w.tree.Files, File{
		Path: path, Source: source, Size: info.Size(), Mode: mode, ModTime: info.ModTime(), Stat: fileindex.StatOf(info),
	})
	return nil
}

// leadsBack tells whether a folder is one of those that lead to it. Comparing with these only, and not with all that
// was seen, lets two links show the same folder twice, as Blender sees it.
func (w *walker) leadsBack(info os.FileInfo) bool {
	return slices.ContainsFunc(w.above, func(a os.FileInfo) bool { return os.SameFile(a, info) })
}

// statFault names where a link leads that leads nowhere.
func statFault(source string, err error) error {
	if target, linkErr := os.Readlink(source); linkErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q: a link to %q, which does not exist: %w", source, target, fs.ErrNotExist)
	}
	return err
}
