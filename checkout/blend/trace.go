package blend

import (
	"context"
	"errors"
	"fmt"
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
		root.all = true
		t.enqueue(root)
		if t.root == "" {
			t.root = absolute
		}
	}
	if err := t.scanAll(); err != nil {
		return Report{}, err
	}
	t.frames = union(t.frames)
	return t.report()
}

// mostFindings bounds what one trace may find.
const mostFindings = 1 << 20

// tracer is one run of Trace.
type tracer struct {
	ctx       context.Context
	here      string
	root      string
	frames    []Range
	fixed     bool              // the caller chose the frames
	animated  bool              // frames of the scene do not tell which files of a sequence are shown
	spellings map[string]string // of paths: without links
	files     map[string]*scene // by path without links
	queue     []*scene
	findings  []finding
	users     map[imageKey]map[imageUser]bool
	features  map[string]bool
	version   Header
	warnings  []string
	disk      *folders
	asked     int64 // numbers of sequences
	known     *catalogues
}

func newTracer(ctx context.Context, here string, options Options) *tracer {
	frames := union(options.Frames)
	return &tracer{
		ctx: ctx, here: here, frames: frames, fixed: len(frames) > 0, spellings: map[string]string{}, files: map[string]*scene{},
		users: map[imageKey]map[imageUser]bool{}, features: map[string]bool{},
		known: &catalogues{}, disk: &folders{listings: map[string]map[string]bool{}, trees: map[string][]string{}},
	}
}

// scene is one .blend file of the trace, under whatever spellings of its path.
type scene struct {
	path    string // the first spelling
	all     bool   // the caller named it: all its datablocks count
	wanted  map[string]bool
	reached map[string]bool
	queued  bool
}

// find returns the file of a path.
func (t *tracer) find(path string) *scene {
	key, known := t.spellings[path]
	if !known {
		key = path
		if real, err := filepath.EvalSymlinks(path); err == nil {
			key = real
		}
		t.spellings[path] = key
	}
	s, ok := t.files[key]
	if !ok {
		s = &scene{path: path, wanted: map[string]bool{}, reached: map[string]bool{}}
		t.files[key] = s
	}
	return s
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
	file, err := open(s.path, t.known)
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

// unreadable makes an error only of the files that the caller named.
func (t *tracer) unreadable(s *scene, err error) error {
	if s.all {
		return err
	}
	clear(s.wanted)
	if !errors.Is(err, os.ErrNotExist) { // That it is missing was found where it is linked.
		t.warnings = append(t.warnings, err.Error())
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
	r := Report{Dependencies: make([]Dependency, 0, len(t.findings)), Warnings: t.warnings}
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
	}
	if t.version.Version > 0 {
		t.features["blender:"+t.version.String()] = true
	}
	r.Files, r.Missing, r.Features = ascending(files), ascending(missing), ascending(t.features)
	return r, nil
}

// ascending is never nil, so that JSON has a list where there is nothing.
func ascending(set map[string]bool) []string {
	list := slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
	slices.Sort(list)
	return list
}
