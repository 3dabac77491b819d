package store

import (
	"fmt"

	"hayloft/scheduler"
)

const taskStateColumns = `t.id, t.job, t.lane, t.open_needs, t.has_dependents,
	t.uuid, j.uuid, l.task_type, t.status, w.uuid, t.claim, t.seq, t.failures, t.steps_done, t.steps, l.by_speed`

const taskStateTables = ` FROM tasks t JOIN jobs j ON j.id = t.job JOIN lanes l ON l.id = t.lane
	LEFT JOIN workers w ON w.id = t.worker `

const taskStateColumnCount = 16

// taskRow is a task with what ties it to other rows.
type taskRow struct {
	id, job, lane int64
	openNeeds     int
	hasDependents bool
	bySpeed       bool // its job is shared by speed
	scheduler.TaskState
}

// taskState reads taskStateColumns.
func taskState(r row) taskRow {
	return taskRow{
		id: r.int64(0), job: r.int64(1), lane: r.int64(2), openNeeds: r.int(3), hasDependents: r.bool(4), bySpeed: r.bool(15),
		TaskState: scheduler.TaskState{
			ID: scheduler.TaskID{UUID: r.uuid(5)}, Job: scheduler.JobID{UUID: r.uuid(6)}, Type: r.text(7),
			Status: scheduler.TaskStatus(r.text(8)), Worker: scheduler.WorkerID{UUID: r.uuid(9)},
			Claim: r.int64(10), Seq: r.int64(11), Failures: r.int(12), StepsDone: r.int(13), Steps: r.int(14),
		},
	}
}

func (t readTx) readTask(id scheduler.TaskID) (found taskRow, err error) {
	err = t.one(func(r row) { found = taskState(r) },
		`SELECT `+taskStateColumns+taskStateTables+`WHERE t.uuid = ?1`, key(id))
	return found, named("task", id, err)
}

func (t readTx) TaskState(id scheduler.TaskID) (scheduler.TaskState, error) {
	found, err := t.readTask(id)
	return found.TaskState, err
}

// TaskState remembers the row for the move that most often follows.
func (t *tx) TaskState(id scheduler.TaskID) (scheduler.TaskState, error) {
	found, err := t.readTask(id)
	if err == nil {
		t.known = &found
	}
	return found.TaskState, err
}

const taskColumns = taskStateColumns + `, t.idx, t.name, l.task_priority, t.activity, w.name, w.address, j.created,
	t.updated, t.last_touched, t.claimed_at`

const taskColumnCount = taskStateColumnCount + 10

// wholeTask reads taskColumns.
func wholeTask(r row) scheduler.Task {
	const first = taskStateColumnCount
	return scheduler.Task{
		TaskState: taskState(r).TaskState,
		Index:     r.int(first), Name: r.text(first + 1), Priority: r.int(first + 2), Activity: r.text(first + 3),
		WorkerName: r.text(first + 4), WorkerAddr: r.text(first + 5), Created: r.time(first + 6),
		Updated: r.time(first + 7), LastTouched: r.time(first + 8), ClaimedAt: r.time(first + 9),
	}
}

func (t readTx) Task(id scheduler.TaskID) (task scheduler.Task, err error) {
	err = t.one(func(r row) {
		task = wholeTask(r)
		own := sharedBytes{prefix: r.int(taskColumnCount), suffix: r.int(taskColumnCount + 1), middle: r.bytes(taskColumnCount + 2)}
		task.Commands = own.join(r.bytes(taskColumnCount + 3))
	}, `SELECT `+taskColumns+`, t.commands_prefix, t.commands_suffix, t.commands, lc.commands`+taskStateTables+
		`JOIN lane_commands lc ON lc.lane = t.lane WHERE t.uuid = ?1`, key(id))
	return task, named("task", id, err)
}

func (t readTx) TaskContent(id scheduler.TaskID) (content scheduler.TaskContent, err error) {
	err = t.one(func(r row) {
		own := sharedBytes{prefix: r.int(2), suffix: r.int(3), middle: r.bytes(4)}
		content = scheduler.TaskContent{Name: r.text(0), Priority: r.int(1), Commands: own.join(r.bytes(5))}
	}, `SELECT t.name, l.task_priority, t.commands_prefix, t.commands_suffix, t.commands, lc.commands
		FROM tasks t JOIN lanes l ON l.id = t.lane JOIN lane_commands lc ON lc.lane = t.lane WHERE t.uuid = ?1`, key(id))
	return content, named("task", id, err)
}

func (t readTx) tasks(text string, args ...any) (tasks []scheduler.Task, err error) {
	err = t.each(func(r row) error {
		tasks = append(tasks, wholeTask(r))
		return nil
	}, `SELECT `+taskColumns+taskStateTables+text, args...)
	return tasks, err
}

func (t readTx) Tasks(id scheduler.JobID, after, limit int) ([]scheduler.Task, error) {
	job, err := t.jobRow(id)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = -1
	}
	tasks, err := t.tasks(`WHERE t.job = ?1 AND t.idx > ?2 ORDER BY t.idx LIMIT ?3`, job, after, limit)
	return tasks, named("tasks of job", id, err)
}

func (t readTx) ActiveTasks(worker scheduler.WorkerID) (tasks []scheduler.TaskState, err error) {
	n, err := t.workerRow(worker)
	if err != nil {
		return nil, err
	}
	err = t.each(func(r row) error {
		tasks = append(tasks, taskState(r).TaskState)
		return nil
	}, `SELECT `+taskStateColumns+taskStateTables+`WHERE t.worker = ?1 AND t.status = 'active' ORDER BY t.claim, t.id`, n)
	return tasks, named("active tasks of worker", worker, err)
}

// AllActiveTasks implements [scheduler.ReadTx], by worker.
func (t readTx) AllActiveTasks() ([]scheduler.Task, error) {
	tasks, err := t.tasks(`WHERE t.status = 'active' ORDER BY t.worker, t.id`)
	if err != nil {
		return nil, fmt.Errorf("list active tasks: %w", err)
	}
	return tasks, nil
}

func (t readTx) LastTask(worker scheduler.WorkerID) (scheduler.Task, error) {
	n, err := t.workerRow(worker)
	if err != nil {
		return scheduler.Task{}, err
	}
	tasks, err := t.tasks(`WHERE t.worker = ?1 ORDER BY t.claimed_at DESC, t.id DESC LIMIT 1`, n)
	if err == nil && len(tasks) == 0 {
		err = scheduler.ErrNotFound
	}
	if err != nil {
		return scheduler.Task{}, named("last task of worker", worker, err)
	}
	return tasks[0], nil
}

// FailedBy implements [scheduler.ReadTx], by name. It names workers that were deleted since, too.
func (t readTx) FailedBy(id scheduler.TaskID) ([]scheduler.Worker, error) {
	task, err := t.taskNumber(id)
	if err != nil {
		return nil, err
	}
	workers, err := t.workers(`JOIN task_failures f ON f.worker = w.id WHERE f.task = ?1 ORDER BY w.name, w.id`, task)
	return workers, named("failures of task", id, err)
}

// taskNumber gives the number of a task's row.
func (t readTx) taskNumber(id scheduler.TaskID) (int64, error) {
	n, err := t.number(`SELECT id FROM tasks WHERE uuid = ?1`, key(id))
	return n, named("task", id, err)
}

func (t readTx) CapableWorkers(id scheduler.TaskID) (int, error) {
	task, err := t.taskNumber(id)
	if err != nil {
		return 0, err
	}
	able := 0
	err = t.each(func(r row) error {
		abilities, err := textList(r.text(0))
		if err != nil {
			return fmt.Errorf("abilities of a worker: %w", err)
		}
		requires, err := textList(r.text(1))
		if err == nil && len(scheduler.Lacking(abilities, requires)) == 0 {
			able++
		}
		return err
	}, `
		SELECT w.abilities, q.list FROM tasks t JOIN lanes l ON l.id = t.lane LEFT JOIN requirements q ON q.id = l.requirements
			JOIN workers w ON w.deleted IS NULL AND w.status NOT IN ('offline', 'error')
			AND EXISTS (SELECT 1 FROM json_each(w.task_types) WHERE value = l.task_type)
			AND (l.tag IS NULL OR EXISTS (SELECT 1 FROM worker_tags wt WHERE wt.worker = w.id AND wt.tag = l.tag))
			AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.job = t.job AND b.worker = w.id AND b.task_type = l.task_type)
			AND NOT EXISTS (SELECT 1 FROM task_failures f WHERE f.task = t.id AND f.worker = w.id)
		WHERE t.id = ?1`, task)
	return able, named("workers for task", id, err)
}

func (t readTx) FailuresOf(worker scheduler.WorkerID, job scheduler.JobID, taskType string) (int, error) {
	n, err := t.number(`
		SELECT count(*) FROM lanes l JOIN task_failures f ON f.lane = l.id
		WHERE l.job = (SELECT id FROM jobs WHERE uuid = ?2) AND l.task_type = ?3
		AND f.worker = (SELECT id FROM workers WHERE uuid = ?1)`, key(worker), key(job), taskType)
	return int(n), named("failures of worker", worker, err)
}

func (t readTx) LogSize(id scheduler.TaskID) (int64, error) {
	n, err := t.number(`
		SELECT (SELECT c.start + length(c.bytes) FROM log_chunks c WHERE c.task = t.id ORDER BY c.start DESC LIMIT 1)
		FROM tasks t WHERE t.uuid = ?1`, key(id))
	return n, named("log of task", id, err)
}

func (t readTx) Log(id scheduler.TaskID, from int64, limit int) ([]byte, error) {
	task, err := t.taskNumber(id)
	if err != nil {
		return nil, err
	}
	if from < 0 {
		return nil, named("log of task", id, fmt.Errorf("%w: offset %d", scheduler.ErrInvalid, from))
	}
	log := []byte{}
	err = t.each(func(r row) error {
		if len(log) >= limit {
			return errEnough
		}
		piece := r.bytes(1)[max(0, from-r.int64(0)):]
		log = append(log, piece[:min(len(piece), limit-len(log))]...)
		return nil
	}, `SELECT start, bytes FROM log_chunks WHERE task = ?1 AND start + length(bytes) > ?2 AND start >= coalesce(
			(SELECT max(start) FROM log_chunks WHERE task = ?1 AND start <= ?2), 0)
		ORDER BY start`, task, from)
	return log, named("log of task", id, err)
}
