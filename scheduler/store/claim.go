package store

import (
	"slices"

	"hayloft/scheduler"
)

// lane is a lane that has something to run.
type lane struct {
	id, job                   int64
	jobPriority, taskPriority int
	taskType                  string
}

// level tells whether two lanes stand at the same place in the order, so that the task's index decides.
func (l lane) level(other lane) bool {
	return l.job == other.job && l.jobPriority == other.jobPriority && l.taskPriority == other.taskPriority
}

// lanesFor finds the lanes that are open to a worker, best first. It walks the index lanes_in_order.
const lanesFor = `
	SELECT l.id, l.job, l.job_priority, l.task_priority, l.task_type FROM lanes l
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
func (t *tx) NextRunnable(w scheduler.Worker) (scheduler.TaskState, error) {
	worker, err := t.workerRow(w.ID)
	if err != nil {
		return scheduler.TaskState{}, err
	}
	var best *taskRow
	var bestLane lane
	bestIndex := 0
	err = t.each(func(r row) error {
		l := lane{id: r.int64(0), job: r.int64(1), jobPriority: r.int(2), taskPriority: r.int(3), taskType: r.text(4)}
		if best != nil && !l.level(bestLane) {
			return errEnough
		}
		if !slices.Contains(w.TaskTypes, l.taskType) {
			return nil
		}
		return t.each(func(r row) error {
			if index := r.int(taskStateColumnCount); best == nil || index < bestIndex {
				found := taskState(r)
				best, bestLane, bestIndex = &found, l, index
			}
			return nil
		}, headOf, l.id, worker)
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
