package store

import (
	"errors"
	"fmt"
	"slices"

	"hayloft/scheduler"
)

// lane is a lane that has something to run.
type lane struct {
	id, job                   int64
	jobPriority, taskPriority int
	taskType                  string
	requirements              int64 // row of the list; 0: none
	bySpeed                   bool
	runnable                  int
}

// level tells whether two lanes stand at the same place in the order, so that the task's index decides.
func (l lane) level(other lane) bool {
	return l.job == other.job && l.jobPriority == other.jobPriority && l.taskPriority == other.taskPriority
}

// lanesFor finds the lanes that are open to a worker, best first. It walks the index lanes_in_order.
const lanesFor = `
	SELECT l.id, l.job, l.job_priority, l.task_priority, l.task_type, l.requirements, l.by_speed, l.runnable
	FROM lanes l
	WHERE l.open = 1 AND l.runnable > 0
	AND (l.tag IS NULL OR EXISTS (SELECT 1 FROM worker_tags wt WHERE wt.worker = ?1 AND wt.tag = l.tag))
	AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.job = l.job AND b.worker = ?1 AND b.task_type = l.task_type)
	ORDER BY l.job_priority DESC, l.task_priority DESC, l.job, l.id`

// headOf finds the first task of a lane that a worker has not failed. It walks the index tasks_runnable from its start,
// past the worker's own failures; their number is bounded, since a worker that fails often is blocked.
const headOf = `SELECT ` + taskStateColumns + `, t.idx` + taskStateTables + `
	WHERE t.lane = ?1 AND t.status IN ('queued', 'soft-failed') AND t.open_needs = 0
	AND NOT EXISTS (SELECT 1 FROM task_failures f WHERE f.task = t.id AND f.worker = ?2)
	ORDER BY t.idx LIMIT 1`

// NextRunnable implements [scheduler.Tx].
func (t *tx) NextRunnable(w scheduler.Worker, leaves func(scheduler.TaskState, int) (bool, error)) (scheduler.TaskState, error) {
	worker, err := t.workerRow(w.ID)
	if err != nil {
		return scheduler.TaskState{}, err
	}
	var best *taskRow
	var bestLane lane
	bestIndex := 0
	able := ability{readTx: t.readTx, of: w.Abilities}
	err = t.each(func(r row) error {
		l := lane{id: r.int64(0), job: r.int64(1), jobPriority: r.int(2), taskPriority: r.int(3), taskType: r.text(4),
			requirements: r.int64(5), bySpeed: r.bool(6), runnable: r.int(7)}
		if best != nil && !l.level(bestLane) {
			return errEnough
		}
		if !slices.Contains(w.TaskTypes, l.taskType) {
			return nil
		}
		if ok, err := able.meets(l.requirements); err != nil || !ok {
			return err
		}
		head, index, err := t.headOf(l, worker)
		if err != nil || head == nil || best != nil && bestIndex < index {
			return err
		}
		if l.bySpeed && leaves != nil {
			if left, err := leaves(head.TaskState, l.runnable); err != nil || left {
				return err
			}
		}
		best, bestLane, bestIndex = head, l, index
		return nil
	}, lanesFor, worker)
	switch {
	case err != nil:
		return scheduler.TaskState{}, named("work for worker", w.ID, err)
	case best == nil:
		return scheduler.TaskState{}, scheduler.ErrNoWork
	}
	t.known = best
	return best.TaskState, nil
}

// headOf gives the first task of a lane that a worker has not failed, and its place in the job; nil: there is none.
func (t *tx) headOf(l lane, worker int64) (head *taskRow, index int, err error) {
	err = t.each(func(r row) error {
		found := taskState(r)
		head, index = &found, r.int(taskStateColumnCount)
		return nil
	}, headOf, l.id, worker)
	return head, index, err
}

// ability judges the requirements of many lanes for one worker. Jobs share their lists, so that each is read and judged
// once however many lanes have it.
type ability struct {
	readTx
	of     []string
	judged map[int64]bool
}

func (a *ability) meets(requirements int64) (ok bool, err error) {
	if requirements == 0 || a.of == nil {
		return true, nil
	}
	if ok, known := a.judged[requirements]; known {
		return ok, nil
	}
	var list []string
	var decodeErr error
	err = a.one(func(r row) { list, decodeErr = textList(r.text(0)) }, `SELECT list FROM requirements WHERE id = ?1`, requirements)
	if err = errors.Join(err, decodeErr); err != nil {
		return false, fmt.Errorf("requirements %d: %w", requirements, err)
	}
	if a.judged == nil {
		a.judged = make(map[int64]bool)
	}
	ok = len(scheduler.Lacking(a.of, list)) == 0
	a.judged[requirements] = ok
	return ok, nil
}
