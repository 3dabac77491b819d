package scheduler_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"hayloft/scheduler"
)

func TestJobRunsToItsEnd(t *testing.T) {
	f := newFarm(t)
	one, two := f.worker(t, "one"), f.worker(t, "two")
	id := f.job(t, 3)
	a, b := f.claim(t, one), f.claim(t, two)
	if a.ID == b.ID {
		t.Fatal("two workers got the same task")
	}
	f.wantJob(t, id, scheduler.JobActive)
	f.report(t, one, a, scheduler.TaskCompleted)
	f.report(t, two, b, scheduler.TaskCompleted)
	f.report(t, one, f.claim(t, one), scheduler.TaskCompleted)
	job := f.wantJob(t, id, scheduler.JobCompleted)
	if job.StepsCompleted != 3 || job.StepsTotal != 3 {
		t.Errorf("steps %d of %d, want 3 of 3", job.StepsCompleted, job.StepsTotal)
	}
	f.idle(t, two)
}

func TestUpdateOfAnEarlierClaimIsRefused(t *testing.T) {
	f := newFarm(t)
	one, two := f.worker(t, "one"), f.worker(t, "two")
	f.job(t, 1)
	old := f.claim(t, one)
	if err := f.SignOff(context.Background(), one); err != nil {
		t.Fatal(err)
	}
	now := f.claim(t, two)
	if now.ID != old.ID || now.Claim <= old.Claim {
		t.Fatalf("claim %d of %s follows claim %d of %s", now.Claim, now.ID, old.Claim, old.ID)
	}
	err := f.UpdateTask(context.Background(), one, old.ID, scheduler.TaskUpdate{Status: scheduler.TaskCompleted, Claim: old.Claim})
	if !errors.Is(err, scheduler.ErrNotOwner) {
		t.Fatalf("late update by the old owner: %v, want ErrNotOwner", err)
	}
	f.wantTask(t, old.ID, scheduler.TaskActive)
	f.report(t, two, now, scheduler.TaskCompleted)
}

func TestSameWorkerGetsItsTaskAgainUnderANewClaim(t *testing.T) {
	f := newFarm(t)
	w := f.worker(t, "one")
	f.job(t, 2)
	before := f.claim(t, w)
	f.wake(t, w)
	after := f.claim(t, w)
	if after.ID != before.ID || after.Claim != before.Claim+1 {
		t.Fatalf("got claim %d of %s after claim %d of %s", after.Claim, after.Name, before.Claim, before.Name)
	}
	err := f.UpdateTask(context.Background(), w, before.ID, scheduler.TaskUpdate{Status: scheduler.TaskCompleted, Claim: before.Claim})
	if !errors.Is(err, scheduler.ErrNotOwner) {
		t.Fatalf("update by the claim before: %v, want ErrNotOwner", err)
	}
}

func TestRepeatedUpdateChangesNothing(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	f.job(t, 1)
	task := f.claim(t, w)
	log := scheduler.TaskUpdate{Log: "hello\n", Claim: task.Claim, Seq: 1}
	end := scheduler.TaskUpdate{Status: scheduler.TaskCompleted, Claim: task.Claim, Seq: 2}
	for _, u := range []scheduler.TaskUpdate{log, log, end, log, end} {
		if err := f.UpdateTask(ctx, w, task.ID, u); err != nil {
			t.Fatal(err)
		}
	}
	text, err := f.Log(ctx, task.ID, 0, 1<<20)
	if err != nil || strings.Count(string(text), "hello") != 1 {
		t.Fatalf("log is %q, %v; want hello once", text, err)
	}
}

func TestFailedTaskIsTriedByOthersThenFails(t *testing.T) {
	f := newFarm(t)
	one, two := f.worker(t, "one"), f.worker(t, "two")
	id := f.job(t, 1)
	task := f.claim(t, one)
	f.report(t, one, task, scheduler.TaskFailed)
	f.wantTask(t, task.ID, scheduler.TaskSoftFailed)
	f.wantJob(t, id, scheduler.JobActive)
	f.idle(t, one)
	again := f.claim(t, two)
	f.report(t, two, again, scheduler.TaskFailed)
	f.wantTask(t, task.ID, scheduler.TaskSoftFailed)
	// Both failed it, nobody else is there: anybody may try once more.
	f.report(t, one, f.claim(t, one), scheduler.TaskFailed)
	f.wantTask(t, task.ID, scheduler.TaskFailed)
	f.wantJob(t, id, scheduler.JobFailed)
}

func TestOneFailureOnALoneWorkerDoesNotFailTheJob(t *testing.T) {
	f := newFarm(t)
	w := f.worker(t, "alone")
	id := f.job(t, 2)
	f.report(t, w, f.claim(t, w), scheduler.TaskFailed)
	f.wantJob(t, id, scheduler.JobActive)
	for range 2 {
		f.report(t, w, f.claim(t, w), scheduler.TaskCompleted)
	}
	f.wantJob(t, id, scheduler.JobCompleted)
}

func TestJobFailsWhenNothingLeftCanRun(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "alone")
	job := scheduler.Job{ID: f.NewJobID(), Name: "with video", Type: "test", Priority: 50}
	tasks := make([]scheduler.NewTask, 21)
	for i := range tasks {
		tasks[i] = scheduler.NewTask{ID: f.NewTaskID(), Name: "frame", Type: "blender", Priority: 50, Commands: []byte(`[]`), Steps: 1}
	}
	for i := range 20 {
		tasks[20].Needs = append(tasks[20].Needs, i)
	}
	if _, err := f.SubmitJob(ctx, job, tasks); err != nil {
		t.Fatal(err)
	}
	bad := f.claim(t, w)
	for bad.Status = scheduler.TaskActive; ; {
		f.report(t, w, bad, scheduler.TaskFailed)
		if got, err := f.Task(ctx, bad.ID); err != nil || got.Status == scheduler.TaskFailed {
			break
		}
		bad = f.claim(t, w)
	}
	f.wantJob(t, job.ID, scheduler.JobActive) // 1 of 21 is less than a tenth
	for range 19 {
		f.report(t, w, f.claim(t, w), scheduler.TaskCompleted)
	}
	f.wantJob(t, job.ID, scheduler.JobFailed)
}

func TestCancelStopsWhatRuns(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	id := f.job(t, 3)
	task := f.claim(t, w)
	answer := make(chan scheduler.Verdict, 1)
	go func() {
		v, err := f.MayRun(ctx, w, task.ID, time.Minute)
		if err != nil {
			t.Error(err)
		}
		answer <- v
	}()
	if err := f.RequestJobStatus(ctx, id, scheduler.JobCancelRequested, "test"); err != nil {
		t.Fatal(err)
	}
	if v := <-answer; v.KeepRunning {
		t.Fatal("the held question was answered with yes after the cancel")
	}
	f.wantJob(t, id, scheduler.JobCanceled)
	err := f.UpdateTask(ctx, w, task.ID, scheduler.TaskUpdate{Status: scheduler.TaskCompleted, Claim: task.Claim})
	if !errors.Is(err, scheduler.ErrNotOwner) {
		t.Fatalf("completion after the cancel: %v, want ErrNotOwner", err)
	}
	f.idle(t, w)
	if err := f.RequestJobStatus(ctx, id, scheduler.JobRequeueing, "again"); err != nil {
		t.Fatal(err)
	}
	f.wantJob(t, id, scheduler.JobQueued)
	f.claim(t, w)
}

func TestPausedJobStaysPaused(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	id := f.job(t, 3)
	task := f.claim(t, w)
	if err := f.RequestJobStatus(ctx, id, scheduler.JobPauseRequested, "lunch"); err != nil {
		t.Fatal(err)
	}
	f.wantJob(t, id, scheduler.JobPauseRequested)
	f.report(t, w, task, scheduler.TaskCompleted)
	f.wantJob(t, id, scheduler.JobPaused)
	f.idle(t, w)
	if err := f.RequestJobStatus(ctx, id, scheduler.JobRequeueing, "go on"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.report(t, w, f.claim(t, w), scheduler.TaskCompleted)
	}
	f.wantJob(t, id, scheduler.JobCompleted)
}

func TestRefusedRequests(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	id := f.job(t, 1)
	f.report(t, w, f.claim(t, w), scheduler.TaskCompleted)
	if err := f.RequestJobStatus(ctx, id, scheduler.JobPauseRequested, ""); !errors.Is(err, scheduler.ErrTransition) {
		t.Errorf("pause of a completed job: %v", err)
	}
	if err := f.RequestJobStatus(ctx, id, scheduler.JobActive, ""); !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("request for active: %v", err)
	}
	if err := f.SetJobPriority(ctx, id, 101); !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("priority 101: %v", err)
	}
	if err := f.RequestWorkerStatus(ctx, w, scheduler.WorkerRestart, false); !errors.Is(err, scheduler.ErrCannotRestart) {
		t.Errorf("restart of a worker that cannot: %v", err)
	}
	if err := f.Authenticate(ctx, w, "wrong"); !errors.Is(err, scheduler.ErrUnauthorized) {
		t.Errorf("wrong secret: %v", err)
	}
	if err := f.Authenticate(ctx, w, "secret of one"); err != nil {
		t.Errorf("right secret: %v", err)
	}
}

func TestOrderOfClaims(t *testing.T) {
	f := newFarm(t)
	w := f.worker(t, "plain")
	tagged := f.worker(t, "gpu", "gpu")
	tags, err := f.Tags(context.Background())
	if err != nil || len(tags) != 1 {
		t.Fatalf("tags %v, %v", tags, err)
	}
	low := f.job(t, 1, func(j *scheduler.Job) { j.Priority = 10 })
	bound := f.job(t, 1, func(j *scheduler.Job) { j.Priority = 90; j.WorkerTag = tags[0].ID })
	high := f.job(t, 1, func(j *scheduler.Job) { j.Priority = 60 })
	if got := f.claim(t, w); got.Job != high {
		t.Errorf("first came job %v, want the one with priority 60", got.Job)
	}
	if got := f.claim(t, tagged); got.Job != bound {
		t.Errorf("the tagged worker got job %v, want the one bound to its tag", got.Job)
	}
	idle := f.worker(t, "other")
	if got := f.claim(t, idle); got.Job != low {
		t.Errorf("last came job %v, want the one with priority 10", got.Job)
	}
}

func TestHeldClaimWakesForNewWork(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	got := make(chan scheduler.TaskID, 8)
	for _, name := range []string{"a", "b", "c"} {
		w := f.worker(t, name)
		wg.Go(func() {
			a, err := f.Claim(ctx, w, time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			got <- a.ID
		})
	}
	f.job(t, 3)
	wg.Wait()
	close(got)
	seen := make(map[scheduler.TaskID]bool)
	for id := range got {
		if seen[id] {
			t.Error("one task was handed out twice")
		}
		seen[id] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d tasks were handed out, want 3", len(seen))
	}
}

// A wake-up that reaches a worker that cannot use it must go on to one that can.
func TestHeldClaimPassesWakeUpsOn(t *testing.T) {
	f := newFarm(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, name := range []string{"plain-1", "plain-2"} {
		w := f.worker(t, name)
		wg.Go(func() {
			if _, err := f.Claim(ctx, w, time.Minute); !errors.Is(err, context.Canceled) {
				t.Errorf("a worker without the tag got an answer: %v", err)
			}
		})
	}
	tagged := f.worker(t, "gpu", "gpu")
	tags, err := f.Tags(ctx)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := f.Claim(ctx, tagged, time.Minute)
		done <- err
	}()
	f.job(t, 1, func(j *scheduler.Job) { j.WorkerTag = tags[0].ID })
	if err := <-done; err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

func TestSilentWorkerLosesItsTaskAndComesBack(t *testing.T) {
	f := newFarm(t)
	ctx, cancel := context.WithCancel(context.Background())
	w := f.worker(t, "one")
	f.job(t, 1)
	task := f.claim(t, w)
	f.clock.advance(2 * time.Minute)
	if err := f.CheckTimeouts(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	ctx = context.Background()
	f.wantTask(t, task.ID, scheduler.TaskQueued)
	got, err := f.Worker(ctx, w)
	if err != nil || got.Status != scheduler.WorkerError {
		t.Fatalf("worker is %s, %v", got.Status, err)
	}
	f.comeBack(t, w, scheduler.WorkerAwake)
	if again := f.claim(t, w); again.ID != task.ID || again.Claim != task.Claim+1 {
		t.Errorf("the worker that spoke again got %v, claim %d", again.Name, again.Claim)
	}
}

// comeBack does what a worker does that speaks again: it asks, is told where to go, and goes there.
func (f *farm) comeBack(t *testing.T, w scheduler.WorkerID, want scheduler.WorkerStatus) {
	t.Helper()
	ctx := context.Background()
	var asked scheduler.StatusRequested
	if _, err := f.Claim(ctx, w, 0); !errors.As(err, &asked) || asked.Status != want {
		t.Fatalf("asking for a task gives %v, want the request to be %s", err, want)
	}
	if status, err := f.RequestedStatus(ctx, w, 0); err != nil || status != want {
		t.Fatalf("asking for the state gives %s, %v; want %s", status, err, want)
	}
	if err := f.StatusChanged(ctx, w, want); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Worker(ctx, w); err != nil || got.Status != want || got.Requested != "" {
		t.Fatalf("the worker is %s, asked to be %q, %v", got.Status, got.Requested, err)
	}
}

func TestNobodyStaysInErrorAfterASilence(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	idle, sleeper := f.worker(t, "idle"), f.worker(t, "sleeper")
	if err := f.StatusChanged(ctx, sleeper, scheduler.WorkerAsleep); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(2 * time.Minute)
	if err := f.CheckTimeouts(ctx); err != nil {
		t.Fatal(err)
	}
	f.comeBack(t, idle, scheduler.WorkerAwake)
	f.comeBack(t, sleeper, scheduler.WorkerAsleep)
	f.idle(t, idle)
}

func TestForgottenTaskTimesOut(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	f.job(t, 1)
	task := f.claim(t, w)
	for range 12 {
		f.clock.advance(time.Minute - time.Second)
		if err := f.Authenticate(ctx, w, "secret of one"); err != nil {
			t.Fatal(err)
		}
		if err := f.CheckTimeouts(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.wantTask(t, task.ID, scheduler.TaskSoftFailed); !strings.Contains(got.Activity, "timed out") {
		t.Errorf("activity is %q", got.Activity)
	}
}

func TestRestartedManagerGoesOn(t *testing.T) {
	f := newFarm(t)
	w := f.worker(t, "one")
	id := f.job(t, 2)
	task := f.claim(t, w)
	f.clock.advance(time.Hour)
	f.restart(t)
	if err := f.CheckTimeouts(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.wantTask(t, task.ID, scheduler.TaskActive)
	f.report(t, w, task, scheduler.TaskCompleted)
	f.report(t, w, f.claim(t, w), scheduler.TaskCompleted)
	f.wantJob(t, id, scheduler.JobCompleted)
}

func TestDeletedJobIsGone(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	id := f.job(t, 5)
	f.claim(t, w)
	if err := f.DeleteJob(ctx, id); !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("deletion without a request: %v", err)
	}
	if err := f.RequestJobDeletion(ctx, id); err != nil {
		t.Fatal(err)
	}
	f.idle(t, w)
	ids, err := f.JobsToDelete(ctx)
	if err != nil || len(ids) != 1 || ids[0] != id {
		t.Fatalf("to delete: %v, %v", ids, err)
	}
	if err := f.DeleteJob(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Job(ctx, id); !errors.Is(err, scheduler.ErrNotFound) {
		t.Errorf("the job is still there: %v", err)
	}
}

func TestNoticesTellWhatChanged(t *testing.T) {
	f := newFarm(t)
	ctx, cancel := context.WithCancel(context.Background())
	running := make(chan error, 1)
	go func() { running <- f.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-running; err != nil {
			t.Error(err)
		}
	}()
	sub := f.Subscribe(scheduler.JobNotices, func(n scheduler.Notice) bool { _, ok := n.(scheduler.JobChanged); return ok })
	defer sub.Close()
	w := f.worker(t, "one")
	id := f.job(t, 1)
	f.report(t, w, f.claim(t, w), scheduler.TaskCompleted)
	for n := range sub.C {
		if j := n.(scheduler.JobChanged).Job; j.ID == id && j.Status == scheduler.JobCompleted {
			break
		}
	}
}
