package store

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"hayloft/scheduler"
)

const jobColumns = `j.uuid, j.type, j.priority, g.uuid, j.status, j.created, j.updated, j.delete_requested_at,
	j.queued, j.active, j.completed, j.failed, j.soft_failed, j.canceled, j.paused, j.runnable,
	j.steps_completed, j.steps_total, j.checkout, j.silence_limit, j.total_limit, q.list, j.share`

const jobTables = ` FROM jobs j LEFT JOIN tags g ON g.id = j.tag LEFT JOIN requirements q ON q.id = j.requirements `

const jobColumnCount = 23

// jobState reads jobColumns.
func jobState(r row) (scheduler.Job, error) {
	job := scheduler.Job{
		ID: scheduler.JobID{UUID: r.uuid(0)}, Type: r.text(1), Priority: r.int(2),
		WorkerTag: scheduler.TagID{UUID: r.uuid(3)}, Status: scheduler.JobStatus(r.text(4)),
		Created: r.time(5), Updated: r.time(6), DeleteRequestedAt: r.time(7),
		Tasks: scheduler.TaskCounts{
			Queued: r.int(8), Active: r.int(9), Completed: r.int(10), Failed: r.int(11), SoftFailed: r.int(12),
			Canceled: r.int(13), Paused: r.int(14),
		},
		Runnable: r.int(15), StepsCompleted: r.int64(16), StepsTotal: r.int64(17), CheckoutID: r.text(18),
		Limits: scheduler.JobLimits{Silence: r.duration(19), Total: r.duration(20)}, Share: scheduler.Share(r.text(22)),
	}
	var err error
	if job.Requires, err = textList(r.text(21)); err != nil {
		err = fmt.Errorf("requirements of job %s: %w", job.ID, err)
	}
	return job, err
}

const jobSelect = `SELECT ` + jobColumns + `, d.name, d.activity, d.settings, d.metadata` + jobTables +
	`JOIN job_details d ON d.job = j.id `

// wholeJob reads the columns of jobSelect.
func wholeJob(r row) (scheduler.Job, error) {
	job, err := jobState(r)
	if err != nil {
		return job, err
	}
	job.Name, job.Activity = r.text(jobColumnCount), r.text(jobColumnCount+1)
	if err := json.Unmarshal([]byte(r.text(jobColumnCount+2)), &job.Settings); err != nil {
		return job, fmt.Errorf("settings of job %s: %w", job.ID, err)
	}
	if err := json.Unmarshal([]byte(r.text(jobColumnCount+3)), &job.Metadata); err != nil {
		return job, fmt.Errorf("metadata of job %s: %w", job.ID, err)
	}
	return job, nil
}

// Job implements [scheduler.ReadTx]. Numbers in Settings are float64, as JSON has no others.
func (t readTx) Job(id scheduler.JobID) (job scheduler.Job, err error) {
	return t.oneJob(id, wholeJob, jobSelect)
}

func (t readTx) JobState(id scheduler.JobID) (job scheduler.Job, err error) {
	return t.oneJob(id, jobState, `SELECT `+jobColumns+jobTables)
}

// oneJob reads a job by its id; text is a SELECT without WHERE.
func (t readTx) oneJob(id scheduler.JobID, decode func(row) (scheduler.Job, error), text string) (job scheduler.Job, err error) {
	var decodeErr error
	err = t.one(func(r row) { job, decodeErr = decode(r) }, text+`WHERE j.uuid = ?1`, key(id))
	if err == nil {
		err = decodeErr
	}
	return job, named("job", id, err)
}

func (t readTx) Jobs(q scheduler.JobQuery) ([]scheduler.Job, error) {
	before := int64(1<<63 - 1)
	if !q.Before.IsZero() {
		var err error
		if before, err = t.jobRow(q.Before); err != nil {
			return nil, err
		}
	}
	limit := q.Limit
	if limit <= 0 {
		limit = -1 // SQLite's word for all
	}
	var jobs []scheduler.Job
	// Numbers grow with insertion, and Created never goes back: see monotonic.
	err := t.each(func(r row) error {
		job, err := wholeJob(r)
		jobs = append(jobs, job)
		return err
	}, jobSelect+`WHERE j.id < ?1 ORDER BY j.created DESC, j.id DESC LIMIT ?2`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, nil
}

// jobRow gives the number of a job's row.
func (t readTx) jobRow(id scheduler.JobID) (int64, error) {
	n, err := t.number(`SELECT id FROM jobs WHERE uuid = ?1`, key(id))
	return n, named("job", id, err)
}

func (t readTx) JobsUpdatedUntil(last time.Time) (ids []scheduler.JobID, err error) {
	err = t.each(func(r row) error {
		ids = append(ids, scheduler.JobID{UUID: r.uuid(0)})
		return nil
	}, `SELECT uuid FROM jobs WHERE updated <= ?1 AND delete_requested_at IS NULL ORDER BY id`, stamp(last))
	if err != nil {
		return nil, fmt.Errorf("list jobs unchanged since %s: %w", last.Format(time.RFC3339), err)
	}
	return ids, nil
}

func (t readTx) JobsToDelete() (ids []scheduler.JobID, err error) {
	err = t.each(func(r row) error {
		ids = append(ids, scheduler.JobID{UUID: r.uuid(0)})
		return nil
	}, `SELECT uuid FROM jobs WHERE delete_requested_at IS NOT NULL ORDER BY delete_requested_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list jobs to delete: %w", err)
	}
	return ids, nil
}

// Blocklist implements [scheduler.ReadTx], by name of the worker, then task type.
func (t readTx) Blocklist(id scheduler.JobID) (list []scheduler.BlockEntry, err error) {
	job, err := t.jobRow(id)
	if err != nil {
		return nil, err
	}
	err = t.each(func(r row) error {
		list = append(list, scheduler.BlockEntry{
			Worker: scheduler.WorkerID{UUID: r.uuid(0)}, WorkerName: r.text(1), TaskType: r.text(2),
		})
		return nil
	}, `SELECT w.uuid, w.name, b.task_type FROM blocks b JOIN workers w ON w.id = b.worker WHERE b.job = ?1
		ORDER BY w.name, w.id, b.task_type`, job)
	return list, named("blocklist of job", id, err)
}

func outputOf(r row) scheduler.Output {
	return scheduler.Output{
		Task: scheduler.TaskID{UUID: r.uuid(0)}, Root: r.text(1), Path: r.text(2), Size: r.int64(3), SHA256: hex.EncodeToString(r.bytes(4)),
	}
}

func (t readTx) OutputsAt(id scheduler.JobID, path string) (list []scheduler.Output, err error) {
	job, err := t.jobRow(id)
	if err != nil {
		return nil, err
	}
	// The index begins with job and root; it is asked for one root after the other, as a job has few.
	err = t.each(func(r row) error {
		list = append(list, outputOf(r))
		return nil
	}, `WITH RECURSIVE roots (root) AS (
			SELECT min(root) FROM outputs WHERE job = ?1
			UNION ALL
			SELECT (SELECT min(root) FROM outputs WHERE job = ?1 AND root > roots.root) FROM roots WHERE roots.root IS NOT NULL
		)
		SELECT t.uuid, o.root, o.path, o.size, o.sha256 FROM roots
		JOIN outputs o ON o.job = ?1 AND o.root = roots.root AND o.path = ?2 JOIN tasks t ON t.id = o.task
		ORDER BY o.root`, job, path)
	return list, named("outputs of job", id, err)
}

func (t readTx) Outputs(id scheduler.JobID) (list []scheduler.Output, err error) {
	job, err := t.jobRow(id)
	if err != nil {
		return nil, err
	}
	err = t.each(func(r row) error {
		list = append(list, outputOf(r))
		return nil
	}, `SELECT t.uuid, o.root, o.path, o.size, o.sha256 FROM outputs o JOIN tasks t ON t.id = o.task WHERE o.job = ?1
		ORDER BY o.root, o.path`, job)
	return list, named("outputs of job", id, err)
}

func (t readTx) LastRendered() (id scheduler.JobID, err error) {
	err = t.each(func(r row) error {
		id.UUID = r.uuid(0)
		return nil
	}, `SELECT uuid FROM jobs WHERE preview IS NOT NULL ORDER BY preview DESC LIMIT 1`)
	if err != nil {
		return id, fmt.Errorf("find the job that was rendered last: %w", err)
	}
	return id, nil
}

func (t readTx) HasPreview(id scheduler.JobID) (bool, error) {
	n, err := t.number(`SELECT preview IS NOT NULL FROM jobs WHERE uuid = ?1`, key(id))
	return n != 0, named("preview of job", id, err)
}

func (t readTx) WaitingTypes(id scheduler.JobID) (types []string, err error) {
	job, err := t.jobRow(id)
	if err != nil {
		return nil, err
	}
	err = t.each(func(r row) error {
		types = append(types, r.text(0))
		return nil
	}, `SELECT DISTINCT task_type FROM lanes WHERE job = ?1 AND open = 1 AND runnable > 0 ORDER BY task_type`, job)
	return types, named("task types of job", id, err)
}

// idleRequiring finds jobs by those of their lanes that have something to run, which the index lanes_in_order holds.
const idleRequiring = `
	SELECT DISTINCT j.uuid FROM lanes l INDEXED BY lanes_in_order JOIN jobs j ON j.id = l.job
	WHERE l.open = 1 AND l.runnable > 0 AND l.requirements IS NOT NULL AND j.active = 0`

// IdleRequiringJobs implements [scheduler.ReadTx], in no order.
func (t readTx) IdleRequiringJobs() (ids []scheduler.JobID, err error) {
	err = t.each(func(r row) error {
		ids = append(ids, scheduler.JobID{UUID: r.uuid(0)})
		return nil
	}, idleRequiring)
	if err != nil {
		return nil, fmt.Errorf("list jobs that wait for abilities: %w", err)
	}
	return ids, nil
}

// Pace implements [scheduler.ReadTx]. A completed task was changed last when it was completed.
func (t readTx) Pace(jobType, name, taskType string, limit int) (pace scheduler.Pace, err error) {
	err = t.one(func(r row) {
		pace = scheduler.Pace{Tasks: r.int(0), Steps: r.int(1), Elapsed: r.duration(2)}
	}, `SELECT count(*), coalesce(sum(steps), 0), coalesce(sum(took), 0) FROM (
		SELECT t.steps, t.updated - t.claimed_at AS took FROM tasks t JOIN lanes l ON l.id = t.lane
		WHERE t.job IN (SELECT j.id FROM jobs j JOIN job_details d ON d.job = j.id
			WHERE j.type = ?1 AND d.name = ?2 AND j.completed > 0 ORDER BY j.id DESC LIMIT 3)
		AND l.task_type = ?3 AND t.status = 'completed' AND t.claim > 0
		ORDER BY t.job DESC, t.idx DESC LIMIT ?4)`, jobType, name, taskType, limit)
	return pace, err
}

func (t readTx) JobCounts() (map[scheduler.JobStatus]int, error) {
	counts := make(map[scheduler.JobStatus]int)
	err := t.each(func(r row) error {
		counts[scheduler.JobStatus(r.text(0))] = r.int(1)
		return nil
	}, `SELECT status, count(*) FROM jobs GROUP BY status`)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return counts, nil
}

// named says which thing an error is about.
func named(what string, id fmt.Stringer, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, id, err)
}
