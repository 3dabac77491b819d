package storetest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"hayloft/scheduler"
)

func taskRoundTrip(f *farm) {
	tasks := f.newTasks(5)
	tasks[1].Commands = []byte(`entirely different`)
	tasks[2].Commands = nil
	tasks[3].Commands = append(bytes.Clone(tasks[0].Commands), tasks[0].Commands...)
	tasks[4].Type, tasks[4].Priority, tasks[4].Steps, tasks[4].Name = "ffmpeg", -3, 0, "vidéo"
	id := f.insert(f.blankJob(), tasks)
	created := f.job(id).Created
	for i, task := range tasks {
		want := scheduler.Task{
			TaskState: scheduler.TaskState{ID: task.ID, Job: id, Type: task.Type, Status: scheduler.TaskQueued, Steps: task.Steps},
			Index:     i + 1, Name: task.Name, Priority: task.Priority, Commands: task.Commands, Created: created, Updated: created,
		}
		f.diff("task", want, f.task(task.ID))
		state := read(f, func(tx scheduler.ReadTx) (scheduler.TaskState, error) { return tx.TaskState(task.ID) })
		f.diff("task state", want.TaskState, state)
		content := read(f, func(tx scheduler.ReadTx) (scheduler.TaskContent, error) { return tx.TaskContent(task.ID) })
		f.diff("task content", scheduler.TaskContent{Name: task.Name, Priority: task.Priority, Commands: task.Commands}, content)
	}
	unknown := scheduler.TaskID{UUID: f.ids.uuid()}
	for name, call := range map[string]func(scheduler.Tx) error{
		"Task":           func(tx scheduler.Tx) error { _, err := tx.Task(unknown); return err },
		"TaskContent":    func(tx scheduler.Tx) error { _, err := tx.TaskContent(unknown); return err },
		"TaskState":      func(tx scheduler.Tx) error { _, err := tx.TaskState(unknown); return err },
		"FailedBy":       func(tx scheduler.Tx) error { _, err := tx.FailedBy(unknown); return err },
		"CapableWorkers": func(tx scheduler.Tx) error { _, err := tx.CapableWorkers(unknown); return err },
		"LogSize":        func(tx scheduler.Tx) error { _, err := tx.LogSize(unknown); return err },
		"Log":            func(tx scheduler.Tx) error { _, err := tx.Log(unknown, 0, 1); return err },
		"AppendLog":      func(tx scheduler.Tx) error { return tx.AppendLog(unknown, "text") },
		"AppendLog none": func(tx scheduler.Tx) error { return tx.AppendLog(unknown, "") },
		"ForgetFailedBy": func(tx scheduler.Tx) error { return tx.ForgetFailedBy(unknown) },
		"MoveTask": func(tx scheduler.Tx) error {
			_, err := tx.MoveTask(scheduler.TaskState{ID: unknown}, scheduler.TaskMove{To: scheduler.TaskQueued})
			return err
		},
		"TouchTask":   func(tx scheduler.Tx) error { return tx.TouchTask(scheduler.TaskState{ID: unknown}, nil, nil, 0) },
		"ActiveTasks": func(tx scheduler.Tx) error { _, err := tx.ActiveTasks(scheduler.WorkerID(unknown)); return err },
		"LastTask":    func(tx scheduler.Tx) error { _, err := tx.LastTask(scheduler.WorkerID(unknown)); return err },
	} {
		if err := f.try(call); !isNotFound(err) {
			f.Errorf("%s of an unknown id: got error %v, want %v", name, err, scheduler.ErrNotFound)
		}
	}
}

func taskList(f *farm) {
	tasks := f.newTasks(10)
	id := f.insert(f.blankJob(), tasks)
	list := func(after, limit int) (indexes []int) {
		got := read(f, func(tx scheduler.ReadTx) ([]scheduler.Task, error) { return tx.Tasks(id, after, limit) })
		for _, task := range got {
			indexes = append(indexes, task.Index)
			if task.Commands != nil || task.ID != tasks[task.Index-1].ID {
				f.Errorf("task %d of the list is %s with commands %q", task.Index, task.ID, task.Commands)
			}
		}
		return indexes
	}
	f.diff("all", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, list(0, 0))
	f.diff("page", []int{4, 5, 6}, list(3, 3))
	f.diff("rest", []int{9, 10}, list(8, 5))
	f.diff("past the end", []int(nil), list(10, 5))
}

func taskProgress(f *farm) {
	w := f.newWorker("one")
	tasks := f.newTasks(2)
	tasks[0].Steps = 4
	id := f.insert(f.blankJob(), tasks)
	task := f.claim(w)
	claimed := f.task(task.ID)
	if claimed.WorkerName != "one" || claimed.WorkerAddr != "10.0.0.1" || claimed.Worker != w.ID || claimed.LastTouched.IsZero() {
		f.Errorf("claimed task: %+v", claimed)
	}
	text, three := "frame 3", 3
	f.update(func(tx scheduler.Tx) error { return tx.TouchTask(task, &text, &three, 7) })
	got := f.task(task.ID)
	if got.Activity != text || got.StepsDone != 3 || got.Seq != 7 || got.Status != scheduler.TaskActive {
		f.Errorf("after progress: %+v", got)
	}
	f.diff("the job's steps", int64(3), f.job(id).StepsCompleted)
	f.update(func(tx scheduler.Tx) error { return tx.TouchTask(task, nil, nil, 0) })
	if again := f.task(task.ID); again.Activity != text || again.StepsDone != 3 || again.Seq != 7 {
		f.Errorf("nothing given must leave the values: %+v", again)
	}
	empty := ""
	f.update(func(tx scheduler.Tx) error { return tx.TouchTask(got.TaskState, &empty, nil, 0) })
	f.diff("an empty activity is a value", "", f.task(task.ID).Activity)

	when := time.Date(2031, 2, 3, 4, 5, 6, 7000, time.UTC)
	f.update(func(tx scheduler.Tx) error {
		return tx.TouchTasks(map[scheduler.TaskID]time.Time{task.ID: when, {UUID: f.ids.uuid()}: when})
	})
	active := read(f, func(tx scheduler.ReadTx) ([]scheduler.Task, error) { return tx.AllActiveTasks() })
	if len(active) != 1 || !active[0].LastTouched.Equal(when) {
		f.Errorf("active tasks of the farm: %+v", active)
	}
	f.move(task.ID, scheduler.TaskMove{To: scheduler.TaskCompleted, Activity: "done", Seq: 9, StepsDone: &got.Steps})
	got = f.task(task.ID)
	if got.Activity != "done" || got.Seq != 9 || got.StepsDone != 4 || got.Worker != w.ID {
		f.Errorf("after completion: %+v", got)
	}
	second := f.claim(w)
	last := read(f, func(tx scheduler.ReadTx) (scheduler.Task, error) { return tx.LastTask(w.ID) })
	f.diff("last task", second.ID, last.ID)
}

func failures(f *farm) {
	a, b := f.newWorker("a"), f.newWorker("b")
	tasks := f.newTasks(3)
	tasks[2].Priority = 10 // another lane of the same type
	id := f.insert(f.blankJob(), tasks)
	other := f.insert(f.blankJob(), f.newTasks(1))
	fail := func(task scheduler.TaskID, w scheduler.Worker) {
		f.update(func(tx scheduler.Tx) error { return tx.AddFailure(task, w.ID) })
	}
	fail(tasks[0].ID, b)
	fail(tasks[0].ID, a)
	fail(tasks[0].ID, a)
	fail(tasks[2].ID, a)
	var names []string
	for _, w := range read(f, func(tx scheduler.ReadTx) ([]scheduler.Worker, error) { return tx.FailedBy(tasks[0].ID) }) {
		names = append(names, w.Name)
	}
	f.diff("failed by", []string{"a", "b"}, names)
	f.diff("attempts", 3, f.task(tasks[0].ID).Failures)
	failuresOf := func(w scheduler.Worker, job scheduler.JobID, taskType string) int {
		return read(f, func(tx scheduler.ReadTx) (int, error) { return tx.FailuresOf(w.ID, job, taskType) })
	}
	f.diff("failures of a", 2, failuresOf(a, id, "blender"))
	f.diff("failures of b", 1, failuresOf(b, id, "blender"))
	f.diff("other type", 0, failuresOf(a, id, "misc"))
	f.diff("other job", 0, failuresOf(a, other, "blender"))

	f.update(func(tx scheduler.Tx) error { return tx.ForgetFailedBy(tasks[0].ID) })
	f.diff("attempts are kept", 3, f.task(tasks[0].ID).Failures)
	f.diff("the list is empty", 1, failuresOf(a, id, "blender"))
	fail(tasks[0].ID, a)
	f.move(tasks[0].ID, scheduler.TaskMove{To: scheduler.TaskQueued, ResetFailures: true})
	f.diff("reset attempts", 0, f.task(tasks[0].ID).Failures)
	f.diff("reset list", 1, failuresOf(a, id, "blender"))
	f.update(func(tx scheduler.Tx) error {
		again := scheduler.TaskMove{To: scheduler.TaskQueued, ResetFailures: true}
		_, err := tx.MoveTasks(id, []scheduler.TaskStatus{scheduler.TaskQueued}, again)
		return err
	})
	f.diff("reset all", 0, failuresOf(a, id, "blender"))
	unknown := scheduler.WorkerID{UUID: f.ids.uuid()}
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.AddFailure(tasks[0].ID, unknown) })
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.AddFailure(scheduler.TaskID(unknown), a.ID) })
}

func capableWorkers(f *farm) {
	tag := f.newTag("gpu")
	job, tasks := f.blankJob(), f.newTasks(1)
	job.WorkerTag = tag.ID
	id := f.insert(job, tasks)
	capable := func() int {
		return read(f, func(tx scheduler.ReadTx) (int, error) { return tx.CapableWorkers(tasks[0].ID) })
	}
	tagged := func(w scheduler.Worker) scheduler.Worker {
		f.update(func(tx scheduler.Tx) error { return tx.SetWorkerTags(w.ID, []scheduler.TagID{tag.ID}) })
		return w
	}
	f.newWorker("without the tag")
	tagged(f.newWorker("of another type", "misc"))
	f.diff("nobody yet", 0, capable())
	a, b, c := tagged(f.newWorker("a")), tagged(f.newWorker("b")), tagged(f.newWorker("c"))
	d, e := tagged(f.newWorker("d")), tagged(f.newWorker("e"))
	f.diff("all five", 5, capable())
	a.Status, b.Status = scheduler.WorkerOffline, scheduler.WorkerError
	for i, change := range []func(scheduler.Tx) error{
		func(tx scheduler.Tx) error { return tx.PutWorker(a) },
		func(tx scheduler.Tx) error { return tx.PutWorker(b) },
		func(tx scheduler.Tx) error { return tx.Block(id, c.ID, "blender") },
		func(tx scheduler.Tx) error { return tx.AddFailure(tasks[0].ID, d.ID) },
		func(tx scheduler.Tx) error { return tx.DeleteWorker(e.ID) },
	} {
		f.update(change)
		f.diff(fmt.Sprintf("after change %d", i), 4-i, capable())
	}
	f.update(func(tx scheduler.Tx) error { return tx.DeleteTag(tag.ID) })
	f.diff("open to all", 1, capable())
}

func logs(f *farm) {
	tasks := f.newTasks(2)
	f.insert(f.blankJob(), tasks)
	id := tasks[0].ID
	part := func(from int64, limit int) string {
		return string(read(f, func(tx scheduler.ReadTx) ([]byte, error) { return tx.Log(id, from, limit) }))
	}
	size := func() int64 { return read(f, func(tx scheduler.ReadTx) (int64, error) { return tx.LogSize(id) }) }
	f.diff("empty", int64(0), size())
	f.diff("empty", "", part(0, 100))
	text := ""
	for _, piece := range []string{"first line\n", "", "ünïcode\n", "\xff\x00 not text", strings.Repeat("x", 70_000)} {
		f.update(func(tx scheduler.Tx) error { return tx.AppendLog(id, piece) })
		text += piece
	}
	f.update(func(tx scheduler.Tx) error { return tx.AppendLog(tasks[1].ID, "another task's") })
	f.diff("size", int64(len(text)), size())
	f.diff("whole", text, part(0, 1<<20))
	for from := range 45 {
		for limit := range 45 {
			if got, want := part(int64(from), limit), text[from:from+limit]; got != want {
				f.Fatalf("from %d, %d bytes: got %q, want %q", from, limit, got, want)
			}
		}
	}
	f.diff("the tail", text[len(text)-5:], part(int64(len(text)-5), 100))
	f.diff("past the end", "", part(int64(len(text)), 100))
	_, err := tryRead(f, func(tx scheduler.ReadTx) ([]byte, error) { return tx.Log(id, -1, 1) })
	f.wantErr(err, scheduler.ErrInvalid)
}

func logsTogether(f *farm) {
	tasks := f.newTasks(1)
	f.insert(f.blankJob(), tasks)
	const writers, lines = 8, 20
	f.together(writers, func(i int) error {
		for n := range lines {
			line := fmt.Sprintf("%d-%03d\n", i, n)
			if err := f.try(func(tx scheduler.Tx) error { return tx.AppendLog(tasks[0].ID, line) }); err != nil {
				return err
			}
		}
		return nil
	})
	log := read(f, func(tx scheduler.ReadTx) ([]byte, error) { return tx.Log(tasks[0].ID, 0, 1<<20) })
	var next [writers]int
	for line := range strings.Lines(string(log)) {
		var i, n int
		if _, err := fmt.Sscanf(line, "%d-%d\n", &i, &n); err != nil || n != next[i] {
			f.Fatalf("line %q after %d lines of that writer (%v)", line, next[i], err)
		}
		next[i]++
	}
	for i, n := range next {
		f.diff(fmt.Sprintf("lines of writer %d", i), lines, n)
	}
}

func sum(b byte) string { return hex.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

func outputs(f *farm) {
	tasks := f.newTasks(2)
	id := f.insert(f.blankJob(), tasks)
	foreign := f.insert(f.blankJob(), nil)
	list := func() []scheduler.Output {
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.Output, error) { return tx.Outputs(id) })
	}
	f.diff("none", []scheduler.Output(nil), list())
	a := scheduler.Output{Task: tasks[0].ID, Root: "/out", Path: "b/0001.png", Size: 5, SHA256: sum(1)}
	b := scheduler.Output{Task: tasks[1].ID, Root: "/out", Path: "a/0002.png", Size: 1 << 40, SHA256: sum(2)}
	c := scheduler.Output{Task: tasks[1].ID, Root: "/also", Path: "z.mp4", SHA256: sum(3)}
	f.update(func(tx scheduler.Tx) error { return tx.AddOutputs(id, []scheduler.Output{a, b}) })
	f.update(func(tx scheduler.Tx) error { return tx.AddOutputs(id, []scheduler.Output{c}) })
	f.diff("by root, then path", []scheduler.Output{c, b, a}, list())
	a.Task, a.Size, a.SHA256 = tasks[1].ID, 6, sum(9)
	f.update(func(tx scheduler.Tx) error { return tx.AddOutputs(id, []scheduler.Output{a}) })
	f.diff("the newest counts", []scheduler.Output{c, b, a}, list())

	for _, bad := range []string{"", "zz", sum(1)[2:], sum(1) + "00"} {
		wrong := a
		wrong.SHA256 = bad
		f.refused(scheduler.ErrInvalid, func(tx scheduler.Tx) error { return tx.AddOutputs(id, []scheduler.Output{b, wrong}) })
	}
	f.refused(scheduler.ErrNotFound, func(tx scheduler.Tx) error { return tx.AddOutputs(foreign, []scheduler.Output{a}) })
	f.diff("still the same", []scheduler.Output{c, b, a}, list())

	d := scheduler.Output{Task: tasks[0].ID, Root: "/also", Path: a.Path, SHA256: sum(4)}
	f.update(func(tx scheduler.Tx) error { return tx.AddOutputs(id, []scheduler.Output{d}) })
	at := func(job scheduler.JobID, path string) []scheduler.Output {
		return read(f, func(tx scheduler.ReadTx) ([]scheduler.Output, error) { return tx.OutputsAt(job, path) })
	}
	f.diff("of one path, by root", []scheduler.Output{d, a}, at(id, a.Path))
	f.diff("of a path in the last root alone", []scheduler.Output{b}, at(id, b.Path))
	f.diff("of no path", []scheduler.Output(nil), at(id, "b"))
	f.diff("of another job", []scheduler.Output(nil), at(foreign, a.Path))
}
