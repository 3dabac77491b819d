package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/scheduler"
)

func TestLacking(t *testing.T) {
	for _, c := range []struct {
		abilities, requirements, want []string
	}{
		{nil, []string{"blender:9", "anything"}, nil},
		{[]string{}, []string{"gpu"}, []string{"gpu"}},
		{[]string{}, nil, nil},
		{[]string{"gpu", "engine:CYCLES"}, []string{"engine:CYCLES", "gpu"}, nil},
		{[]string{"engine:CYCLES"}, []string{"engine:cycles"}, []string{"engine:cycles"}},
		{[]string{"blender:3.4.1"}, []string{"blender:3.4"}, nil},
		{[]string{"blender:3.4"}, []string{"blender:3.4.1"}, []string{"blender:3.4.1"}},
		{[]string{"blender:3.4"}, []string{"blender:3.4.0"}, nil},
		{[]string{"blender:3.10"}, []string{"blender:3.9"}, nil},
		{[]string{"blender:4"}, []string{"blender:3.6"}, nil},
		{[]string{"blender:3.6"}, []string{"blender:4"}, []string{"blender:4"}},
		{[]string{"blender:3.4", "blender:4.2"}, []string{"blender:4.1"}, nil},
		{[]string{"blender:4.2"}, []string{"blender"}, nil},
		{[]string{"blender"}, []string{"blender:2.8"}, []string{"blender:2.8"}},
		{[]string{"houdini:20"}, []string{"blender:2.8"}, []string{"blender:2.8"}},
		{[]string{"gpu:OPTIX"}, []string{"gpu"}, []string{"gpu"}},
		{[]string{"a:b:2"}, []string{"a:b:1", "a:1"}, []string{"a:1"}},
		{[]string{"odd:1."}, []string{"odd:1", "odd:1."}, []string{"odd:1"}},
	} {
		if d := cmp.Diff(c.want, scheduler.Lacking(c.abilities, c.requirements)); d != "" {
			t.Errorf("%q for %q: -want +got\n%s", c.abilities, c.requirements, d)
		}
	}
}

// FuzzLacking: whoever has a text meets it, and more abilities never lack more.
func FuzzLacking(f *testing.F) {
	for _, seed := range []string{"blender:3.4", "engine:CYCLES", "a:18446744073709551616", "::", ":1..2", "gpu"} {
		f.Add(seed, "blender:4.2.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if lacking := scheduler.Lacking([]string{a}, []string{a}); lacking != nil {
			t.Fatalf("%q does not meet itself", a)
		}
		one := scheduler.Lacking([]string{a}, []string{b})
		if more := scheduler.Lacking([]string{"other", a}, []string{b}); len(more) > len(one) {
			t.Fatalf("%q with more abilities lacks %q", a, more)
		}
	})
}

// TestVersionsAreOrdered holds the order of versions to that of whole numbers, place by place.
func TestVersionsAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 4)
		has, wanted := version.Draw(t, "has"), version.Draw(t, "wanted")
		text := func(v []int) string {
			return "blender:" + strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ".")
		}
		padded := func(v []int) []int { return append(slices.Clone(v), 0, 0, 0, 0)[:4] }
		met := len(scheduler.Lacking([]string{text(has)}, []string{text(wanted)})) == 0
		if want := slices.Compare(padded(has), padded(wanted)) >= 0; met != want {
			t.Fatalf("%s meets %s: %v", text(has), text(wanted), met)
		}
	})
}

func TestTasksGoToWhoCanDoThem(t *testing.T) {
	f := newFarm(t)
	old, current := f.able(t, "old", "blender:3.4.1"), f.able(t, "new", "blender:4.2.3", "usd")
	hard := f.job(t, 2, requiring("usd", " blender:4.2 ", "usd"))
	f.idle(t, old)
	task := f.claim(t, current)
	if task.Job != hard {
		t.Fatalf("got a task of job %s, want %s", task.Job, hard)
	}
	job := f.wantJob(t, hard, scheduler.JobActive)
	if d := cmp.Diff([]string{"blender:4.2", "usd"}, job.Requires); d != "" {
		t.Errorf("requirements: -want +got\n%s", d)
	}
	// The only one that can do it may try again, and is not taken off the job.
	f.report(t, current, task, scheduler.TaskFailed)
	f.report(t, current, f.claim(t, current), scheduler.TaskCompleted)
	f.report(t, current, f.claim(t, current), scheduler.TaskCompleted)
	f.wantJob(t, hard, scheduler.JobCompleted)
}

func TestRequirementsAreChecked(t *testing.T) {
	f := newFarm(t)
	many := slices.Repeat([]string{"usd"}, scheduler.MaxAbilities+1)
	for _, bad := range [][]string{{""}, {" "}, {"a\nb"}, {strings.Repeat("a", scheduler.MaxAbilitySize+1)}, many} {
		job := scheduler.Job{ID: f.NewJobID(), Priority: 50, Requires: bad}
		if _, err := f.SubmitJob(context.Background(), job, []scheduler.NewTask{{ID: f.NewTaskID()}}); !errors.Is(err, scheduler.ErrInvalid) {
			t.Errorf("job that requires %.40q: %v, want ErrInvalid", bad, err)
		}
		on := scheduler.SignOn{Name: "a", Abilities: bad}
		if _, err := f.SignOn(context.Background(), f.worker(t, "a"), on); !errors.Is(err, scheduler.ErrInvalid) {
			t.Errorf("worker with abilities %.40q: %v, want ErrInvalid", bad, err)
		}
		r := scheduler.Registration{Name: "a", Secret: "s", Abilities: bad}
		if _, err := f.Register(context.Background(), r); !errors.Is(err, scheduler.ErrInvalid) {
			t.Errorf("new worker with abilities %.40q: %v, want ErrInvalid", bad, err)
		}
	}
}

// TestAWorkerThatLostAnAbilityLosesItsTask: it comes back with an older Blender and asks for work.
func TestAWorkerThatLostAnAbilityLosesItsTask(t *testing.T) {
	f := newFarm(t)
	w := f.able(t, "one", "blender:4.2")
	f.job(t, 1, requiring("blender:4.2"))
	task := f.claim(t, w)
	f.signOn(t, w, "blender:3.4")
	f.idle(t, w)
	if got := f.wantTask(t, task.ID, scheduler.TaskQueued); !strings.Contains(got.Activity, "blender:3.4 instead of blender:4.2") {
		t.Errorf("activity is %q", got.Activity)
	}
	f.signOn(t, w, "blender:4.2")
	f.claim(t, w)
}

// TestAJobThatNobodyCanDoSaysSo follows the activity of a job from a farm without workers to one that can do it.
func TestAJobThatNobodyCanDoSaysSo(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	id := f.job(t, 1, requiring("blender:4.2", "usd"))
	wants := func(parts ...string) {
		t.Helper()
		one := f.wantJob(t, id, scheduler.JobQueued)
		all, err := f.Jobs(ctx, scheduler.JobQuery{})
		if err != nil || len(all) != 1 || all[0].Activity != one.Activity {
			t.Fatalf("the list says %+v, %v; the job %q", all, err, one.Activity)
		}
		for _, part := range parts {
			if !strings.Contains(one.Activity, part) {
				t.Errorf("activity is %q, want %q in it", one.Activity, part)
			}
		}
		if len(parts) == 0 && strings.Contains(one.Activity, "Waits") {
			t.Errorf("activity is still %q", one.Activity)
		}
	}
	wants("can do blender:4.2, usd", "no workers yet")
	old := f.able(t, "old", "blender:3.4")
	wants("old: it has blender:3.4 instead of blender:4.2, no usd")
	for range 4 {
		f.able(t, "older", "usd")
	}
	wants("and 2 more")
	f.idle(t, old)
	able := f.able(t, "able", "blender:4.2", "usd")
	if err := f.SignOff(ctx, able); err != nil {
		t.Fatal(err)
	}
	wants()
	if err := f.DeleteWorker(ctx, able); err != nil {
		t.Fatal(err)
	}
	wants("no worker of the farm can")
	f.worker(t, "never told")
	wants()
}

// TestAWaiterThatCannotPassesTheWakeUpOn: work that only the second in line can do reaches it at once.
func TestAWaiterThatCannotPassesTheWakeUpOn(t *testing.T) {
	f := newFarm(t)
	old, current := f.able(t, "old", "blender:3.4"), f.able(t, "new", "blender:4.2")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := f.Claim(ctx, old, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("the old worker got %v, want nothing until the end", err)
		}
	}()
	got := make(chan error, 1)
	go func() {
		_, err := f.Claim(ctx, current, time.Hour)
		got <- err
	}()
	f.job(t, 1, requiring("blender:4.2"))
	if err := <-got; err != nil {
		t.Error(err)
	}
	stop()
	<-ended
}

// TestListenersHearWhenAJobFindsAWorker: the sign-on of a worker that can do it is news of the job.
func TestListenersHearWhenAJobFindsAWorker(t *testing.T) {
	f := newFarm(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	id := f.job(t, 1, requiring("usd"))
	w := f.able(t, "one", "alembic")
	heard := f.Subscribe(scheduler.JobNotices, func(n scheduler.Notice) bool {
		j, ok := n.(scheduler.JobChanged)
		return ok && j.Job.ID == id && !strings.Contains(j.Job.Activity, "Waits")
	})
	f.signOn(t, w, "usd")
	<-heard.C
	heard.Close()
	stop()
	<-ended
}

func TestEligibleWorkers(t *testing.T) {
	f := newFarm(t)
	ctx := context.Background()
	f.able(t, "a", "blender:3.4", "gpu")
	b := f.able(t, "b", "blender:4.2", "usd")
	off := f.able(t, "c", "blender:4.2", "usd")
	f.worker(t, "d", "fast")
	if err := f.SignOff(ctx, off); err != nil {
		t.Fatal(err)
	}
	if err := f.StatusChanged(ctx, b, scheduler.WorkerAsleep); err != nil {
		t.Fatal(err)
	}
	tags, err := f.Tags(ctx)
	if err != nil || len(tags) != 1 {
		t.Fatalf("tags %v, %v", tags, err)
	}
	for _, c := range []struct {
		name string
		need scheduler.Need
		want []string
	}{
		{"nothing", scheduler.Need{}, []string{"", "", "it is offline", ""}},
		{"abilities", scheduler.Need{Requires: []string{"usd", "blender:4"}}, []string{
			"it has blender:3.4 instead of blender:4, no usd", "", "it is offline", ""}},
		{"tag", scheduler.Need{Tag: tags[0].ID}, []string{
			"it does not carry the job's tag", "it does not carry the job's tag", "it does not carry the job's tag", ""}},
		{"task types", scheduler.Need{TaskTypes: []string{"misc", "ffmpeg"}}, slices.Repeat([]string{"it does not take tasks of type ffmpeg"}, 4)},
	} {
		answers, err := f.EligibleWorkers(ctx, c.need)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, answer := range answers {
			if answer.Can != (answer.Why == "") {
				t.Errorf("%s: worker %s: can %v, why %q", c.name, answer.Worker.Name, answer.Can, answer.Why)
			}
			got = append(got, answer.Why)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", c.name, d)
		}
	}
	if _, err := f.EligibleWorkers(ctx, scheduler.Need{Requires: []string{""}}); !errors.Is(err, scheduler.ErrInvalid) {
		t.Errorf("an empty requirement: %v, want ErrInvalid", err)
	}
}

func TestPace(t *testing.T) {
	f := newFarm(t)
	w := f.worker(t, "one")
	f.job(t, 2)
	for range 2 {
		task := f.claim(t, w)
		f.clock.advance(30 * time.Second)
		f.report(t, w, task, scheduler.TaskCompleted)
	}
	got, err := f.Pace(context.Background(), "test", "2 tasks", "blender")
	if want := (scheduler.Pace{Tasks: 2, Steps: 2, Elapsed: time.Minute}); err != nil || got != want {
		t.Errorf("pace %+v, %v; want %+v", got, err, want)
	}
}
