package jobtype

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dop251/goja"
)

// Limits of one compiled job.
const (
	maxTasks        = 1_000_000
	maxDependencies = 10_000_000
	// maxCommandBytes bounds the JSON text of all commands.
	maxCommandBytes = 1 << 30
)

// Task is one compiled task.
type Task struct {
	// UUID is a version 4 UUID in lower case.
	UUID     string
	Name     string
	Type     string
	Priority int
	// Commands is the JSON text of the commands, as the scheduler stores it and a worker receives it:
	// [{"name":"…","parameters":{…},"total_step_count":n},…]. Variables such as {blender} are not expanded.
	Commands json.RawMessage
	// Steps is the sum of the commands' step counts, where a command without a count is one step.
	Steps int
	// DependsOn are the tasks, as indices into the job's tasks, that must be completed before this one.
	DependsOn []int
}

// plan collects the tasks that a script adds.
type plan struct {
	tasks    []Task
	authored []*authoredTask
	// depends holds the dependencies of each task as of the moment it was added.
	depends      [][]*authoredTask
	commandBytes int
}

// addTask is job.addTask. It takes the task as it is now; what the script does to it later has no effect.
func (e *engine) addTask(call goja.FunctionCall) goja.Value {
	t := e.task(call.Argument(0), "addTask")
	if err := e.plan.add(t); err != nil {
		e.throw(err)
	}
	return goja.Undefined()
}

func (p *plan) add(t *authoredTask) error {
	if t.index >= 0 {
		return fmt.Errorf("task %q is added twice; make a new one with author.Task", t.name)
	}
	if len(p.tasks) == maxTasks {
		return fmt.Errorf("the job has more than %d tasks; choose larger chunks", maxTasks)
	}
	size := len("[]")
	for _, c := range t.commands {
		size += len(c.parameters) + len(c.name) + len(`{"name":"","parameters":,"total_step_count":1000000},`)
	}
	text := append(make([]byte, 0, size), '[')
	steps := 0
	for i, c := range t.commands {
		if i > 0 {
			text = append(text, ',')
		}
		text = c.appendTo(text)
		steps += max(1, c.steps)
	}
	text = append(text, ']')
	if p.commandBytes += len(text); p.commandBytes > maxCommandBytes {
		return fmt.Errorf("the commands of all tasks take more than %d MiB; make fewer or shorter ones", maxCommandBytes>>20)
	}
	t.index = len(p.tasks)
	p.authored = append(p.authored, t)
	p.depends = append(p.depends, t.depends)
	p.tasks = append(p.tasks, Task{
		UUID: t.id.String(), Name: t.name, Type: t.kind, Priority: t.priority, Commands: text, Steps: steps,
	})
	return nil
}

// finish resolves the dependencies and returns the tasks, in the order in which they were added.
func (p *plan) finish() ([]Task, error) {
	total := 0
	for i, wanted := range p.depends {
		if total += len(wanted); total > maxDependencies {
			return nil, planError("the tasks have more than %d dependencies; put a task between that gathers them", maxDependencies)
		}
		seen := make(map[int]bool, len(wanted))
		for _, other := range wanted {
			if other.index < 0 {
				return nil, planError("task %q depends on task %q, which was never added; call job.addTask for it",
					p.tasks[i].Name, other.name)
			}
			if !seen[other.index] {
				seen[other.index] = true
				p.tasks[i].DependsOn = append(p.tasks[i].DependsOn, other.index)
			}
		}
	}
	if cycle := findCycle(p.tasks); cycle != nil {
		return nil, planError("tasks wait for each other in a circle: %s", describeCycle(p.tasks, cycle))
	}
	return p.tasks, nil
}

func planError(format string, arguments ...any) error {
	return &ScriptError{Message: fmt.Sprintf(format, arguments...), cause: []error{ErrCompile}}
}

// findCycle returns the tasks of one dependency circle in order, or nil. It takes away tasks that wait for nothing
// (Kahn, 1962) until only circles and what waits for them are left, and then follows the dependencies.
func findCycle(tasks []Task) []int {
	waitingFor := make([]int, len(tasks))
	dependents := make([][]int, len(tasks))
	var ready []int
	for i, t := range tasks {
		waitingFor[i] = len(t.DependsOn)
		for _, d := range t.DependsOn {
			dependents[d] = append(dependents[d], i)
		}
		if len(t.DependsOn) == 0 {
			ready = append(ready, i)
		}
	}
	left := len(tasks)
	for len(ready) > 0 {
		next := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		left--
		for _, d := range dependents[next] {
			if waitingFor[d]--; waitingFor[d] == 0 {
				ready = append(ready, d)
			}
		}
	}
	if left == 0 {
		return nil
	}
	for i := range tasks {
		if waitingFor[i] > 0 {
			return followCycle(tasks, waitingFor, i)
		}
	}
	return nil
}

// followCycle walks from a task that waits to one that it waits for, until it meets a task again.
func followCycle(tasks []Task, waitingFor []int, from int) []int {
	at := map[int]int{}
	var trail []int
	for {
		if start, met := at[from]; met {
			return trail[start:]
		}
		at[from] = len(trail)
		trail = append(trail, from)
		for _, d := range tasks[from].DependsOn {
			if waitingFor[d] > 0 {
				from = d
				break
			}
		}
	}
}

// describeCycle names the tasks of a circle, the first again at the end, and few of a long one.
func describeCycle(tasks []Task, cycle []int) string {
	const limit = 8
	var names []string
	for i, t := range cycle {
		if i == limit {
			names = append(names, fmt.Sprintf("… %d more", len(cycle)-limit))
			break
		}
		names = append(names, fmt.Sprintf("%q", tasks[t].Name))
	}
	names = append(names, fmt.Sprintf("%q", tasks[cycle[0]].Name))
	return strings.Join(names, " -> ")
}
