package store

import (
	"encoding/hex"
	"fmt"
	"time"

	"hayloft/scheduler"
)

func (t *tx) TouchTask(task scheduler.TaskState, activity *string, stepsDone *int, seq int64) error {
	now, err := t.current(task)
	if err != nil {
		return err
	}
	var text any
	if activity != nil {
		text = *activity
	}
	_, err = t.exec(`
		UPDATE tasks SET activity = coalesce(?2, activity), steps_done = coalesce(?3, steps_done),
			seq = coalesce(nullif(?4, 0), seq), updated = ?5, last_touched = ?5
		WHERE id = ?1`, now.id, text, orNullInt(stepsDone), seq, stamp(t.at))
	if err != nil {
		return named("task", task.ID, err)
	}
	if stepsDone == nil || *stepsDone == now.StepsDone {
		return nil
	}
	return named("job", task.Job, t.changeJob(now.job, jobChange{steps: *stepsDone - now.StepsDone}))
}

func (t *tx) AddFailure(id scheduler.TaskID, worker scheduler.WorkerID) error {
	n, err := t.workerRow(worker)
	if err != nil {
		return err
	}
	if err := t.mustChange(`UPDATE tasks SET failures = failures + 1, updated = ?2 WHERE uuid = ?1`, key(id), stamp(t.at)); err != nil {
		return named("task", id, err)
	}
	_, err = t.exec(`INSERT OR IGNORE INTO task_failures (task, worker, lane) SELECT id, ?2, lane FROM tasks WHERE uuid = ?1`, key(id), n)
	return named("failures of task", id, err)
}

func (t *tx) ForgetFailedBy(id scheduler.TaskID) error {
	task, err := t.taskNumber(id)
	if err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM task_failures WHERE task = ?1`, task)
	return named("failures of task", id, err)
}

// AppendLog implements [scheduler.Tx]. The log is bytes: text that is not UTF-8 comes back as it was.
func (t *tx) AppendLog(id scheduler.TaskID, text string) error {
	if text == "" {
		_, err := t.taskNumber(id)
		return err
	}
	err := t.mustChange(`
		INSERT INTO log_chunks (task, start, bytes) SELECT t.id, coalesce(
			(SELECT c.start + length(c.bytes) FROM log_chunks c WHERE c.task = t.id ORDER BY c.start DESC LIMIT 1), 0), ?2
		FROM tasks t WHERE t.uuid = ?1`, key(id), []byte(text))
	return named("log of task", id, err)
}

// AddOutputs implements [scheduler.Tx]. A task of another job is [scheduler.ErrNotFound], a malformed SHA-256
// [scheduler.ErrInvalid].
func (t *tx) AddOutputs(id scheduler.JobID, outputs []scheduler.Output) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	for _, o := range outputs {
		sum, err := hex.DecodeString(o.SHA256)
		if err != nil || len(sum) != 32 || o.Path == "" || o.Size < 0 {
			return fmt.Errorf("output %q of task %s, size %d, SHA-256 %q: %w", o.Path, o.Task, o.Size, o.SHA256, scheduler.ErrInvalid)
		}
		err = t.mustChange(`
			INSERT INTO outputs (job, task, root, path, size, sha256)
			SELECT ?1, t.id, ?3, ?4, ?5, ?6 FROM tasks t WHERE t.uuid = ?2 AND t.job = ?1
			ON CONFLICT (job, root, path) DO UPDATE SET task = excluded.task, size = excluded.size, sha256 = excluded.sha256`,
			job, key(o.Task), o.Root, o.Path, o.Size, sum)
		if err != nil {
			return fmt.Errorf("output %q of task %s: %w", o.Path, o.Task, err)
		}
	}
	return nil
}

// TouchTasks implements [scheduler.Tx]. Tasks that are not there any more are passed over.
func (t *tx) TouchTasks(at map[scheduler.TaskID]time.Time) error {
	for id, when := range at {
		if _, err := t.exec(`UPDATE tasks SET last_touched = ?2 WHERE uuid = ?1`, key(id), stamp(when)); err != nil {
			return named("task", id, err)
		}
	}
	return nil
}
