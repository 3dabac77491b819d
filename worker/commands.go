package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"hayloft/worker/process"
)

// execution is what the commands of one task share.
type execution struct {
	dir      string // the task's own directory; removed when the task ends
	report   *reporter
	previews *previewer
	ledger   *process.Ledger
	silence  time.Duration
	grace    time.Duration
}

// command runs one command. It returns when everything that it started has ended.
type command func(ctx context.Context, x *execution, p params) error

// commandTable holds all commands by name (Flamenco protocol, "Worker commands").
var commandTable = map[string]command{
	"blender-render":  blenderRender,
	"blender-script":  blenderScript,
	"frames-to-video": framesToVideo,
	"echo":            echo,
	"sleep":           sleep,
	"exec":            execute,
	"make-directory":  makeDirectory,
	"move-directory":  moveDirectory,
	"copy-file":       copyFile,
}

func (x *execution) logf(format string, args ...any) {
	x.report.note(fmt.Sprintf(format, args...))
}

func echo(_ context.Context, x *execution, p params) error {
	value, there := p.Parameters["message"]
	if !there {
		return p.missing("message", "given")
	}
	text, ok := scalar(value)
	if !ok {
		encoded, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("parameter %q: %w", "message", err)
		}
		text = string(encoded)
	}
	x.logf("echo: %q", text)
	x.report.progress(p.stepCount())
	return nil
}

func sleep(ctx context.Context, x *execution, p params) error {
	n, err := p.number("duration_in_seconds")
	if err != nil {
		return err
	}
	if n < 0 || n > 1e9 {
		return p.missing("duration_in_seconds", "a number of seconds that is not negative")
	}
	d := time.Duration(n) * time.Second
	if err := pause(ctx, d); err != nil {
		return err
	}
	x.logf("slept %v", d)
	x.report.progress(p.stepCount())
	return nil
}

func execute(ctx context.Context, x *execution, p params) error {
	exe, err := p.text("exe")
	if err != nil {
		return err
	}
	args, err := p.list("args")
	if err != nil {
		return err
	}
	program, err := findProgram(exe, "program", "install it on this worker or correct the parameter 'exe'")
	if err != nil {
		return err
	}
	exit, err := x.run(ctx, p, append([]string{program}, args...), nil)
	if err != nil {
		return err
	}
	if err := failure(exe, exit); err != nil {
		return err
	}
	x.report.progress(p.stepCount())
	return nil
}

// failure gives the sentence for a process that did not end with exit code 0, or nil.
func failure(name string, exit process.Exit) error {
	switch {
	case exit.Crash != "":
		return fmt.Errorf("%s did not end by itself (%s)", name, exit.Crash)
	case exit.Code != 0:
		return fmt.Errorf("%s ended with exit code %d; its last lines in the task's log say why", name, exit.Code)
	}
	return nil
}

// findProgram resolves a program by path or along PATH. The sentence for people begins with what was looked for and ends
// with the remedy.
func findProgram(exe, what, remedy string) (string, error) {
	path, err := exec.LookPath(exe)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	why := "it is not on the PATH of this worker"
	switch {
	case errors.Is(err, fs.ErrPermission):
		why = "this worker may not run it"
	case strings.ContainsAny(exe, `/\`):
		why = "there is no such file on this worker"
	}
	return "", fmt.Errorf("%s not found: %q, %s; %s", what, exe, why, remedy)
}

// run runs a process for the task: its output goes to the log, and each line of either stream to watch as well when that is
// not nil. Of a line that is longer than [process.MaxLine], watch sees the beginning.
func (x *execution) run(ctx context.Context, p params, args []string, watch func(line string)) (process.Exit, error) {
	return x.runWith(ctx, p, args, nil, watch)
}

// runWith is run with more in the environment of the process, as NAME=value.
func (x *execution) runWith(ctx context.Context, p params, args, environment []string, watch func(line string)) (process.Exit, error) {
	silence, err := p.seconds("timeout_silence", x.silence)
	if err != nil {
		return process.Exit{}, err
	}
	total, err := p.seconds("timeout_total", 0)
	if err != nil {
		return process.Exit{}, err
	}
	if total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, total, &overtime{total})
		defer cancel()
	}
	x.logf("going to run: %s", quoteWords(args))
	exit, err := process.Run(ctx, process.Spec{
		Args: args, Env: append(x.environment(), environment...), Ledger: x.ledger, Grace: x.grace, Silence: silence,
		Line: func(line process.Line) {
			x.report.output(line)
			if watch != nil && !line.Continued {
				watch(line.Text)
			}
		},
	})
	if errors.Is(err, process.ErrSilent) {
		err = fmt.Errorf("%s was ended because it wrote nothing for %v; if that is normal for it, raise --silence-limit of the worker or timeout_silence of the command", args[0], silence)
	}
	return exit, err
}

// overtime is the cause of a context that ended because something took too long.
type overtime struct{ limit time.Duration }

func (o *overtime) Error() string {
	return fmt.Sprintf("ended because it ran for more than %v; raise timeout_total if that is normal for it", o.limit)
}

// environment puts temporary files of a process below the task's directory, so that they go when the task goes, even
// after a crash.
func (x *execution) environment() []string {
	return []string{"TMPDIR=" + x.dir, "TEMP=" + x.dir, "TMP=" + x.dir}
}

// exists reports whether something is at a path, without following a symbolic link.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
