package storetest

import (
	"errors"
	"sync"
	"time"

	"hayloft/scheduler"
)

// newAble stores a worker that told what it can do.
func (f *farm) newAble(name string, abilities ...string) scheduler.Worker {
	f.Helper()
	w := f.newWorker(name)
	w.Abilities = abilities
	f.update(func(tx scheduler.Tx) error { return tx.PutWorker(w) })
	return w
}

func (f *farm) newRequiring(tasks []scheduler.NewTask, requires ...string) scheduler.JobID {
	f.Helper()
	job := f.blankJob()
	job.Requires = requires
	return f.insert(job, tasks)
}

// requirements holds back the best job from whoever cannot do it, and gives that worker what is next.
func requirements(f *farm) {
	nothing, silent := f.newWorker("nothing"), f.newWorker("silent")
	old, current := f.newAble("old", "blender:3.4.1"), f.newAble("new", "blender:4.2.0", "usd")
	nothing.Abilities = []string{}
	f.update(func(tx scheduler.Tx) error { return tx.PutWorker(nothing) })
	told := make(map[string]bool)
	for _, w := range read(f, func(tx scheduler.ReadTx) ([]scheduler.Worker, error) { return tx.Workers() }) {
		told[w.Name] = w.Abilities != nil
	}
	f.diff("who told, be it nothing", map[string]bool{"nothing": true, "silent": false, "old": true, "new": true}, told)

	hard, plain := f.newTasks(3), f.newTasks(3)
	hardJob := f.newRequiring(hard, "blender:4.2", "usd")
	f.insert(f.blankJob(), plain)
	f.diff("required", []string{"blender:4.2", "usd"}, f.job(hardJob).Requires)
	state := read(f, func(tx scheduler.ReadTx) (scheduler.Job, error) { return tx.JobState(hardJob) })
	f.diff("required, for decisions", []string{"blender:4.2", "usd"}, state.Requires)
	capable := read(f, func(tx scheduler.ReadTx) (int, error) { return tx.CapableWorkers(hard[0].ID) })
	f.diff("who could run it", 2, capable)
	f.diff("an old one gets the next job", plain[0].ID, f.claim(old).ID)
	f.diff("one with no abilities, too", plain[1].ID, f.claim(nothing).ID)
	f.diff("who can, gets it", hard[0].ID, f.claim(current).ID)
	f.diff("who never told, gets it", hard[1].ID, f.claim(silent).ID)
	f.diff("the old one again", plain[2].ID, f.claim(old).ID)
	f.nothingFor(old)
	old.Abilities = []string{"usd", "blender:5.0"}
	f.update(func(tx scheduler.Tx) error { return tx.PutWorker(old) })
	f.diff("after an upgrade", hard[2].ID, f.claim(old).ID)
}

// requirementsTogether lets two actors claim at once from jobs that share lists of requirements, while a third adds and
// deletes such jobs: nobody ever gets what it cannot do, and everything is done.
func requirementsTogether(f *farm) {
	const jobs, each = 6, 20
	old, current := f.newAble("old", "blender:3.4"), f.newAble("new", "blender:4.2", "usd")
	needs := [][]string{{"blender:3.4"}, {"blender:4.2", "usd"}}
	hard := make(map[scheduler.TaskID]bool)
	for i := range jobs {
		tasks := f.newTasks(each)
		f.newRequiring(tasks, needs[i%2]...)
		for _, task := range tasks {
			hard[task.ID] = i%2 == 1
		}
	}
	var mu sync.Mutex
	taken := make(map[scheduler.TaskID]scheduler.WorkerID)
	f.together(3, func(i int) error {
		if i == 2 {
			return f.comeAndGo(needs[1])
		}
		w := []scheduler.Worker{old, current}[i]
		for range jobs * each {
			err := f.try(func(tx scheduler.Tx) error {
				task, err := claim(tx, w)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					taken[task.ID] = w.ID
				}
				return err
			})
			if errors.Is(err, scheduler.ErrNoWork) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for id, isHard := range hard {
		if owner, ok := taken[id]; !ok || isHard && owner != current.ID {
			f.Errorf("task %s, which needs the new one: %v, went to %s", id, isHard, owner)
		}
	}
}

// comeAndGo stores paused jobs with a list of requirements and deletes them.
func (f *farm) comeAndGo(requires []string) error {
	for range 20 {
		job := f.blankJob()
		job.Requires, job.Status = requires, scheduler.JobPaused
		err := f.try(func(tx scheduler.Tx) error { return tx.InsertJob(job, f.newTasks(2)) })
		if err != nil {
			return err
		}
		err = f.try(func(tx scheduler.Tx) error {
			if err := tx.RequestDeletion(job.ID); err != nil {
				return err
			}
			_, err := tx.DeleteJobPart(job.ID, 1000)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func waiting(f *farm) {
	without := func() []scheduler.JobID {
		f.Helper()
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.JobID, error) { return tx.IdleRequiringJobs() })
	}
	types := func(id scheduler.JobID) []string {
		f.Helper()
		return read(f, func(tx scheduler.ReadTx) ([]string, error) { return tx.WaitingTypes(id) })
	}
	f.insert(f.blankJob(), f.newTasks(1))
	tasks := f.newTasks(3)
	tasks[1].Type, tasks[2].Type, tasks[2].Needs = "misc", "ffmpeg", []int{0, 1}
	id := f.newRequiring(tasks, "usd")
	f.diff("types", []string{"blender", "misc"}, types(id))
	f.diff("idle", []scheduler.JobID{id}, without())
	task := f.claim(f.newAble("able", "usd"))
	f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskCompleted}) // of the job that requires nothing
	task = f.claim(f.newAble("able", "usd"))
	f.diff("one is active", []scheduler.JobID(nil), without())
	f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskCompleted})
	f.diff("one is done", []string{"misc"}, types(id))
	f.diff("idle again", []scheduler.JobID{id}, without())
	f.update(func(tx scheduler.Tx) error { return tx.SetJobStatus(id, scheduler.JobPaused, "") })
	f.diff("paused", []scheduler.JobID(nil), without())
	f.diff("types of what is paused", []string(nil), types(id))
	_, err := tryRead(f, func(tx scheduler.ReadTx) ([]string, error) {
		return tx.WaitingTypes(scheduler.JobID{UUID: f.ids.uuid()})
	})
	f.wantErr(err, scheduler.ErrNotFound)
}

func pace(f *farm) {
	w := f.newWorker("one", "blender", "ffmpeg")
	get := func(name string, limit int) scheduler.Pace {
		f.Helper()
		return read(f, func(tx scheduler.ReadTx) (scheduler.Pace, error) {
			return tx.Pace("simple-blender-render", name, "blender", limit)
		})
	}
	f.diff("nothing yet", scheduler.Pace{}, get("job", 10))
	tasks := f.newTasks(4)
	tasks[0].Steps, tasks[1].Steps, tasks[3].Type = 5, 7, "ffmpeg"
	f.insert(f.blankJob(), tasks)
	var elapsed time.Duration
	for range 3 {
		task := f.claim(w)
		if task.ID == tasks[2].ID {
			f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskFailed})
			continue
		}
		f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskCompleted})
		done := f.task(task.ID)
		elapsed += done.Updated.Sub(done.ClaimedAt)
	}
	f.move(f.claim(w).ID, scheduler.TaskMove{To: scheduler.TaskCompleted})
	f.diff("what is completed, of that type", scheduler.Pace{Tasks: 2, Steps: 12, Elapsed: elapsed}, get("job", 10))
	f.diff("another name", scheduler.Pace{}, get("another", 10))
	if one := get("job", 1); one.Tasks != 1 || one.Steps != 7 {
		f.Errorf("the newest alone: %+v", one)
	}
}
