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

	"hayloft/worker/frame"
)

// What Blender prints (Flamenco protocol, "Worker commands"): at the start of a line, or after a prefix that ends in
// "render | " (Blender 5). Blender 3.4 puts a space before "Time:".
var (
	savedLine  = regexp.MustCompile(`^(?:.*render \| )?Saved: '(.*)'\s*$`)
	timeLine   = regexp.MustCompile(`^(?:.*render \| )?\s*Time: [\d:.]+`)
	skipLine   = regexp.MustCompile(`^(?:.*render \| )?[Ss]kipping existing frame`)
	pythonLine = regexp.MustCompile(`^(?:Error: Python:|Python: Traceback|Traceback \(most recent call last\):)`)
	scriptLine = regexp.MustCompile(`^Error: script failed, file:`)
	errorLine  = regexp.MustCompile(`^(?:.*render \| )?(?:Error|ERROR)\b`)
	// exceptionLine is the end of a traceback (Python, module traceback); lines of the other stream may stand before it.
	exceptionLine = regexp.MustCompile(`^(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Interrupt|Exit)(?::|$)`)
)

// blenderCommand is the command line of a blender-render command, in its parts.
type blenderCommand struct {
	params
	before []string // program and what comes before the .blend file
	blend  []string // none or one
	args   []string // what comes after it
}

func parseBlender(p params) (blenderCommand, error) {
	c := blenderCommand{params: p}
	before, err := p.list("argsBefore")
	if err != nil {
		return c, err
	}
	if c.args, err = p.list("args"); err != nil {
		return c, err
	}
	if _, there := p.Parameters["blendfile"]; !there {
		return c, p.missing("blendfile", "given")
	}
	blend, err := p.optionalText("blendfile")
	if err != nil {
		return c, err
	}
	program, err := p.program(findBlender)
	if err != nil {
		return c, err
	}
	c.before = append(program, before...)
	if blend != "" {
		c.blend = []string{blend}
		if _, err := os.Stat(blend); errors.Is(err, fs.ErrNotExist) {
			return c, fmt.Errorf("the .blend file %s is not there; check that this worker sees the farm's storage at that path", blend)
		}
	}
	return c, nil
}

func findBlender(exe string) (string, error) {
	return findProgram(exe, "blender", "install Blender or set the variable 'blender'")
}

func (c blenderCommand) line(args []string) []string {
	line := append(append([]string{}, c.before...), c.blend...)
	return append(line, args...)
}

// request tells which frames the command renders and to where, or gives frame.ErrUnmanaged.
func (c blenderCommand) request() (frame.Request, error) {
	if frame.MayRender(c.before) {
		return frame.Request{}, fmt.Errorf("output or frames are given before the .blend file: %w", frame.ErrUnmanaged)
	}
	return frame.ParseArgs(c.args)
}

func blenderRender(ctx context.Context, x *execution, p params) error {
	c, err := parseBlender(p)
	if err != nil {
		return err
	}
	request, err := c.request()
	if errors.Is(err, frame.ErrUnmanaged) {
		x.logf("the frames of this command cannot be checked one by one, so that only Blender's exit code counts: %v", err)
		return renderUnmanaged(ctx, x, c)
	}
	if err != nil {
		return err
	}
	return newRendering(x, c, request).run(ctx)
}

// renderUnmanaged runs Blender as given and believes its exit code.
func renderUnmanaged(ctx context.Context, x *execution, c blenderCommand) error {
	total, steps := 0, 0
	if c.TotalStepCount != nil {
		total = *c.TotalStepCount
	}
	var complaints complaints
	exit, err := x.run(ctx, c.params, c.line(c.args), func(line string) {
		complaints.note(line)
		if (timeLine.MatchString(line) || skipLine.MatchString(line)) && steps < total {
			steps++
			x.report.progress(1)
		}
		if m := savedLine.FindStringSubmatch(line); m != nil {
			x.previews.offer(func() (image.Image, error) {
				report, err := frame.Check(filepath.Clean(m[1]))
				return report.Image, err
			})
		}
	})
	if err != nil {
		return err
	}
	complaints.warn(x, exit)
	if err := failure("Blender", exit); err != nil {
		return complaints.explain(err)
	}
	if total == 0 {
		x.report.progress(1)
	}
	return nil
}
