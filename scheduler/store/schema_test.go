package store

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hayloft/scheduler"
)

// rawConn opens a further connection, as another program would.
func rawConn(t *testing.T, path string) *conn {
	t.Helper()
	c, err := open(context.Background(), path, writerPragmas(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func mustExec(t *testing.T, c *conn, text string, args ...any) {
	t.Helper()
	if _, err := c.exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

// populated makes a database with a row of every kind: rows 1 are a job of three tasks, the third of which needs the
// other two, one worker that has the first, one tag.
func populated(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "hayloft.db")
	s, err := OpenSQLite(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var g ids
	w := aWorker(&g)
	job, tasks := frames(&g, 3)
	tasks[2].Needs = []int{0, 1}
	other, otherTasks := frames(&g, 1)
	other.Requires, other.Share = []string{"osl"}, scheduler.ShareBySpeed
	must(t, s, func(tx scheduler.Tx) error {
		tag := scheduler.Tag{ID: scheduler.TagID{UUID: g.uuid()}, Name: "gpu"}
		sum := strings.Repeat("ab", 32)
		for _, step := range []func() error{
			func() error { return tx.PutWorker(w) },
			func() error { return tx.PutTag(tag) },
			func() error { return tx.SetWorkerTags(w.ID, []scheduler.TagID{tag.ID}) },
			func() error { return tx.InsertJob(job, tasks) },
			func() error { return tx.InsertJob(other, otherTasks) },
			func() error { return tx.Block(job.ID, w.ID, "misc") },
			func() error { return tx.AddFailure(tasks[1].ID, w.ID) },
			func() error { return tx.AppendLog(tasks[0].ID, "text") },
			func() error {
				return tx.AddOutputs(job.ID, []scheduler.Output{{Task: tasks[0].ID, Root: "/out", Path: "1.png", SHA256: sum}})
			},
			func() error {
				task, err := tx.NextRunnable(w, nil)
				if err != nil {
					return err
				}
				_, err = tx.MoveTask(task, scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true})
				return err
			},
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

var refusedStatements = []string{
	`UPDATE jobs SET status = 'bored'`,
	`UPDATE jobs SET priority = 101`,
	`UPDATE jobs SET priority = -1`,
	`UPDATE jobs SET queued = -1`,
	`UPDATE jobs SET active = -1`,
	`UPDATE jobs SET completed = -1`,
	`UPDATE jobs SET failed = -1`,
	`UPDATE jobs SET soft_failed = -1`,
	`UPDATE jobs SET canceled = -1`,
	`UPDATE jobs SET paused = -1`,
	`UPDATE jobs SET runnable = -1`,
	`UPDATE jobs SET steps_completed = -1`,
	`UPDATE jobs SET steps_total = -1`,
	`UPDATE jobs SET preview = 0`,
	`UPDATE jobs SET tag = 77`,
	`UPDATE jobs SET uuid = x'00'`,
	`UPDATE jobs SET uuid = (SELECT uuid FROM jobs WHERE id = 1) WHERE id = 2`,
	`UPDATE job_details SET settings = '{'`,
	`UPDATE job_details SET metadata = ''`,
	`UPDATE tasks SET status = 'soft'`,
	`UPDATE tasks SET status = 'active' WHERE worker IS NULL`,
	`UPDATE tasks SET worker = NULL WHERE status = 'active'`,
	`UPDATE tasks SET worker = NULL, status = 'queued' WHERE claim > 0`,
	`UPDATE tasks SET claim = 1 WHERE claim = 0`,
	`UPDATE tasks SET claimed_at = 1 WHERE claim = 0`,
	`UPDATE tasks SET claim = -1`,
	`UPDATE tasks SET seq = -1`,
	`UPDATE tasks SET failures = -1`,
	`UPDATE tasks SET steps_done = -1`,
	`UPDATE tasks SET steps = -1`,
	`UPDATE tasks SET open_needs = -1`,
	`UPDATE tasks SET has_dependents = 2`,
	`UPDATE tasks SET idx = 0 WHERE idx = 1`,
	`UPDATE tasks SET idx = 2 WHERE idx = 1`,
	`UPDATE tasks SET worker = 77`,
	`UPDATE tasks SET job = 77`,
	`UPDATE tasks SET lane = 77`,
	`UPDATE tasks SET uuid = x'00'`,
	`UPDATE tasks SET uuid = (SELECT uuid FROM tasks WHERE id = 1) WHERE id = 2`,
	`UPDATE tasks SET commands_prefix = -1`,
	`UPDATE lanes SET runnable = -1`,
	`UPDATE lanes SET open = 2`,
	`UPDATE lanes SET job_priority = 101`,
	`UPDATE lanes SET job = 77`,
	`UPDATE lanes SET tag = 77`,
	`INSERT INTO lanes (job, task_type, task_priority, job_priority, open) SELECT job, task_type, task_priority, 1, 0 FROM lanes`,
	`INSERT INTO task_needs (task, needs) VALUES (1, 1)`,
	`INSERT INTO task_needs (task, needs) VALUES (3, 1)`,
	`INSERT INTO task_needs (task, needs) VALUES (1, 77)`,
	`INSERT INTO task_failures (task, worker, lane) VALUES (2, 1, 1)`,
	`INSERT INTO task_failures (task, worker, lane) VALUES (1, 77, 1)`,
	`INSERT INTO blocks (job, worker, task_type) VALUES (1, 1, 'misc')`,
	`INSERT INTO outputs (job, task, root, path, size, sha256) SELECT job, task, root, path, size, sha256 FROM outputs`,
	`UPDATE outputs SET path = ''`,
	`UPDATE outputs SET size = -1`,
	`UPDATE outputs SET sha256 = x'ab'`,
	`UPDATE outputs SET task = 77`,
	`INSERT INTO log_chunks (task, start, bytes) SELECT task, start, bytes FROM log_chunks`,
	`UPDATE log_chunks SET start = -1`,
	`UPDATE log_chunks SET bytes = x''`,
	`UPDATE log_chunks SET task = 77`,
	`UPDATE workers SET status = 'busy'`,
	`UPDATE workers SET requested = 'busy'`,
	`UPDATE workers SET task_types = 'blender'`,
	`UPDATE workers SET can_restart = 2`,
	`UPDATE workers SET abilities = 'gpu'`,
	`UPDATE workers SET performance = 0`,
	`UPDATE jobs SET share = 'size'`,
	`UPDATE lanes SET by_speed = 2`,
	`INSERT INTO paces (job, task_type, worker, tasks, steps, elapsed, ended) VALUES (1, 'blender', 1, 0, 1, 1, 1)`,
	`INSERT INTO paces (job, task_type, worker, tasks, steps, elapsed, ended) VALUES (1, 'blender', 1, 1, 0, 1, 1)`,
	`INSERT INTO paces (job, task_type, worker, tasks, steps, elapsed, ended) VALUES (1, 'blender', 1, 1, 1, -1, 1)`,
	`INSERT INTO paces (job, task_type, worker, tasks, steps, elapsed, ended) VALUES (77, 'blender', 1, 1, 1, 1, 1)`,
	`INSERT INTO paces (job, task_type, worker, tasks, steps, elapsed, ended) VALUES (1, 'blender', 77, 1, 1, 1, 1)`,
	`UPDATE jobs SET requirements = 77`,
	`UPDATE lanes SET requirements = 77`,
	`UPDATE requirements SET list = '['`,
	`INSERT INTO requirements (list) SELECT list FROM requirements`,
	`DELETE FROM requirements`,
	`UPDATE workers SET uuid = x'00'`,
	`UPDATE tags SET uuid = x'00'`,
	`INSERT INTO tags (uuid, name, description) VALUES (randomblob(16), 'gpu', '')`,
	`DELETE FROM workers`,
	`DELETE FROM jobs`,
	`DELETE FROM tasks`,
	`DELETE FROM lanes`,
	`INSERT INTO jobs (uuid, type, checkout, priority, status, created, updated)
		VALUES (randomblob(16), '', '', 1, 'queued', 'now', 1)`,
}

// TestConstraints tries to break each invariant with plain SQL.
func TestConstraints(t *testing.T) {
	c := rawConn(t, populated(t))
	for _, text := range refusedStatements {
		if _, err := c.exec(text); !isConstraint(err) {
			t.Errorf("%s: got error %v, want a constraint to refuse it", text, err)
		}
		c.broken = nil
	}
}

var contradictingStatements = []string{
	`UPDATE jobs SET queued = queued + 1 WHERE id = 1`,
	`UPDATE jobs SET steps_completed = 1 WHERE id = 1`,
	`UPDATE jobs SET steps_total = 1 WHERE id = 1`,
	`UPDATE jobs SET runnable = runnable + 1 WHERE id = 1`,
	`UPDATE jobs SET priority = 51 WHERE id = 1`,
	`UPDATE jobs SET status = 'paused' WHERE id = 1`,
	`UPDATE jobs SET delete_requested_at = 1 WHERE id = 1`,
	`UPDATE jobs SET tag = 1 WHERE id = 1`,
	`UPDATE lanes SET runnable = runnable + 1 WHERE id = 1`,
	`UPDATE lanes SET requirements = NULL WHERE id = 2`,
	`UPDATE jobs SET requirements = 1 WHERE id = 1`,
	`UPDATE jobs SET share = '' WHERE id = 2`,
	`UPDATE lanes SET by_speed = 1 WHERE id = 1`,
	`INSERT INTO requirements (list) VALUES ('["usd"]')`,
	`UPDATE tasks SET open_needs = 1 WHERE id = 3`,
	`UPDATE tasks SET open_needs = 1 WHERE id = 1`,
	`UPDATE tasks SET has_dependents = 0 WHERE id = 1`,
	`UPDATE tasks SET has_dependents = 1 WHERE id = 3`,
	`UPDATE tasks SET status = 'completed' WHERE id = 1`,
	`UPDATE tasks SET lane = 2 WHERE id = 1`,
	`UPDATE tasks SET failures = 0 WHERE id = 2`,
	`UPDATE task_failures SET lane = 2`,
	`UPDATE outputs SET task = 4`,
	`UPDATE log_chunks SET start = 1`,
	`INSERT INTO task_needs (task, needs) VALUES (4, 1)`,
}

// TestCheckFinds contradicts the rules in ways that no constraint can see.
func TestCheckFinds(t *testing.T) {
	for _, text := range contradictingStatements {
		path := populated(t)
		mustExec(t, rawConn(t, path), text)
		if err := openAt(t, path).Check(context.Background()); !errors.Is(err, ErrInconsistent) {
			t.Errorf("%s: got error %v, want %v", text, err, ErrInconsistent)
		}
	}
}

func TestPragmas(t *testing.T) {
	s := openTemp(t)
	must(t, s, func(x scheduler.Tx) error {
		return x.(*tx).checkPragmas(append(writerPragmas(5*time.Second), pragma{"query_only", "0"}))
	})
	err := s.View(context.Background(), func(r scheduler.ReadTx) error {
		c := r.(readTx)
		if err := c.checkPragmas(readerPragmas(5 * time.Second)); err != nil {
			return err
		}
		for _, p := range readerPragmas(5 * time.Second) {
			if err := c.checkPragmas([]pragma{{p.name, p.value + "0"}}); err == nil {
				t.Errorf("another value of %s passes", p.name)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// schema lists what a database is made of, goose's own table aside.
func schema(t *testing.T, path string) (list []string) {
	t.Helper()
	err := rawConn(t, path).each(func(r row) error {
		list = append(list, r.text(0))
		return nil
	}, `SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE tbl_name NOT LIKE '%goose%'
		AND name NOT LIKE 'sqlite_sequence%' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestMigrations goes up, down one, and up again.
func TestMigrations(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "hayloft.db")
	if err := migrate(ctx, path, time.Second); err != nil {
		t.Fatal(err)
	}
	want := schema(t, path)
	if len(want) < 20 {
		t.Fatalf("the schema is %q", want)
	}
	db, provider, err := migrations(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Down(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(want, schema(t, path)) {
		t.Error("going down one took nothing away")
	}
	for range 2 {
		if err := migrate(ctx, path, time.Second); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, schema(t, path)); d != "" {
			t.Errorf("schema after down and up: -want +got\n%s", d)
		}
	}
}

// TestUpgrade opens a database of an earlier version, with everything in it.
func TestUpgrade(t *testing.T) {
	ctx := context.Background()
	path := populated(t)
	db, provider, err := migrations(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	must(t, s, func(tx scheduler.Tx) error {
		workers, err := tx.Workers()
		if err != nil {
			return err
		}
		if len(workers) != 1 || workers[0].Abilities != nil || workers[0].Performance != 1 {
			t.Errorf("workers %+v, want one that never told what it can do and how fast", workers)
		}
		workers[0].Abilities = []string{}
		if err := tx.PutWorker(workers[0]); err != nil {
			return err
		}
		jobs, err := tx.Jobs(scheduler.JobQuery{})
		for _, job := range jobs {
			if job.Requires != nil || job.Share != scheduler.ShareByPulling {
				t.Errorf("job %s requires %q and is shared by %q, want nothing", job.ID, job.Requires, job.Share)
			}
		}
		if err != nil || len(jobs) != 2 {
			t.Errorf("%d jobs, %v; want 2", len(jobs), err)
		}
		_, err = tx.NextRunnable(workers[0], nil)
		return err
	})
}

func TestNewerSchema(t *testing.T) {
	path := populated(t)
	mustExec(t, rawConn(t, path), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	_, err := OpenSQLite(context.Background(), path, Options{})
	if !errors.Is(err, scheduler.ErrNewerSchema) {
		t.Errorf("got error %v, want %v", err, scheduler.ErrNewerSchema)
	}
}

// TestPlans looks at how SQLite runs the statements whose cost must not depend on the number of tasks.
func TestPlans(t *testing.T) {
	c := rawConn(t, populated(t))
	for _, q := range []struct{ name, text, index, whole string }{
		{"lanes for a worker", lanesFor, "lanes_in_order", ""},
		{"idle jobs that require", idleRequiring, "lanes_in_order", ""},
		{"head of a lane", headOf, "tasks_runnable", ""},
		{"active tasks of a worker", `SELECT 1 FROM tasks t WHERE t.worker = ?1 AND t.status = 'active' ORDER BY t.claim, t.id`, "tasks_active", ""},
		{"contenders", contenders, "tasks_active", "SCAN w"}, // each worker once
		{"all active tasks", `SELECT 1 FROM tasks t WHERE t.status = 'active' ORDER BY t.worker, t.id`, "tasks_active", ""},
		{"last task of a worker", `SELECT 1 FROM tasks t WHERE t.worker = ?1 ORDER BY t.claimed_at DESC, t.id DESC LIMIT 1`, "tasks_by_worker", ""},
	} {
		var plan []string
		args := make([]any, strings.Count(q.text, "?"))
		if err := c.each(func(r row) error { plan = append(plan, r.text(3)); return nil }, "EXPLAIN QUERY PLAN "+q.text, args...); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, q.index) {
			t.Errorf("%s does not use the index %s:\n%s", q.name, q.index, text)
		}
		if full := regexp.MustCompile(`(?m)^SCAN \w+$`).FindString(text); full != q.whole {
			t.Errorf("%s reads a whole table:\n%s", q.name, text)
		}
		if strings.Contains(text, "TEMP B-TREE") && q.name != "active tasks of a worker" && q.name != "idle jobs that require" {
			t.Errorf("%s sorts:\n%s", q.name, text)
		}
	}
}
