package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"hayloft/api"
	"hayloft/api/client"
	"hayloft/api/tasklog"
	"hayloft/api/wire"
	"hayloft/cmd/cli"
)

const (
	downloads = 4      // files that are fetched at a time
	maxNamed  = 10     // outputs that could not be fetched and are named
	logsName  = "logs" // the folder of the tasks' logs, unless each task has a folder
)

// downloaded is what `hayloft job download` did.
type downloaded struct {
	JobID string `json:"job_id"`
	Dir   string `json:"dir"`
	Files int    `json:"files"`
	New   int64  `json:"files_new"`
	Bytes int64  `json:"bytes"`
	Tasks int    `json:"tasks"` // whose logs were fetched
}

// download is what of a job goes where.
type download struct {
	dir     string
	outputs []wire.JobOutput
	places  []string             // of outputs
	logs    map[uuid.UUID]string // folders by task
	logsIn  string               // the folder that they lie in
}

func (a *app) jobDownloadCommand() *cobra.Command {
	var dir, archive string
	var byTask, noLogs bool
	cmd := a.onJob("download", "Fetch what a job rendered", func(ctx context.Context, c *client.Client, id uuid.UUID) error {
		if archive != "" {
			return a.downloadArchive(ctx, c, id, archive)
		}
		if dir == "" {
			dir = id.String()
		}
		d, err := planDownload(ctx, c, id, dir, byTask)
		if err != nil {
			return err
		}
		if noLogs {
			d.logs = nil
		}
		return a.download(ctx, c, id, d)
	})
	cmd.Long = "Fetch what a job rendered, and the logs. Each task has a folder with three files: " + tasklog.FileName + " is the task's log,\n" +
		tasklog.StdoutName + " and " + tasklog.StderrName + " are what its processes wrote. Frames lie together and the folders of the tasks in " + logsName + "/,\n" +
		"or, with --by-task, each task's frames in its folder. What is there already and right is not fetched again, and\n" +
		"a download that was cut off goes on where it was."
	f := cmd.Flags()
	f.BoolVar(&byTask, "by-task", false, "put the frames of each task into its folder, beside its logs")
	f.BoolVar(&noLogs, "no-logs", false, "fetch no logs")
	f.StringVar(&archive, "zip", "", "fetch all into this zip `file` instead; it has a folder for each task, with its frames and logs")
	f.StringVarP(&dir, "dir", "d", "", "`folder` to put the files in (default: the job's id)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if archive != "" && (dir != "" || byTask || noLogs) {
			return cli.Usage("--zip goes with none of --dir, --by-task and --no-logs: the archive has all, in a folder for each task")
		}
		return nil
	}
	cmd.Example = cli.Examples("hayloft job download 0192f3 -d frames", "hayloft job download 0192f3 --by-task", "hayloft job download 0192f3 --zip shot.zip")
	return cmd
}

// planDownload asks what there is.
func planDownload(ctx context.Context, c *client.Client, id uuid.UUID, dir string, byTask bool) (d download, err error) {
	d = download{dir: dir, logs: map[uuid.UUID]string{}, logsIn: filepath.Join(dir, logsName)}
	if byTask {
		d.logsIn = dir
	}
	err = c.Tasks(ctx, id, func(t wire.TaskSummary) error {
		d.logs[t.Id] = filepath.Join(d.logsIn, api.TaskFolder(t.IndexInJob, t.Name))
		return nil
	})
	if err != nil {
		return d, err
	}
	if d.outputs, err = c.Outputs(ctx, id); err != nil {
		return d, err
	}
	taken, folderOf := []string{logsName}, func(uuid.UUID) string { return dir }
	if byTask {
		taken, folderOf = tasklog.FileNames, func(task uuid.UUID) string { return cmp.Or(d.logs[task], dir) }
	}
	d.place(folderOf, taken)
	return d, nil
}

// place gives each output a name in the folder of its task, none of which is taken.
func (d *download) place(folderOf func(task uuid.UUID) string, taken []string) {
	together := map[string][]int{}
	for i, o := range d.outputs {
		folder := folderOf(o.TaskId)
		together[folder] = append(together[folder], i)
	}
	d.places = make([]string, len(d.outputs))
	for folder, indices := range together {
		paths := make([]string, len(indices))
		for k, i := range indices {
			paths[k] = d.outputs[i].Path
		}
		for k, name := range api.OutputNames(paths, taken...) {
			d.places[indices[k]] = filepath.Join(folder, filepath.FromSlash(name))
		}
	}
}

// download fetches frames first and says what was done. An output that the farm has no more does not keep the others away.
func (a *app) download(ctx context.Context, c *client.Client, id uuid.UUID, d download) error {
	done := downloaded{JobID: id.String(), Dir: d.dir, Files: len(d.outputs), Tasks: len(d.logs)}
	lost, err := a.fetchOutputs(ctx, c, id, d, &done)
	if err != nil {
		return err
	}
	work, logCtx := errgroup.WithContext(ctx)
	work.SetLimit(downloads)
	for task, folder := range d.logs {
		work.Go(func() error { return fetchLog(logCtx, c, task, folder) })
	}
	if err := work.Wait(); err != nil {
		return err
	}
	if len(d.logs) > 0 {
		a.Say("logs of %d tasks in %s", len(d.logs), d.logsIn)
	}
	if a.JSON {
		err = a.PrintJSON(done)
	} else {
		_, err = fmt.Fprintf(a.Stdout, "%d files in %s, %d of them new\n", done.Files, done.Dir, done.New)
	}
	if len(lost) > 0 {
		named := errors.Join(lost[:min(len(lost), maxNamed)]...)
		err = fmt.Errorf("%d of %d outputs could not be fetched, the rest is in %s: %w", len(lost), len(d.outputs), d.dir, named)
	}
	return err
}

// fetchOutputs puts all outputs into their places and counts them in done. lost is why single ones could not be had.
func (a *app) fetchOutputs(ctx context.Context, c *client.Client, id uuid.UUID, d download, done *downloaded) (lost []error, err error) {
	for _, o := range d.outputs {
		done.Bytes += o.Size
	}
	bar := a.BytesProgress("fetching", done.Bytes)
	defer bar.End()
	var counting sync.Mutex
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(downloads)
	for i, o := range d.outputs {
		work.Go(func() error {
			fetched, err := outputFetch{client: c, job: id, output: o, final: d.places[i], came: bar.Add}.run(ctx)
			counting.Lock()
			defer counting.Unlock()
			switch {
			case err != nil && ofOneOutput(err):
				lost = append(lost, fmt.Errorf("fetch %s: %w", o.Path, err))
				done.Files--
			case err != nil:
				return fmt.Errorf("fetch %s: %w", o.Path, err)
			case fetched:
				done.New++
			}
			return nil
		})
	}
	return lost, work.Wait()
}

// archived is what `hayloft job download --zip` did.
type archived struct {
	JobID string `json:"job_id"`
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// downloadArchive fetches the manager's zip of a job. It is under its name when all of it is there.
func (a *app) downloadArchive(ctx context.Context, c *client.Client, id uuid.UUID, final string) error {
	from, err := c.JobArchive(ctx, id)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(final), ".fetching-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // After the rename there is nothing left to remove.
	size, err := io.Copy(temp, from)
	if err := errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return fmt.Errorf("fetch the archive of job %s: %w", id, err)
	}
	if err := os.Rename(temp.Name(), final); err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(archived{id.String(), final, size})
	}
	_, err = fmt.Fprintf(a.Stdout, "%s in %s\n", cli.BytesText(size), final)
	return err
}
