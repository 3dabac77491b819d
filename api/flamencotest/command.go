package flamencotest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	maxLogChunk = 10 << 10 // bytes of log that are sent at once
	maxLogLine  = 40 << 10 // bytes after which a line is split
)

// Patterns of section 9. Blender 5 puts text that ends in "render | " before what older versions print.
var (
	savedLine = regexp.MustCompile(`^(?:.*render \| )?Saved: '([^']+)'`)
	stepLine  = regexp.MustCompile(`^(?:.*render \| )?(?:Time: [0-9:.]+|[Ss]kipping existing frame)`)
)

// execute runs one command of a task.
func (r *running) execute(ctx context.Context, c command) error {
	var err error
	switch c.Name {
	case "echo":
		err = r.echo(c)
	case "sleep":
		err = r.sleep(ctx, c)
	case "exec":
		err = r.spawn(ctx, c, c.words("args"))
	case "blender-render":
		err = r.blender(ctx, c)
	case "frames-to-video":
		err = r.video(ctx, c)
	default:
		err = fmt.Errorf("unknown command: %q", c.Name)
	}
	if err == nil && c.Steps == 0 {
		err = r.step()
	}
	return err
}

// text gives a parameter that must be text; a number in its place counts as missing.
func (c command) text(name string) (string, error) {
	value, ok := c.Parameters[name].(string)
	if !ok {
		return "", fmt.Errorf("command %s: no parameter %q", c.Name, name)
	}
	return value, nil
}

// words gives a parameter that is a list; scalars in it are written as text.
func (c command) words(name string) []string {
	list, _ := c.Parameters[name].([]any)
	words := make([]string, len(list))
	for i, each := range list {
		if f, ok := each.(float64); ok {
			words[i] = strconv.FormatFloat(f, 'f', -1, 64)
		} else {
			words[i] = fmt.Sprint(each)
		}
	}
	return words
}

func (r *running) echo(c command) error {
	said, there := c.Parameters["message"]
	if !there {
		return errors.New("command echo: no parameter \"message\"")
	}
	return r.log("echo: %q\n", fmt.Sprint(said))
}

func (r *running) sleep(ctx context.Context, c command) error {
	seconds, ok := c.Parameters["duration_in_seconds"].(float64)
	if !ok || seconds < 0 {
		return fmt.Errorf("command sleep: duration_in_seconds is %v", c.Parameters["duration_in_seconds"])
	}
	d := time.Duration(math.Trunc(seconds)) * time.Second
	if !rest(ctx, d) {
		return ctx.Err()
	}
	return r.log("slept %v\n", d)
}

func (r *running) blender(ctx context.Context, c command) error {
	options, _ := c.Parameters["exeArgs"].(string)
	blendfile, err := c.text("blendfile")
	if err != nil {
		return err
	}
	args := append(shellWords(options), c.words("argsBefore")...)
	if blendfile != "" {
		args = append(args, blendfile)
	}
	return r.spawn(ctx, c, append(args, c.words("args")...))
}

func (r *running) video(ctx context.Context, c command) error {
	fps, ok := c.Parameters["fps"].(float64)
	if !ok || fps == 0 {
		return fmt.Errorf("command frames-to-video: fps is %v", c.Parameters["fps"])
	}
	glob, err := c.text("inputGlob")
	if err != nil {
		return err
	}
	output, err := c.text("outputFile")
	if err != nil {
		return err
	}
	rate := strconv.FormatFloat(fps, 'f', -1, 64)
	options, _ := c.Parameters["exeArgs"].(string)
	args := append(shellWords(options), c.words("argsBefore")...)
	args = append(args, "-r", rate, "-pattern_type", "glob", "-i", glob)
	args = append(append(args, c.words("args")...), "-r", rate, output)
	return r.spawn(ctx, c, args)
}

// shellWords splits options as a shell does, without its expansions.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, letter := range line {
		switch {
		case quote != 0 && letter == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(letter)
		case letter == '"' || letter == '\'':
			quote, inside = letter, true
		case letter == ' ' || letter == '\t' || letter == '\n':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(letter)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words
}

// spawn runs a child and reports its output. Only the child itself is killed when ctx ends, with no time to clear up.
func (r *running) spawn(ctx context.Context, c command, args []string) error {
	exe, err := c.text("exe")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	output, input, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("command %s: %w", c.Name, err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = input, input
	if err := r.log("going to run: %s\n", quoted(exe, args)); err != nil {
		input.Close()
		return err
	}
	err = cmd.Start()
	input.Close()
	if err != nil {
		return fmt.Errorf("command %s: %w", c.Name, err)
	}
	// A grandchild that outlives the child keeps the pipe open. The original would read on; a test has to end.
	defer context.AfterFunc(ctx, func() { _ = output.SetReadDeadline(time.Now().Add(time.Second)) })()
	told := r.follow(output, cmd.Process.Pid)
	_, _ = io.Copy(io.Discard, output) // a full pipe would hold up the child
	err = cmd.Wait()
	switch {
	case told != nil:
		return told
	case err != nil:
		return fmt.Errorf("command %s: process %d: %w", c.Name, cmd.Process.Pid, err)
	}
	return nil
}

func quoted(exe string, args []string) string {
	line := "'" + exe + "'"
	for _, arg := range args {
		line += " '" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return line
}

// follow sends the output of a child in chunks and looks for what Blender says in it.
func (r *running) follow(output io.Reader, pid int) error {
	var chunk strings.Builder
	last := time.Now()
	send := func() error {
		if chunk.Len() == 0 {
			return nil
		}
		said := chunk.String()
		chunk.Reset()
		last = time.Now()
		return r.tell(taskUpdate{Log: said})
	}
	lines := bufio.NewReaderSize(output, maxLogLine)
	for {
		line, _, err := lines.ReadLine()
		if err != nil {
			return send()
		}
		fmt.Fprintf(&chunk, "pid=%d > %s\n", pid, line)
		if chunk.Len() > maxLogChunk || time.Since(last) > r.worker.pace.logFlush {
			if err := send(); err != nil {
				return err
			}
		}
		if match := savedLine.FindSubmatch(line); match != nil {
			r.offer(string(match[1]))
		}
		if stepLine.Match(line) {
			if err := r.step(); err != nil {
				return err
			}
		}
	}
}
