package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// Version tells what the manager is.
func (c *Client) Version(ctx context.Context) (wire.FlamencoVersion, error) {
	resp, err := c.wire.GetVersion(ctx)
	return decode[wire.FlamencoVersion]("ask for the version", resp, err)
}

// FarmStatus tells what the farm as a whole is doing.
func (c *Client) FarmStatus(ctx context.Context) (wire.FarmStatus, error) {
	resp, err := c.wire.GetFarmStatus(ctx)
	report, err := decode[wire.FarmStatusReport]("ask for the farm's status", resp, err)
	return report.Status, err
}

// SharedStorage tells where job files lie, as an audience (workers or users) on a platform (as in runtime.GOOS) sees it.
func (c *Client) SharedStorage(ctx context.Context, audience, platform string) (wire.SharedStorageLocation, error) {
	resp, err := c.wire.GetSharedStorage(ctx, audience, platform)
	return decode[wire.SharedStorageLocation]("ask for the shared storage", resp, err)
}

// JobTypes lists the job types by name.
func (c *Client) JobTypes(ctx context.Context) ([]wire.AvailableJobType, error) {
	resp, err := c.wire.GetJobTypes(ctx)
	list, err := decode[wire.AvailableJobTypes]("list job types", resp, err)
	return list.JobTypes, err
}

// JobType describes one job type; [ErrUnknownJobType].
func (c *Client) JobType(ctx context.Context, name string) (wire.AvailableJobType, error) {
	resp, err := c.wire.GetJobType(ctx, name)
	return decode[wire.AvailableJobType](fmt.Sprintf("ask for job type %q", name), resp, err)
}

// CheckJob tells by a nil error that the job would be accepted.
func (c *Client) CheckJob(ctx context.Context, job wire.SubmittedJob) error {
	resp, err := c.wire.CheckJob(ctx, job)
	return done(fmt.Sprintf("check job %q", job.Name), resp, err, http.StatusNoContent)
}

// EligibleWorkers tells which workers could run a job with these needs, why the others cannot, and how long a frame took
// in earlier jobs of that type and name.
func (c *Client) EligibleWorkers(ctx context.Context, needs wire.JobNeeds) (wire.EligibleWorkers, error) {
	resp, err := c.wire.EligibleWorkers(ctx, needs)
	return decode[wire.EligibleWorkers]("ask which workers could run a job", resp, err)
}

// SubmitJob stores a job and returns it as stored. It is not tried again after a broken connection: the job may be there.
func (c *Client) SubmitJob(ctx context.Context, job wire.SubmittedJob) (wire.Job, error) {
	resp, err := c.wire.SubmitJob(ctx, job)
	return decode[wire.Job](fmt.Sprintf("submit job %q", job.Name), resp, err)
}

// jobsPage is the largest page of jobs that the manager gives.
const jobsPage = 1000

// Jobs lists jobs, newest first: at most limit (0: all), and only those older than before unless it is zero.
func (c *Client) Jobs(ctx context.Context, limit int, before uuid.UUID) ([]wire.Job, error) {
	var jobs []wire.Job
	for {
		page := jobsPage
		if limit > 0 {
			page = min(page, limit-len(jobs))
		}
		params := &wire.ListJobsParams{Limit: &page}
		if before != uuid.Nil {
			params.Before = &before
		}
		resp, err := c.wire.ListJobs(ctx, params)
		list, err := decode[wire.JobsList]("list jobs", resp, err)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, list.Jobs...)
		if len(list.Jobs) < page || len(jobs) == limit {
			return jobs, nil
		}
		before = jobs[len(jobs)-1].Id
	}
}

// Job describes one job.
func (c *Client) Job(ctx context.Context, id uuid.UUID) (wire.Job, error) {
	resp, err := c.wire.GetJob(ctx, id)
	return decode[wire.Job]("ask for job "+id.String(), resp, err)
}

// SetJobStatus asks for cancel-requested, pause-requested, requeueing or queued; [ErrTransition] if the job cannot go there.
func (c *Client) SetJobStatus(ctx context.Context, id uuid.UUID, status wire.JobStatus, reason string) error {
	resp, err := c.wire.SetJobStatus(ctx, id, wire.JobStatusChange{Status: status, Reason: reason})
	return done(fmt.Sprintf("set job %s to %s", id, status), resp, err, http.StatusNoContent)
}

// SetJobPriority changes a job's priority, 0 to 100.
func (c *Client) SetJobPriority(ctx context.Context, id uuid.UUID, priority int) error {
	resp, err := c.wire.SetJobPriority(ctx, id, wire.JobPriorityChange{Priority: priority})
	return done("set the priority of job "+id.String(), resp, err, http.StatusNoContent)
}

// DeleteJob asks for a job's deletion; it goes in the background.
func (c *Client) DeleteJob(ctx context.Context, id uuid.UUID) error {
	resp, err := c.wire.DeleteJob(ctx, id)
	return done("delete job "+id.String(), resp, err, http.StatusNoContent)
}

// tasksPage is how many tasks one request lists.
const tasksPage = 1000

// Tasks calls each for every task of a job, in the order of the job type, until each returns an error, which is returned.
func (c *Client) Tasks(ctx context.Context, job uuid.UUID, each func(wire.TaskSummary) error) error {
	limit, after := tasksPage, 0
	for {
		resp, err := c.wire.ListJobTasks(ctx, job, &wire.ListJobTasksParams{Limit: &limit, After: &after})
		page, err := decode[wire.JobTasksSummary]("list the tasks of job "+job.String(), resp, err)
		if err != nil {
			return err
		}
		for _, task := range page.Tasks {
			if err := each(task); err != nil {
				return err
			}
			after = task.IndexInJob
		}
		if len(page.Tasks) < limit {
			return nil
		}
	}
}

// Task describes one task.
func (c *Client) Task(ctx context.Context, id uuid.UUID) (wire.Task, error) {
	resp, err := c.wire.GetTask(ctx, id)
	return decode[wire.Task]("ask for task "+id.String(), resp, err)
}

// SetTaskStatus asks for canceled, queued or paused.
func (c *Client) SetTaskStatus(ctx context.Context, id uuid.UUID, status wire.TaskStatus, reason string) error {
	resp, err := c.wire.SetTaskStatus(ctx, id, wire.TaskStatusChange{Status: status, Reason: reason})
	return done(fmt.Sprintf("set task %s to %s", id, status), resp, err, http.StatusNoContent)
}

// MaxLogText is how many bytes of a log one answer carries at most.
const MaxLogText = 1 << 20

// TaskLog gives a task's log from a byte offset on, at most [MaxLogText]; less means that there is no more yet. The next
// offset is from plus the length.
func (c *Client) TaskLog(ctx context.Context, id uuid.UUID, from int64) (string, error) {
	what := "read the log of task " + id.String()
	resp, err := c.wire.GetTaskLogText(ctx, id, &wire.GetTaskLogTextParams{From: &from})
	resp, err = expect(what, resp, err, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return "", err
	}
	defer drain(resp)
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxLogText))
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, unreachable(err))
	}
	return string(text), nil
}

// Outputs lists the files that a job's tasks produced.
func (c *Client) Outputs(ctx context.Context, job uuid.UUID) ([]wire.JobOutput, error) {
	resp, err := c.wire.ListJobOutputs(ctx, job)
	list, err := decode[wire.JobOutputs]("list the outputs of job "+job.String(), resp, err)
	return list.Outputs, err
}

// Output opens the bytes of one output, named by its path in the list of outputs; the caller closes it.
func (c *Client) Output(ctx context.Context, job uuid.UUID, path string) (io.ReadCloser, error) {
	resp, err := c.wire.GetJobOutput(ctx, job, &wire.GetJobOutputParams{Path: path})
	resp, err = expect(fmt.Sprintf("fetch output %q", path), resp, err, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// OutputFrom opens the bytes of exactly that output from an offset on, which must lie within it; the caller closes it. An
// error of the connection while it is read is [ErrUnreachable].
func (c *Client) OutputFrom(ctx context.Context, job uuid.UUID, o wire.JobOutput, from int64) (io.ReadCloser, error) {
	params, wanted := &wire.GetJobOutputParams{Path: o.Path, Sha256: &o.Sha256}, http.StatusOK
	resp, err := c.wire.GetJobOutput(ctx, job, params, func(_ context.Context, r *http.Request) error {
		if from > 0 {
			wanted = http.StatusPartialContent
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		}
		return nil
	})
	if resp, err = expect(fmt.Sprintf("fetch output %q", o.Path), resp, err, wanted); err != nil {
		return nil, err
	}
	return passingBody{resp.Body}, nil
}

// passingBody marks that the connection broke.
type passingBody struct{ io.ReadCloser }

func (b passingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreachable(err)
	}
	return n, err
}

// LastRendered tells where the newest image of a job is; ok is false when there is none yet.
func (c *Client) LastRendered(ctx context.Context, job uuid.UUID) (place wire.LastRendered, ok bool, err error) {
	what := "ask for the last image of job " + job.String()
	resp, err := c.wire.GetJobLastRendered(ctx, job)
	if err == nil && resp.StatusCode == http.StatusNoContent {
		drain(resp)
		return place, false, nil
	}
	place, err = decode[wire.LastRendered](what, resp, err)
	return place, err == nil, err
}
