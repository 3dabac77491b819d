package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cmd/cli"
)

func (a *app) jobCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "job", Short: "Look at jobs and steer them", Args: cli.Arguments(cobra.NoArgs),
		Long:    "Look at jobs and steer them. A JOB is its id, or so much of its beginning as is unambiguous.",
		Example: cli.Examples("hayloft job list", "hayloft job show 0192f3", "hayloft job log -f 0192f3"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.jobListCommand(), a.jobShowCommand(), a.jobLogCommand(), a.jobDownloadCommand(),
		a.jobStatusCommand("cancel", "Stop a job; frames that are done stay", wire.JobStatusCancelRequested),
		a.jobStatusCommand("pause", "Let running tasks end and start no others", wire.JobStatusPauseRequested),
		a.jobStatusCommand("requeue", "Run again what did not complete; resumes a paused job", wire.JobStatusRequeueing),
		a.jobDeleteCommand(),
	)
	return cmd
}

// onJob makes a command that takes one job.
func (a *app) onJob(name, short string, act func(ctx context.Context, c *client.Client, id uuid.UUID) error) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use: name + " JOB", Short: short, Args: exactly("a job"), Example: cli.Examples("hayloft job " + name + " 0192f3"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client.New(address, software())
			if err != nil {
				return cli.Usage("--manager: %w", err)
			}
			defer c.Close()
			id, err := findJob(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return act(cmd.Context(), c, id)
		},
	}
	managerFlag(cmd, &address)
	return cmd
}

// findJob takes a whole id, or the beginning of one that only one job has.
func findJob(ctx context.Context, c *client.Client, text string) (uuid.UUID, error) {
	if id, err := uuid.Parse(text); err == nil {
		return id, nil
	}
	if len(text) < 4 || strings.Trim(text, "0123456789abcdef-") != "" {
		return uuid.Nil, cli.Usage("%q is no job: give its id, or at least the first 4 characters of it", text)
	}
	jobs, err := c.Jobs(ctx, 0, uuid.Nil)
	if err != nil {
		return uuid.Nil, err
	}
	var found []uuid.UUID
	for _, j := range jobs {
		if strings.HasPrefix(j.Id.String(), text) {
			found = append(found, j.Id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return uuid.Nil, cli.ExitError{Code: cli.ExitNotFound, Err: fmt.Errorf("no job begins with %q; `hayloft job list` shows all", text)}
	}
	return uuid.Nil, cli.Usage("%d jobs begin with %q; give more of the id", len(found), text)
}

func (a *app) jobListCommand() *cobra.Command {
	var address string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: none, Example: cli.Examples("hayloft job list", "hayloft job list --json --limit 5"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client.New(address, software())
			if err != nil {
				return cli.Usage("--manager: %w", err)
			}
			defer c.Close()
			jobs, err := c.Jobs(cmd.Context(), limit, uuid.Nil)
			if err != nil {
				return err
			}
			return a.printJobs(jobs)
		},
	}
	managerFlag(cmd, &address)
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many; 0 for all")
	return cmd
}

func (a *app) printJobs(jobs []wire.Job) error {
	if a.JSON {
		for _, j := range jobs {
			if err := a.PrintJSON(j); err != nil {
				return err
			}
		}
		return nil
	}
	if len(jobs) == 0 {
		a.Say("no jobs yet; `hayloft submit scene.blend` sends one")
		return nil
	}
	return a.Table("ID\tSTATUS\tDONE\tPRIORITY\tCREATED\tNAME", func(w io.Writer) {
		for _, j := range jobs {
			fmt.Fprintf(w, "%s\t%s\t%d%%\t%d\t%s\t%s\n", j.Id, j.Status, cli.Percent(j.StepsCompleted, j.StepsTotal), j.Priority,
				j.Created.Local().Format(time.DateTime), j.Name)
		}
	})
}

func (a *app) jobShowCommand() *cobra.Command {
	return a.onJob("show", "Show a job and its tasks", func(ctx context.Context, c *client.Client, id uuid.UUID) error {
		job, err := c.Job(ctx, id)
		if err != nil {
			return err
		}
		tasks := []wire.TaskSummary{}
		if err := c.Tasks(ctx, id, func(t wire.TaskSummary) error { tasks = append(tasks, t); return nil }); err != nil {
			return err
		}
		if a.JSON {
			return a.PrintJSON(struct {
				wire.Job
				Tasks []wire.TaskSummary `json:"tasks"`
			}{job, tasks})
		}
		return a.printJob(job, tasks)
	})
}

func (a *app) printJob(job wire.Job, tasks []wire.TaskSummary) error {
	fmt.Fprintf(a.Stdout, "%s\n  id        %s\n  type      %s\n  status    %s\n  activity  %s\n  progress  %d of %d steps\n  created   %s\n\n",
		job.Name, job.Id, job.Type, job.Status, job.Activity, job.StepsCompleted, job.StepsTotal, job.Created.Local().Format(time.DateTime))
	return a.Table("TASK\tSTATUS\tSTEPS\tWORKER\tID", func(w io.Writer) {
		for _, t := range tasks {
			worker := "-"
			if t.Worker != nil {
				worker = t.Worker.Name
			}
			fmt.Fprintf(w, "%s\t%s\t%d/%d\t%s\t%s\n", t.Name, t.Status, t.StepsCompleted, t.StepsTotal, worker, t.Id)
		}
	})
}

func (a *app) jobStatusCommand(name, short string, status wire.JobStatus) *cobra.Command {
	return a.onJob(name, short, func(ctx context.Context, c *client.Client, id uuid.UUID) error {
		if err := c.SetJobStatus(ctx, id, status, "asked for with hayloft job "+name); err != nil {
			return err
		}
		job, err := c.Job(ctx, id)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.PrintJSON(job)
		}
		a.Say("job %s is %s", id, job.Status)
		return nil
	})
}

func (a *app) jobDeleteCommand() *cobra.Command {
	return a.onJob("delete", "Delete a job, its logs and its checkout; rendered frames stay",
		func(ctx context.Context, c *client.Client, id uuid.UUID) error {
			if err := c.DeleteJob(ctx, id); err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(map[string]string{"id": id.String(), "deleted": "requested"})
			}
			a.Say("job %s is being deleted", id)
			return nil
		})
}

func (a *app) jobLogCommand() *cobra.Command {
	var follow bool
	cmd := a.onJob("log", "Print the logs of a job's tasks", func(ctx context.Context, c *client.Client, id uuid.UUID) error {
		l := logPrinter{app: a, client: c, offsets: make(map[uuid.UUID]int64)}
		if follow {
			return l.follow(ctx, id)
		}
		return l.printAll(ctx, id)
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends")
	cmd.Example = cli.Examples("hayloft job log 0192f3", "hayloft job log -f 0192f3")
	return cmd
}

// logPrinter prints what it has not printed yet of the logs of a job's tasks.
type logPrinter struct {
	*app
	client  *client.Client
	offsets map[uuid.UUID]int64
	last    uuid.UUID // the task whose heading was printed last
}

func (l *logPrinter) printAll(ctx context.Context, job uuid.UUID) error {
	return l.client.Tasks(ctx, job, func(t wire.TaskSummary) error { return l.printTask(ctx, t) })
}

func (l *logPrinter) printTask(ctx context.Context, t wire.TaskSummary) error {
	for {
		text, err := l.client.TaskLog(ctx, t.Id, l.offsets[t.Id])
		if err != nil || text == "" {
			return err
		}
		l.offsets[t.Id] += int64(len(text))
		if err := l.print(t, text); err != nil {
			return err
		}
	}
}

func (l *logPrinter) print(t wire.TaskSummary, text string) error {
	if l.JSON {
		return l.PrintJSON(map[string]string{"task_id": t.Id.String(), "task": t.Name, "log": text})
	}
	if l.last != t.Id {
		l.last = t.Id
		fmt.Fprintf(l.Stdout, "== %s\n", t.Name)
	}
	_, err := io.WriteString(l.Stdout, text)
	return err
}

// errJobEnded ends the watching of a job.
var errJobEnded = errors.New("the job ended")

// follow prints the logs as they grow, until the job ends. Each event of the job makes it look for more.
// A manager that goes away meanwhile is waited for.
func (l *logPrinter) follow(ctx context.Context, id uuid.UUID) error {
	if _, err := l.client.Job(ctx, id); err != nil {
		return err
	}
	topics := []string{"jobs", "job:" + id.String()}
	err := l.client.Events(ctx, topics, func(client.Event) error {
		job, err := l.client.Job(ctx, id)
		if err == nil {
			err = l.printAll(ctx, id)
		}
		if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrUnavailable) {
			return nil // The next event tells when it is back.
		}
		if err != nil {
			return err
		}
		if finished(job.Status) {
			return errJobEnded
		}
		return nil
	})
	if errors.Is(err, errJobEnded) {
		return nil
	}
	return err
}

// finished tells whether a job does nothing more by itself.
func finished(status wire.JobStatus) bool {
	return status == wire.JobStatusCompleted || status == wire.JobStatusFailed || status == wire.JobStatusCanceled
}
