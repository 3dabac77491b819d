package store

import (
	"fmt"

	"hayloft/scheduler"
)

// noteCompletion adds a task that is being completed to its worker's pace. When a pace holds eight tasks they are halved
// first, so that it follows what changes while the job runs.
func (t *tx) noteCompletion(task taskRow) error {
	_, err := t.exec(`
		INSERT INTO paces (job, task_type, worker, tasks, steps, elapsed, ended)
		SELECT t.job, ?2, t.worker, 1, max(t.steps, 1), max(?3 - t.claimed_at, 0), ?3 FROM tasks t
			WHERE t.id = ?1 AND t.claim > 0
		ON CONFLICT (job, task_type, worker) DO UPDATE SET
			tasks = tasks / iif(tasks < 8, 1, 2) + 1, steps = steps / iif(tasks < 8, 1, 2) + excluded.steps,
			elapsed = elapsed / iif(tasks < 8, 1, 2) + excluded.elapsed, ended = excluded.ended`,
		task.id, task.Type, stamp(t.at))
	return err
}

// contenders looks at every worker once, by keys. A worker has one task active at most; were there more, the first counts.
const contenders = `
	SELECT w.uuid, w.performance, w.abilities, q.list, p.steps, p.elapsed, p.ended, a.id IS NOT NULL, a.steps,
		CASE WHEN a.job = t.job AND al.task_type = l.task_type THEN a.claimed_at END,
		w.deleted IS NULL AND w.status = 'awake' AND w.requested = ''
		AND EXISTS (SELECT 1 FROM json_each(w.task_types) WHERE value = l.task_type)
		AND (l.tag IS NULL OR EXISTS (SELECT 1 FROM worker_tags wt WHERE wt.worker = w.id AND wt.tag = l.tag))
		AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.job = t.job AND b.worker = w.id AND b.task_type = l.task_type)
		AND NOT EXISTS (SELECT 1 FROM task_failures f WHERE f.task = t.id AND f.worker = w.id)
	FROM tasks t JOIN lanes l ON l.id = t.lane LEFT JOIN requirements q ON q.id = l.requirements CROSS JOIN workers w
	LEFT JOIN paces p ON p.job = t.job AND p.task_type = l.task_type AND p.worker = w.id
	LEFT JOIN tasks a ON a.id = (SELECT min(x.id) FROM tasks x WHERE x.worker = w.id AND x.status = 'active')
	LEFT JOIN lanes al ON al.id = a.lane
	WHERE t.id = ?1 ORDER BY w.id`

func (t readTx) Contenders(id scheduler.TaskID) (list []scheduler.Contender, err error) {
	task, err := t.taskNumber(id)
	if err != nil {
		return nil, err
	}
	err = t.each(func(r row) error {
		c := scheduler.Contender{
			Worker: scheduler.WorkerID{UUID: r.uuid(0)}, Performance: r.float64(1), Steps: r.int(4), Elapsed: r.duration(5),
			Ended: r.time(6), Busy: r.bool(7), Since: r.time(9), Can: r.bool(10),
		}
		if !c.Since.IsZero() {
			c.ActiveSteps = r.int(8)
		}
		if c.Can && r.text(3) != "" {
			abilities, err := textList(r.text(2))
			if err != nil {
				return fmt.Errorf("abilities of worker %s: %w", c.Worker, err)
			}
			requires, err := textList(r.text(3))
			if err != nil {
				return fmt.Errorf("requirements of its job: %w", err)
			}
			c.Can = len(scheduler.Lacking(abilities, requires)) == 0
		}
		if c.Can || c.Steps > 0 {
			list = append(list, c)
		}
		return nil
	}, contenders, task)
	return list, named("contenders for task", id, err)
}
