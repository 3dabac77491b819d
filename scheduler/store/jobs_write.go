package store

import (
	"encoding/json"
	"fmt"

	"hayloft/scheduler"
)

// openLanes sets which lanes are open: the one place that says when a job lets its tasks be claimed.
const openLanes = `
	UPDATE lanes SET open = (SELECT status IN ('queued', 'active') AND delete_requested_at IS NULL FROM jobs WHERE id = ?1)
	WHERE job = ?1`

func (t *tx) SetJobStatus(id scheduler.JobID, status scheduler.JobStatus, activity string) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE jobs SET status = ?2, updated = ?3 WHERE id = ?1`, job, string(status), stamp(t.at)); err != nil {
		return named("status of job", id, err)
	}
	if activity != "" {
		if _, err := t.exec(`UPDATE job_details SET activity = ?2 WHERE job = ?1`, job, activity); err != nil {
			return named("activity of job", id, err)
		}
	}
	_, err = t.exec(openLanes, job)
	return named("lanes of job", id, err)
}

// SetJobPriority implements [scheduler.Tx]. A priority out of bounds is [scheduler.ErrInvalid].
func (t *tx) SetJobPriority(id scheduler.JobID, priority int) error {
	if priority < scheduler.MinPriority || priority > scheduler.MaxPriority {
		return named("job", id, fmt.Errorf("%w: priority %d is not between %d and %d", scheduler.ErrInvalid, priority,
			scheduler.MinPriority, scheduler.MaxPriority))
	}
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE jobs SET priority = ?2, updated = ?3 WHERE id = ?1`, job, priority, stamp(t.at)); err != nil {
		return named("priority of job", id, err)
	}
	_, err = t.exec(`UPDATE lanes SET job_priority = ?2 WHERE job = ?1`, job, priority)
	return named("lanes of job", id, err)
}

func (t *tx) RequestDeletion(id scheduler.JobID) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE jobs SET delete_requested_at = ?2, updated = ?2 WHERE id = ?1 AND delete_requested_at IS NULL`,
		job, stamp(t.at))
	if err != nil {
		return named("deletion of job", id, err)
	}
	_, err = t.exec(openLanes, job)
	return named("lanes of job", id, err)
}

func (t *tx) SetPreview(id scheduler.JobID) error {
	err := t.mustChange(`UPDATE jobs SET preview = 1 + coalesce((SELECT max(preview) FROM jobs), 0), updated = ?2 WHERE uuid = ?1`,
		key(id), stamp(t.at))
	return named("preview of job", id, err)
}

func (t *tx) Block(id scheduler.JobID, worker scheduler.WorkerID, taskType string) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	n, err := t.workerRow(worker)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT OR IGNORE INTO blocks (job, worker, task_type) VALUES (?1, ?2, ?3)`, job, n, taskType)
	return named("blocklist of job", id, err)
}

// Unblock implements [scheduler.Tx]. An entry that is not there is no error.
func (t *tx) Unblock(id scheduler.JobID, worker scheduler.WorkerID, taskType string) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM blocks WHERE job = ?1 AND task_type = ?3 AND worker = (SELECT id FROM workers WHERE uuid = ?2)`,
		job, key(worker), taskType)
	return named("blocklist of job", id, err)
}

// SetJobTag implements [scheduler.Tx]; the lanes carry the tag too.
func (t *tx) SetJobTag(id scheduler.JobID, tag scheduler.TagID) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	var row any
	if !tag.IsZero() {
		if row, err = t.number(`SELECT id FROM tags WHERE uuid = ?1`, key(tag)); err != nil {
			return named("tag", tag, err)
		}
	}
	if _, err := t.exec(`UPDATE jobs SET tag = ?2, updated = ?3 WHERE id = ?1`, job, row, stamp(t.at)); err != nil {
		return named("tag of job", id, err)
	}
	_, err = t.exec(`UPDATE lanes SET tag = ?2 WHERE job = ?1`, job, row)
	return named("lanes of job", id, err)
}

func (t *tx) ClearBlocklist(id scheduler.JobID) error {
	job, err := t.jobRow(id)
	if err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM blocks WHERE job = ?1`, job)
	return named("blocklist of job", id, err)
}

// InsertJob implements [scheduler.Tx]. A need that is not a position in tasks, or needs that go in a circle, are
// [scheduler.ErrInvalid]; an id that is taken is [scheduler.ErrConflict]. Created and Updated are the transaction's time.
func (t *tx) InsertJob(job scheduler.Job, tasks []scheduler.NewTask) error {
	graph, err := newNeedGraph(tasks)
	if err != nil {
		return named("job", job.ID, err)
	}
	in := insertion{tx: t, job: job, tasks: tasks, graph: graph}
	if err := in.insertJob(); err != nil {
		return named("job", job.ID, conflict(err))
	}
	if err := in.insertLanes(); err != nil {
		return named("lanes of job", job.ID, err)
	}
	if err := in.insertTasks(); err != nil {
		return named("tasks of job", job.ID, conflict(err))
	}
	return named("needs of job", job.ID, in.insertNeeds())
}

// conflict says that a row with the same UUID is there, when that is why a statement was refused.
func conflict(err error) error {
	if isUnique(err) {
		return fmt.Errorf("%w: %w", scheduler.ErrConflict, err)
	}
	return err
}

// insertion is a job on its way into the tables.
type insertion struct {
	*tx
	job   scheduler.Job
	tasks []scheduler.NewTask
	graph needGraph

	row   int64      // of the job
	first int64      // row of the first task; the others follow without a gap
	lanes []*newLane // by order of their first tasks
	of    []*newLane // lane of each task
}

type laneKey struct {
	taskType string
	priority int
}

type newLane struct {
	laneKey
	row      int64
	runnable int
	template []byte
}

func (in *insertion) insertJob() error {
	settings, err := jsonObject(in.job.Settings)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	metadata, err := jsonObject(in.job.Metadata)
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	var tag any
	if !in.job.WorkerTag.IsZero() {
		if tag, err = in.number(`SELECT id FROM tags WHERE uuid = ?1`, key(in.job.WorkerTag)); err != nil {
			return named("tag", in.job.WorkerTag, err)
		}
	}
	requirements, err := in.requirements()
	if err != nil {
		return fmt.Errorf("requirements: %w", err)
	}
	runnable, steps := 0, 0
	for i, task := range in.tasks {
		steps += task.Steps
		if len(in.graph.needs[i]) == 0 {
			runnable++
		}
	}
	j := in.job
	_, err = in.exec(`
		INSERT INTO jobs (uuid, type, checkout, priority, tag, status, created, updated, queued, runnable, steps_total,
			silence_limit, total_limit, requirements, share)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)`,
		key(j.ID), j.Type, j.CheckoutID, j.Priority, tag, string(j.Status), stamp(in.at), len(in.tasks), runnable, steps,
		j.Limits.Silence.Microseconds(), j.Limits.Total.Microseconds(), requirements, string(j.Share))
	if err != nil {
		return err
	}
	if in.row, err = in.jobRow(j.ID); err != nil {
		return err
	}
	_, err = in.exec(`INSERT INTO job_details (job, name, activity, settings, metadata) VALUES (?1, ?2, ?3, ?4, ?5)`,
		in.row, j.Name, j.Activity, settings, metadata)
	return err
}

// requirements gives the row of the job's list, which other jobs may have, too; nil when nothing is required.
func (in *insertion) requirements() (any, error) {
	if len(in.job.Requires) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(in.job.Requires)
	if err != nil {
		return nil, err
	}
	if _, err := in.exec(`INSERT OR IGNORE INTO requirements (list) VALUES (?1)`, string(list)); err != nil {
		return nil, err
	}
	return in.number(`SELECT id FROM requirements WHERE list = ?1`, string(list))
}

// jsonObject encodes a map; an absent one is empty.
func jsonObject[V any](m map[string]V) (string, error) {
	if m == nil {
		return "{}", nil
	}
	text, err := json.Marshal(m)
	return string(text), err
}

func (in *insertion) insertLanes() error {
	byKey := make(map[laneKey]*newLane)
	in.of = make([]*newLane, len(in.tasks))
	for i, task := range in.tasks {
		k := laneKey{task.Type, task.Priority}
		l := byKey[k]
		if l == nil {
			l = &newLane{laneKey: k, template: task.Commands}
			byKey[k] = l
			in.lanes = append(in.lanes, l)
		}
		in.of[i] = l
		if len(in.graph.needs[i]) == 0 {
			l.runnable++
		}
	}
	row, err := in.number(`SELECT coalesce(max(id), 0) FROM lanes`)
	if err != nil {
		return err
	}
	for _, l := range in.lanes {
		row++
		l.row = row
		_, err := in.exec(`
			INSERT INTO lanes (id, job, task_type, task_priority, job_priority, tag, requirements, by_speed, open, runnable)
			SELECT ?1, id, ?3, ?4, priority, tag, requirements, share = 'speed', 0, ?5 FROM jobs WHERE id = ?2`, row, in.row, l.taskType, l.priority, l.runnable)
		if err != nil {
			return err
		}
		if _, err := in.exec(`INSERT INTO lane_commands (lane, commands) VALUES (?1, ?2)`, row, orNullBytes(l.template)); err != nil {
			return err
		}
	}
	_, err = in.exec(openLanes, in.row)
	return err
}

func orNullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func (in *insertion) insertTasks() error {
	last, err := in.number(`SELECT coalesce(max(id), 0) FROM tasks`)
	if err != nil {
		return err
	}
	in.first = last + 1
	insert := rowInserter{tx: in.tx, many: insertManyTasks, one: insertOneTask, columns: taskValues}
	created := stamp(in.at)
	for i, task := range in.tasks {
		l := in.of[i]
		own := share(l.template, task.Commands)
		err := insert.add(in.row, created, in.first+int64(i), key(task.ID), l.row, i+1, task.Name, task.Steps, len(in.graph.needs[i]),
			in.graph.hasDependents[i], own.prefix, own.suffix, orNullBytes(own.middle))
		if err != nil {
			return err
		}
	}
	return insert.flush()
}

func (in *insertion) insertNeeds() error {
	insert := rowInserter{tx: in.tx, many: insertManyNeeds, one: insertOneNeed, columns: needValues}
	for i, needs := range in.graph.needs {
		for _, n := range needs {
			if err := insert.add(in.first+int64(i), in.first+int64(n)); err != nil {
				return err
			}
		}
	}
	return insert.flush()
}
