package storetest

import (
	"time"

	"hayloft/scheduler"
)

func workers(f *farm) {
	b, a := f.newWorker("b"), f.newWorker("a", "blender", "misc")
	get := func(id scheduler.WorkerID) scheduler.Worker {
		f.Helper()
		return read(f, func(tx scheduler.ReadTx) (scheduler.Worker, error) { return tx.Worker(id) })
	}
	stored := get(a.ID)
	if stored.Created.IsZero() || !stored.Updated.Equal(stored.Created) {
		f.Errorf("created %v, updated %v", stored.Created, stored.Updated)
	}
	a.Created, a.Updated = stored.Created, stored.Updated
	f.diff("worker", a, stored)
	var names []string
	for _, w := range read(f, func(tx scheduler.ReadTx) ([]scheduler.Worker, error) { return tx.Workers() }) {
		names = append(names, w.Name)
	}
	f.diff("by name", []string{"a", "b"}, names)

	tag := f.newTag("gpu")
	seen := time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)
	f.update(func(tx scheduler.Tx) error {
		if err := tx.SetWorkerTags(a.ID, []scheduler.TagID{tag.ID, {UUID: f.ids.uuid()}, tag.ID}); err != nil {
			return err
		}
		return tx.SeeWorkers(map[scheduler.WorkerID]time.Time{a.ID: seen, {UUID: f.ids.uuid()}: seen})
	})
	a.Name, a.Status, a.Requested, a.RequestedLazy = "renamed", scheduler.WorkerOffline, scheduler.WorkerAsleep, true
	a.TaskTypes, a.CanRestart, a.SecretHash, a.Platform = []string{"ffmpeg"}, true, []byte{0, 1}, "windows"
	a.Abilities = []string{"blender:4.2", "engine:CYCLES"}
	var now time.Time
	f.update(func(tx scheduler.Tx) error { now = tx.Now(); return tx.PutWorker(a) })
	a.Tags, a.LastSeen, a.Updated = []scheduler.TagID{tag.ID}, seen, now
	f.diff("replaced all but tags and when it was seen", a, get(a.ID))

	f.insert(f.blankJob(), f.newTasks(1))
	task := f.claim(b)
	f.update(func(tx scheduler.Tx) error { return tx.DeleteWorker(b.ID) })
	_, err := tryRead(f, func(tx scheduler.ReadTx) (scheduler.Worker, error) { return tx.Worker(b.ID) })
	f.wantErr(err, scheduler.ErrNotFound)
	f.diff("the task goes on naming it", "b", f.task(task.ID).WorkerName)
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.DeleteWorker(b.ID) })
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.PutWorker(b) })
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.SetWorkerTags(b.ID, nil) })
	list := read(f, func(tx scheduler.ReadTx) ([]scheduler.Worker, error) { return tx.Workers() })
	f.diff("only the other is listed", []scheduler.Worker{a}, list)
}

func tags(f *farm) {
	gpu, cpu := f.newTag("gpu"), f.newTag("cpu")
	list := func() []scheduler.Tag {
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.Tag, error) { return tx.Tags() })
	}
	f.diff("by name", []scheduler.Tag{cpu, gpu}, list())
	clash := gpu
	clash.Name = "cpu"
	f.refused(scheduler.ErrConflict, func(tx scheduler.Tx) error { return tx.PutTag(clash) })
	gpu.Name, gpu.Description = "a gpu", "fast"
	f.update(func(tx scheduler.Tx) error { return tx.PutTag(gpu) })
	f.diff("renamed", []scheduler.Tag{gpu, cpu}, list())
	f.diff("one", gpu, read(f, func(tx scheduler.ReadTx) (scheduler.Tag, error) { return tx.Tag(gpu.ID) }))

	w := f.newWorker("one")
	job := f.blankJob()
	job.WorkerTag = gpu.ID
	f.insert(job, f.newTasks(1))
	f.nothingFor(w)
	f.update(func(tx scheduler.Tx) error { return tx.SetWorkerTags(w.ID, []scheduler.TagID{gpu.ID, cpu.ID}) })
	f.update(func(tx scheduler.Tx) error { return tx.DeleteTag(gpu.ID) })
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.DeleteTag(gpu.ID) })
	_, err := tryRead(f, func(tx scheduler.ReadTx) (scheduler.Tag, error) { return tx.Tag(gpu.ID) })
	f.wantErr(err, scheduler.ErrNotFound)
	stored := read(f, func(tx scheduler.ReadTx) (scheduler.Worker, error) { return tx.Worker(w.ID) })
	f.diff("the worker's tags", []scheduler.TagID{cpu.ID}, stored.Tags)
	f.diff("the job's tag", scheduler.TagID{}, f.job(job.ID).WorkerTag)
	f.claim(f.newWorker("without tags"))
}
