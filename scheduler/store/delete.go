package store

import (
	"fmt"

	"hayloft/scheduler"
)

// DeleteJobPart implements [scheduler.Tx]. A job that is not to be deleted is [scheduler.ErrInvalid]. Until the job is
// gone its counts are those of the tasks that are left; what is runnable of it no longer matters, as nothing of it is
// claimable.
func (t *tx) DeleteJobPart(id scheduler.JobID, limit int) (done bool, err error) {
	if limit <= 0 {
		return false, named("job", id, fmt.Errorf("%w: a limit of %d rows", scheduler.ErrInvalid, limit))
	}
	job, err := t.jobRow(id)
	if err != nil {
		return false, err
	}
	requested, err := t.number(`SELECT delete_requested_at IS NOT NULL FROM jobs WHERE id = ?1`, job)
	if err != nil {
		return false, named("job", id, err)
	}
	if requested == 0 {
		return false, named("job", id, fmt.Errorf("%w: its deletion was not requested", scheduler.ErrInvalid))
	}
	done, err = t.deletePart(job, limit)
	return done, named("deletion of job", id, err)
}

// Each statement deletes up to ?3 rows that belong to tasks of the job with an index of at most ?2, children first.
var deleteOfTasks = []string{
	`DELETE FROM log_chunks WHERE id IN (SELECT c.id FROM tasks t JOIN log_chunks c ON c.task = t.id
		WHERE t.job = ?1 AND t.idx <= ?2 LIMIT ?3)`,
	`DELETE FROM outputs WHERE id IN (SELECT o.id FROM tasks t JOIN outputs o ON o.task = t.id
		WHERE t.job = ?1 AND t.idx <= ?2 LIMIT ?3)`,
	`DELETE FROM task_failures WHERE (task, worker) IN (SELECT f.task, f.worker FROM tasks t JOIN task_failures f ON f.task = t.id
		WHERE t.job = ?1 AND t.idx <= ?2 LIMIT ?3)`,
	`DELETE FROM task_needs WHERE (task, needs) IN (SELECT n.task, n.needs FROM tasks t JOIN task_needs n ON n.task = t.id
		WHERE t.job = ?1 AND t.idx <= ?2 LIMIT ?3)`,
	`DELETE FROM task_needs WHERE (task, needs) IN (SELECT n.task, n.needs FROM tasks t JOIN task_needs n ON n.needs = t.id
		WHERE t.job = ?1 AND t.idx <= ?2 LIMIT ?3)`,
}

// deleteOfJob deletes what a job without tasks still has; these are few rows.
var deleteOfJob = []string{
	`DELETE FROM lane_commands WHERE lane IN (SELECT id FROM lanes WHERE job = ?1)`,
	`DELETE FROM lanes WHERE job = ?1`,
	`DELETE FROM blocks WHERE job = ?1`,
	`DELETE FROM paces WHERE job = ?1`,
	`DELETE FROM job_details WHERE job = ?1`,
	`DELETE FROM jobs WHERE id = ?1`,
}

// deleteList deletes a list of requirements that no job has any more.
const deleteList = `DELETE FROM requirements WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE requirements = ?1)`

func (t *tx) deletePart(job int64, limit int) (done bool, err error) {
	last, err := t.number(`SELECT max(idx) FROM (SELECT idx FROM tasks WHERE job = ?1 ORDER BY idx LIMIT ?2)`, job, limit)
	if err != nil {
		return false, err
	}
	left := limit
	for _, statement := range deleteOfTasks {
		n, err := t.exec(statement, job, last, left)
		if err != nil {
			return false, err
		}
		if left -= n; left <= 0 {
			return false, nil
		}
	}
	n, err := t.deleteTasks(job, left)
	if err != nil {
		return false, err
	}
	if n == left {
		return false, nil
	}
	requirements, err := t.number(`SELECT coalesce(requirements, 0) FROM jobs WHERE id = ?1`, job)
	if err != nil {
		return false, err
	}
	for _, statement := range deleteOfJob {
		if _, err := t.exec(statement, job); err != nil {
			return false, err
		}
	}
	if requirements != 0 {
		_, err = t.exec(deleteList, requirements)
	}
	return err == nil, err
}

// deleteTasks deletes the first tasks of a job, whose children are gone, and takes them off the job's numbers.
func (t *tx) deleteTasks(job int64, limit int) (int, error) {
	const head = `SELECT id, status, steps, steps_done FROM tasks WHERE job = ?1 ORDER BY idx LIMIT ?2`
	var d jobChange
	steps := 0
	err := t.each(func(r row) error {
		add(&d.counts, scheduler.TaskStatus(r.text(0)), -r.int(1))
		d.steps -= r.int(2)
		steps += r.int(3)
		return nil
	}, `SELECT status, count(*), sum(steps_done), sum(steps) FROM (`+head+`) GROUP BY status`, job, limit)
	if err != nil {
		return 0, err
	}
	n, err := t.exec(`DELETE FROM tasks WHERE id IN (SELECT id FROM (`+head+`))`, job, limit)
	if err != nil || n == 0 {
		return n, err
	}
	if err := t.changeJob(job, d); err != nil {
		return n, err
	}
	_, err = t.exec(`UPDATE jobs SET steps_total = steps_total - ?2 WHERE id = ?1`, job, steps)
	return n, err
}
