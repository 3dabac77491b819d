package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hayloft/api/client"
	"hayloft/api/tasklog"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"
	"hayloft/cmd/cli"
	"hayloft/scheduler/variables"
	"hayloft/worker"
)

// localRun is what `hayloft run-task` was asked for.
type localRun struct {
	manager, job, dir string
	index             int
	variables         []string
}

// ranLocally is what came of it; the last line of `hayloft run-task --json`.
type ranLocally struct {
	TaskID  string        `json:"task_id"`
	JobID   string        `json:"job_id"`
	Name    string        `json:"name"`
	Status  string        `json:"status"` // completed or failed
	Why     string        `json:"why,omitempty"`
	Dir     string        `json:"dir"`
	Log     string        `json:"log"`
	Stdout  string        `json:"stdout"` // files of what its processes wrote
	Stderr  string        `json:"stderr"`
	Steps   int           `json:"steps"`
	Outputs []localOutput `json:"outputs"`
}

// localOutput is a file that the task produced. Farm is the SHA-256 that it has on the farm, if it was produced there too.
type localOutput struct {
	Path   string `json:"path"` // below Dir, with forward slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Farm   string `json:"farm_sha256,omitempty"`
}

func (a *app) runTaskCommand() *cobra.Command {
	var r localRun
	cmd := &cobra.Command{
		Use: "run-task TASK_ID", Short: "Run a task of the farm on this machine", Args: cli.Arguments(cobra.MaximumNArgs(1)),
		Long: "Run a task of the farm on this machine, with the commands, files and checks that a worker has: the job's checkout is\n" +
			"fetched into the folder, and what the task produces stays there, with the task's log in " + tasklog.FileName + " and what\n" +
			"its processes wrote in " + tasklog.StdoutName + " and " + tasklog.StderrName + ". The farm does not notice. It ends with exit code 3\n" +
			"when the task fails. Frames that are in the folder and whole are not rendered again, as on the farm. What the task needs of\n" +
			"other tasks, such as the frames of a preview video, is fetched unless it is in the folder.",
		Example: cli.Examples("hayloft run-task 0192f3c8-5b1e-7c7d-9a55-5d2f2d6d3b10 -d try", "hayloft run-task --job 0192f3 --index 3 --variable blender=/opt/blender-4.2/blender"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runTask(cmd.Context(), r, args)
		},
	}
	managerFlag(cmd, &r.manager)
	f := cmd.Flags()
	f.StringVar(&r.job, "job", "", "`job` of the task, if the task is named by its index")
	f.IntVar(&r.index, "index", 0, "`number` of the task in its job, from 1")
	f.StringVarP(&r.dir, "dir", "d", "", "`folder` for files, outputs and logs (default: the task's id)")
	f.StringArrayVar(&r.variables, "variable", nil, "what a variable means on this machine, `NAME=VALUE`, such as blender=/opt/blender/blender; repeatable")
	return cmd
}

func (a *app) runTask(ctx context.Context, r localRun, args []string) error {
	own, err := parseOwnVariables(r.variables)
	if err != nil {
		return err
	}
	c, err := client.New(r.manager, software())
	if err != nil {
		return cli.Usage("--manager: %w", err)
	}
	defer c.Close()
	task, err := r.find(ctx, c, args)
	if err != nil {
		return err
	}
	if r.dir == "" {
		r.dir = task.Id.String()
	}
	site, err := newLocalSite(r.dir)
	if err != nil {
		return err
	}
	defer site.leave()
	if err := a.fetchCheckout(ctx, c, task.JobId, site); err != nil {
		return err
	}
	assigned, err := site.assign(ctx, c, task, own)
	if err != nil {
		return err
	}
	if err := a.fetchInputs(ctx, c, site, assigned); err != nil {
		return err
	}
	result, failed, err := a.perform(ctx, c, site, assigned)
	if err != nil {
		return err
	}
	return a.endRun(result, failed)
}

// parseOwnVariables reads NAME=VALUE.
func parseOwnVariables(pairs []string) (map[string]string, error) {
	values := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, cli.Usage("--variable %s: it looks like blender=/opt/blender/blender", pair)
		}
		values[name] = value
	}
	return values, nil
}

// find looks the task up, by its id or by its job and index.
func (r localRun) find(ctx context.Context, c *client.Client, args []string) (wire.Task, error) {
	switch {
	case len(args) == 1 && r.job == "" && r.index == 0:
		id, err := uuid.Parse(args[0])
		if err != nil {
			return wire.Task{}, cli.Usage("%q is no task: give its whole id, which `hayloft job show` prints, or --job and --index", args[0])
		}
		return c.Task(ctx, id)
	case len(args) == 0 && r.job != "" && r.index > 0:
	default:
		return wire.Task{}, cli.Usage("name one task: by its id, or by --job and --index")
	}
	job, err := findJob(ctx, c, r.job)
	if err != nil {
		return wire.Task{}, err
	}
	found := uuid.Nil
	err = c.Tasks(ctx, job, func(t wire.TaskSummary) error {
		if t.IndexInJob == r.index {
			found = t.Id
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return wire.Task{}, err
	}
	if found == uuid.Nil {
		return wire.Task{}, cli.ExitError{Code: cli.ExitNotFound, Err: fmt.Errorf("job %s has no task %d", job, r.index)}
	}
	return c.Task(ctx, found)
}

// errFound ends a search through a job's tasks.
var errFound = errors.New("found")

// localSite is the folder that a task runs in: jobs and output stand for the farm's folders, the task's log lies beside them,
// and scratch is gone at the end.
type localSite struct {
	dir, jobs, output, scratch string
	farmOutput                 string // the farm's output folder, as its workers name it
}

func newLocalSite(dir string) (localSite, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return localSite{}, err
	}
	s := localSite{dir: dir, jobs: filepath.Join(dir, "jobs"), output: filepath.Join(dir, "output")}
	for _, folder := range []string{s.jobs, s.output} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return s, fmt.Errorf("make the folder for the task: %w", err)
		}
	}
	// A name of its own for each run, so that two runs in one folder never meet.
	s.scratch, err = os.MkdirTemp(dir, ".running-*")
	return s, err
}

// leave removes what only the run needed.
func (s localSite) leave() {
	_ = os.RemoveAll(s.scratch) // What cannot be removed is of no harm, and is named as what it is.
}

// fetchCheckout lays out the job's files as they are on the farm. A job without files needs none.
func (a *app) fetchCheckout(ctx context.Context, c *client.Client, job uuid.UUID, site localSite) error {
	listed, err := c.JobFiles(ctx, job)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	entries := make([]checkout.Entry, len(listed.Files))
	for i, f := range listed.Files {
		if entries[i], err = entryOf(f); err != nil {
			return fmt.Errorf("file %q of job %s: %w", f.Path, job, err)
		}
	}
	m, err := checkout.NewManifest(entries)
	if err != nil {
		return err
	}
	inside := filepath.FromSlash(listed.Checkout)
	if !filepath.IsLocal(inside) {
		return fmt.Errorf("the checkout of job %s has the name %q, which is no folder", job, listed.Checkout)
	}
	bar := a.BytesProgress("fetching", m.Size())
	defer bar.End()
	_, err = checkout.Materialise(ctx, filepath.Join(site.jobs, inside), m, c, checkout.Options{
		Fetch: c, Replace: true, Progress: func(done, _ int64) { bar.Set(done) },
	})
	return err
}

func entryOf(f wire.ShamanFileSpec) (e checkout.Entry, err error) {
	e.Mode = checkout.Regular
	if e.Path, err = checkout.ParsePath(f.Path); err != nil {
		return e, err
	}
	e.Blob.Size = f.Size
	e.Blob.Digest, err = cas.ParseDigest(f.Sha)
	return e, err
}

// assign resolves the task's commands for this machine: as for a worker of this platform, but with the farm's folders here.
func (s *localSite) assign(ctx context.Context, c *client.Client, task wire.Task, own map[string]string) (wire.AssignedTask, error) {
	told, err := c.Variables(ctx, "workers", runtime.GOOS)
	if err != nil {
		return wire.AssignedTask{}, err
	}
	s.farmOutput = told["output"].Value
	farm, here := make(variables.Set, len(told)), make(variables.Set, len(told))
	for name, v := range told {
		farm[name] = variables.Variable{IsTwoWay: v.IsTwoway, Values: []variables.Value{{Value: v.Value}}}
		here[name] = farm[name]
	}
	// Two-way, so that paths in which the farm's folders are spelled out lead here too.
	for name, folder := range map[string]string{"jobs": s.jobs, "output": s.output} {
		farm[name] = variables.Variable{IsTwoWay: true, Values: []variables.Value{{Value: told[name].Value}}}
		here[name] = variables.Variable{IsTwoWay: true, Values: []variables.Value{{Value: folder}}}
	}
	for name, value := range own {
		here[name] = variables.Variable{IsTwoWay: farm[name].IsTwoWay, Values: []variables.Value{{Value: value}}}
	}
	text, err := json.Marshal(task.Commands)
	if err != nil {
		return wire.AssignedTask{}, fmt.Errorf("task %s: %w", task.Id, err)
	}
	delivery := variables.NewDelivery(farm.For(variables.ForWorkers, runtime.GOOS, nil), here.For(variables.ForWorkers, runtime.GOOS, nil))
	assigned := wire.AssignedTask{Uuid: task.Id, Job: task.JobId, Name: task.Name, TaskType: task.TaskType, StepsTotal: task.StepsTotal}
	if err := json.Unmarshal(delivery.Commands(text), &assigned.Commands); err != nil {
		return wire.AssignedTask{}, fmt.Errorf("task %s: %w", task.Id, err)
	}
	return assigned, nil
}

// perform runs the task. failed is why the task failed; err is what went wrong around it.
func (a *app) perform(ctx context.Context, c *client.Client, site localSite, task wire.AssignedTask) (done ranLocally, failed, err error) {
	done = ranLocally{TaskID: task.Uuid.String(), JobID: task.Job.String(), Name: task.Name, Status: string(wire.TaskStatusCompleted),
		Dir: site.dir, Log: filepath.Join(site.dir, tasklog.FileName), Stdout: filepath.Join(site.dir, tasklog.StdoutName),
		Stderr: filepath.Join(site.dir, tasklog.StderrName), Outputs: []localOutput{}}
	log, err := createLogFiles(site.dir)
	if err != nil {
		return done, nil, err
	}
	shown := io.Writer(log)
	if !a.JSON {
		shown = io.MultiWriter(log, a.Stderr)
	}
	result, failed := worker.RunLocal(ctx, worker.Local{Task: task, DataDir: site.scratch, Outputs: site.output, Log: shown})
	if err := log.Close(); err != nil {
		return done, nil, fmt.Errorf("write the log of the task: %w", err)
	}
	if ctx.Err() != nil || errors.Is(failed, worker.ErrWritesElsewhere) {
		return done, nil, failed
	}
	farm, err := c.Outputs(ctx, task.Job)
	if err != nil {
		return done, nil, err
	}
	done.Steps = result.Steps
	for _, o := range result.Outputs {
		path, err := filepath.Rel(site.dir, filepath.Join(o.Root, filepath.FromSlash(o.Path)))
		if err != nil {
			return done, nil, err
		}
		output := localOutput{Path: filepath.ToSlash(path), Size: o.Size, SHA256: o.Sha256}
		for _, f := range farm {
			if f.TaskId == task.Uuid && f.Path == o.Path {
				output.Farm = f.Sha256
			}
		}
		done.Outputs = append(done.Outputs, output)
	}
	if failed != nil {
		done.Status, done.Why = string(wire.TaskStatusFailed), failed.Error()
	}
	return done, failed, nil
}

// endRun prints the result and turns a failed task into an exit code.
func (a *app) endRun(done ranLocally, failed error) error {
	var err error
	if a.JSON {
		err = a.PrintJSON(done)
	} else {
		for _, o := range done.Outputs {
			fmt.Fprintf(a.Stdout, "%s\n", filepath.Join(done.Dir, filepath.FromSlash(o.Path)))
		}
		a.Say("%s %s; %d outputs in %s, the log is %s", done.Name, done.Status, len(done.Outputs), done.Dir, done.Log)
	}
	if failed != nil {
		return cli.ExitError{Code: cli.ExitJob, Err: fmt.Errorf("task %s: %w", done.TaskID[:8], failed)}
	}
	return err
}
