package worker

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"

	"hayloft/api/wire"
	"hayloft/worker/frame"
	"hayloft/worker/process"
)

const (
	// maxCrashes is how often one task starts Blender again after it did not end by itself.
	maxCrashes = 2
	// maxEmpty is the same for a Blender that ended well and wrote no frame.
	maxEmpty = 1
	// savedQueue is how many finished files may wait to be checked before Blender has to wait.
	savedQueue = 64
)

// rendering is a blender-render command whose frames are followed one by one: Blender writes into a staging directory,
// and each file is checked and published as soon as Blender says that it is saved.
type rendering struct {
	*execution
	command blenderCommand
	request frame.Request
	staging string

	wanted    map[int]bool // false until the frame is there and whole
	published map[string]bool
	views     map[int]bool // frames of which a view was published in this run
	written   int          // files published in this run
}

func newRendering(x *execution, c blenderCommand, request frame.Request) *rendering {
	r := &rendering{execution: x, command: c, request: request, staging: filepath.Join(x.dir, "frames"),
		wanted: map[int]bool{}, published: map[string]bool{}}
	for _, n := range request.Frames {
		r.wanted[n] = false
	}
	return r
}

// run renders what is missing. Whether the frames are there decides, not how Blender ended: a crash after the last
// frame is a warning, and a good end without a frame is a failure.
func (r *rendering) run(ctx context.Context) error {
	if err := r.skipWhole(ctx); err != nil {
		return err
	}
	for crashes, empty := 0, 0; ; {
		missing := r.missing()
		if len(missing) == 0 {
			return nil
		}
		var notes complaints
		exit, err := r.once(ctx, missing, &notes)
		if err != nil {
			return err
		}
		notes.warn(r.execution, exit)
		left := frame.FormatList(r.missing())
		switch {
		case left == "":
			if err := failure("Blender", exit); err != nil {
				r.logf("warning: %v, but every frame is there and whole", err)
			}
			return nil
		case exit.Crash != "" && crashes < maxCrashes:
			crashes++
			r.logf("Blender did not end by itself (%s); starting it again for frames %s (attempt %d of %d)", exit.Crash, left, crashes+1, maxCrashes+1)
		case exit == (process.Exit{}) && r.written == 0 && empty < maxEmpty:
			empty++
			r.logf("Blender ended well but wrote no frame; starting it once more for frames %s", left)
		case exit == (process.Exit{}):
			return notes.explain(fmt.Errorf("frames %s are missing although Blender ended with exit code 0", left))
		default:
			return notes.explain(fmt.Errorf("%w; frames %s are missing", failure("Blender", exit), left))
		}
	}
}

func (r *rendering) missing() []int {
	var missing []int
	for _, n := range r.request.Frames {
		if !r.wanted[n] {
			missing = append(missing, n)
		}
	}
	return missing
}

// skipWhole counts the frames that are in place already. They are reported as outputs again: an earlier run may have
// published them and ended before its report was kept.
func (r *rendering) skipWhole(ctx context.Context) error {
	for _, n := range r.request.Frames {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		name := r.nameOf(n)
		path := filepath.Join(r.request.Pattern.Dir, name)
		_, err := frame.Check(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, frame.ErrBroken):
			r.logf("frame %d is rendered again: %v", n, err)
			continue
		case err != nil:
			return fmt.Errorf("frame %d cannot be looked at: %w", n, err)
		}
		file, err := frame.Hash(ctx, path)
		if err != nil {
			return fmt.Errorf("frame %d cannot be looked at: %w", n, err)
		}
		r.logf("frame %d is skipped: %s is there and whole", n, path)
		r.wanted[n] = true
		r.report.progress(1, r.output(name, file))
	}
	return nil
}

// nameOf is the name of the frame's file that is in place or, if there is none, the likeliest.
func (r *rendering) nameOf(n int) string {
	names := r.request.Pattern.Names(n)
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(r.request.Pattern.Dir, name)); err == nil {
			return name
		}
	}
	return names[0]
}

func (r *rendering) output(name string, file frame.File) wire.ProducedOutput {
	return wire.ProducedOutput{Root: r.request.Pattern.Dir, Path: name, Size: file.Size, Sha256: file.SHA256}
}

// once runs Blender for some frames and returns when it has ended and every file that it finished is settled.
func (r *rendering) once(ctx context.Context, frames []int, notes *complaints) (process.Exit, error) {
	// Blender skips a frame whose file exists, and a crash may leave half a file: each run begins with nothing.
	if err := errors.Join(os.RemoveAll(r.staging), os.MkdirAll(r.staging, 0o700)); err != nil {
		return process.Exit{}, fmt.Errorf("make a directory for unfinished frames: %w", err)
	}
	r.views, r.written = map[int]bool{}, 0
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	saved, settled := make(chan string, savedQueue), make(chan struct{})
	go func() {
		defer close(settled)
		for name := range saved {
			if err := r.publish(ctx, name); err != nil {
				cancel(err)
			}
		}
	}()
	exit, err := r.execution.run(ctx, r.command.params, r.command.line(r.request.Args(r.staging, frames)), func(line string) {
		notes.note(line)
		if name, ok := r.savedName(line); ok {
			saved <- name
		}
	})
	if err == nil && exit == (process.Exit{}) {
		err = r.sweep(saved)
	}
	close(saved)
	<-settled
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil && exit == (process.Exit{}) {
		r.countViews()
	}
	return exit, err
}

// savedName recognises Blender's word that it finished a file of the staging directory. What is saved elsewhere, by
// compositor nodes or scripts, is none of ours.
func (r *rendering) savedName(line string) (string, bool) {
	m := savedLine.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	dir, name := filepath.Split(filepath.Clean(m[1]))
	return name, filepath.Clean(dir) == r.staging && name != ""
}

// sweep takes in finished files that Blender did not name, after it ended well.
func (r *rendering) sweep(saved chan<- string) error {
	files, err := os.ReadDir(r.staging)
	if err != nil {
		return fmt.Errorf("look for unnamed frames: %w", err)
	}
	for _, f := range files {
		saved <- f.Name()
	}
	return nil
}

// publish checks one staged file and puts it into its place. A file that is not whole is left behind, so that its frame
// stays missing; an error means that going on is of no use.
func (r *rendering) publish(ctx context.Context, name string) error {
	staged := filepath.Join(r.staging, name)
	report, err := frame.Check(staged)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist) && r.published[name]:
		return nil
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, frame.ErrBroken):
		r.logf("warning: a frame that Blender saved is not used: %v", err)
		return nil
	case err != nil:
		return fmt.Errorf("check a saved frame: %w", err)
	}
	n, view, isFrame := r.request.Pattern.Frame(name)
	if _, wanted := r.wanted[n]; isFrame && !wanted {
		r.logf("warning: Blender saved frame %d, which was not asked for; it is not used", n)
		return nil
	}
	file, err := frame.Publish(ctx, staged, filepath.Join(r.request.Pattern.Dir, name))
	if err != nil {
		return fmt.Errorf("a finished frame cannot be stored: %w", err)
	}
	if report.Warning != "" {
		r.logf("warning: %s: %s", name, report.Warning)
	}
	r.published[name] = true
	r.written++
	steps := 0
	switch {
	case isFrame && view:
		r.views[n] = true
	case isFrame && !r.wanted[n]:
		r.wanted[n], steps = true, 1
	}
	r.report.progress(steps, r.output(name, file))
	if report.Image != nil {
		r.previews.offer(func() (image.Image, error) { return report.Image, nil })
	}
	return nil
}

// countViews counts frames that were written as views, which are complete only when Blender ended well: a crash may come
// between the left eye and the right.
func (r *rendering) countViews() {
	for n := range r.views {
		if !r.wanted[n] {
			r.wanted[n] = true
			r.report.progress(1)
		}
	}
}

// complaints is what Blender printed about trouble. Blender reports some errors in its output alone.
type complaints struct {
	python bool
	traced bool // the lines are those of a traceback, which ends with the exception
	last   string
}

func (c *complaints) note(line string) {
	switch {
	case pythonLine.MatchString(line):
		c.python, c.traced = true, true
	case scriptLine.MatchString(line) && c.last != "":
		// It only says once more that there was an exception.
	case c.traced && exceptionLine.MatchString(line):
		c.traced, c.last = false, oneLine(line)
	case errorLine.MatchString(line):
		c.last = oneLine(line)
	}
}

// warn points at a Python error that the exit code does not show.
func (c *complaints) warn(x *execution, exit process.Exit) {
	if c.python && exit == (process.Exit{}) {
		x.logf("warning: a Python script failed (see the traceback above), although Blender ended with exit code 0")
	}
}

// explain adds the last error line to a failure.
func (c *complaints) explain(err error) error {
	if c.last == "" {
		return err
	}
	return fmt.Errorf("%w; the last error that Blender printed is %q", err, c.last)
}
