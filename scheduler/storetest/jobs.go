package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hayloft/scheduler"
)

func jobRoundTrip(f *farm) {
	tag := f.newTag("gpu")
	job := f.blankJob()
	job.Name, job.Priority, job.CheckoutID, job.WorkerTag = "shot ☀ 010", 71, "shot-010-4f2a", tag.ID
	job.Status, job.Activity = scheduler.JobPaused, "waits for the artist"
	job.Settings = map[string]any{"frames": "1-10", "fps": 24.5, "audio": nil, "list": []any{"a", true}}
	job.Metadata = map[string]string{"user": "ana", "project": ""}
	tasks := f.newTasks(3)
	tasks[0].Steps, tasks[2].Needs = 5, []int{0, 1, 0}
	var now scheduler.Job
	f.update(func(tx scheduler.Tx) error {
		now.Created = tx.Now()
		return tx.InsertJob(job, tasks)
	})
	want := job
	want.Created, want.Updated = now.Created, now.Created
	want.Tasks.Queued, want.Runnable, want.StepsTotal = 3, 2, 7
	f.diff("job", want, f.job(job.ID))

	state := read(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.JobState(job.ID) })
	want.Name, want.Activity, want.Settings, want.Metadata = "", "", nil, nil
	f.diff("job state", want, state)
}

func jobList(f *farm) {
	f.diff("no jobs", []scheduler.Job(nil), read(f, func(tx scheduler.ReadTx) ([]scheduler.Job, error) {
		return tx.Jobs(scheduler.JobQuery{})
	}))
	var inserted []scheduler.JobID
	for range 5 {
		inserted = append(inserted, f.insert(f.blankJob(), nil))
	}
	slices.Reverse(inserted)
	list := func(q scheduler.JobQuery) (got []scheduler.JobID) {
		for _, job := range read(f, func(tx scheduler.ReadTx) ([]scheduler.Job, error) { return tx.Jobs(q) }) {
			got = append(got, job.ID)
		}
		return got
	}
	f.diff("all", inserted, list(scheduler.JobQuery{}))
	f.diff("first page", inserted[:2], list(scheduler.JobQuery{Limit: 2}))
	f.diff("next page", inserted[2:4], list(scheduler.JobQuery{Limit: 2, Before: inserted[1]}))
	f.diff("rest", inserted[4:], list(scheduler.JobQuery{Before: inserted[3]}))
	f.diff("after the last", []scheduler.JobID(nil), list(scheduler.JobQuery{Before: inserted[4]}))
}

func jobChanges(f *farm) {
	id := f.insert(f.blankJob(), f.newTasks(2))
	other := f.blankJob()
	other.Status = scheduler.JobUnderConstruction
	f.insert(other, nil)
	w := f.newWorker("one")
	for _, status := range scheduler.JobStatuses {
		f.update(func(tx scheduler.Tx) error { return tx.SetJobStatus(id, status, "now "+string(status)) })
		job := f.job(id)
		if job.Status != status || job.Activity != "now "+string(status) {
			f.Errorf("got status %q, activity %q, want %q", job.Status, job.Activity, status)
		}
		if status.Claimable() {
			f.update(func(tx scheduler.Tx) error { _, err := tx.NextRunnable(w, nil); return err })
		} else {
			f.nothingFor(w)
		}
		f.check()
	}
	f.update(func(tx scheduler.Tx) error {
		if err := tx.SetJobStatus(id, scheduler.JobFailed, ""); err != nil {
			return err
		}
		return tx.SetJobPriority(id, 99)
	})
	if job := f.job(id); job.Activity != "now requeueing" || job.Priority != 99 {
		f.Errorf("got activity %q and priority %d; an empty activity leaves the old one", job.Activity, job.Priority)
	}
	f.refused(scheduler.ErrInvalid, func(tx scheduler.Tx) error { return tx.SetJobPriority(id, scheduler.MaxPriority+1) })
	counts := read(f, func(tx scheduler.ReadTx) (map[scheduler.JobStatus]int, error) { return tx.JobCounts() })
	f.diff("jobs by status", map[scheduler.JobStatus]int{scheduler.JobFailed: 1, scheduler.JobUnderConstruction: 1}, counts)
}

func jobUnknown(f *farm) {
	unknown := f.blankJob().ID
	for name, call := range map[string]func(scheduler.Tx) error{
		"SetJobStatus":    func(tx scheduler.Tx) error { return tx.SetJobStatus(unknown, scheduler.JobActive, "") },
		"SetJobPriority":  func(tx scheduler.Tx) error { return tx.SetJobPriority(unknown, 1) },
		"RequestDeletion": func(tx scheduler.Tx) error { return tx.RequestDeletion(unknown) },
		"DeleteJobPart":   func(tx scheduler.Tx) error { _, err := tx.DeleteJobPart(unknown, 1); return err },
		"SetPreview":      func(tx scheduler.Tx) error { return tx.SetPreview(unknown) },
		"Unblock":         func(tx scheduler.Tx) error { return tx.Unblock(unknown, scheduler.WorkerID{}, "blender") },
		"SetJobTag":       func(tx scheduler.Tx) error { return tx.SetJobTag(unknown, scheduler.TagID{}) },
		"ClearBlocklist":  func(tx scheduler.Tx) error { return tx.ClearBlocklist(unknown) },
		"MoveTasks": func(tx scheduler.Tx) error {
			_, err := tx.MoveTasks(unknown, scheduler.TaskStatuses, scheduler.TaskMove{To: scheduler.TaskQueued})
			return err
		},
		"Job":        func(tx scheduler.Tx) error { _, err := tx.Job(unknown); return err },
		"JobState":   func(tx scheduler.Tx) error { _, err := tx.JobState(unknown); return err },
		"Tasks":      func(tx scheduler.Tx) error { _, err := tx.Tasks(unknown, 0, 0); return err },
		"Outputs":    func(tx scheduler.Tx) error { _, err := tx.Outputs(unknown); return err },
		"OutputsAt":  func(tx scheduler.Tx) error { _, err := tx.OutputsAt(unknown, "a.png"); return err },
		"Blocklist":  func(tx scheduler.Tx) error { _, err := tx.Blocklist(unknown); return err },
		"HasPreview": func(tx scheduler.Tx) error { _, err := tx.HasPreview(unknown); return err },
	} {
		if err := f.store.Update(context.Background(), call); !errors.Is(err, scheduler.ErrNotFound) {
			f.Errorf("%s of an unknown job: got error %v, want %v", name, err, scheduler.ErrNotFound)
		}
	}
}

func jobRefused(f *farm) {
	needs := func(want error, edges ...[2]int) {
		f.Helper()
		tasks := f.newTasks(3)
		for _, e := range edges {
			tasks[e[0]].Needs = append(tasks[e[0]].Needs, e[1])
		}
		job := f.blankJob()
		f.refused(want, func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) })
	}
	needs(scheduler.ErrInvalid, [2]int{0, 3})
	needs(scheduler.ErrInvalid, [2]int{0, -1})
	needs(scheduler.ErrInvalid, [2]int{1, 1})
	needs(scheduler.ErrInvalid, [2]int{0, 2}, [2]int{2, 1}, [2]int{1, 0})
	needs(nil, [2]int{0, 2}, [2]int{2, 1})

	tagged := f.blankJob()
	tagged.WorkerTag = scheduler.TagID{UUID: f.ids.uuid()}
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.InsertJob(tagged, nil) })
	twice, tasks := f.blankJob(), f.newTasks(1)
	f.insert(twice, tasks)
	f.refused(scheduler.ErrConflict, func(tx scheduler.Tx) error { return tx.InsertJob(twice, nil) })
	f.refused(scheduler.ErrConflict, func(tx scheduler.Tx) error { return tx.InsertJob(f.blankJob(), tasks) })
	if n := len(read(f, func(tx scheduler.ReadTx) ([]scheduler.Job, error) { return tx.Jobs(scheduler.JobQuery{}) })); n != 2 {
		f.Errorf("%d jobs are there, want 2: a refused job must leave nothing behind", n)
	}
}

func preview(f *farm) {
	last := func() scheduler.JobID {
		return read(f, func(tx scheduler.ReadTx) (scheduler.JobID, error) { return tx.LastRendered() })
	}
	one, two := f.insert(f.blankJob(), nil), f.insert(f.blankJob(), nil)
	f.diff("before any", scheduler.JobID{}, last())
	for _, id := range []scheduler.JobID{one, two, one} {
		f.update(func(tx scheduler.Tx) error { return tx.SetPreview(id) })
		f.diff("last rendered", id, last())
	}
	three := f.insert(f.blankJob(), nil)
	for id, want := range map[scheduler.JobID]bool{one: true, two: true, three: false} {
		f.diff("has a preview", want, read(f, func(tx scheduler.ReadTx) (bool, error) { return tx.HasPreview(id) }))
	}
}

func blocklist(f *farm) {
	id := f.insert(f.blankJob(), f.newTasks(1))
	a, b := f.newWorker("a"), f.newWorker("b")
	for _, e := range []scheduler.BlockEntry{{Worker: b.ID, TaskType: "blender"}, {Worker: a.ID, TaskType: "misc"},
		{Worker: a.ID, TaskType: "blender"}, {Worker: a.ID, TaskType: "misc"}} {
		f.update(func(tx scheduler.Tx) error { return tx.Block(id, e.Worker, e.TaskType) })
	}
	list := func() []scheduler.BlockEntry {
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.BlockEntry, error) { return tx.Blocklist(id) })
	}
	f.diff("blocklist", []scheduler.BlockEntry{{Worker: a.ID, WorkerName: "a", TaskType: "blender"},
		{Worker: a.ID, WorkerName: "a", TaskType: "misc"}, {Worker: b.ID, WorkerName: "b", TaskType: "blender"}}, list())
	f.nothingFor(a)
	f.update(func(tx scheduler.Tx) error { return tx.ClearBlocklist(id) })
	f.diff("cleared", []scheduler.BlockEntry(nil), list())
	f.claim(a)
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.Block(id, scheduler.WorkerID{UUID: f.ids.uuid()}, "misc") })
}

func deletion(f *farm) {
	w := f.newWorker("one")
	keep := f.insert(f.blankJob(), f.newTasks(2))
	f.update(func(tx scheduler.Tx) error { return tx.SetJobStatus(keep, scheduler.JobPaused, "") })
	id, tasks := f.fullJob(w)
	f.refused(scheduler.ErrInvalid, func(tx scheduler.Tx) error { _, err := tx.DeleteJobPart(id, 5); return err })
	toDelete := func() []scheduler.JobID {
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.JobID, error) { return tx.JobsToDelete() })
	}
	f.diff("nothing to delete", []scheduler.JobID(nil), toDelete())
	f.update(func(tx scheduler.Tx) error { return tx.RequestDeletion(id) })
	requested := f.job(id).DeleteRequestedAt
	if requested.IsZero() {
		f.Error("the request was not noted")
	}
	f.update(func(tx scheduler.Tx) error { return tx.RequestDeletion(id) })
	f.diff("the first request counts", requested, f.job(id).DeleteRequestedAt)
	f.update(func(tx scheduler.Tx) error { return tx.SetJobStatus(id, scheduler.JobQueued, "") })
	f.nothingFor(w)
	second := f.insert(f.blankJob(), nil)
	f.update(func(tx scheduler.Tx) error { return tx.RequestDeletion(second) })
	f.diff("to delete", []scheduler.JobID{id, second}, toDelete())

	parts := 0
	for done := false; !done; parts++ {
		f.update(func(tx scheduler.Tx) (err error) {
			done, err = tx.DeleteJobPart(id, 7)
			return err
		})
		f.check()
		if parts > 100 {
			f.Fatal("the deletion does not end")
		}
	}
	if parts < 4 {
		f.Errorf("%d parts for more than 28 rows with a limit of 7", parts)
	}
	for _, task := range tasks {
		_, err := tryRead(f, func(tx scheduler.ReadTx) (scheduler.Task, error) { return tx.Task(task.ID) })
		f.wantErr(err, scheduler.ErrNotFound)
	}
	_, err := tryRead(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.Job(id) })
	f.wantErr(err, scheduler.ErrNotFound)
	f.diff("the other job", 2, f.job(keep).Tasks.Queued)
	_, err = tryRead(f, func(tx scheduler.ReadTx) (scheduler.Task, error) { return tx.LastTask(w.ID) })
	f.wantErr(err, scheduler.ErrNotFound)
}

// fullJob stores a job that has rows of every kind.
func (f *farm) fullJob(w scheduler.Worker) (scheduler.JobID, []scheduler.NewTask) {
	f.Helper()
	tasks := f.newTasks(12)
	tasks[0].Needs = []int{11} // a need that is deleted later than who needs it, and others the other way round
	tasks[10].Needs = []int{1, 2, 3}
	id := f.insert(f.blankJob(), tasks)
	f.update(func(tx scheduler.Tx) error {
		for i, task := range tasks {
			for range i {
				if err := tx.AppendLog(task.ID, "line\n"); err != nil {
					return err
				}
			}
			o := scheduler.Output{Task: task.ID, Root: "/out", Path: fmt.Sprintf("%d.png", i), SHA256: sum(byte(i))}
			if err := tx.AddOutputs(id, []scheduler.Output{o}); err != nil {
				return err
			}
		}
		other := scheduler.Worker{ID: scheduler.WorkerID{UUID: f.ids.uuid()}, Name: "failing", Status: scheduler.WorkerAwake}
		if err := tx.PutWorker(other); err != nil {
			return err
		}
		if err := tx.AddFailure(tasks[4].ID, other.ID); err != nil {
			return err
		}
		return tx.Block(id, other.ID, "blender")
	})
	f.claim(w)
	return id, tasks
}

func deletionBesideReaders(f *farm) {
	w := f.newWorker("one")
	doomed := f.insert(f.blankJob(), f.newTasks(500))
	other := f.insert(f.blankJob(), f.newTasks(20))
	f.update(func(tx scheduler.Tx) error { return tx.RequestDeletion(doomed) })
	f.together(3, func(i int) error {
		switch i {
		case 0:
			return f.deleteInParts(doomed, 50)
		case 1:
			return f.claimSome(w, 20)
		default:
			for range 20 {
				_, err := tryRead(f, func(tx scheduler.ReadTx) ([]scheduler.Job, error) { return tx.Jobs(scheduler.JobQuery{}) })
				if err != nil {
					return err
				}
			}
			return nil
		}
	})
	f.diff("the claims are of the other job", scheduler.TaskCounts{Active: 20}, f.job(other).Tasks)
}

func (f *farm) deleteInParts(id scheduler.JobID, limit int) error {
	for done := false; !done; {
		err := f.try(func(tx scheduler.Tx) (err error) {
			done, err = tx.DeleteJobPart(id, limit)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
