package storetest

import (
	"time"

	"hayloft/scheduler"
)

func unblock(f *farm) {
	id := f.insert(f.blankJob(), f.newTasks(1))
	a, b := f.newWorker("a"), f.newWorker("b")
	f.update(func(tx scheduler.Tx) error { return tx.Block(id, a.ID, "blender") })
	f.nothingFor(a)
	for range 2 {
		f.update(func(tx scheduler.Tx) error { return tx.Unblock(id, b.ID, "blender") })
		f.update(func(tx scheduler.Tx) error { return tx.Unblock(id, a.ID, "misc") })
	}
	f.nothingFor(a)
	f.update(func(tx scheduler.Tx) error { return tx.Unblock(id, a.ID, "blender") })
	f.claimed(a)
}

// claimed lets a worker take what is next for it.
func (f *farm) claimed(w scheduler.Worker) {
	f.Helper()
	f.update(func(tx scheduler.Tx) error {
		next, err := tx.NextRunnable(w, nil)
		if err != nil {
			return err
		}
		_, err = tx.MoveTask(next, scheduler.TaskMove{To: scheduler.TaskActive, Worker: w.ID, NewClaim: true})
		return err
	})
}

func jobTag(f *farm) {
	id := f.insert(f.blankJob(), f.newTasks(2))
	tag := scheduler.Tag{ID: scheduler.TagID{UUID: f.ids.uuid()}, Name: "gpu"}
	f.update(func(tx scheduler.Tx) error { return tx.PutTag(tag) })
	plain, tagged := f.newWorker("plain"), f.newWorker("tagged")
	f.update(func(tx scheduler.Tx) error { return tx.SetWorkerTags(tagged.ID, []scheduler.TagID{tag.ID}) })
	f.update(func(tx scheduler.Tx) error { return tx.SetJobTag(id, tag.ID) })
	if got := f.job(id).WorkerTag; got != tag.ID {
		f.Errorf("the job has tag %s, want %s", got, tag.ID)
	}
	f.nothingFor(plain)
	f.claimed(tagged)
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error {
		return tx.SetJobTag(id, scheduler.TagID{UUID: f.ids.uuid()})
	})
	f.update(func(tx scheduler.Tx) error { return tx.SetJobTag(id, scheduler.TagID{}) })
	f.claimed(plain)
}

func jobLimits(f *farm) {
	job := f.blankJob()
	job.Limits = scheduler.JobLimits{Silence: 90 * time.Second, Total: 36 * time.Hour}
	id := f.insert(job, f.newTasks(1))
	f.diff("limits", job.Limits, f.job(id).Limits)
	state := read(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.JobState(id) })
	f.diff("limits for decisions", job.Limits, state.Limits)
}

func jobsUpdatedUntil(f *farm) {
	until := func(last time.Time) []scheduler.JobID {
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.JobID, error) { return tx.JobsUpdatedUntil(last) })
	}
	a := f.insert(f.blankJob(), f.newTasks(1))
	first := f.job(a).Updated
	b := f.insert(f.blankJob(), f.newTasks(1))
	f.update(func(tx scheduler.Tx) error { return tx.SetJobPriority(b, 60) })
	last := f.job(b).Updated
	if !last.After(first) {
		last = first.Add(time.Hour) // the store's clock stands still
	}
	f.diff("none", []scheduler.JobID(nil), until(first.Add(-time.Microsecond)))
	f.diff("all", []scheduler.JobID{a, b}, until(last))
	f.update(func(tx scheduler.Tx) error { return tx.RequestDeletion(a) })
	f.diff("without what is going", []scheduler.JobID{b}, until(last.Add(time.Hour)))
}

func schedule(f *farm) {
	w := f.newWorker("a")
	for _, want := range []*scheduler.Schedule{
		{Active: true, Zone: "Europe/Amsterdam", Windows: []scheduler.Window{{Days: []time.Weekday{time.Monday, time.Sunday}, Start: 1200, End: 360}, {}}},
		{},
		nil,
	} {
		w.Schedule = want
		f.update(func(tx scheduler.Tx) error { return tx.PutWorker(w) })
		got := read(f, func(tx scheduler.ReadTx) (scheduler.Worker, error) { return tx.Worker(w.ID) })
		f.diff("schedule", want, got.Schedule)
	}
}
