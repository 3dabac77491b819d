package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/scheduler"
)

// modelTask is what the model knows of a task.
type modelTask struct {
	scheduler.TaskState
	priority int
	index    int
	needs    []*modelTask
	failedBy map[scheduler.WorkerID]bool
}

func (m *modelTask) ready() bool {
	return m.Status.Waiting() && !slices.ContainsFunc(m.needs, func(n *modelTask) bool { return n.Status != scheduler.TaskCompleted })
}

// modelJob is what the model knows of a job.
type modelJob struct {
	id       scheduler.JobID
	status   scheduler.JobStatus
	priority int
	tag      scheduler.TagID
	requires []string
	deleting bool
	tasks    []*modelTask
	blocked  map[scheduler.BlockEntry]bool
	share    scheduler.Share
	paces    map[scheduler.BlockEntry]*modelPace // by worker and type
}

func (j *modelJob) ready() (ready map[*modelTask]bool) {
	ready = make(map[*modelTask]bool)
	for _, t := range j.tasks {
		if t.ready() {
			ready[t] = true
		}
	}
	return ready
}

// model runs random actions against a store and the plainest possible scheduler state, and compares.
type model struct {
	*rapid.T
	farm    *farm
	jobs    []*modelJob // by age
	workers []scheduler.Worker
	tag     scheduler.Tag
}

func againstModel(t *testing.T, store scheduler.Store) {
	f := &farm{T: t, store: store, ids: new(ids)}
	tag := f.newTag("gpu")
	workers := []scheduler.Worker{f.newWorker("a"), f.newWorker("b", "blender", "misc"), f.newWorker("c", "misc")}
	workers[0].Abilities, workers[1].Abilities = []string{"blender:3.4"}, []string{"blender:4.2.1", "usd"}
	f.update(func(tx scheduler.Tx) error {
		return errors.Join(tx.PutWorker(workers[0]), tx.PutWorker(workers[1]), tx.SetWorkerTags(workers[1].ID, []scheduler.TagID{tag.ID}))
	})
	rapid.Check(t, func(t *rapid.T) {
		m := &model{T: t, farm: f, workers: workers, tag: tag}
		defer m.clear()
		t.Repeat(map[string]func(*rapid.T){
			"":          m.compare,
			"submit":    m.submit,
			"claim":     m.claim,
			"claim all": m.claimTogether,
			"move":      m.move,
			"progress":  m.progress,
			"fail":      m.fail,
			"cancel":    m.massMove,
			"status":    m.setStatus,
			"priority":  m.setPriority,
			"block":     m.block,
			"delete":    m.delete,
		})
	})
}

func (m *model) update(fn func(scheduler.Tx) error) {
	m.Helper()
	if err := m.farm.try(fn); err != nil {
		m.Fatal(err)
	}
}

// clear takes all jobs away, so that the next history starts on an empty store.
func (m *model) clear() {
	for _, j := range m.jobs {
		m.update(func(tx scheduler.Tx) error {
			if err := tx.RequestDeletion(j.id); err != nil {
				return err
			}
			_, err := tx.DeleteJobPart(j.id, 10_000)
			return err
		})
	}
}

func (m *model) submit(t *rapid.T) {
	if len(m.jobs) >= 4 {
		t.Skip("enough jobs")
	}
	j := &modelJob{
		id:       scheduler.JobID{UUID: m.farm.ids.uuid()},
		status:   rapid.SampledFrom([]scheduler.JobStatus{scheduler.JobQueued, scheduler.JobPaused}).Draw(t, "status"),
		priority: rapid.IntRange(49, 51).Draw(t, "priority"), blocked: make(map[scheduler.BlockEntry]bool),
	}
	if rapid.Bool().Draw(t, "tagged") {
		j.tag = m.tag.ID
	}
	j.share = rapid.SampledFrom([]scheduler.Share{scheduler.ShareByPulling, scheduler.ShareBySpeed}).Draw(t, "share")
	j.paces = make(map[scheduler.BlockEntry]*modelPace)
	j.requires = rapid.SampledFrom([][]string{nil, nil, {"blender:3.4"}, {"blender:4.2"}, {"usd"}, {"osl"}}).Draw(t, "requires")
	order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "order")[:rapid.IntRange(0, 6).Draw(t, "tasks")]
	tasks := make([]scheduler.NewTask, len(order))
	place := make(map[int]int) // what may be needed: only tasks that come earlier in some order, so that there is no circle
	for i, n := range order {
		place[n] = i
	}
	for i, n := range order {
		tasks[i] = scheduler.NewTask{
			ID: scheduler.TaskID{UUID: m.farm.ids.uuid()}, Type: rapid.SampledFrom([]string{"blender", "misc"}).Draw(t, "type"),
			Priority: rapid.IntRange(0, 1).Draw(t, "task priority"), Steps: 3,
		}
		for earlier := range n {
			if at, ok := place[earlier]; ok && rapid.IntRange(0, 2).Draw(t, "needs") == 0 {
				tasks[i].Needs = append(tasks[i].Needs, at)
			}
		}
		j.tasks = append(j.tasks, &modelTask{
			TaskState: scheduler.TaskState{ID: tasks[i].ID, Job: j.id, Type: tasks[i].Type, Status: scheduler.TaskQueued, Steps: 3},
			priority:  tasks[i].Priority, index: i + 1, failedBy: make(map[scheduler.WorkerID]bool),
		})
	}
	for i, task := range tasks {
		for _, n := range task.Needs {
			j.tasks[i].needs = append(j.tasks[i].needs, j.tasks[n])
		}
	}
	m.update(func(tx scheduler.Tx) error {
		return tx.InsertJob(scheduler.Job{ID: j.id, Priority: j.priority, Status: j.status, WorkerTag: j.tag, Requires: j.requires, Share: j.share}, tasks)
	})
	m.jobs = append(m.jobs, j)
}

// able names which worker meets which requirements: the first has Blender 3.4, the second 4.2 and USD, the third never
// told.
func (m *model) able(j *modelJob, w scheduler.Worker) bool {
	if len(j.requires) == 0 || w.ID == m.workers[2].ID {
		return true
	}
	second := w.ID == m.workers[1].ID
	return j.requires[0] == "blender:3.4" || second && j.requires[0] != "osl"
}

// next is NextRunnable in the plainest words, for a worker that leaves everything it may, or nothing.
func (m *model) next(w scheduler.Worker, leaves bool) *modelTask {
	var best *modelTask
	var bestJob *modelJob
	for _, j := range m.jobs {
		if !j.status.Claimable() || j.deleting || !j.tag.IsZero() && w.ID != m.workers[1].ID || !m.able(j, w) ||
			leaves && j.share == scheduler.ShareBySpeed {
			continue
		}
		for _, t := range j.tasks {
			if !t.ready() || !j.lets(w, t) {
				continue
			}
			if best == nil || j.priority > bestJob.priority || j.priority == bestJob.priority && t.priority > best.priority {
				best, bestJob = t, j
			}
		}
	}
	return best
}

func (m *model) claim(t *rapid.T) {
	w := rapid.SampledFrom(m.workers).Draw(t, "worker")
	leaves := rapid.IntRange(0, 3).Draw(t, "leaves") == 0
	want := m.next(w, leaves)
	var got scheduler.TaskState
	err := m.farm.try(func(tx scheduler.Tx) (err error) {
		got, err = claimLeaving(tx, w, func(scheduler.TaskState, int) (bool, error) { return leaves, nil })
		return err
	})
	m.claimed(w, want, got, err)
}

func (m *model) claimed(w scheduler.Worker, want *modelTask, got scheduler.TaskState, err error) {
	m.Helper()
	switch {
	case want == nil:
		if !errors.Is(err, scheduler.ErrNoWork) {
			m.Fatalf("worker %s got task %s and error %v, want no work", w.Name, got.ID, err)
		}
	case err != nil:
		m.Fatal(err)
	default:
		want.Status, want.Worker, want.Seq, want.StepsDone = scheduler.TaskActive, w.ID, 0, 0
		want.Claim++
		if d := cmp.Diff(want.TaskState, got); d != "" {
			m.Fatalf("worker %s, claim: -want +got\n%s", w.Name, d)
		}
	}
}

// claimTogether has all workers claim at once, and then replays the claims in the order in which they ran.
func (m *model) claimTogether(*rapid.T) {
	type result struct {
		worker scheduler.Worker
		task   scheduler.TaskState
		err    error
	}
	results := make(chan result, len(m.workers)) // filled inside the transactions: their order
	m.farm.together(len(m.workers), func(i int) error {
		err := m.farm.try(func(tx scheduler.Tx) error {
			task, err := claim(tx, m.workers[i])
			results <- result{m.workers[i], task, err}
			return err
		})
		if errors.Is(err, scheduler.ErrNoWork) {
			return nil
		}
		return err
	})
	close(results)
	for r := range results {
		m.claimed(r.worker, m.next(r.worker, false), r.task, r.err)
	}
}

func (m *model) anyTask(t *rapid.T) (*modelJob, *modelTask) {
	var jobs []*modelJob
	for _, j := range m.jobs {
		if len(j.tasks) > 0 && !j.deleting {
			jobs = append(jobs, j)
		}
	}
	if len(jobs) == 0 {
		t.Skip("no tasks")
	}
	j := rapid.SampledFrom(jobs).Draw(t, "job")
	return j, rapid.SampledFrom(j.tasks).Draw(t, "task")
}

func (m *model) move(t *rapid.T) {
	j, task := m.anyTask(t)
	claims := func(s scheduler.TaskStatus) bool { return s == scheduler.TaskActive }
	to := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(scheduler.TaskStatuses), claims)).Draw(t, "to")
	move := scheduler.TaskMove{To: to, ResetFailures: rapid.Bool().Draw(t, "reset")}
	if rapid.Bool().Draw(t, "with steps") {
		n := rapid.IntRange(0, 3).Draw(t, "steps")
		move.StepsDone = &n
	}
	before, finished := j.ready(), task.Status == scheduler.TaskActive && to == scheduler.TaskCompleted
	var became int
	m.update(func(tx scheduler.Tx) (err error) {
		became, err = tx.MoveTask(task.TaskState, move)
		return err
	})
	task.apply(move)
	if finished && j.share == scheduler.ShareBySpeed {
		j.note(m.farm.task(task.ID))
	}
	m.wantBecame(before, j, became)
}

func (m *modelTask) apply(move scheduler.TaskMove) {
	m.Status = move.To
	if move.StepsDone != nil {
		m.StepsDone = *move.StepsDone
	}
	if move.ResetFailures {
		m.Failures = 0
		clear(m.failedBy)
	}
}

func (m *model) wantBecame(before map[*modelTask]bool, j *modelJob, got int) {
	m.Helper()
	want := 0
	for t := range j.ready() {
		if !before[t] {
			want++
		}
	}
	if got != want {
		m.Fatalf("%d tasks are said to have become runnable, %d have", got, want)
	}
}

func (m *model) progress(t *rapid.T) {
	_, task := m.anyTask(t)
	n, seq := rapid.IntRange(0, 3).Draw(t, "steps"), rapid.Int64Range(0, 9).Draw(t, "seq")
	m.update(func(tx scheduler.Tx) error { return tx.TouchTask(task.TaskState, nil, &n, seq) })
	task.StepsDone = n
	if seq != 0 {
		task.Seq = seq
	}
}

func (m *model) fail(t *rapid.T) {
	_, task := m.anyTask(t)
	w := rapid.SampledFrom(m.workers).Draw(t, "worker")
	if rapid.IntRange(0, 3).Draw(t, "forget") == 0 {
		m.update(func(tx scheduler.Tx) error { return tx.ForgetFailedBy(task.ID) })
		clear(task.failedBy)
		return
	}
	m.update(func(tx scheduler.Tx) error { return tx.AddFailure(task.ID, w.ID) })
	task.Failures++
	task.failedBy[w.ID] = true
}

func (m *model) massMove(t *rapid.T) {
	j, _ := m.anyTask(t)
	from := rapid.SliceOfDistinct(rapid.SampledFrom(scheduler.TaskStatuses), rapid.ID[scheduler.TaskStatus]).Draw(t, "from")
	move := scheduler.TaskMove{To: rapid.SampledFrom([]scheduler.TaskStatus{
		scheduler.TaskCanceled, scheduler.TaskQueued, scheduler.TaskPaused, scheduler.TaskCompleted,
	}).Draw(t, "to"), ResetFailures: rapid.Bool().Draw(t, "reset")}
	if rapid.Bool().Draw(t, "with steps") {
		move.StepsDone = new(int)
	}
	before := j.ready()
	moved, owners := 0, make(map[scheduler.WorkerID]bool)
	for _, task := range j.tasks {
		if slices.Contains(from, task.Status) {
			if task.Status == scheduler.TaskActive {
				owners[task.Worker] = true
			}
			moved++
			task.apply(move)
		}
	}
	var mass scheduler.Mass
	m.update(func(tx scheduler.Tx) (err error) {
		mass, err = tx.MoveTasks(j.id, from, move)
		return err
	})
	got := make(map[scheduler.WorkerID]bool)
	for _, w := range mass.Workers {
		got[w] = true
	}
	if d := cmp.Diff(owners, got); mass.Moved != moved || d != "" {
		m.Fatalf("%d moved, want %d; workers: -want +got\n%s", mass.Moved, moved, d)
	}
	m.wantBecame(before, j, mass.Runnable)
}

func (m *model) anyJob(t *rapid.T) *modelJob {
	if len(m.jobs) == 0 {
		t.Skip("no jobs")
	}
	return rapid.SampledFrom(m.jobs).Draw(t, "job")
}

func (m *model) setStatus(t *rapid.T) {
	j := m.anyJob(t)
	j.status = rapid.SampledFrom(scheduler.JobStatuses).Draw(t, "status")
	m.update(func(tx scheduler.Tx) error { return tx.SetJobStatus(j.id, j.status, "") })
}

func (m *model) setPriority(t *rapid.T) {
	j := m.anyJob(t)
	j.priority = rapid.IntRange(49, 51).Draw(t, "priority")
	m.update(func(tx scheduler.Tx) error { return tx.SetJobPriority(j.id, j.priority) })
}

func (m *model) block(t *rapid.T) {
	j := m.anyJob(t)
	if rapid.IntRange(0, 2).Draw(t, "clear") == 0 {
		clear(j.blocked)
		m.update(func(tx scheduler.Tx) error { return tx.ClearBlocklist(j.id) })
		return
	}
	e := scheduler.BlockEntry{Worker: rapid.SampledFrom(m.workers).Draw(t, "worker").ID,
		TaskType: rapid.SampledFrom([]string{"blender", "misc"}).Draw(t, "type")}
	j.blocked[e] = true
	m.update(func(tx scheduler.Tx) error { return tx.Block(j.id, e.Worker, e.TaskType) })
}

func (m *model) delete(t *rapid.T) {
	j := m.anyJob(t)
	if !j.deleting {
		j.deleting = true
		m.update(func(tx scheduler.Tx) error { return tx.RequestDeletion(j.id) })
		return
	}
	var done bool
	m.update(func(tx scheduler.Tx) (err error) {
		done, err = tx.DeleteJobPart(j.id, rapid.IntRange(1, 4).Draw(t, "limit"))
		return err
	})
	if done {
		m.jobs = slices.DeleteFunc(m.jobs, func(other *modelJob) bool { return other == j })
	} else {
		m.farmKeeps(j)
	}
}

// farmKeeps drops from the model the tasks that a part of a deletion took: the first ones.
func (m *model) farmKeeps(j *modelJob) {
	left := read(m.farm, func(tx scheduler.ReadTx) ([]scheduler.Task, error) { return tx.Tasks(j.id, 0, 0) })
	j.tasks = j.tasks[len(j.tasks)-len(left):]
}

// compare holds the whole store against the model.
func (m *model) compare(*rapid.T) {
	err := m.farm.store.View(context.Background(), func(tx scheduler.ReadTx) error {
		for _, j := range m.jobs {
			if err := m.compareJob(tx, j); err != nil {
				return fmt.Errorf("job %s: %w", j.id, err)
			}
		}
		return nil
	})
	if err != nil {
		m.Fatal(err)
	}
	if c, ok := m.farm.store.(checker); ok {
		if err := c.Check(context.Background()); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *model) compareJob(tx scheduler.ReadTx, j *modelJob) error {
	job, err := tx.JobState(j.id)
	if err != nil {
		return err
	}
	if job.Share != j.share || job.Status != j.status || job.Priority != j.priority || !slices.Equal(job.Requires, j.requires) || job.DeleteRequestedAt.IsZero() == j.deleting {
		m.Fatalf("job is %+v, want %+v", job, j)
	}
	if err := m.compareContenders(tx, j); err != nil {
		return err
	}
	stored, err := tx.Tasks(j.id, 0, 0)
	if err != nil {
		return err
	}
	var want, got []scheduler.TaskState
	counts, steps := make(map[scheduler.TaskStatus]int), int64(0)
	for _, t := range j.tasks {
		want = append(want, t.TaskState)
		counts[t.Status]++
		steps += int64(t.StepsDone)
	}
	for _, t := range stored {
		got = append(got, t.TaskState)
	}
	if d := cmp.Diff(want, got); d != "" {
		m.Fatalf("tasks: -want +got\n%s", d)
	}
	for _, status := range scheduler.TaskStatuses {
		if job.Tasks.Of(status) != counts[status] {
			m.Fatalf("the job counts %d tasks as %s, there are %d", job.Tasks.Of(status), status, counts[status])
		}
	}
	if job.StepsCompleted != steps || !j.deleting && job.Runnable != len(j.ready()) {
		m.Fatalf("the job has %d steps and %d runnable tasks, want %d and %d", job.StepsCompleted, job.Runnable, steps, len(j.ready()))
	}
	return nil
}
