package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// submission is the last line of `hayloft submit --json`. Sizes are in bytes.
type submission struct {
	JobID         string `json:"job_id"`
	Status        string `json:"status"`
	Files         int    `json:"files"`
	FilesUploaded int    `json:"files_uploaded"`
	BytesTotal    int64  `json:"bytes_total"`
	BytesUploaded int64  `json:"bytes_uploaded"`
	Checkout      string `json:"checkout"`
}

// submit hands the scene's folder to the farm and, if asked, waits until the job has ended. A job that ended in any
// other way than completed is an error.
func submit(ctx context.Context, hayloft, url, scene string, wait bool, errs io.Writer) (submission, error) {
	args := []string{"submit", "--manager", url, "--name", "Hayloft demo", "--setting", "frames=1-" + strconv.Itoa(frameCount),
		"--setting", "chunk_size=3", "--setting", "format=PNG", "--setting", "fps=24", "--json"}
	if wait {
		args = append(args, "--wait")
	}
	stdout, err := runHayloft(ctx, hayloft, errs, append(args, scene)...)
	if err != nil {
		return submission{}, err
	}
	sub, err := parseSubmission(stdout)
	if err != nil {
		return submission{}, err
	}
	if wait && sub.Status != "completed" {
		return sub, fmt.Errorf("job %s ended as %q, not as completed", sub.JobID, sub.Status)
	}
	return sub, nil
}

// parseSubmission reads the last line that is not empty; lines before it may report progress.
func parseSubmission(stdout []byte) (submission, error) {
	lines := bytes.Split(bytes.TrimSpace(stdout), []byte("\n"))
	last := lines[len(lines)-1]
	var sub submission
	if err := json.Unmarshal(last, &sub); err != nil {
		return sub, fmt.Errorf("reading the answer of hayloft submit, which ended with %q: %w", last, err)
	}
	if sub.JobID == "" || sub.Files == 0 {
		return sub, fmt.Errorf("the answer of hayloft submit names no job or no files: %s", last)
	}
	return sub, nil
}

// download fetches every output of a job into dir.
func download(ctx context.Context, hayloft, url, jobID, dir string, errs io.Writer) error {
	_, err := runHayloft(ctx, hayloft, errs, "job", "download", "--manager", url, jobID, "-d", dir)
	return err
}

// cancel asks the farm to give a job up.
func cancel(ctx context.Context, hayloft, url, jobID string, errs io.Writer) error {
	_, err := runHayloft(ctx, hayloft, errs, "job", "cancel", "--manager", url, jobID)
	return err
}

// runHayloft runs one command of hayloft and returns what it printed on its standard output. Progress and messages
// for people come on its standard error and are passed on.
func runHayloft(ctx context.Context, hayloft string, errs io.Writer, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, hayloft, args...)
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = errs
	stdout, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("ended by the user: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("running hayloft %s: %w", args[0], err), lastWords(stdout))
	}
	return stdout, nil
}

// lastWords puts the end of a failed command's output into an error, or is nil when there was none.
func lastWords(stdout []byte) error {
	if len(bytes.TrimSpace(stdout)) == 0 {
		return nil
	}
	return errors.New(lastLines(string(stdout), 5))
}
