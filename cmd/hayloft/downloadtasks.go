package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"hayloft/api"
	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cmd/cli"
)

// downloadByTask fetches what a job produced into a folder for each task, with the task's log.
func (a *app) downloadByTask(ctx context.Context, c *client.Client, id uuid.UUID, dir string) error {
	folders := map[uuid.UUID]string{}
	err := c.Tasks(ctx, id, func(t wire.TaskSummary) error {
		folders[t.Id] = filepath.Join(dir, api.TaskFolder(t.IndexInJob, t.Name))
		return fetchLog(ctx, c, t.Id, filepath.Join(folders[t.Id], "log.txt"))
	})
	if err != nil {
		return err
	}
	outputs, err := c.Outputs(ctx, id)
	if err != nil {
		return err
	}
	return a.fetchOutputs(ctx, c, id, outputs, dir, func(o wire.JobOutput) string { return folders[o.TaskId] })
}

// fetchLog puts a task's log in its place, whole or not at all. A task that has none gets no file.
func fetchLog(ctx context.Context, c *client.Client, task uuid.UUID, final string) error {
	text, err := c.TaskLog(ctx, task, 0)
	if err != nil || text == "" {
		return err
	}
	return writeWhole(final, func(to io.Writer) error {
		for from := int64(0); text != ""; {
			if _, err := io.WriteString(to, text); err != nil {
				return err
			}
			from += int64(len(text))
			if text, err = c.TaskLog(ctx, task, from); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeWhole makes a file under its final name once all of it was written.
func writeWhole(final string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(final), ".fetching-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // After the rename there is nothing left to remove.
	if err := errors.Join(write(temp), temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), final)
}

// archived is what `hayloft job download --zip` did.
type archived struct {
	JobID string `json:"job_id"`
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// downloadArchive fetches the manager's zip of a job.
func (a *app) downloadArchive(ctx context.Context, c *client.Client, id uuid.UUID, file string) error {
	from, err := c.JobArchive(ctx, id)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	var size int64
	err = writeWhole(file, func(to io.Writer) (err error) {
		size, err = io.Copy(to, from)
		return err
	})
	if err != nil {
		return fmt.Errorf("fetch the archive of job %s: %w", id, err)
	}
	if a.JSON {
		return a.PrintJSON(archived{id.String(), file, size})
	}
	_, err = fmt.Fprintf(a.Stdout, "%s in %s\n", cli.BytesText(size), file)
	return err
}
