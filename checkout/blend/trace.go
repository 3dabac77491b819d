package blend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Trace finds everything that .blend files need: what all datablocks of the files name, and in linked libraries, at any
// depth, what the linked datablocks reach.
//
// Errors: those of [Open] for one of paths, and ctx's. A library that is missing or cannot be read is no error; the
// report tells.
func Trace(ctx context.Context, paths []string, options Options) (Report, error) {
	here, err := os.Getwd()
	if err != nil {
		return Report{}, fmt.Errorf("trace: %w", err)
	}
	t := newTracer(ctx, here, options)
	for _, path := range paths {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return Report{}, fmt.Errorf("trace %q: %w", path, err)
		}
		root := t.find(absolute)
		if !root.all {
			root.all = true
			t.roots++
			t.enqueue(root)
		}
		if t.root == "" {
			t.root = absolute
		}
	}
	if err := t.scanAll(); err != nil {
		return Report{}, err
	}
	t.frames = union(append(t.frames, t.stripped...))
	t.changing.spread()
	return t.report()
}

// mostFindings bounds what one trace may find.
const mostFindings = 1 << 20

// tracer is one run of Trace.
type tracer struct {
	ctx       context.Context
	here      string
	root      string
	roots     int // files that the caller named
	frames    []Range
	stripped  []Range // frames of scenes that strips show
	fixed     bool    // the caller chose the frames
	animated  bool    // frames of the scene do not tell which files of sequences are shown
	changing  animations
	spellings map[string]string   // of paths: the one that counts
	links     map[string][]string // of paths without links: the spellings that count
	files     map[string]*scene   // by the spelling that counts
	queue     []*scene
	findings  []finding
	users     map[idKey]map[imageUser]bool
	features  map[string]bool
	version   Header
	warnings  []string
	broken    map[string]string // libraries that cannot be read, and why
	libraries map[string]string // where they are, as the caller knows
	disk      *folders
	asked     int64 // numbers of sequences
	known     *catalogues
	layers    *layers
}

func newTracer(ctx context.Context, here string, options Options) *tracer {
	frames := union(options.Frames)
	return &tracer{
		ctx: ctx, here: here, frames: frames, fixed: len(frames) > 0, spellings: map[string]string{}, links: map[string][]string{}, files: map[string]*scene{},
		users: map[idKey]map[imageUser]bool{}, features: map[string]bool{}, broken: map[string]string{}, libraries: options.Libraries,
		changing: animations{datablocks: map[idKey]bool{}, actions: map[idKey]map[idKey]bool{}},
		known:    &catalogues{}, layers: &layers{named: map[string][]layerName{}}, disk: &folders{listings: map[string]map[string]bool{}, trees: map[string][]string{}},
	}
}

// scene is one .blend file of the trace, under whatever spellings of its path.
type scene struct {
	path    string // the first spelling
	all     bool   // the caller named it: all its datablocks count
	packed  *packedLibrary
	wanted  map[string]bool
	reached map[string]bool
	queued  bool
}

// packedLibrary is where a library lies whose bytes are part of the .blend file that links to it.
type packedLibrary struct {
	blend string
	block int32 // of the bytes
	size  int64
}

// stored is the .blend file on disk that holds the datablocks.
func (s *scene) stored() string {
	if s.packed != nil {
		return s.packed.blend
	}
	return s.path
}

// find returns the file of a path.
func (t *tracer) find(path string) *scene {
	key, known := t.spellings[path]
	if !known {
		key = t.spellingOf(path)
		t.spellings[path] = key
	}
	s, ok := t.files[key]
	if !ok {
		s = &scene{path: path, wanted: map[string]bool{}, reached: map[string]bool{}}
		t.files[key] = s
	}
	return s
}

// mostSpellings bounds how often one file counts as another one. A link to a folder above it makes an endless number of
// paths.
const mostSpellings = 16

// spellingOf is the same for two paths of a file that mean the same to Blender: those in one folder. A path through a link
// to a folder does not, since Blender takes ".." for the folder before it in the text, wherever the link leads to; nor does
// a link to a file that lies in another folder.
func (t *tracer) spellingOf(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	key := path
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil && folder == filepath.Dir(real) {
		key = filepath.Join(filepath.Dir(path), filepath.Base(real))
	}
	known := t.links[real]
	switch {
	case slices.Contains(known, key):
	case len(known) == mostSpellings:
		return known[0]
	default:
		t.links[real] = append(known, key)
	}
	return key
}

func (t *tracer) enqueue(s *scene) {
	if !s.queued {
		s.queued = true
		t.queue = append(t.queue, s)
	}
}

// want asks for a datablock of a library. A file that was scanned already is scanned again for the new ones only.
func (t *tracer) want(path, name string) *scene {
	s := t.find(path)
	if !s.wanted[name] && !s.reached[name] {
		s.wanted[name] = true
		t.enqueue(s)
	}
	return s
}

func (t *tracer) scanAll() error {
	for len(t.queue) > 0 {
		s := t.queue[0]
		t.queue = t.queue[1:]
		s.queued = false
		if !s.all && len(s.wanted) == 0 {
			continue
		}
		if err := t.scan(s); err != nil {
			return err
		}
	}
	return nil
}

func (t *tracer) scan(s *scene) error {
	file, err := t.open(s)
	if err != nil {
		return t.unreadable(s, err)
	}
	err = newReach(t, s, file).run()
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("read %q: %w", s.path, err)
	if t.ctx.Err() != nil || errors.Is(err, ErrTooLarge) {
		return err
	}
	return t.unreadable(s, err)
}

// open opens a file, or a library that lies in another one.
func (t *tracer) open(s *scene) (*File, error) {
	if s.packed == nil {
		return open(s.path, t.known)
	}
	outer, err := open(s.packed.blend, t.known)
	if err != nil {
		return nil, err
	}
	at := outer.blocks[s.packed.block].at
	file, err := parse(io.NewSectionReader(outer.content, at, s.packed.size), s.packed.size, t.known)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read library %q, which is packed into %q: %w", s.path, s.packed.blend, err), outer.Close())
	}
	file.close = outer.Close
	return file, nil
}

// unreadable makes an error only of the files that the caller named.
func (t *tracer) unreadable(s *scene, err error) error {
	if s.all {
		return err
	}
	clear(s.wanted)
	if !errors.Is(err, os.ErrNotExist) { // That it is missing was found where it is linked.
		t.warnings = append(t.warnings, err.Error())
		t.broken[s.path] = err.Error()
	}
	return nil
}

func (t *tracer) add(f finding) error {
	if len(t.findings) == mostFindings {
		return tooLarge("it names more than %d files", mostFindings)
	}
	t.findings = append(t.findings, f)
	return nil
}

func (t *tracer) report() (Report, error) {
	r := Report{Dependencies: make([]Dependency, 0, len(t.findings)), Warnings: t.warnings, Unreadable: t.broken}
	files, missing := map[string]bool{}, map[string]bool{}
	for i := range t.findings {
		if err := t.ctx.Err(); err != nil {
			return Report{}, err
		}
		t.settle(&t.findings[i])
		d := t.findings[i].Dependency
		if t.findings[i].onlyIfThere && len(d.Files) == 0 {
			continue
		}
		r.Dependencies = append(r.Dependencies, d)
		for _, path := range d.Files {
			files[path] = true
		}
		for _, path := range d.Missing {
			missing[path] = true
		}
		if len(d.Missing) > 0 && len(d.Files) == 0 {
			missing[t.standsFor(&t.findings[i])] = true
		}
	}
	if t.version.Version > 0 {
		t.features["blender:"+t.version.String()] = true
	}
	r.Files, r.Missing, r.Features = ascending(files), ascending(missing), ascending(t.features)
	return r, nil
}

// standsFor is the path that Blender itself names of files that are all missing.
func (t *tracer) standsFor(f *finding) string {
	if folder := filepath.Dir(f.Resolved); f.shape == shapePointCache && !exists(folder) {
		return folder
	}
	if exists(f.Resolved) {
		return f.Missing[0]
	}
	return f.Resolved
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// ascending is never nil, so that JSON has a list where there is nothing.
func ascending(set map[string]bool) []string {
	list := slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
	slices.Sort(list)
	return list
}
