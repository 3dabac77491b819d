package store

import (
	"fmt"
	"slices"
	"strings"

	"hayloft/scheduler"
)

// rowsAtOnce is how many rows one INSERT takes: more do not get faster.
const rowsAtOnce = 32

// Values of one row of each bulk INSERT.
const (
	taskValues = 13
	needValues = 2
)

const (
	intoTasks = `INSERT INTO tasks (job, updated, id, uuid, lane, idx, name, steps, open_needs, has_dependents,
		commands_prefix, commands_suffix, commands) VALUES `
	intoNeeds = `INSERT INTO task_needs (task, needs) VALUES `
)

var (
	insertManyTasks = intoTasks + valueRows(rowsAtOnce, taskValues)
	insertOneTask   = intoTasks + valueRows(1, taskValues)
	insertManyNeeds = intoNeeds + valueRows(rowsAtOnce, needValues)
	insertOneNeed   = intoNeeds + valueRows(1, needValues)
)

// valueRows makes the list of VALUES. The parameters have no numbers: SQLite looks numbered ones up by name, one after
// the other, which takes longer than the insert when there are hundreds.
func valueRows(rows, columns int) string {
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return row + strings.Repeat(", "+row, rows-1)
}

// rowInserter gathers rows for one INSERT of many.
type rowInserter struct {
	*tx
	many, one string
	columns   int
	values    []any // of the rows that wait
}

func (r *rowInserter) add(values ...any) error {
	r.values = append(r.values, values...)
	if len(r.values) < rowsAtOnce*r.columns {
		return nil
	}
	_, err := r.exec(r.many, r.values...)
	r.values = r.values[:0]
	return err
}

// flush inserts the rows that are left.
func (r *rowInserter) flush() error {
	for row := range slices.Chunk(r.values, r.columns) {
		if _, err := r.exec(r.one, row...); err != nil {
			return err
		}
	}
	r.values = nil
	return nil
}

// needGraph is the dependencies within a new job, checked.
type needGraph struct {
	needs         [][]int // of each task: positions, ascending, each once
	hasDependents []bool
}

func newNeedGraph(tasks []scheduler.NewTask) (needGraph, error) {
	g := needGraph{needs: make([][]int, len(tasks)), hasDependents: make([]bool, len(tasks))}
	ordered := true // every task comes after those that it needs
	for i, task := range tasks {
		if len(task.Needs) == 0 {
			continue
		}
		needs := slices.Compact(slices.Sorted(slices.Values(task.Needs)))
		if needs[0] < 0 || needs[len(needs)-1] >= len(tasks) {
			return g, fmt.Errorf("%w: task %q needs a task that the job does not have", scheduler.ErrInvalid, task.Name)
		}
		g.needs[i] = needs
		ordered = ordered && needs[len(needs)-1] < i
		for _, n := range needs {
			g.hasDependents[n] = true
		}
	}
	if !ordered && g.circular() {
		return g, fmt.Errorf("%w: the tasks need each other in a circle, so that none could start", scheduler.ErrInvalid)
	}
	return g, nil
}

// circular takes away tasks whose needs are gone until nothing changes (Kahn's algorithm); a circle is what stays.
func (g needGraph) circular() bool {
	dependents := make([][]int, len(g.needs))
	open := make([]int, len(g.needs))
	var free []int
	for i, needs := range g.needs {
		open[i] = len(needs)
		if len(needs) == 0 {
			free = append(free, i)
		}
		for _, n := range needs {
			dependents[n] = append(dependents[n], i)
		}
	}
	taken := 0
	for len(free) > 0 {
		last := free[len(free)-1]
		free = free[:len(free)-1]
		taken++
		for _, d := range dependents[last] {
			if open[d]--; open[d] == 0 {
				free = append(free, d)
			}
		}
	}
	return taken < len(g.needs)
}
