package store

import (
	"context"
	"errors"
	"fmt"

	"hayloft/scheduler"
)

// ErrInconsistent says that the database contradicts itself.
var ErrInconsistent = errors.New("the database contradicts itself")

// jobsBeingDeleted have no meaningful runnable and open needs; see DeleteJobPart.
const jobsBeingDeleted = `(SELECT id FROM jobs WHERE delete_requested_at IS NOT NULL)`

// contradictions each select a text for every row that is not what the rules say.
var contradictions = []string{
	`SELECT 'job ' || j.id || ' counts ' || j.queued || '/' || j.active || '/' || j.completed || '/' || j.failed || '/' ||
			j.soft_failed || '/' || j.canceled || '/' || j.paused || ' tasks and ' || j.steps_completed || '/' || j.steps_total ||
			' steps, there are ' || c.counts || ' and ' || c.steps
		FROM jobs j JOIN (SELECT jobs.id,
			count(*) FILTER (WHERE t.status = 'queued') || '/' || count(*) FILTER (WHERE t.status = 'active') || '/' ||
			count(*) FILTER (WHERE t.status = 'completed') || '/' || count(*) FILTER (WHERE t.status = 'failed') || '/' ||
			count(*) FILTER (WHERE t.status = 'soft-failed') || '/' || count(*) FILTER (WHERE t.status = 'canceled') || '/' ||
			count(*) FILTER (WHERE t.status = 'paused') AS counts,
			coalesce(sum(t.steps_done), 0) || '/' || coalesce(sum(t.steps), 0) AS steps
			FROM jobs LEFT JOIN tasks t ON t.job = jobs.id GROUP BY jobs.id) c ON c.id = j.id
		WHERE c.counts <> j.queued || '/' || j.active || '/' || j.completed || '/' || j.failed || '/' || j.soft_failed || '/' ||
			j.canceled || '/' || j.paused OR c.steps <> j.steps_completed || '/' || j.steps_total`,
	`SELECT 'task ' || t.id || ' has ' || t.open_needs || ' open needs, there are ' || c.n
		FROM tasks t JOIN (SELECT n.task, count(*) FILTER (WHERE d.status <> 'completed') AS n
			FROM task_needs n JOIN tasks d ON d.id = n.needs GROUP BY n.task) c ON c.task = t.id
		WHERE t.open_needs <> c.n AND t.job NOT IN ` + jobsBeingDeleted,
	`SELECT 'task ' || t.id || ' has ' || t.open_needs || ' open needs, but needs nothing' FROM tasks t
		WHERE t.open_needs > 0 AND NOT EXISTS (SELECT 1 FROM task_needs n WHERE n.task = t.id)
		AND t.job NOT IN ` + jobsBeingDeleted,
	`SELECT 'task ' || t.id || ' is wrong about having dependents' FROM tasks t
		WHERE t.has_dependents <> EXISTS (SELECT 1 FROM task_needs n WHERE n.needs = t.id)
		AND t.job NOT IN ` + jobsBeingDeleted,
	`SELECT 'lane ' || l.id || ' has ' || l.runnable || ' runnable tasks, there are ' || c.n
		FROM lanes l JOIN (SELECT lanes.id, count(t.id) AS n FROM lanes LEFT JOIN tasks t ON t.lane = lanes.id
			AND t.status IN ('queued', 'soft-failed') AND t.open_needs = 0 GROUP BY lanes.id) c ON c.id = l.id
		WHERE l.runnable <> c.n AND l.job NOT IN ` + jobsBeingDeleted,
	`SELECT 'job ' || j.id || ' has ' || j.runnable || ' runnable tasks, its lanes have others' FROM jobs j
		WHERE j.delete_requested_at IS NULL
		AND j.runnable <> (SELECT coalesce(sum(l.runnable), 0) FROM lanes l WHERE l.job = j.id)`,
	`SELECT 'lane ' || l.id || ' does not follow job ' || j.id FROM lanes l JOIN jobs j ON j.id = l.job
		WHERE l.job_priority <> j.priority OR l.tag IS NOT j.tag OR l.requirements IS NOT j.requirements
		OR l.by_speed <> (j.share = 'speed') OR l.open <> (j.status IN ('queued', 'active') AND j.delete_requested_at IS NULL)`,
	`SELECT 'the requirements ' || q.id || ' are no job''s' FROM requirements q
		WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.requirements = q.id)`,
	`SELECT 'task ' || t.id || ' is in a lane of another job' FROM tasks t JOIN lanes l ON l.id = t.lane WHERE l.job <> t.job`,
	`SELECT 'output ' || o.id || ' is of a task of another job' FROM outputs o JOIN tasks t ON t.id = o.task WHERE t.job <> o.job`,
	`SELECT 'the failure list of task ' || f.task || ' is wrong' FROM task_failures f JOIN tasks t ON t.id = f.task
		WHERE t.lane <> f.lane OR t.failures = 0`,
	`SELECT 'task ' || n.task || ' needs a task of another job' FROM task_needs n JOIN tasks t ON t.id = n.task
		JOIN tasks d ON d.id = n.needs WHERE t.job <> d.job`,
	`SELECT 'the log of task ' || c.task || ' has a gap or an overlap at ' || c.start FROM (
			SELECT task, start, coalesce(lag(start + length(bytes)) OVER (PARTITION BY task ORDER BY start), 0) AS expected
			FROM log_chunks) c
		WHERE c.start <> c.expected AND c.task NOT IN (SELECT id FROM tasks WHERE job IN ` + jobsBeingDeleted + `)`,
	`SELECT 'table ' || "table" || ' row ' || rowid || ' refers to nothing in ' || parent FROM pragma_foreign_key_check`,
	`SELECT quick_check FROM pragma_quick_check WHERE quick_check <> 'ok'`,
}

// Check recomputes everything that is derived, and has SQLite look over its file. It returns [ErrInconsistent] with each
// contradiction it found, at most ten of a kind. It reads the whole database: 10 s for a million tasks is normal.
func (s *SQLite) Check(ctx context.Context) error {
	return s.View(ctx, func(r scheduler.ReadTx) error {
		var found []error
		for _, text := range contradictions {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("check the database: %w", err)
			}
			err := r.(readTx).each(func(r row) error {
				found = append(found, fmt.Errorf("%w: %s", ErrInconsistent, r.text(0)))
				return nil
			}, text+` LIMIT 10`)
			if err != nil {
				return fmt.Errorf("check the database: %w", err)
			}
		}
		return errors.Join(found...)
	})
}
