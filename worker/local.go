package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"hayloft/api/wire"
	"hayloft/worker/frame"
	"hayloft/worker/process"
)

// ErrWritesElsewhere: a task would write outside of the folders that it was given.
var ErrWritesElsewhere = errors.New("the task writes outside of the folders that it was given")

// Local says how to run a task without a manager.
type Local struct {
	Task    wire.AssignedTask // its commands name this machine's programs and paths
	DataDir string            // private to this run: staged frames, what runs; absolute
	Outputs string            // the folder that known commands must write below; absolute
	Log     io.Writer         // takes the task's log as it comes
	Silence time.Duration     // as in [Config]
}

// LocalResult is what a worker would have reported.
type LocalResult struct {
	Steps   int
	Outputs []wire.ProducedOutput // in the order in which they were finished
}

// RunLocal runs one task on this machine as a worker runs it: the same commands, checks and outputs, with nobody to report
// to. It returns when all that it started has ended.
//
// Errors: [ErrWritesElsewhere] before anything runs; the reason for which a worker would have reported the task as failed;
// the cause of ctx.
func RunLocal(ctx context.Context, l Local) (LocalResult, error) {
	for _, c := range l.Task.Commands {
		if err := staysBelow(l.Outputs, params{c}); err != nil {
			return LocalResult{}, fmt.Errorf("run task %s: %w", l.Task.Uuid, err)
		}
	}
	desk := &localDesk{log: l.Log}
	a := &Agent{
		cfg: Config{DataDir: l.DataDir, Silence: l.Silence}, timing: defaultTiming, log: slog.New(slog.DiscardHandler), gallery: desk,
	}
	a.timing.linger = 100 * time.Millisecond
	a.reach = &reach{log: a.log}
	if err := a.keepLocally(desk); err != nil {
		return LocalResult{}, err
	}
	courierCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.courier.run(courierCtx)
	}()
	defer func() {
		stop()
		<-done
	}()
	report := newReporter(a.courier, l.Task, a.timing.linger)
	failed := a.perform(ctx, l.Task, report)
	err := errors.Join(report.abandon(courierCtx), a.courier.drain(courierCtx))
	if failed == nil {
		failed = desk.failed
	}
	return desk.result, errors.Join(failed, err)
}

// keepLocally opens what a run keeps on disk, as a start of an agent does.
func (a *Agent) keepLocally(desk updater) error {
	var err error
	if a.ledger, err = process.OpenLedger(filepath.Join(a.cfg.DataDir, "running")); err != nil {
		return err
	}
	box, err := openOutbox(filepath.Join(a.cfg.DataDir, "outbox"), defaultOutbox)
	if err != nil {
		return err
	}
	a.courier = newCourier(desk, box, a.reach, a.log, a.backoff())
	return nil
}

// localDesk takes in what a task reports. Only the courier calls it, one update at a time.
type localDesk struct {
	log    io.Writer
	result LocalResult
	failed error // of log
}

// Update implements updater. It never fails: an update that is not acknowledged would be tried for ever.
func (d *localDesk) Update(_ context.Context, _ uuid.UUID, u wire.TaskUpdate) error {
	if u.Log != nil && d.failed == nil {
		_, d.failed = io.WriteString(d.log, *u.Log)
	}
	if u.StepsCompleted != nil {
		d.result.Steps = *u.StepsCompleted
	}
	if u.Outputs != nil {
		d.result.Outputs = append(d.result.Outputs, *u.Outputs...)
	}
	return nil
}

// Preview implements gallery; nobody looks.
func (d *localDesk) Preview(context.Context, uuid.UUID, []byte) error { return nil }

// written names the parameters of commands that are paths which the command makes or replaces.
var written = map[string][]string{
	"frames-to-video": {"outputFile"},
	"make-directory":  {"path"},
	"move-directory":  {"src", "dest"},
	"copy-file":       {"dest"},
	"blender-script":  {"outputRoot"},
}

// reads names the parameters of commands that are paths, or patterns of paths, which other tasks may have made.
var reads = map[string][]string{
	"frames-to-video": {"inputGlob"},
	"move-directory":  {"src"},
	"copy-file":       {"src"},
}

// Inputs gives the paths, and patterns of paths as of [filepath.Match], of what a task works on beside the files of its job,
// as far as its commands say so. Of a program, each argument is one.
func Inputs(task wire.AssignedTask) []string {
	var inputs []string
	for _, c := range task.Commands {
		p := params{c}
		for _, name := range reads[p.Name] {
			if path, err := p.text(name); err == nil {
				inputs = append(inputs, path)
			}
		}
		if args, err := p.list("args"); err == nil && p.Name == "exec" {
			inputs = append(inputs, args...)
		}
	}
	return inputs
}

// staysBelow refuses a command that says that it writes outside of dir. Programs that a task runs do not say so.
func staysBelow(dir string, p params) error {
	var paths []string
	for _, name := range written[p.Name] {
		path, err := p.optionalText(name)
		if err != nil {
			return err
		}
		paths = append(paths, path)
	}
	if p.Name == "blender-render" {
		args, err := p.list("args")
		if err != nil {
			return err
		}
		request, err := frame.ParseArgs(args)
		switch {
		case err == nil:
			paths = append(paths, request.Pattern.Dir)
		case !errors.Is(err, frame.ErrUnmanaged):
			return err
		}
	}
	for _, path := range paths {
		if inside, err := filepath.Rel(dir, path); path != "" && (err != nil || !filepath.IsLocal(inside)) {
			return fmt.Errorf("%w: command %s writes to %s; a job whose output root is {output} can be run here", ErrWritesElsewhere, p.Name, path)
		}
	}
	return nil
}
