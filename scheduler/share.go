package scheduler

import (
	"fmt"
	"math"
	"time"
)

// Share says how workers share the tasks of a job.
type Share string

// The ways to share a job.
const (
	// ShareByPulling gives the next task to whoever asks.
	ShareByPulling Share = ""
	// ShareBySpeed lets a worker leave tasks to others that will have finished all that is left before it could finish
	// one, so that the job does not end with the wait for its slowest worker.
	ShareBySpeed Share = "speed"
)

func (s Share) check() error {
	if s != ShareByPulling && s != ShareBySpeed {
		return fmt.Errorf("%w: a job cannot be shared by %q; use speed, or leave it out", ErrInvalid, s)
	}
	return nil
}

// Bounds of a worker's performance, and what one counts as that never told.
const (
	MinPerformance     = 0.001
	MaxPerformance     = 1000
	DefaultPerformance = 1
)

// cleanPerformance checks what a worker told; 0: it did not.
func cleanPerformance(p float64) (float64, error) {
	if p == 0 {
		return DefaultPerformance, nil
	}
	if math.IsNaN(p) || p < MinPerformance || p > MaxPerformance {
		return 0, fmt.Errorf("%w: performance %v is not between %v and %v; a worker of 2 is taken for twice as fast as one of 1",
			ErrInvalid, p, MinPerformance, MaxPerformance)
	}
	return p, nil
}

// Contender is what is known of a worker in the race for a task of a job that is shared by speed.
type Contender struct {
	Worker      WorkerID
	Performance float64
	// Can: the task could be given to it, were it free. It is awake, nothing is asked of it, and it is no less able and
	// allowed than NextRunnable demands.
	Can bool

	Steps   int           // of the tasks of this job and type that it completed, newer ones counting more; 0: none
	Elapsed time.Duration // from claim to completion, for these
	Ended   time.Time     // when it completed the last of them

	Busy        bool      // some task is active on it
	Since       time.Time // when it claimed the active one, if that is of this job and type; else zero
	ActiveSteps int       // of that one
}

const (
	// askingTakes is how long a worker that has completed a task is expected back for the next one. After that it counts
	// as gone elsewhere.
	askingTakes = 5 * time.Second
	// guessHolds is how long a weight that nothing was measured against is believed of a worker that is at its task.
	guessHolds = 10 * time.Minute
	// guessedStep stands for a step on a worker of performance 1 when nothing was measured. Only ratios come of it.
	guessedStep = time.Second
	// shortestStep and longest keep estimates above zero and within what a duration can hold.
	shortestStep = time.Microsecond
	longest      = time.Duration(math.MaxInt64 / 4)
)

// rival is a worker that may take tasks before another one could finish its first.
type rival struct {
	worker WorkerID
	free   time.Duration // until it takes its next task
	task   time.Duration // what a task takes it
	idle   bool          // it waits for work right now
}

// finishes is how many tasks of the queue the rival finishes in less than the given time. The k-th of them ends at
// free + k·task, so these are the whole numbers k >= 1 with k < (within-free) / task. What it has in hand does not
// count: that is not in the queue any more.
func (r rival) finishes(within time.Duration) int64 {
	if within <= r.free {
		return 0
	}
	return int64((within - r.free - 1) / r.task)
}

// leaveToRivals decides whether a worker, which would need the time own for a task, leaves the tasks that wait to its rivals:
// if these finish all of them strictly earlier.
//
// It is the rule of earliest completion: of all (worker, k-th task) pairs the ones that end first are filled, which for tasks
// of equal size on workers of different speed gives the shortest possible time for the whole. Each worker decides for itself
// when it asks, so nothing is planned that a failure could upset. The fastest of those that could take a task never leaves
// it to one that is idle, since then task >= own, so somebody always takes it.
func leaveToRivals(own time.Duration, rivals []rival, waiting int) bool {
	left := int64(waiting)
	for _, r := range rivals {
		left -= min(left, r.finishes(own))
	}
	return left == 0
}

// race is the contenders for one task, with what is expected of them.
type race struct {
	all      []Contender
	now      time.Time
	steps    int                 // of the task
	idle     func(WorkerID) bool // whether a worker's request for work is being held
	step     time.Duration       // expected of a worker of performance 1
	measured bool
}

// newRace takes the job's mean step on a worker of performance 1 from all that was measured.
func newRace(all []Contender, task TaskState, now time.Time, idle func(WorkerID) bool) race {
	r := race{all: all, now: now, steps: max(1, task.Steps), idle: idle, step: guessedStep}
	var elapsed float64
	steps := 0
	for _, c := range all {
		elapsed += float64(c.Elapsed) * c.Performance
		steps += c.Steps
	}
	if steps > 0 {
		r.measured, r.step = true, time.Duration(min(elapsed/float64(steps), float64(longest)))
	}
	return r
}

// stepOf is what a step takes a worker: as measured on this job, else what its performance says.
func (r race) stepOf(c Contender) time.Duration {
	step := time.Duration(min(float64(r.step)/c.Performance, float64(longest)))
	if c.Steps > 0 {
		step = c.Elapsed / time.Duration(c.Steps)
	}
	return max(step, shortestStep)
}

// taskOf is what the task would take a worker.
func (r race) taskOf(c Contender) time.Duration { return times(r.stepOf(c), r.steps) }

func times(step time.Duration, steps int) time.Duration {
	if step > longest/time.Duration(steps) {
		return longest
	}
	return step * time.Duration(steps)
}

// rivalOf tells what to expect of a contender; not ok: nothing. A worker counts that has a task of this job in hand, that
// has just completed one and is about to ask for the next, or whose request for work is held right now. Any other one
// may never come.
//
// A worker that is longer at its task than expected is as slow as that, and gets slower while it is at it: one that hangs
// counts for nothing once it hung for as long as the asking worker needs for a task.
func (r race) rivalOf(c Contender) (rival, bool) {
	step := r.stepOf(c)
	v := rival{worker: c.Worker}
	switch {
	case !c.Can:
		return v, false
	case !c.Since.IsZero():
		elapsed, steps := max(0, r.now.Sub(c.Since)), max(1, c.ActiveSteps)
		if !r.measured {
			if elapsed >= guessHolds {
				return v, false
			}
			elapsed = 0
		}
		step = max(step, elapsed/time.Duration(steps))
		v.free = max(0, times(step, steps)-elapsed)
	case c.Busy:
		return v, false
	case r.idle(c.Worker):
		v.idle = true
	case c.Ended.IsZero() || r.now.Sub(c.Ended) >= askingTakes:
		return v, false
	}
	v.task = times(step, r.steps)
	return v, true
}

// leaving is a worker's decision to leave the tasks that wait.
type leaving struct {
	leaves bool
	again  time.Duration // after which it is worth another look
	wake   []WorkerID    // idle ones that it leaves tasks to
}

func (r race) decide(worker WorkerID, waiting int) leaving {
	var own time.Duration
	var rivals []rival
	for _, c := range r.all {
		if c.Worker == worker {
			own = r.taskOf(c)
		} else if v, ok := r.rivalOf(c); ok {
			rivals = append(rivals, v)
		}
	}
	d := leaving{leaves: leaveToRivals(own, rivals, waiting), again: askingTakes}
	if !d.leaves {
		return d
	}
	if r.measured {
		d.again = min(max(own/8, time.Second), askingTakes)
	}
	for _, v := range rivals {
		if v.idle && v.finishes(own) > 0 {
			d.wake = append(d.wake, v.worker)
		}
	}
	return d
}

// left is what a worker left to faster ones while it looked for a task.
type left struct {
	job   JobID // the first; zero: none
	again time.Duration
}

// leaves decides for NextRunnable whether the worker leaves the tasks of a lane to faster ones.
func (c *change) leaves(worker WorkerID) func(TaskState, int) (bool, error) {
	return func(task TaskState, waiting int) (bool, error) {
		all, err := c.Contenders(task.ID)
		if err != nil {
			return false, err
		}
		d := newRace(all, task, c.Now(), c.idle).decide(worker, waiting)
		if !d.leaves {
			return false, nil
		}
		c.nudges = append(c.nudges, d.wake...)
		if c.left.job.IsZero() || d.again < c.left.again {
			c.left.again = d.again
		}
		if c.left.job.IsZero() {
			c.left.job = task.Job
		}
		return true, nil
	}
}
