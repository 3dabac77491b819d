package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"hayloft/scheduler"
)

// This file is the one place that keeps derived numbers in step with the tasks:
//
//   - a job's counts per status, and steps_completed: the sums over its tasks;
//   - a task's open_needs: how many of its needs are not completed;
//   - a task is runnable when it waits (queued or soft-failed) with no open needs; a lane's runnable counts these, and a
//     job's runnable is the sum over its lanes.
//
// InsertJob sets them at first, DeleteJobPart takes a job apart, and Check recomputes them.

// waiting is the SQL of scheduler.TaskStatus.Waiting. The index tasks_runnable serves a query only in these words.
const waiting = `t.status IN ('queued', 'soft-failed')`

func runnable(status scheduler.TaskStatus, openNeeds int) bool {
	return status.Waiting() && openNeeds == 0
}

// jobChange is what is added to a job's numbers.
type jobChange struct {
	counts   scheduler.TaskCounts
	runnable int
	steps    int
}

// add counts n more tasks of a status.
func add(c *scheduler.TaskCounts, status scheduler.TaskStatus, n int) {
	switch status {
	case scheduler.TaskQueued:
		c.Queued += n
	case scheduler.TaskActive:
		c.Active += n
	case scheduler.TaskCompleted:
		c.Completed += n
	case scheduler.TaskFailed:
		c.Failed += n
	case scheduler.TaskSoftFailed:
		c.SoftFailed += n
	case scheduler.TaskCanceled:
		c.Canceled += n
	case scheduler.TaskPaused:
		c.Paused += n
	}
}

func (t *tx) changeJob(job int64, d jobChange) error {
	c := d.counts
	_, err := t.exec(`
		UPDATE jobs SET queued = queued + ?, active = active + ?, completed = completed + ?, failed = failed + ?,
			soft_failed = soft_failed + ?, canceled = canceled + ?, paused = paused + ?, runnable = runnable + ?,
			steps_completed = steps_completed + ?, updated = ?
		WHERE id = ?`,
		c.Queued, c.Active, c.Completed, c.Failed, c.SoftFailed, c.Canceled, c.Paused, d.runnable, d.steps, stamp(t.at), job)
	return err
}

func (t *tx) changeLane(lane int64, runnable int) error {
	_, err := t.exec(`UPDATE lanes SET runnable = runnable + ?2 WHERE id = ?1`, lane, runnable)
	return err
}

// current returns the row behind a state that the caller read in this transaction, and refuses one that has changed.
func (t *tx) current(task scheduler.TaskState) (taskRow, error) {
	var now taskRow
	if t.known != nil && t.known.ID == task.ID {
		now = *t.known
	} else {
		var err error
		if now, err = t.readTask(task.ID); err != nil {
			return now, err
		}
	}
	if now.Status != task.Status || now.Claim != task.Claim {
		return now, fmt.Errorf("task %s: %w: it is %s under claim %d by now, not %s under claim %d", task.ID,
			scheduler.ErrTransition, now.Status, now.Claim, task.Status, task.Claim)
	}
	return now, nil
}

// MoveTask implements [scheduler.Tx]. task must be as it was read in this transaction; a status or claim that differs is
// [scheduler.ErrTransition]. The count leaves the job's status aside: it is about the tasks.
func (t *tx) MoveTask(task scheduler.TaskState, move scheduler.TaskMove) (int, error) {
	from, err := t.current(task)
	if err != nil {
		return 0, err
	}
	if err := t.writeMove(from, move); err != nil {
		return 0, named("task", task.ID, err)
	}
	if from.bySpeed && from.Status == scheduler.TaskActive && move.To == scheduler.TaskCompleted {
		if err := t.noteCompletion(from); err != nil {
			return 0, named("pace of the worker of task", task.ID, err)
		}
	}
	var d jobChange
	add(&d.counts, from.Status, -1)
	add(&d.counts, move.To, 1)
	if move.StepsDone != nil {
		d.steps = *move.StepsDone - from.StepsDone
	}
	became := 0
	was, is := runnable(from.Status, from.openNeeds), runnable(move.To, from.openNeeds)
	if was != is {
		n := -1
		if is {
			n, became = 1, 1
		}
		if err := t.changeLane(from.lane, n); err != nil {
			return 0, named("lane of task", task.ID, err)
		}
		d.runnable += n
	}
	wasDone, isDone := from.Status == scheduler.TaskCompleted, move.To == scheduler.TaskCompleted
	if from.hasDependents && wasDone != isDone {
		n, err := t.changeDependents(from.id, isDone)
		if err != nil {
			return 0, named("dependents of task", task.ID, err)
		}
		d.runnable += n
		became += max(n, 0)
	}
	return became, named("job", task.Job, t.changeJob(from.job, d))
}

// writeMove changes the task's own row. The columns that have an index on the worker change with a claim only.
func (t *tx) writeMove(from taskRow, move scheduler.TaskMove) error {
	var failures any
	if move.ResetFailures {
		failures = 0
		if _, err := t.exec(`DELETE FROM task_failures WHERE task = ?1`, from.id); err != nil {
			return err
		}
	}
	var err error
	if move.NewClaim {
		_, err = t.exec(`
			UPDATE tasks SET status = ?2, activity = coalesce(?3, activity), steps_done = coalesce(?4, steps_done),
				failures = coalesce(?5, failures), seq = ?6, updated = ?7, last_touched = ?7, claim = claim + 1, claimed_at = ?7,
				worker = (SELECT id FROM workers WHERE uuid = ?8)
			WHERE id = ?1`,
			from.id, string(move.To), orNull(move.Activity), orNullInt(move.StepsDone), failures, move.Seq, stamp(t.at), key(move.Worker))
	} else {
		_, err = t.exec(`
			UPDATE tasks SET status = ?2, activity = coalesce(?3, activity), steps_done = coalesce(?4, steps_done),
				failures = coalesce(?5, failures), seq = coalesce(nullif(?6, 0), seq), updated = ?7
			WHERE id = ?1`,
			from.id, string(move.To), orNull(move.Activity), orNullInt(move.StepsDone), failures, move.Seq, stamp(t.at))
		if err == nil && !move.Worker.IsZero() && move.Worker != from.Worker {
			_, err = t.exec(`UPDATE tasks SET worker = (SELECT id FROM workers WHERE uuid = ?2) WHERE id = ?1`, from.id, key(move.Worker))
		}
	}
	if isConstraint(err) && !move.Worker.IsZero() {
		if _, missing := t.workerRow(move.Worker); missing != nil {
			return missing
		}
	}
	return err
}

// changeDependents corrects the open needs of the tasks that need a task which has become completed, or is no longer. It
// returns how many more of them are runnable; less is negative.
func (t *tx) changeDependents(task int64, completed bool) (int, error) {
	step, edge := 1, 0 // those without open needs get one and stop being runnable
	if completed {
		step, edge = -1, 1 // those with one left lose it and become runnable
	}
	perLane := make(map[int64]int)
	err := t.each(func(r row) error {
		perLane[r.int64(0)] = r.int(1)
		return nil
	}, `SELECT t.lane, count(*) FROM task_needs n JOIN tasks t ON t.id = n.task
		WHERE n.needs = ?1 AND t.open_needs = ?2 AND `+waiting+` GROUP BY t.lane`, task, edge)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(`UPDATE tasks SET open_needs = open_needs + ?2
		WHERE id IN (SELECT task FROM task_needs WHERE needs = ?1)`, task, step)
	if err != nil {
		return 0, err
	}
	total := 0
	for lane, n := range perLane {
		n *= -step
		if err := t.changeLane(lane, n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// MoveTasks implements [scheduler.Tx]. It cannot claim: a move to active, with a worker or with a Seq is
// [scheduler.ErrInvalid]. Like MoveTask it counts as runnable without regard to the job's status.
func (t *tx) MoveTasks(id scheduler.JobID, from []scheduler.TaskStatus, move scheduler.TaskMove) (scheduler.Mass, error) {
	if move.To == scheduler.TaskActive || move.NewClaim || !move.Worker.IsZero() || move.Seq != 0 {
		return scheduler.Mass{}, named("tasks of job", id, fmt.Errorf("%w: tasks are claimed one by one", scheduler.ErrInvalid))
	}
	job, err := t.JobState(id)
	if err != nil {
		return scheduler.Mass{}, err
	}
	n, err := t.jobRow(id)
	if err != nil {
		return scheduler.Mass{}, err
	}
	m := massMove{tx: t, job: n, from: slices.Compact(slices.Sorted(slices.Values(from))), move: move}
	for _, status := range m.from {
		m.moved += job.Tasks.Of(status)
		add(&m.change.counts, status, -job.Tasks.Of(status))
		add(&m.change.counts, move.To, job.Tasks.Of(status))
	}
	if m.moved == 0 {
		return scheduler.Mass{}, nil
	}
	mass, err := m.run()
	return mass, named("tasks of job", id, err)
}

// massMove moves all tasks of a job that are in some statuses, by statements over sets.
type massMove struct {
	*tx
	job    int64
	from   []scheduler.TaskStatus // sorted
	move   scheduler.TaskMove
	moved  int
	change jobChange
}

// inFrom needs ?2 to be the JSON array of the statuses.
const inFrom = `t.status IN (SELECT value FROM json_each(?2))`

func (m *massMove) run() (scheduler.Mass, error) {
	list, err := json.Marshal(m.from)
	if err != nil {
		return scheduler.Mass{}, err
	}
	from := string(list)
	mass := scheduler.Mass{Moved: m.moved}
	if mass.Workers, err = m.workersAtWork(); err != nil {
		return mass, err
	}
	if mass.Runnable, err = m.settleNeeds(from); err != nil {
		return mass, err
	}
	if m.move.To.Waiting() {
		n, err := m.number(`SELECT count(*) FROM tasks t WHERE t.job = ?1 AND `+inFrom+` AND NOT `+waiting+` AND t.open_needs = 0`,
			m.job, from)
		if err != nil {
			return mass, err
		}
		mass.Runnable = int(n)
	}
	if err := m.write(from); err != nil {
		return mass, err
	}
	if err := m.changeJob(m.job, m.change); err != nil {
		return mass, err
	}
	return mass, m.recountLanes()
}

// workersAtWork lists who loses a task.
func (m *massMove) workersAtWork() (workers []scheduler.WorkerID, err error) {
	if _, found := slices.BinarySearch(m.from, scheduler.TaskActive); !found {
		return nil, nil
	}
	err = m.each(func(r row) error {
		workers = append(workers, scheduler.WorkerID{UUID: r.uuid(0)})
		return nil
	}, `SELECT DISTINCT w.uuid FROM tasks t JOIN workers w ON w.id = t.worker WHERE t.status = 'active' AND t.job = ?1
		ORDER BY w.id`, m.job)
	return workers, err
}

// settleNeeds sets the open needs as they will be after the move, and returns how many tasks that are not moved become
// runnable by it. It runs before the statuses change, so that moved tasks can still be told by their status.
func (m *massMove) settleNeeds(from string) (became int, err error) {
	_, reopens := slices.BinarySearch(m.from, scheduler.TaskCompleted)
	completes := m.move.To == scheduler.TaskCompleted
	if !reopens && !completes {
		return 0, nil
	}
	const staying = `SELECT count(*) FROM tasks t WHERE t.job = ?1 AND NOT ` + inFrom + ` AND ` + waiting + ` AND t.open_needs = 0`
	before, err := m.number(staying, m.job, from)
	if err != nil {
		return 0, err
	}
	_, err = m.exec(`
		UPDATE tasks SET open_needs = (
			SELECT count(*) FROM task_needs n JOIN tasks t ON t.id = n.needs WHERE n.task = tasks.id
			AND CASE WHEN `+inFrom+` THEN ?3 ELSE t.status <> 'completed' END)
		WHERE job = ?1 AND EXISTS (SELECT 1 FROM task_needs n WHERE n.task = tasks.id)`, m.job, from, !completes)
	if err != nil {
		return 0, err
	}
	after, err := m.number(staying, m.job, from)
	return int(max(0, after-before)), err
}

// write changes the tasks, and notes the change of the job's steps.
func (m *massMove) write(from string) error {
	if m.move.StepsDone != nil {
		sum, err := m.number(`SELECT sum(t.steps_done) FROM tasks t WHERE t.job = ?1 AND `+inFrom, m.job, from)
		if err != nil {
			return err
		}
		m.change.steps = m.moved**m.move.StepsDone - int(sum)
	}
	var failures any
	if m.move.ResetFailures {
		failures = 0
		_, err := m.exec(`
			DELETE FROM task_failures WHERE lane IN (SELECT id FROM lanes WHERE job = ?1)
			AND task IN (SELECT t.id FROM tasks t WHERE t.job = ?1 AND `+inFrom+`)`, m.job, from)
		if err != nil {
			return err
		}
	}
	n, err := m.exec(`
		UPDATE tasks AS t SET status = ?3, activity = coalesce(?4, activity), steps_done = coalesce(?5, steps_done),
			failures = coalesce(?6, failures), updated = ?7
		WHERE t.job = ?1 AND `+inFrom,
		m.job, from, string(m.move.To), orNull(m.move.Activity), orNullInt(m.move.StepsDone), failures, stamp(m.at))
	if err == nil && n != m.moved {
		err = fmt.Errorf("the job counts %d tasks where there are %d: run `hayloft doctor`", m.moved, n)
	}
	return err
}

func (m *massMove) recountLanes() error {
	_, err := m.exec(`
		UPDATE lanes SET runnable = (SELECT count(*) FROM tasks t WHERE t.lane = lanes.id AND `+waiting+` AND t.open_needs = 0)
		WHERE job = ?1`, m.job)
	if err != nil {
		return err
	}
	_, err = m.exec(`
		UPDATE jobs SET runnable = (SELECT coalesce(sum(runnable), 0) FROM lanes WHERE job = ?1) WHERE id = ?1`, m.job)
	return err
}

// orNull gives NULL for what is to stay as it is.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func orNullInt(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}
