package scheduler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hayloft/scheduler"
)

func TestScheduleAsksTheWorker(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	// The clock of the tests stands at noon.
	sleepsNow := &scheduler.Schedule{Active: true, Zone: "UTC", Windows: []scheduler.Window{{Start: 11 * 60, End: 13 * 60}}}
	if err := f.SetSchedule(ctx, w, sleepsNow); err != nil {
		t.Fatal(err)
	}
	wantRequest(t, f, w, scheduler.WorkerAsleep)
	if err := f.StatusChanged(ctx, w, scheduler.WorkerAsleep); err != nil {
		t.Fatal(err)
	}
	applied := make(map[scheduler.WorkerID]scheduler.WorkerStatus)
	f.ApplySchedules(ctx, applied)
	wantRequest(t, f, w, "")
	if err := f.RequestWorkerStatus(ctx, w, scheduler.WorkerAwake, false); err != nil {
		t.Fatal(err)
	}
	f.ApplySchedules(ctx, applied)
	wantRequest(t, f, w, scheduler.WorkerAwake) // what a person asked for stands until the window ends
	if err := f.StatusChanged(ctx, w, scheduler.WorkerAsleep); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(time.Hour)
	f.ApplySchedules(ctx, applied)
	wantRequest(t, f, w, scheduler.WorkerAwake)
	f.restart(t)
	got, err := f.Worker(ctx, w)
	if err != nil || got.Schedule == nil || got.Schedule.Windows[0].End != 13*60 {
		t.Errorf("schedule after a restart: %+v, %v", got.Schedule, err)
	}
	if err := f.SetSchedule(ctx, w, &scheduler.Schedule{Zone: "nowhere"}); !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("unknown time zone: %v", err)
	}
}

func wantRequest(t *testing.T, f *farm, id scheduler.WorkerID, want scheduler.WorkerStatus) {
	t.Helper()
	w, err := f.Worker(context.Background(), id)
	if err != nil || w.Requested != want {
		t.Fatalf("asked to be %q, %v; want %q", w.Requested, err, want)
	}
}

func TestSleepingWorkerIsToldAtSignOn(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	w := f.worker(t, "one")
	if err := f.SignOff(ctx, w); err != nil {
		t.Fatal(err)
	}
	if err := f.SetSchedule(ctx, w, &scheduler.Schedule{Active: true, Zone: "UTC", Windows: []scheduler.Window{{}}}); err != nil {
		t.Fatal(err)
	}
	status, err := f.SignOn(ctx, w, scheduler.SignOn{Name: "one", TaskTypes: []string{"blender"}})
	if err != nil || status != scheduler.WorkerAsleep {
		t.Errorf("told to be %s, %v", status, err)
	}
}

func TestLimitsOfAJobEndItsTasks(t *testing.T) {
	for name, c := range map[string]struct {
		limits scheduler.JobLimits
		speaks bool
		want   scheduler.TaskStatus
		says   string
	}{
		"silence":                {scheduler.JobLimits{Silence: 5 * time.Minute}, false, scheduler.TaskSoftFailed, "printed nothing"},
		"silence, but it speaks": {scheduler.JobLimits{Silence: 5 * time.Minute}, true, scheduler.TaskActive, ""},
		"total time":             {scheduler.JobLimits{Total: 5 * time.Minute}, true, scheduler.TaskSoftFailed, "ran for more than"},
		"none":                   {scheduler.JobLimits{}, false, scheduler.TaskActive, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t)
			ctx := context.Background()
			w := f.worker(t, "one")
			f.job(t, 1, func(j *scheduler.Job) { j.Limits = c.limits })
			task := f.claim(t, w)
			for range 8 {
				f.clock.advance(50 * time.Second)
				if _, err := f.MayRun(ctx, w, task.ID, 0); err != nil {
					t.Fatal(err)
				}
				if c.speaks {
					// A report after the end is refused, as it should be.
					err := f.UpdateTask(ctx, w, task.ID, scheduler.TaskUpdate{Log: "working\n", Claim: task.Claim})
					if err != nil && !errors.Is(err, scheduler.ErrNotOwner) {
						t.Fatal(err)
					}
				}
				if err := f.CheckTimeouts(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if got := f.wantTask(t, task.ID, c.want); !strings.Contains(got.Activity, c.says) {
				t.Errorf("activity is %q", got.Activity)
			}
		})
	}
}

func TestTagOfAJobChanges(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	plain, tagged := f.worker(t, "plain"), f.worker(t, "gpu", "gpu")
	tags, err := f.Tags(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id := f.job(t, 2)
	if err := f.SetJobTag(ctx, id, tags[0].ID); err != nil {
		t.Fatal(err)
	}
	f.idle(t, plain)
	f.claim(t, tagged)
	if err := f.SetJobTag(ctx, id, scheduler.TagID{}); err != nil {
		t.Fatal(err)
	}
	f.claim(t, plain)
	if err := f.SetJobTag(ctx, id, f.unknownTag()); !errors.Is(err, scheduler.ErrNotFound) {
		t.Errorf("unknown tag: %v", err)
	}
}

func (f *farm) unknownTag() scheduler.TagID { return scheduler.TagID{UUID: f.NewJobID().UUID} }

func TestUnblockedWorkerGetsTasksAgain(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	bad := f.worker(t, "bad")
	f.worker(t, "other")
	id := f.job(t, 40)
	for range 3 {
		f.report(t, bad, f.claim(t, bad), scheduler.TaskFailed)
	}
	f.idle(t, bad)
	list, err := f.Blocklist(ctx, id)
	if err != nil || len(list) != 1 || list[0].Worker != bad || list[0].WorkerName != "bad" {
		t.Fatalf("blocklist %+v, %v", list, err)
	}
	if err := f.Unblock(ctx, id, list); err != nil {
		t.Fatal(err)
	}
	f.claim(t, bad)
}

func TestMassDeletionTakesOldJobsOnly(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	old := f.job(t, 1)
	until := f.clock.Now()
	f.clock.advance(time.Hour)
	kept := f.job(t, 1)
	if n, err := f.RequestMassDeletion(ctx, until); err != nil || n != 1 {
		t.Fatalf("%d jobs, %v", n, err)
	}
	ids, err := f.JobsToDelete(ctx)
	if err != nil || len(ids) != 1 || ids[0] != old || ids[0] == kept {
		t.Errorf("to delete: %v, %v", ids, err)
	}
	if n, err := f.RequestMassDeletion(ctx, until); err != nil || n != 0 {
		t.Errorf("the second time %d jobs, %v", n, err)
	}
}
