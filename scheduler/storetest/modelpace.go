package storetest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"hayloft/scheduler"
)

// modelPace is what a worker completed of a job's tasks of one type.
type modelPace struct {
	tasks, steps int
	elapsed      int64 // microseconds
	ended        time.Time
}

// note counts a task that was completed, the older ones less and less.
func (j *modelJob) note(t scheduler.Task) {
	by := scheduler.BlockEntry{Worker: t.Worker, TaskType: t.Type}
	p := j.paces[by]
	if p == nil {
		p = new(modelPace)
		j.paces[by] = p
	}
	if p.tasks == 8 {
		p.tasks, p.steps, p.elapsed = p.tasks/2, p.steps/2, p.elapsed/2
	}
	p.tasks, p.steps, p.elapsed, p.ended = p.tasks+1, p.steps+t.Steps, p.elapsed+took(t).Microseconds(), t.Updated
}

// lets tells whether a task is not kept from a worker by what happened in its job.
func (j *modelJob) lets(w scheduler.Worker, t *modelTask) bool {
	return !t.failedBy[w.ID] && slices.Contains(w.TaskTypes, t.Type) && !j.blocked[scheduler.BlockEntry{Worker: w.ID, TaskType: t.Type}]
}

// compareContenders looks at the race for a job's first task, unless the job is being deleted: failures go first. When a task
// was claimed the model does not know.
func (m *model) compareContenders(tx scheduler.ReadTx, j *modelJob) error {
	if len(j.tasks) == 0 || j.deleting {
		return nil
	}
	task := j.tasks[0]
	got, err := tx.Contenders(task.ID)
	if err != nil {
		return err
	}
	for i := range got {
		if !got[i].Since.IsZero() {
			got[i].Since = time.Unix(0, 0)
		}
	}
	var want []scheduler.Contender
	for _, w := range m.workers {
		c := scheduler.Contender{Worker: w.ID, Performance: 1}
		c.Can = j.lets(w, task) && m.able(j, w) && (j.tag.IsZero() || w.ID == m.workers[1].ID)
		if p := j.paces[scheduler.BlockEntry{Worker: w.ID, TaskType: task.Type}]; p != nil {
			c.Steps, c.Elapsed, c.Ended = p.steps, time.Duration(p.elapsed)*time.Microsecond, p.ended
		}
		if active, of := m.activeOn(w.ID); active != nil {
			c.Busy = true
			if of == j && active.Type == task.Type {
				c.Since, c.ActiveSteps = time.Unix(0, 0), active.Steps
			}
		}
		if c.Can || c.Steps > 0 {
			want = append(want, c)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		m.Fatalf("contenders for task %s: -want +got\n%s", task.ID, d)
	}
	return nil
}

// activeOn gives the first task that is active on a worker.
func (m *model) activeOn(id scheduler.WorkerID) (*modelTask, *modelJob) {
	for _, j := range m.jobs {
		for _, t := range j.tasks {
			if t.Status == scheduler.TaskActive && t.Worker == id {
				return t, j
			}
		}
	}
	return nil, nil
}
