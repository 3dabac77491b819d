package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/tasklog"
)

// logFiles are the log of a task, and each stream of its processes, as files of one folder. All are there from the start.
type logFiles struct {
	files []*os.File
	split *tasklog.Splitter
}

func createLogFiles(dir string) (*logFiles, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for a task's log: %w", err)
	}
	l := &logFiles{}
	for _, name := range tasklog.FileNames {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make the log of the task: %w", err), l.closeFiles())
		}
		l.files = append(l.files, file)
	}
	l.split = tasklog.NewSplitter(l.files[1], l.files[2])
	return l, nil
}

// Write takes the next piece of the log.
func (l *logFiles) Write(p []byte) (int, error) {
	if n, err := l.files[0].Write(p); err != nil {
		return n, err
	}
	return l.split.Write(p)
}

// Close ends the files. Its error is of what could not be written.
func (l *logFiles) Close() error { return errors.Join(l.split.Close(), l.closeFiles()) }

func (l *logFiles) closeFiles() (err error) {
	for _, file := range l.files {
		err = errors.Join(err, file.Close())
	}
	return err
}

// fetchLog puts the log of a task into a folder, each of its files whole or not at all.
func fetchLog(ctx context.Context, c *client.Client, task uuid.UUID, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(dir, ".fetching-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside) //nolint:errcheck // A folder that stays is named as what it is.
	files, err := createLogFiles(aside)
	if err != nil {
		return err
	}
	if err := errors.Join(copyLog(ctx, c, task, files), files.Close()); err != nil {
		return fmt.Errorf("fetch the log of task %s: %w", task, err)
	}
	for _, name := range tasklog.FileNames {
		if err := os.Rename(filepath.Join(aside, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyLog(ctx context.Context, c *client.Client, task uuid.UUID, to io.Writer) error {
	for from := int64(0); ; {
		text, err := c.TaskLog(ctx, task, from)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(to, text); err != nil {
			return err
		}
		if from += int64(len(text)); len(text) < client.MaxLogText {
			return nil
		}
	}
}
