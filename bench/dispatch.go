package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// largestJob is the number of tasks of one job where a queue is longer than that.
const largestJob = 50_000

// What a farm must do on two processors that it shares with its clients.
const (
	aimDispatch = 3000 // tasks/s
	aimResident = 150  // MB with a million tasks stored
)

// measureDispatch measures claims and completions with short and long queues and few and many workers, and the
// manager's memory with the longest queue.
func measureDispatch(ctx context.Context, b *bench) ([]Row, error) {
	limits, rows, err := dispatchLimits(ctx, b)
	if err != nil {
		return rows, err
	}
	for _, queued := range pick(b, []int{1_000, 50_000}, []int{1_000, 50_000, 1_000_000}) {
		more, err := dispatchQueue(ctx, b, queued, limits)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("%d queued tasks: %w", queued, err)
		}
	}
	return rows, nil
}

var crewSizes = []int{10, 100, 500}

// dispatchLimits lets crews work for a server that decides and stores nothing: tasks/s by size of crew.
func dispatchLimits(ctx context.Context, b *bench) (map[int]float64, []Row, error) {
	dir, err := b.folder("plain")
	if err != nil {
		return nil, nil, err
	}
	plain, url, err := b.startPlain(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	limits, rows := map[int]float64{}, []Row(nil)
	for _, workers := range crewSizes {
		done, err := crewOnce(ctx, url, workers, pick(b, 1.0, 2.0))
		if err != nil {
			return nil, nil, errors.Join(err, plain.stop())
		}
		limits[workers] = rate(float64(done.Tasks), done.Took)
		rows = append(rows, Row{Work: fmt.Sprintf("a server that decides and stores nothing, %d workers", workers),
			Figure: limits[workers], Unit: "tasks/s"})
	}
	return limits, rows, plain.stop()
}

func crewOnce(ctx context.Context, url string, workers int, seconds float64) (done outcome, err error) {
	crew, err := hireCrew(ctx, url, workers)
	if err != nil {
		return outcome{}, err
	}
	done, err = crew.work(math.MaxInt32, seconds)
	return done, errors.Join(err, crew.stop())
}

// runningCrew is the parent's side of a crew's process.
type runningCrew struct {
	*child
	url     string
	workers int
}

// hireCrew starts a crew and makes its workers known to a manager.
func hireCrew(ctx context.Context, url string, workers int) (*runningCrew, error) {
	c, err := startChild(ctx, "role:crew")
	if err != nil {
		return nil, err
	}
	crew := &runningCrew{child: c, url: url, workers: workers}
	if _, err := crew.work(0, 0); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return crew, nil
}

// work lets the crew take tasks until there are no more, or one of the bounds is reached.
func (c *runningCrew) work(tasks int, seconds float64) (done outcome, err error) {
	err = c.ask(round{URL: c.url, Workers: c.workers, Tasks: tasks, Seconds: seconds}, &done)
	return done, err
}

// dispatchQueue measures one length of the queue on a manager of its own.
func dispatchQueue(ctx context.Context, b *bench, queued int, limits map[int]float64) (rows []Row, err error) {
	dir, err := b.folder("dispatch")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := b.startManager(ctx, dir)
	if err != nil {
		return nil, err
	}
	rows, err = fillAndDispatch(ctx, m, queued, limits)
	if err := errors.Join(err, m.stop()); err != nil {
		return rows, err
	}
	if queued < largestJob {
		return rows, nil
	}
	// A manager that starts on this database has stored the tasks, but has not just compiled them.
	if m, err = b.startManager(ctx, dir); err != nil {
		return rows, err
	}
	memory, err := measureMemory(ctx, m, queued)
	return append(rows, memory...), errors.Join(err, m.stop())
}

func fillAndDispatch(ctx context.Context, m *runningManager, queued int, limits map[int]float64) ([]Row, error) {
	c, err := client.New(m.url, "bench")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	q := &queue{client: c, wanted: queued}
	if err := q.fill(ctx); err != nil {
		return nil, err
	}
	var rows []Row
	if queued >= largestJob {
		used, err := m.usage()
		if err != nil {
			return nil, err
		}
		rows = append(rows, memoryRow(fmt.Sprintf("memory, %s tasks, after submitting them", number(float64(queued))), used)...)
	}
	for _, workers := range crewSizes {
		more, err := dispatchCrew(ctx, m, q, workers, limits[workers])
		if err != nil {
			return rows, fmt.Errorf("%d workers: %w", workers, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// queue keeps a number of tasks queued.
type queue struct {
	client *client.Client
	wanted int
	left   int
}

// fill submits jobs until at least the wanted number is queued, in as few jobs as possible.
func (q *queue) fill(ctx context.Context) error {
	for q.left < q.wanted {
		size := min(q.wanted-q.left, largestJob)
		if _, err := q.client.SubmitJob(ctx, renderJob(size)); err != nil {
			return err
		}
		q.left += size
	}
	return nil
}

// renderJob is a job of that many tasks, as an artist's would be: one frame each, no video.
func renderJob(tasks int) wire.SubmittedJob {
	settings := wire.JobSettings{
		"frames": fmt.Sprintf("1-%d", tasks), "chunk_size": 1, "blendfile": "{jobs}/bench/scenes/shot_010.blend",
		"render_output_root": "{output}", "render_output_path": "{output}/bench/######", "add_path_components": 0,
		"scene": "Scene", "fps": 0, "format": "PNG", "image_file_extension": ".png", "has_previews": false,
	}
	return wire.SubmittedJob{Name: "bench", Type: "simple-blender-render", SubmitterPlatform: "linux", Settings: &settings}
}

// dispatched is what a crew and the manager did in some rounds together.
type dispatched struct {
	outcome
	manager float64 // seconds of the manager's process
	commits int64
}

func dispatchCrew(ctx context.Context, m *runningManager, q *queue, workers int, limit float64) (rows []Row, err error) {
	crew, err := hireCrew(ctx, m.url, workers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, crew.stop()) }()
	var sum dispatched
	err = m.profiled(fmt.Sprintf("dispatch-%d-%d", q.wanted, workers), func() error {
		// A short queue is worked off several times, so that a figure stands on enough tasks.
		for range max(1, pick(m.bench, 5_000, 10_000)/q.wanted) {
			if err := q.fill(ctx); err != nil {
				return err
			}
			if err := sum.add(m, q, crew); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	tasks := float64(sum.Tasks)
	name := fmt.Sprintf("%s queued, %d workers: ", number(float64(q.wanted)), workers)
	rows = append(rows,
		Row{Work: name + "claimed and completed", Figure: rate(tasks, sum.Took), Unit: "tasks/s"}.
			against("nothing decided or stored", limit).aim(atLeast(aimDispatch)),
		Row{Work: name + "claim, p50", Figure: milliseconds(percentile(sum.Claims, 50)), Unit: "ms"},
		Row{Work: name + "claim, p99", Figure: milliseconds(percentile(sum.Claims, 99)), Unit: "ms"})
	if tasks > 0 {
		rows = append(rows, Row{Work: name + "synced commits", Figure: float64(sum.commits) / tasks, Unit: "commits/task"})
	}
	if tasks > 0 && sum.manager > 0 {
		rows = append(rows,
			Row{Work: name + "processor time of the manager", Figure: sum.manager / tasks * 1e6, Unit: "µs/task"},
			Row{Work: name + "processor time of the workers", Figure: sum.CPU / tasks * 1e6, Unit: "µs/task"})
	}
	return rows, nil
}

// add lets the crew work off the queue once, or for as long as one round may last.
func (d *dispatched) add(m *runningManager, q *queue, crew *runningCrew) error {
	before, err := m.usage()
	if err != nil {
		return err
	}
	one, err := crew.work(min(q.wanted, 20_000), pick(m.bench, 1.5, 4.0))
	if err != nil {
		return err
	}
	after, err := m.usage()
	if err != nil {
		return err
	}
	q.left -= one.Tasks
	d.Tasks += one.Tasks
	d.Took += one.Took
	d.Claims = append(d.Claims, one.Claims...)
	d.CPU += one.CPU
	d.manager += after.CPU - before.CPU
	d.commits += after.Commits - before.Commits
	return nil
}

// measureMemory looks at a manager that was just started on a full database, and again after it has handed out tasks.
func measureMemory(ctx context.Context, m *runningManager, queued int) (rows []Row, err error) {
	const handedOut = 10_000
	idle, err := m.usage()
	if err != nil {
		return nil, err
	}
	crew, err := hireCrew(ctx, m.url, 100)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, crew.stop()) }()
	if _, err := crew.work(handedOut, 60); err != nil {
		return nil, err
	}
	busy, err := m.usage()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("memory, %s tasks, ", number(float64(queued)))
	return append(memoryRow(name+"after a start", idle),
		memoryRow(name+"after "+number(handedOut)+" dispatches", busy)...), nil
}

// memoryRow is empty where the memory is not known.
func memoryRow(work string, used usage) []Row {
	if used.Resident == 0 {
		return nil
	}
	return []Row{Row{Work: work, Figure: float64(used.Resident) / 1e6, Unit: "MB"}.aim(atMost(aimResident))}
}
