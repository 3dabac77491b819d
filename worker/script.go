package worker

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"hayloft/api/wire"
	"hayloft/worker/frame"
)

// maxScriptOutputs bounds how many files one run of a script may leave.
const maxScriptOutputs = 10_000

// How a script learns what it works on and where its files go, besides by its last two arguments.
const (
	dataVariable   = "HAYLOFT_DATA"
	outputVariable = "HAYLOFT_OUTPUT"
)

// frameName is how Blender names a frame that is written to ######: six digits or more, perhaps the name of a view, and
// an extension.
var frameName = regexp.MustCompile(`^(\d{6,})(_[^.]+)?\.[^.]+$`)

// scripting is a blender-script command: Blender runs a Python script on one data file, renders frames after that if they
// were asked for, and what it leaves in its output folder is the result.
type scripting struct {
	*execution
	params
	line    []string // up to the script, which is included
	data    string
	frames  string // for --render-frame; may be empty
	format  string // for --render-format; empty: the scene's
	wanted  []int
	root    string // absolute; outputs are registered below it
	name    string // of the task's own folder below root, as a path with forward slashes
	staging string
}

func parseScript(x *execution, p params) (s scripting, err error) {
	s = scripting{execution: x, params: p, staging: filepath.Join(x.dir, "outputs")}
	script, err := p.text("script")
	if err != nil {
		return s, err
	}
	blend, err := p.optionalText("blendfile")
	if err != nil {
		return s, err
	}
	if err := s.parsePlaces(); err != nil {
		return s, err
	}
	if s.line, err = p.program(findBlender); err != nil {
		return s, err
	}
	if blend == "" {
		// The scene must not depend on what a person saved as the start-up file of this machine.
		s.line = append(s.line, "--factory-startup")
	} else {
		s.line = append(s.line, blend)
	}
	s.line = append(s.line, "--python-exit-code", "1", "--python", script)
	for _, path := range []string{script, s.data, blend} {
		if _, err := os.Stat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
			return s, fmt.Errorf("the file %s is not there; check that this worker sees the farm's storage at that path", path)
		}
	}
	return s, nil
}

// parsePlaces reads what the script works on, what is rendered after it, and where the results go.
func (s *scripting) parsePlaces() (err error) {
	if s.data, err = s.text("data"); err != nil {
		return err
	}
	if s.root, err = s.text("outputRoot"); err != nil {
		return err
	}
	if s.name, err = s.text("outputName"); err != nil {
		return err
	}
	if !filepath.IsAbs(s.root) {
		return s.missing("outputRoot", "an absolute path")
	}
	if !filepath.IsLocal(filepath.FromSlash(s.name)) {
		return s.missing("outputName", "a path below outputRoot")
	}
	if s.format, err = s.optionalText("format"); err != nil {
		return err
	}
	if s.frames, err = s.optionalText("frames"); err != nil || s.frames == "" {
		return err
	}
	if s.wanted, err = frame.ParseList(s.frames); err != nil {
		return fmt.Errorf("parameter %q: %w", "frames", err)
	}
	return nil
}

// blenderScript runs the script and publishes what it left. An exit code alone proves nothing: there must be at least one
// output, each wanted frame, and every one of them whole.
func blenderScript(ctx context.Context, x *execution, p params) error {
	s, err := parseScript(x, p)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(s.staging), os.MkdirAll(s.staging, 0o700)); err != nil {
		return fmt.Errorf("make a directory for unfinished files: %w", err)
	}
	var notes complaints
	exit, err := x.runWith(ctx, p, s.arguments(), []string{dataVariable + "=" + s.data, outputVariable + "=" + s.staging}, notes.note)
	if err != nil {
		return err
	}
	if err := failure("Blender", exit); err != nil {
		return notes.explain(err)
	}
	names, err := s.left()
	if err != nil {
		return notes.explain(err)
	}
	if err := s.publish(ctx, names); err != nil {
		return err
	}
	x.report.progress(p.stepCount())
	return nil
}

// arguments is the command line; Blender obeys it in order, so that the script runs before anything is rendered.
func (s *scripting) arguments() []string {
	line := append([]string{}, s.line...)
	if s.frames != "" {
		line = append(line, "--render-output", filepath.Join(s.staging, "######"))
		if s.format != "" {
			line = append(line, "--render-format", s.format)
		}
		line = append(line, "--render-frame", frame.FormatList(s.wanted))
	}
	return append(line, "--", s.data, s.staging)
}

// left lists what the run left in its folder, by paths below it, and holds it to what was asked for.
func (s *scripting) left() ([]string, error) {
	var names []string
	rendered := map[int]bool{}
	err := filepath.WalkDir(s.staging, func(path string, found fs.DirEntry, err error) error {
		if err != nil || found.IsDir() {
			return err
		}
		name, err := filepath.Rel(s.staging, path)
		if err != nil {
			return err
		}
		if names = append(names, name); len(names) > maxScriptOutputs {
			return fmt.Errorf("the script left more than %d files", maxScriptOutputs)
		}
		if m := frameName.FindStringSubmatch(name); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				rendered[n] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for outputs: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no output although Blender ended with exit code 0; the script must write its files "+
			"to the folder in the environment variable %s, which is also its last argument", outputVariable)
	}
	var missing []int
	for _, n := range s.wanted {
		if !rendered[n] {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("frames %s are missing although Blender ended with exit code 0", frame.FormatList(missing))
	}
	return names, nil
}

// publish checks all files before it puts the first one into its place.
func (s *scripting) publish(ctx context.Context, names []string) error {
	for _, name := range names {
		report, err := frame.Check(filepath.Join(s.staging, name))
		if err != nil {
			return fmt.Errorf("an output is not used: %w", err)
		}
		if report.Warning != "" {
			s.logf("warning: %s: %s", name, report.Warning)
		}
		if report.Image != nil {
			s.previews.offer(func() (image.Image, error) { return report.Image, nil })
		}
	}
	for _, name := range names {
		inside := filepath.Join(filepath.FromSlash(s.name), name)
		file, err := frame.Publish(ctx, filepath.Join(s.staging, name), filepath.Join(s.root, inside))
		if err != nil {
			return fmt.Errorf("an output cannot be stored: %w", err)
		}
		s.report.progress(0, wire.ProducedOutput{Root: s.root, Path: filepath.ToSlash(inside), Size: file.Size, Sha256: file.SHA256})
	}
	return nil
}
