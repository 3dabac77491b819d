package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"hayloft/api/wire"
	"hayloft/worker/frame"
)

// videoCommand is the checked form of a frames-to-video command.
type videoCommand struct {
	params
	before []string // program and its first arguments
	args   []string // between input and output
	fps    string
	glob   string
	output string
}

func parseVideo(p params) (c videoCommand, err error) {
	c.params = p
	fps, err := p.number("fps")
	if err != nil || fps <= 0 {
		return c, p.missing("fps", "a number above zero")
	}
	c.fps = strconv.FormatFloat(fps, 'f', -1, 64)
	if c.glob, err = p.text("inputGlob"); err != nil {
		return c, err
	}
	if c.output, err = p.text("outputFile"); err != nil {
		return c, err
	}
	argsBefore, err := p.list("argsBefore")
	if err != nil {
		return c, err
	}
	if c.args, err = p.list("args"); err != nil {
		return c, err
	}
	program, err := p.program(findFFmpeg)
	c.before = append(program, argsBefore...)
	return c, err
}

// findFFmpeg prefers an ffmpeg that was delivered beside the worker's own program, in its folder tools.
func findFFmpeg(exe string) (string, error) {
	const remedy = "install ffmpeg on this worker or correct the parameter 'exe'"
	if exe == "ffmpeg" || exe == "ffmpeg.exe" {
		if self, err := os.Executable(); err == nil {
			tools := filepath.Join(filepath.Dir(self), "tools")
			for _, name := range []string{"ffmpeg-" + runtime.GOOS + "-" + runtime.GOARCH, "ffmpeg-" + runtime.GOOS, "ffmpeg"} {
				if path, err := findProgram(filepath.Join(tools, name), "ffmpeg", remedy); err == nil {
					return path, nil
				}
			}
		}
	}
	return findProgram(exe, "ffmpeg", remedy)
}

func framesToVideo(ctx context.Context, x *execution, p params) error {
	c, err := parseVideo(p)
	if err != nil {
		return err
	}
	frames, err := matches(c.glob)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.output), 0o775); err != nil {
		return fmt.Errorf("make the video's directory: %w", err)
	}
	input := []string{"-pattern_type", "glob", "-i", c.glob}
	if runtime.GOOS == "windows" {
		if input, err = concatInput(filepath.Join(x.dir, "frames.txt"), frames); err != nil {
			return err
		}
	}
	hidden := frame.Hidden(c.output)
	defer os.Remove(hidden)
	line := slices.Concat(c.before, []string{"-r", c.fps}, input, c.args, []string{"-r", c.fps, hidden})
	exit, err := x.run(ctx, p, line, nil)
	if err != nil {
		return err
	}
	if err := failure("ffmpeg", exit); err != nil {
		return err
	}
	return c.publish(ctx, x, hidden)
}

// publish gives the finished video its name.
func (c videoCommand) publish(ctx context.Context, x *execution, hidden string) error {
	if info, err := os.Stat(hidden); err != nil || info.Size() == 0 {
		return fmt.Errorf("ffmpeg ended with exit code 0 but wrote no video; its last lines in the task's log may say why")
	}
	file, err := frame.Publish(ctx, hidden, c.output)
	if err != nil {
		return fmt.Errorf("the finished video cannot be stored: %w", err)
	}
	dir, name := filepath.Split(c.output)
	x.logf("video saved: %s (%d bytes)", c.output, file.Size)
	x.report.progress(c.stepCount(), wire.ProducedOutput{Root: filepath.Clean(dir), Path: name, Size: file.Size, Sha256: file.SHA256})
	return nil
}

// matches lists the frames of a pattern in order, without hidden files, as ffmpeg does.
func matches(glob string) ([]string, error) {
	frames, err := filepath.Glob(glob)
	if err != nil {
		return nil, fmt.Errorf("parameter %q: %q is not a pattern: %w", "inputGlob", glob, err)
	}
	frames = slices.DeleteFunc(frames, func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") })
	if len(frames) == 0 {
		return nil, fmt.Errorf("no frames match %s; nothing to make a video of", glob)
	}
	slices.Sort(frames)
	return frames, nil
}

// concatInput writes a list for ffmpeg's concat demuxer: ffmpeg for Windows has no patterns. Inside single quotes only
// the quote itself needs care (ffmpeg-utils, "Quoting and escaping").
func concatInput(path string, frames []string) ([]string, error) {
	var list strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&list, "file '%s'\n", strings.ReplaceAll(filepath.ToSlash(f), "'", `'\''`))
	}
	if err := os.WriteFile(path, []byte(list.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write the list of frames for ffmpeg: %w", err)
	}
	return []string{"-f", "concat", "-safe", "0", "-i", path}, nil
}
