package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hayloft/scheduler"
)

// queueUp holds the writer until n callers are under way, lets them go, and returns their errors. The last error is that
// of the caller that held the writer: it shares the commit of the first ones.
func queueUp(t *testing.T, s *SQLite, n int, fn func(i int, tx scheduler.Tx) error) []error {
	t.Helper()
	errs := make([]error, n+1)
	var coming, done sync.WaitGroup
	coming.Add(n)
	errs[n] = s.Update(context.Background(), func(scheduler.Tx) error {
		for i := range n {
			done.Go(func() {
				coming.Done()
				errs[i] = s.Update(context.Background(), func(tx scheduler.Tx) error { return fn(i, tx) })
			})
		}
		coming.Wait()
		return nil
	})
	done.Wait()
	return errs
}

func TestManyShareACommit(t *testing.T) {
	s := openTemp(t)
	var g ids
	tags := make([]scheduler.Tag, 300)
	for i := range tags {
		tags[i] = scheduler.Tag{ID: scheduler.TagID{UUID: g.uuid()}, Name: fmt.Sprint(i)}
	}
	before := s.Stats()
	for _, err := range queueUp(t, s, len(tags), func(i int, tx scheduler.Tx) error { return tx.PutTag(tags[i]) }) {
		if err != nil {
			t.Error(err)
		}
	}
	after := s.Stats()
	commits, operations := after.Commits-before.Commits, after.Operations-before.Operations
	t.Logf("%d operations, %d commits", operations, commits)
	if operations != 301 || commits > 30 {
		t.Errorf("%d operations took %d commits; want 301 and far fewer", operations, commits)
	}
}

func TestALoneCallerCommitsOnce(t *testing.T) {
	s := openTemp(t)
	var g ids
	for i := range 10 {
		before := s.Stats()
		must(t, s, func(tx scheduler.Tx) error {
			if err := tx.PutWorker(aWorker(&g)); err != nil {
				return err
			}
			return tx.PutTag(scheduler.Tag{ID: scheduler.TagID{UUID: g.uuid()}, Name: fmt.Sprint(i)})
		})
		if d := s.Stats().Commits - before.Commits; d != 1 {
			t.Errorf("%d commits for one call", d)
		}
	}
	before := s.Stats()
	must(t, s, func(tx scheduler.Tx) error { _, err := tx.Tags(); return err })
	if got := s.Stats(); got.Commits != before.Commits || got.Failed != before.Failed {
		t.Errorf("a call that writes nothing: %+v after %+v", got, before)
	}
	_ = s.Update(context.Background(), func(tx scheduler.Tx) error {
		return errors.Join(tx.PutWorker(aWorker(&g)), errors.New("on purpose"))
	})
	if got := s.Stats(); got.Commits != before.Commits || got.Failed != before.Failed+1 {
		t.Errorf("a call that fails: %+v after %+v", got, before)
	}
}

func TestAnotherProgramHoldsTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hayloft.db")
	s, err := OpenSQLite(context.Background(), path, Options{BusyTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var g ids
	other := rawConn(t, path)
	mustExec(t, other, "BEGIN IMMEDIATE")
	put := func(tx scheduler.Tx) error { return tx.PutWorker(aWorker(&g)) }
	if err := s.Update(context.Background(), put); !errors.Is(err, scheduler.ErrBusy) {
		t.Errorf("got error %v, want %v", err, scheduler.ErrBusy)
	}
	if err := s.View(context.Background(), func(tx scheduler.ReadTx) error { _, err := tx.Workers(); return err }); err != nil {
		t.Errorf("reading is possible beside a writer: %v", err)
	}
	mustExec(t, other, "ROLLBACK")
	must(t, s, put)
}

// TestFullDisk lets the database run into a limit of its size. Who shares the transaction gets the error, also who passed
// over it; nothing of it is there, and later the store goes on.
func TestFullDisk(t *testing.T) {
	s := openTemp(t)
	var g ids
	w := aWorker(&g)
	must(t, s, func(tx scheduler.Tx) error { return tx.PutWorker(w) })
	limitPages := func(n int) {
		must(t, s, func(x scheduler.Tx) error {
			_, err := x.(*tx).number(fmt.Sprintf("PRAGMA max_page_count = %d", n))
			return err
		})
	}
	limitPages(1) // no less than it has now
	kept := scheduler.Tag{ID: scheduler.TagID{UUID: g.uuid()}, Name: "kept"}
	errs := queueUp(t, s, 20, func(i int, tx scheduler.Tx) error {
		if i == 10 {
			job, tasks := frames(&g, 2000)
			_ = tx.InsertJob(job, tasks)
			return nil
		}
		return tx.SeeWorkers(map[scheduler.WorkerID]time.Time{w.ID: time.Unix(int64(i), 0)})
	})
	if !errors.Is(errs[10], scheduler.ErrNoSpace) {
		t.Errorf("who filled the disk got error %v, want %v", errs[10], scheduler.ErrNoSpace)
	}
	for i, err := range errs {
		if err != nil && !errors.Is(err, scheduler.ErrNoSpace) {
			t.Errorf("caller %d got error %v", i, err)
		}
	}
	limitPages(1 << 20)
	must(t, s, func(tx scheduler.Tx) error { return tx.PutTag(kept) })
	err := s.View(context.Background(), func(tx scheduler.ReadTx) error {
		jobs, err := tx.Jobs(scheduler.JobQuery{})
		if len(jobs) != 0 {
			t.Errorf("%d jobs are left of a transaction that failed", len(jobs))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestViewsWaitForEachOther has more readers than connections, and one that gives up waiting.
func TestViewsWaitForEachOther(t *testing.T) {
	s, err := OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "odd ?#%41 name.db"), Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = s.View(context.Background(), func(scheduler.ReadTx) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := s.View(ctx, func(scheduler.ReadTx) error { return errors.New("two views on one connection") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := s.View(context.Background(), func(tx scheduler.ReadTx) error { _, err := tx.Tags(); return err }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestViewCannotWrite holds the readers to their word at the lowest level.
func TestViewCannotWrite(t *testing.T) {
	s := openTemp(t)
	err := s.View(context.Background(), func(r scheduler.ReadTx) error {
		_, err := r.(readTx).exec("DELETE FROM workers")
		return err
	})
	if err == nil {
		t.Error("a reader's connection wrote")
	}
}
