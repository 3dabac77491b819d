package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hayloft/scheduler"
)

var errOnPurpose = errors.New("on purpose")

// rollback has many callers at once, half of which fail after they have written: exactly their changes are gone.
func rollback(f *farm) {
	const callers = 40
	tasks := f.newTasks(1)
	f.insert(f.blankJob(), tasks)
	jobs := make([]scheduler.Job, callers)
	for i := range jobs {
		jobs[i] = f.blankJob()
	}
	f.together(callers, func(i int) error {
		err := f.try(func(tx scheduler.Tx) error {
			if err := tx.InsertJob(jobs[i], nil); err != nil {
				return err
			}
			if err := tx.AppendLog(tasks[0].ID, fmt.Sprintf("%03d\n", i)); err != nil {
				return err
			}
			if i%2 == 0 {
				return errOnPurpose
			}
			return nil
		})
		if i%2 == 0 && err != errOnPurpose {
			return fmt.Errorf("an error of the function comes back as %w", err)
		}
		if i%2 == 0 {
			return nil
		}
		return err
	})
	for i, job := range jobs {
		_, err := tryRead(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.Job(job.ID) })
		if isNotFound(err) != (i%2 == 0) {
			f.Errorf("job of caller %d: %v", i, err)
		}
	}
	size := read(f, func(tx scheduler.ReadTx) (int64, error) { return tx.LogSize(tasks[0].ID) })
	f.diff("log of those that went through", int64(callers/2*4), size)
}

func panicStaysAlone(f *farm) {
	const callers = 20
	jobs := make([]scheduler.Job, callers)
	for i := range jobs {
		jobs[i] = f.blankJob()
	}
	f.together(callers, func(i int) error {
		err := f.try(func(tx scheduler.Tx) error {
			if err := tx.InsertJob(jobs[i], nil); err != nil {
				return err
			}
			if i == 7 {
				panic("on purpose")
			}
			return nil
		})
		if i != 7 {
			return err
		}
		if err == nil {
			return errors.New("the panic got lost")
		}
		return nil
	})
	got := read(f, func(tx scheduler.ReadTx) ([]scheduler.Job, error) { return tx.Jobs(scheduler.JobQuery{}) })
	f.diff("jobs", callers-1, len(got))
}

// canceled has a caller give up while the store is busy with another: its function must not run.
func canceled(f *farm) {
	busy, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- f.try(func(scheduler.Tx) error {
			close(busy)
			<-release
			return nil
		})
	}()
	<-busy
	ctx, cancel := context.WithCancel(context.Background())
	second := make(chan error, 1)
	go func() {
		second <- f.store.Update(ctx, func(scheduler.Tx) error {
			f.Error("the function of a caller that gave up has run")
			return nil
		})
	}()
	cancel()
	f.wantErr(<-second, context.Canceled)
	close(release)
	if err := <-first; err != nil {
		f.Error(err)
	}
	err := f.store.View(ctx, func(scheduler.ReadTx) error { return nil })
	if err != nil {
		f.wantErr(err, context.Canceled)
	}
}

// oneTime says that all rows of a transaction carry one time, and that time does not go back.
func oneTime(f *farm) {
	var last time.Time
	for range 5 {
		job, tasks := f.blankJob(), f.newTasks(1)
		var now time.Time
		f.update(func(tx scheduler.Tx) error {
			now = tx.Now()
			if err := tx.InsertJob(job, tasks); err != nil {
				return err
			}
			if !tx.Now().Equal(now) {
				f.Error("the time changed within a transaction")
			}
			return nil
		})
		stored, task := f.job(job.ID), f.task(tasks[0].ID)
		for _, at := range []time.Time{stored.Created, stored.Updated, task.Created, task.Updated} {
			f.diff("time", now, at)
		}
		if now.Before(last) {
			f.Errorf("%v after %v", now, last)
		}
		last = now
	}
}

// snapshot says that a View sees what was acknowledged before it, all of one moment, and nothing later.
func snapshot(f *farm) {
	a, b := f.insert(f.blankJob(), nil), f.insert(f.blankJob(), nil)
	priority := func(n int) error {
		return f.try(func(tx scheduler.Tx) error {
			return errors.Join(tx.SetJobPriority(a, n), tx.SetJobPriority(b, n))
		})
	}
	// both reads the two priorities, which belong together, with something happening between the reads.
	both := func(between func() error) (one, two int, err error) {
		err = f.store.View(context.Background(), func(tx scheduler.ReadTx) error {
			first, err := tx.JobState(a)
			if err != nil {
				return err
			}
			if err := between(); err != nil {
				return err
			}
			second, err := tx.JobState(b)
			one, two = first.Priority, second.Priority
			return err
		})
		return one, two, err
	}
	if err := priority(1); err != nil {
		f.Fatal(err)
	}
	if one, two, err := both(func() error { return priority(2) }); err != nil || one != 1 || two != 1 {
		f.Errorf("one snapshot shows priorities %d and %d, want 1 and 1 (%v)", one, two, err)
	}
	f.together(4, func(i int) error {
		for n := range 25 {
			if i == 0 {
				if err := priority(3 + n); err != nil {
					return err
				}
			}
			one, two, err := both(func() error { return nil })
			switch {
			case err != nil:
				return err
			case one != two:
				return fmt.Errorf("one snapshot shows priorities %d and %d", one, two)
			case i == 0 && one != 3+n:
				return fmt.Errorf("priority %d right after it was set to %d", one, 3+n)
			}
		}
		return nil
	})
}

// closed has callers at work while the store is closed: each of them is answered.
func closed(f *farm) {
	f.together(6, func(i int) error {
		if i == 0 {
			return f.store.Close()
		}
		job := f.blankJob()
		_ = f.try(func(tx scheduler.Tx) error { return tx.InsertJob(job, nil) })
		_ = f.store.View(context.Background(), func(scheduler.ReadTx) error { return nil })
		return nil
	})
	if f.try(func(scheduler.Tx) error { return nil }) == nil {
		f.Error("a closed store accepts an Update")
	}
	if f.store.View(context.Background(), func(scheduler.ReadTx) error { return nil }) == nil {
		f.Error("a closed store accepts a View")
	}
	if err := f.store.Close(); err != nil {
		f.Errorf("closing twice: %v", err)
	}
}
