package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hayloft/scheduler"
	"hayloft/scheduler/store"
)

func bySpeed(j *scheduler.Job) { j.Share = scheduler.ShareBySpeed }

// onVirtualTime runs a test of a farm on a real database in a bubble, where time passes when everybody waits for it.
func onVirtualTime(t *testing.T, test func(t *testing.T, f *farm)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "farm.sqlite")
		db, err := store.OpenSQLite(context.Background(), path, store.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		f := &farm{Scheduler: scheduler.New(db, scheduler.Options{Now: time.Now}), db: db, path: path}
		ctx, cancel := context.WithCancel(context.Background())
		running := make(chan error, 1)
		go func() { running <- f.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := errors.Join(<-running, f.db.Check(context.Background()), f.db.Close()); err != nil {
				t.Error(err)
			}
		})
		test(t, f)
	})
}

// performing registers a worker that tells how fast it is, and takes it to awake.
func (f *farm) performing(t fataler, name string, performance float64) scheduler.WorkerID {
	t.Helper()
	id := f.worker(t, name)
	on := scheduler.SignOn{Name: name, TaskTypes: []string{"blender"}, Performance: performance}
	if _, err := f.SignOn(context.Background(), id, on); err != nil {
		t.Fatal(err)
	}
	if err := f.StatusChanged(context.Background(), id, scheduler.WorkerAwake); err != nil {
		t.Fatal(err)
	}
	return id
}

// crew is workers at work, each in a goroutine of its own, until they are stopped.
type crew struct {
	*testing.T
	farm *farm
	wg   sync.WaitGroup
	mu   sync.Mutex
	done map[scheduler.TaskID]scheduler.WorkerID
	last time.Time // when the last task was completed
}

func (c *crew) count(w scheduler.WorkerID) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, by := range c.done {
		if by == w {
			n++
		}
	}
	return n
}

// work lets a worker render, a task in takes, until ctx ends. It does not say goodbye.
func (c *crew) work(ctx context.Context, w scheduler.WorkerID, takes time.Duration) {
	c.wg.Go(func() {
		for ctx.Err() == nil {
			a, err := c.farm.Claim(ctx, w, 30*time.Second)
			if errors.Is(err, scheduler.ErrNoWork) {
				continue
			}
			if err != nil {
				if ctx.Err() == nil {
					c.Errorf("claim: %v", err)
				}
				return
			}
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return
			}
			if err := c.farm.UpdateTask(ctx, w, a.ID, scheduler.TaskUpdate{Status: scheduler.TaskCompleted, Claim: a.Claim}); err != nil {
				c.Errorf("complete: %v", err)
				return
			}
			c.mu.Lock()
			if by, ok := c.done[a.ID]; ok {
				c.Errorf("task %s was completed by %s and %s", a.Name, by, w)
			}
			c.done[a.ID], c.last = w, time.Now()
			c.mu.Unlock()
		}
	})
}

// complete waits until a job is completed and returns how long that took.
func (f *farm) complete(t *testing.T, id scheduler.JobID) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		job, err := f.Job(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if job.Status == scheduler.JobCompleted {
			return time.Since(start)
		}
		if time.Since(start) > time.Hour {
			t.Fatalf("job is %s (%s) after an hour: %+v", job.Status, job.Activity, job.Tasks)
		}
		<-time.After(time.Second)
	}
}

func TestTwoWorkersShareBySpeed(t *testing.T) {
	const fastTakes, slowTakes = 10 * time.Second, 40 * time.Second
	for _, c := range []struct {
		name             string
		weights          [2]float64 // of the fast and the slow one
		share            func(*scheduler.Job)
		tasks            int
		want             time.Duration
		wantFast, spread int
	}{
		{"pulling", [2]float64{4, 1}, func(*scheduler.Job) {}, 8, 80 * time.Second, 6, 0},
		{"by speed, weights that are true", [2]float64{4, 1}, bySpeed, 8, 70 * time.Second, 7, 0},
		{"by speed, one", [2]float64{4, 1}, bySpeed, 1, 10 * time.Second, 1, 0},
		{"by speed, no weights", [2]float64{0, 0}, bySpeed, 8, 70 * time.Second, 7, 0},
		{"by speed, wrong weights", [2]float64{1, 4}, bySpeed, 20, 160 * time.Second, 16, 0},
		{"by speed, many", [2]float64{4, 1}, bySpeed, 200, 1600 * time.Second, 160, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			onVirtualTime(t, func(t *testing.T, f *farm) {
				ctx, stop := context.WithCancel(context.Background())
				slow, fast := f.performing(t, "slow", c.weights[1]), f.performing(t, "fast", c.weights[0])
				crew := &crew{T: t, farm: f, done: make(map[scheduler.TaskID]scheduler.WorkerID)}
				crew.work(ctx, slow, slowTakes)
				synctest.Wait() // so that the slow one is the first in line
				crew.work(ctx, fast, fastTakes)
				synctest.Wait()
				start := time.Now()
				f.complete(t, f.job(t, c.tasks, c.share))
				stop()
				crew.wg.Wait()
				if took := crew.last.Sub(start); took < c.want-time.Second || took > c.want+time.Second {
					t.Errorf("took %v, want %v", took, c.want)
				}
				if n := crew.count(fast); n < c.wantFast-c.spread || n > c.wantFast+c.spread {
					t.Errorf("the fast one did %d of %d, want %d", n, c.tasks, c.wantFast)
				}
			})
		})
	}
}

// TestDyingWorkerLosesNothing kills the fast worker while the slow one leaves the rest to it.
func TestDyingWorkerLosesNothing(t *testing.T) {
	for name, die := range map[string]func(*testing.T, *farm, scheduler.WorkerID){
		"it signs off": func(t *testing.T, f *farm, w scheduler.WorkerID) {
			if err := f.SignOff(context.Background(), w); err != nil {
				t.Error(err)
			}
		},
		"it is silent":  func(*testing.T, *farm, scheduler.WorkerID) {},
		"it is deleted": func(t *testing.T, f *farm, w scheduler.WorkerID) { f.must(t, f.DeleteWorker(context.Background(), w)) },
	} {
		t.Run(name, func(t *testing.T) {
			onVirtualTime(t, func(t *testing.T, f *farm) {
				ctx, stop := context.WithCancel(context.Background())
				slow, fast := f.performing(t, "slow", 1), f.performing(t, "fast", 4)
				crew := &crew{T: t, farm: f, done: make(map[scheduler.TaskID]scheduler.WorkerID)}
				lives, kill := context.WithCancel(ctx)
				crew.work(ctx, slow, 40*time.Second)
				crew.work(lives, fast, 10*time.Second)
				synctest.Wait()
				id := f.job(t, 3, bySpeed)
				<-time.After(15 * time.Second)
				if n, why := crew.count(fast), f.whyIdle(t, slow); n != 1 || !strings.Contains(why, `finish the rest of job "3 tasks" first`) {
					t.Fatalf("the fast one did %d; the slow one is idle: %q", n, why)
				}
				kill()
				die(t, f, fast)
				took := f.complete(t, id)
				stop()
				crew.wg.Wait()
				if n := crew.count(slow); n != 2 || len(crew.done) != 3 {
					t.Errorf("the slow one did %d of 2, %d of 3 are done", n, len(crew.done))
				}
				if took > 160*time.Second || name == "it signs off" && took > 82*time.Second {
					t.Errorf("the rest took %v", took)
				}
				if why := f.whyIdle(t, slow); why != "" {
					t.Errorf("after the end the slow one is idle: %q", why)
				}
			})
		})
	}
}

func (f *farm) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *farm) whyIdle(t *testing.T, id scheduler.WorkerID) string {
	t.Helper()
	w, err := f.Worker(context.Background(), id)
	f.must(t, err)
	why, err := f.WhyIdle(context.Background(), w)
	f.must(t, err)
	return why
}

// TestHungWorkerGivesUpItsCredit: a worker that is alive and does not get on is not waited for.
func TestHungWorkerGivesUpItsCredit(t *testing.T) {
	onVirtualTime(t, func(t *testing.T, f *farm) {
		ctx, stop := context.WithCancel(context.Background())
		slow, fast := f.performing(t, "slow", 1), f.performing(t, "fast", 4)
		id := f.job(t, 3, bySpeed)
		first := f.claim(t, fast)
		<-time.After(10 * time.Second)
		f.report(t, fast, first, scheduler.TaskCompleted)
		hung := f.claim(t, fast)
		start := time.Now()
		a, err := f.Claim(ctx, slow, 5*time.Minute)
		f.must(t, err)
		if waited := time.Since(start); waited < 20*time.Second || waited > 40*time.Second {
			t.Errorf("the slow one, which takes 40 s for a task, waited for %v", waited)
		}
		f.report(t, slow, a, scheduler.TaskCompleted)
		f.report(t, fast, hung, scheduler.TaskCompleted)
		f.wantJob(t, id, scheduler.JobCompleted)
		stop()
	})
}

// TestLeavingLooksFurther: who leaves a task takes one of another job, and says so no more.
func TestLeavingLooksFurther(t *testing.T) {
	f := newFarm(t)
	slow, fast := f.performing(t, "slow", 1), f.performing(t, "fast", 4)
	shared := f.job(t, 2, bySpeed)
	other := f.job(t, 1)
	if a := f.claim(t, fast); a.Job != shared {
		t.Fatalf("the fast one got a task of %s", a.Job)
	}
	a := f.claim(t, slow)
	if a.Job != other {
		t.Errorf("the slow one got a task of %s", a.Job)
	}
	f.report(t, slow, a, scheduler.TaskCompleted)
	f.idle(t, slow)
	if why := f.whyIdle(t, slow); why == "" {
		t.Error("nothing says why the slow one is idle")
	}
}

// TestMeasuresSurviveARestart: weights that say nothing, and what was measured before the manager was started again.
func TestMeasuresSurviveARestart(t *testing.T) {
	f := newFarm(t)
	slow, fast := f.performing(t, "slow", 1), f.performing(t, "fast", 1)
	f.job(t, 4, bySpeed)
	for w, takes := range map[scheduler.WorkerID]time.Duration{slow: 40 * time.Second, fast: 10 * time.Second} {
		a := f.claim(t, w)
		f.clock.advance(takes)
		f.report(t, w, a, scheduler.TaskCompleted)
	}
	f.clock.advance(time.Minute)
	f.restart(t)
	f.claim(t, fast)
	f.idle(t, slow)
}

// TestWorkersThatGoLetOthersTake: the slow one is asked again at once when the fast one cannot be counted on any more.
func TestWorkersThatGoLetOthersTake(t *testing.T) {
	for name, leave := range map[string]func(f *farm, w scheduler.WorkerID) error{
		"it sleeps": func(f *farm, w scheduler.WorkerID) error {
			return f.StatusChanged(context.Background(), w, scheduler.WorkerAsleep)
		},
		"it shall go later": func(f *farm, w scheduler.WorkerID) error {
			return f.RequestWorkerStatus(context.Background(), w, scheduler.WorkerOffline, true)
		},
		"it does not ask": nil,
	} {
		t.Run(name, func(t *testing.T) {
			onVirtualTime(t, func(t *testing.T, f *farm) {
				slow, fast := f.performing(t, "slow", 1), f.performing(t, "fast", 4)
				f.job(t, 2, bySpeed)
				a := f.claim(t, fast)
				<-time.After(10 * time.Second)
				got := make(chan error, 1)
				go func() {
					_, err := f.Claim(context.Background(), slow, time.Minute)
					got <- err
				}()
				synctest.Wait()
				f.report(t, fast, a, scheduler.TaskCompleted)
				start := time.Now()
				if leave != nil {
					f.must(t, leave(f, fast))
				}
				f.must(t, <-got)
				if waited := time.Since(start); leave != nil && waited > 0 || waited > 10*time.Second {
					t.Errorf("waited for %v", waited)
				}
			})
		})
	}
}

// TestWakeUpIsPassedOnByWhoMayNotClaim: new work wakes who waited longest; if that one fell asleep meanwhile, the next.
func TestWakeUpIsPassedOnByWhoMayNotClaim(t *testing.T) {
	onVirtualTime(t, func(t *testing.T, f *farm) {
		var answers [2]chan error
		var workers [2]scheduler.WorkerID
		for i := range answers {
			workers[i], answers[i] = f.worker(t, fmt.Sprint("worker ", i)), make(chan error, 1)
			go func() {
				_, err := f.Claim(context.Background(), workers[i], time.Minute)
				answers[i] <- err
			}()
			synctest.Wait()
		}
		f.must(t, f.StatusChanged(context.Background(), workers[0], scheduler.WorkerAsleep))
		start := time.Now()
		f.job(t, 1)
		if err := <-answers[0]; !errors.Is(err, scheduler.ErrNotAwake) {
			t.Errorf("the first: %v", err)
		}
		f.must(t, <-answers[1])
		if waited := time.Since(start); waited > 0 {
			t.Errorf("the second waited for %v", waited)
		}
	})
}

func TestSharingIsChecked(t *testing.T) {
	f := newFarm(t)
	job := scheduler.Job{ID: f.NewJobID(), Name: "x", Type: "test", Share: "weight"}
	_, err := f.SubmitJob(context.Background(), job, []scheduler.NewTask{{ID: f.NewTaskID(), Type: "blender", Steps: 1}})
	if !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("an unknown way to share: %v", err)
	}
	_, err = f.Register(context.Background(), scheduler.Registration{Name: "x", Secret: "secret of x", Performance: 1001})
	if !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("a performance that is too large: %v", err)
	}
	w := f.performing(t, "fast", 4)
	if got, err := f.Worker(context.Background(), w); err != nil || got.Performance != 4 {
		t.Errorf("performance %v, %v", got.Performance, err)
	}
	f.wake(t, w)
	if got, err := f.Worker(context.Background(), w); err != nil || got.Performance != 1 {
		t.Errorf("one that does not tell any more has performance %v, %v", got.Performance, err)
	}
}
