package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"hayloft/scheduler"
)

// ids makes UUIDs that grow, as those of version 7 do.
type ids struct{ next uint64 }

func (g *ids) uuid() (u uuid.UUID) {
	g.next++
	binary.BigEndian.PutUint64(u[:8], g.next)
	u[6], u[8] = u[6]&0x0f|0x70, 0x80
	binary.BigEndian.PutUint32(u[12:], uint32(g.next))
	return u
}

func openAt(tb testing.TB, path string) *SQLite {
	tb.Helper()
	s, err := OpenSQLite(context.Background(), path, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func openTemp(tb testing.TB) *SQLite {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "hayloft.db"))
}

func must(tb testing.TB, s *SQLite, fn func(scheduler.Tx) error) {
	tb.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		tb.Fatal(err)
	}
}

// frames makes a job of render tasks, each with 700 bytes of commands as a real one has.
func frames(g *ids, n int) (scheduler.Job, []scheduler.NewTask) {
	job := scheduler.Job{
		ID: scheduler.JobID{UUID: g.uuid()}, Name: "shot 010", Type: "simple-blender-render", Priority: 50,
		Status: scheduler.JobQueued, Settings: map[string]any{"frames": "1-1000", "format": "PNG"},
	}
	tasks := make([]scheduler.NewTask, n)
	for i := range tasks {
		tasks[i] = scheduler.NewTask{
			ID: scheduler.TaskID{UUID: g.uuid()}, Name: fmt.Sprintf("render-%d", i+1), Type: "blender", Priority: 50, Steps: 1,
			Commands: fmt.Appendf(nil, `[{"name":"blender-render","parameters":{"exe":"{blender}","exeArgs":"{blenderArgs}",`+
				`"argsBefore":["--python-expr","%0350d"],"blendfile":"{jobs}/shot-010-4f2a/scenes/shot_010.blend",`+
				`"args":["--render-output","{render}/shot_010/2026-11-21_120000/######","--render-format","PNG","--render-frame","%d"]},`+
				`"total_step_count":1}]`, 7, i+1),
		}
	}
	return job, tasks
}

func aWorker(g *ids) scheduler.Worker {
	return scheduler.Worker{
		ID: scheduler.WorkerID{UUID: g.uuid()}, Name: "one", Platform: "linux", TaskTypes: []string{"blender", "ffmpeg", "misc"},
		Status: scheduler.WorkerAwake,
	}
}

func BenchmarkInsertJob50k(b *testing.B) {
	s := openTemp(b)
	var g ids
	for b.Loop() {
		b.StopTimer()
		job, tasks := frames(&g, 50_000)
		b.StartTimer()
		must(b, s, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
	}
}

// BenchmarkClaimComplete claims and completes tasks inside one transaction of up to 1,000, so that it shows the work
// without the fsync. 1,000,000 queued tasks take HAYLOFT_BENCH_MILLION=1.
func BenchmarkClaimComplete(b *testing.B) {
	for _, queued := range []int{1_000, 50_000, 1_000_000} {
		b.Run(fmt.Sprintf("queued=%d", queued), func(b *testing.B) {
			if queued > 100_000 && os.Getenv("HAYLOFT_BENCH_MILLION") == "" {
				b.Skip("a million tasks take half a minute: set HAYLOFT_BENCH_MILLION=1")
			}
			benchmarkClaimComplete(b, queued)
		})
	}
}

func benchmarkClaimComplete(b *testing.B, queued int) {
	s := openTemp(b)
	var g ids
	w := aWorker(&g)
	must(b, s, func(tx scheduler.Tx) error { return tx.PutWorker(w) })
	for left := queued; left > 0; left -= 50_000 {
		job, tasks := frames(&g, min(left, 50_000))
		must(b, s, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
	}
	b.ResetTimer()
	for n := b.N; n > 0; n -= 1000 {
		must(b, s, func(tx scheduler.Tx) error {
			for range min(n, 1000) {
				task, err := tx.NextRunnable(w, nil)
				if err != nil {
					return err
				}
				if err := claimAndComplete(tx, w, task); err != nil {
					return err
				}
			}
			return nil
		})
		if queued < 2000 {
			b.StopTimer()
			must(b, s, func(tx scheduler.Tx) error { return requeueAll(tx) })
			b.StartTimer()
		}
	}
}

func claimAndComplete(tx scheduler.Tx, w scheduler.Worker, task scheduler.TaskState) error {
	_, err := tx.MoveTask(task, scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true, StepsDone: new(int)})
	if err != nil {
		return err
	}
	if task, err = tx.TaskState(task.ID); err != nil {
		return err
	}
	_, err = tx.MoveTask(task, scheduler.TaskMove{To: scheduler.TaskCompleted, Worker: w.ID, StepsDone: &task.Steps})
	return err
}

func requeueAll(tx scheduler.Tx) error {
	jobs, err := tx.Jobs(scheduler.JobQuery{})
	if err != nil {
		return err
	}
	for _, job := range jobs {
		_, err := tx.MoveTasks(job.ID, []scheduler.TaskStatus{scheduler.TaskCompleted}, scheduler.TaskMove{
			To: scheduler.TaskQueued, StepsDone: new(int), ResetFailures: true,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkClaimPastRequirements claims the one task of a worker behind jobs of a higher priority that require what it
// cannot do; each job has one lane, and all share two lists of requirements.
func BenchmarkClaimPastRequirements(b *testing.B) {
	for _, jobs := range []int{0, 100, 1000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			s := openTemp(b)
			var g ids
			w := aWorker(&g)
			w.Abilities = []string{"blender:3.4.1", "engine:CYCLES"}
			must(b, s, func(tx scheduler.Tx) error {
				for i := range jobs {
					job, tasks := frames(&g, 1)
					job.Priority, job.Requires = 60, [][]string{{"blender:4.2"}, {"blender:3.4", "usd"}}[i%2]
					if err := tx.InsertJob(job, tasks); err != nil {
						return err
					}
				}
				job, tasks := frames(&g, 10)
				return errors.Join(tx.PutWorker(w), tx.InsertJob(job, tasks))
			})
			for b.Loop() {
				must(b, s, func(tx scheduler.Tx) error { _, err := tx.NextRunnable(w, nil); return err })
			}
		})
	}
}

// BenchmarkCancel50k cancels a job of 50,000 queued tasks, and queues them again.
// BenchmarkContenders looks at all workers of a farm, each of which has completed a task of the job and has one active.
func BenchmarkContenders(b *testing.B) {
	for _, workers := range []int{2, 20, 200} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s := openTemp(b)
			var g ids
			job, tasks := frames(&g, 3*workers)
			job.Share = scheduler.ShareBySpeed
			must(b, s, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
			for range workers {
				w := aWorker(&g)
				must(b, s, func(tx scheduler.Tx) error { return tx.PutWorker(w) })
				if err := claimThenComplete(s, w); err != nil {
					b.Fatal(err)
				}
				must(b, s, func(tx scheduler.Tx) error {
					task, err := tx.NextRunnable(w, nil)
					if err != nil {
						return err
					}
					_, err = tx.MoveTask(task, scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true})
					return err
				})
			}
			last := tasks[len(tasks)-1].ID
			for b.Loop() {
				must(b, s, func(tx scheduler.Tx) error {
					list, err := tx.Contenders(last)
					if len(list) != workers {
						b.Fatalf("%d contenders", len(list))
					}
					return err
				})
			}
		})
	}
}

func BenchmarkCancel50k(b *testing.B) {
	s := openTemp(b)
	var g ids
	job, tasks := frames(&g, 50_000)
	must(b, s, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
	move := func(from, to scheduler.TaskStatus) {
		must(b, s, func(tx scheduler.Tx) error {
			_, err := tx.MoveTasks(job.ID, []scheduler.TaskStatus{from}, scheduler.TaskMove{To: to})
			return err
		})
	}
	for b.Loop() {
		move(scheduler.TaskQueued, scheduler.TaskCanceled)
		b.StopTimer()
		move(scheduler.TaskCanceled, scheduler.TaskQueued)
		b.StartTimer()
	}
}

// BenchmarkDelete10k deletes a job of 10,000 tasks in parts of 1,000 rows.
func BenchmarkDelete10k(b *testing.B) {
	s := openTemp(b)
	var g ids
	for b.Loop() {
		b.StopTimer()
		job, tasks := frames(&g, 10_000)
		must(b, s, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
		must(b, s, func(tx scheduler.Tx) error { return tx.RequestDeletion(job.ID) })
		b.StartTimer()
		for done := false; !done; {
			must(b, s, func(tx scheduler.Tx) (err error) {
				done, err = tx.DeleteJobPart(job.ID, 1000)
				return err
			})
		}
	}
}

// BenchmarkUpdates claims and completes a task in two transactions of their own, from many callers at once, as a farm
// does; commits/op tells how well they share.
func BenchmarkUpdates(b *testing.B) {
	for _, callers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkUpdates(b, callers) })
	}
}

func benchmarkUpdates(b *testing.B, callers int) {
	s := openTemp(b)
	var g ids
	workers := make([]scheduler.Worker, callers)
	for i := range workers {
		workers[i] = aWorker(&g)
		must(b, s, func(tx scheduler.Tx) error { return tx.PutWorker(workers[i]) })
	}
	for left := b.N; left > 0; left -= 50_000 {
		job, tasks := frames(&g, min(left, 50_000))
		must(b, s, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
	}
	before := s.Stats()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := claimThenComplete(s, w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(s.Stats().Commits-before.Commits)/float64(b.N), "commits/op")
}

func claimThenComplete(s *SQLite, w scheduler.Worker) error {
	var task scheduler.TaskState
	err := s.Update(context.Background(), func(tx scheduler.Tx) (err error) {
		if task, err = tx.NextRunnable(w, nil); err != nil {
			return err
		}
		_, err = tx.MoveTask(task, scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true})
		return err
	})
	if err != nil {
		return err
	}
	return s.Update(context.Background(), func(tx scheduler.Tx) error {
		now, err := tx.TaskState(task.ID)
		if err != nil {
			return err
		}
		_, err = tx.MoveTask(now, scheduler.TaskMove{To: scheduler.TaskCompleted, StepsDone: &now.Steps})
		return err
	})
}
