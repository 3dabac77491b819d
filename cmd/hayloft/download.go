package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"

	"hayloft/cmd/cli"
)

// downloads is how many files are fetched at a time.
const downloads = 4

// downloaded is what `hayloft job download` did.
type downloaded struct {
	JobID string `json:"job_id"`
	Dir   string `json:"dir"`
	Files int    `json:"files"`
	New   int64  `json:"files_new"`
	Bytes int64  `json:"bytes"`
}

func (a *app) jobDownloadCommand() *cobra.Command {
	var dir, archive string
	var byTask bool
	cmd := a.onJob("download", "Fetch what a job rendered", func(ctx context.Context, c *client.Client, id uuid.UUID) error {
		if archive != "" {
			return a.downloadArchive(ctx, c, id, archive)
		}
		if dir == "" {
			dir = id.String()
		}
		if byTask {
			return a.downloadByTask(ctx, c, id, dir)
		}
		return a.download(ctx, c, id, dir)
	})
	cmd.Flags().BoolVar(&byTask, "by-task", false, "give each task a folder of its own, with its log as log.txt")
	cmd.Flags().StringVar(&archive, "zip", "", "fetch all into this zip `file` instead; it has a folder for each task")
	cmd.Flags().StringVarP(&dir, "dir", "d", "", "`folder` to put the files in (default: the job's id)")
	cmd.MarkFlagsMutuallyExclusive("zip", "dir")
	cmd.MarkFlagsMutuallyExclusive("zip", "by-task")
	cmd.Example = cli.Examples("hayloft job download 0192f3 -d frames", "hayloft job download 0192f3 --by-task", "hayloft job download 0192f3 --zip shot.zip")
	return cmd
}

func (a *app) download(ctx context.Context, c *client.Client, id uuid.UUID, dir string) error {
	outputs, err := c.Outputs(ctx, id)
	if err != nil {
		return err
	}
	return a.fetchOutputs(ctx, c, id, outputs, dir, func(wire.JobOutput) string { return dir })
}

// fetchOutputs puts each output below the folder that into names, and prints what was done.
func (a *app) fetchOutputs(ctx context.Context, c *client.Client, id uuid.UUID, outputs []wire.JobOutput, dir string, into func(wire.JobOutput) string) error {
	var total int64
	for _, o := range outputs {
		total += o.Size
	}
	bar := a.BytesProgress("fetching", total)
	defer bar.End()
	var fresh atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(downloads)
	for _, o := range outputs {
		work.Go(func() error {
			got, err := fetchOutput(ctx, c, id, o, into(o))
			if err != nil {
				return fmt.Errorf("fetch %s: %w", o.Path, err)
			}
			if got {
				fresh.Add(1)
			}
			bar.Add(int(o.Size))
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(downloaded{id.String(), dir, len(outputs), fresh.Load(), total})
	}
	_, err := fmt.Fprintf(a.Stdout, "%d files in %s, %d of them new\n", len(outputs), dir, fresh.Load())
	return err
}

// fetchOutput puts one output in its place, whole or not at all. A file that is there and right is left alone.
func fetchOutput(ctx context.Context, c *client.Client, job uuid.UUID, o wire.JobOutput, dir string) (fetched bool, err error) {
	path, err := checkout.ParsePath(o.Path)
	if err != nil {
		return false, err
	}
	final := filepath.Join(dir, filepath.FromSlash(path.String()))
	if sum, err := digestOf(final); err == nil && sum.String() == o.Sha256 {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return false, err
	}
	from, err := c.Output(ctx, job, o.Path)
	if err != nil {
		return false, err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	temp, err := os.CreateTemp(filepath.Dir(final), ".fetching-*")
	if err != nil {
		return false, err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // After the rename there is nothing left to remove.
	got, err := cas.SumReader(io.TeeReader(from, temp))
	if err := errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return false, err
	}
	if got.Digest.String() != o.Sha256 {
		return false, fmt.Errorf("the file was changed since it was rendered: it has SHA-256 %s instead of %s", got, o.Sha256)
	}
	return true, os.Rename(temp.Name(), final)
}

func digestOf(path string) (cas.Digest, error) {
	file, err := os.Open(path)
	if err != nil {
		return cas.Digest{}, err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	blob, err := cas.SumReader(file)
	return blob.Digest, err
}
