package checkout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"hayloft/cas"
)

// StagePrefix starts the names of what [Materialise] has of its own in a directory while it works: files that are not
// whole yet. They lie inside the directory, so that they need only be renamed.
const StagePrefix = ".hayloft-building-"

// parallel is how many files or requests Materialise works on at a time: enough to hide the delay of a store across the
// network, and few enough for a disk.
const parallel = 4

// Materialise lays out m below dir, which is made if need be. Files that already have the right content are left alone.
// The others come from the cheapest place: the whole file of a store on this machine, an equal file that lies in dir
// under another name, many small files in one answer, or those chunks of a large one that the file in its place lacks;
// all else through blobs. Bytes that were read are checked against their digest.
//
// Each file appears whole or not at all. What is there and differs is an error unless [Options] allow to replace it, and
// what the manifest does not name is not looked at unless they allow to delete it. An error or a cancelled context leaves
// the files that are in place; running it again completes the directory, and takes up the chunks that had come by then.
// So does running it again after a crash, which may leave a directory whose name starts with [StagePrefix]; it may be
// deleted. Nothing is forced to stable storage: run it again after a power cut.
//
// Errors: [ErrOccupied], before anything is written, if something else lies in the place of a file or folder; later, if
// somebody puts it there meanwhile. [ErrBadPath] if a path cannot exist on this platform; [ErrCannotLink];
// [cas.ErrNotFound], [cas.ErrDigestMismatch] or [cas.ErrSizeMismatch] naming the path; [cas.ErrNoSpace]; ctx's; those of
// blobs and Fetch. The Result counts what was done in any case.
func Materialise(ctx context.Context, dir string, m Manifest, blobs cas.Opener, o Options) (Result, error) {
	l := &layer{blobs: blobs, Options: o, requests: make(chan struct{}, parallel), total: m.Size()}
	l.result.How = map[Way]int{}
	if err := l.run(ctx, dir, m); err != nil {
		return l.result, fmt.Errorf("lay out %d files in %q: %w", m.Len(), dir, spaceError(err))
	}
	return l.result, nil
}

// layer is one run of Materialise.
type layer struct {
	Options
	blobs     cas.Opener
	dir       string   // absolute
	top       *os.Root // dir
	stageName string   // below top
	stage     *os.Root
	staged    atomic.Int64  // names given to files in the stage
	requests  chan struct{} // a place for each request to Fetch that is under way
	fromStore copier
	within    copier            // copies between places in dir
	doomed    map[string]bool   // what is extra and in the place of a folder
	twins     map[cas.Blob]Path // files in dir that were found equal

	mu     sync.Mutex
	result Result
	done   int64
	total  int64
}

func (l *layer) run(ctx context.Context, dir string, m Manifest) (err error) {
	if err := l.check(m); err != nil {
		return err
	}
	if l.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	_, missing := os.Lstat(l.dir)
	if err := os.MkdirAll(l.dir, dirMode); err != nil {
		return err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		defer func() {
			if err != nil {
				// Only a directory in which nothing came to lie can be removed.
				_ = os.Remove(l.dir)
			}
		}()
	}
	if l.top, err = os.OpenRoot(l.dir); err != nil {
		return err
	}
	defer l.top.Close()
	lacking, err := l.compare(ctx, m)
	if err != nil {
		return err
	}
	if err := l.clearTheWay(ctx, m, lacking); err != nil {
		return err
	}
	if err := l.layAll(ctx, lacking); err != nil {
		return err
	}
	if err := l.deleteExtras(ctx, m, "."); err != nil {
		return err
	}
	return l.dropParts()
}

// check refuses what cannot be done before anything is touched.
func (l *layer) check(m Manifest) error {
	if l.Links == "" {
		l.Links = Auto
	}
	if _, err := ParseWay(string(l.Links)); err != nil {
		return err
	}
	l.fromStore.links = l.Links
	if l.Local == nil {
		if l.strict() {
			return fmt.Errorf("%w: %s needs a store on this machine; choose auto or copy", ErrCannotLink, l.Links)
		}
		l.Local = func(cas.Blob) (string, bool) { return "", false }
	}
	if l.Spare == nil {
		l.Spare = func(string, bool) bool { return false }
	}
	for p := range m.Paths() {
		if reason := platformFault(p); reason != "" {
			return fmt.Errorf("%w %q: %s", ErrBadPath, p, reason)
		}
	}
	return nil
}

// strict tells whether files must come in the way asked for.
func (l *layer) strict() bool { return l.Links != Auto && l.Links != Copy }

// layAll puts every lacking file into its place.
func (l *layer) layAll(ctx context.Context, lacking []finding) (err error) {
	if len(lacking) == 0 {
		return nil
	}
	l.stageName = StagePrefix + strings.ToLower(rand.Text())
	if err := l.top.Mkdir(l.stageName, dirMode); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.top.RemoveAll(l.stageName)) }()
	if l.stage, err = l.top.OpenRoot(l.stageName); err != nil {
		return err
	}
	defer l.stage.Close()
	var tree Manifest
	for _, f := range lacking {
		tree.entries = append(tree.entries, f.entry)
	}
	if err := makeFolders(ctx, l.top, tree.folders()); err != nil {
		return err
	}
	rest, err := l.layLinks(ctx, lacking)
	if err != nil {
		return err
	}
	return l.layFiles(ctx, rest)
}

// create starts a file in the stage and gives its name there.
func (l *layer) create(mode Mode) (*os.File, string, error) {
	name := l.newName()
	permissions := fs.FileMode(0o666)
	if mode == Executable {
		permissions = 0o777
	}
	f, err := l.stage.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, permissions)
	return f, name, err
}

func (l *layer) newName() string { return strconv.FormatInt(l.staged.Add(1), 36) }

// place gives a whole file of the stage its name. What lay there before must still be what was compared, so that nobody's
// work of the last minutes is lost.
func (l *layer) place(staged string, f finding, way Way) error {
	from, to := l.stageName+"/"+staged, f.entry.Path.text
	if f.info != nil {
		now, err := l.top.Lstat(to)
		switch {
		case isAbsent(err):
			f.info = nil
		case err != nil:
			return err
		case !sameState(now, f.info):
			return occupied(f.entry.Path, "was changed in the meantime")
		}
	}
	var err error
	if f.info == nil {
		err = renameNoReplace(l.top, from, to)
	} else {
		err = l.top.Rename(from, to)
	}
	if errors.Is(err, fs.ErrExist) {
		return occupied(f.entry.Path, "was made in the meantime")
	}
	if err != nil {
		return err
	}
	return l.placed(f, way)
}

func sameState(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Mode() == b.Mode() && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// placed takes note of a file that is in its place now.
func (l *layer) placed(f finding, way Way) error {
	if l.Known != nil && way != Symlink {
		info, err := l.top.Lstat(f.entry.Path.text)
		if err != nil {
			return err
		}
		l.Known.Learn(l.absolute(f.entry.Path), info, f.entry.Blob, f.recipe)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.FilesWritten++
	l.result.BytesWritten += f.entry.Blob.Size
	l.result.How[way]++
	return nil
}

func (l *layer) absolute(p Path) string { return filepath.Join(l.dir, filepath.FromSlash(p.text)) }

// fetched takes note of bytes that came from afar.
func (l *layer) fetched(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.BytesFetched += n
}

// advance tells of n more bytes in place.
func (l *layer) advance(n int64) {
	if l.Progress == nil || n == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done += n
	l.Progress(l.done, l.total)
}

// meter advances by exactly the size of one file, however often the file is begun anew.
type meter struct {
	layer *layer
	mu    sync.Mutex
	left  int64
}

func (l *layer) meter(f finding) *meter { return &meter{layer: l, left: f.entry.Blob.Size} }

func (m *meter) add(n int64) {
	m.mu.Lock()
	n = min(n, m.left)
	m.left -= n
	m.mu.Unlock()
	m.layer.advance(n)
}

func (m *meter) finish() { m.add(m.left) }

func occupied(p Path, reason string) error {
	return fmt.Errorf("%w: %q %s; move it away or choose another folder", ErrOccupied, p, reason)
}

// isAbsent tells whether a path does not exist; a file where the path has a folder makes it so too, and is reported for
// itself.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNotDirectory(err) }

// platformFault says why the file system of this platform cannot hold p; empty if it can.
func platformFault(p Path) string {
	if !filepath.IsLocal(filepath.FromSlash(p.text)) || strings.ContainsAny(p.text, forbiddenHere) {
		return fmt.Sprintf("%q cannot be the name of a file on this computer; rename it where it comes from", path.Base(p.text))
	}
	return ""
}
