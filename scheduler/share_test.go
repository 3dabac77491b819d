package scheduler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestWhoLeavesTasksToRivals(t *testing.T) {
	const s = time.Second
	fresh := func(task time.Duration) rival { return rival{free: task, task: task} } // has just claimed
	idle := func(task time.Duration) rival { return rival{task: task, idle: true} }
	for _, c := range []struct {
		name    string
		own     time.Duration
		rivals  []rival
		waiting int
		leaves  bool
	}{
		{"alone", 4 * s, nil, 1, false},
		{"as fast as the other", 2 * s, []rival{fresh(2 * s)}, 1, false},
		{"as fast as one that is idle", 2 * s, []rival{idle(2 * s)}, 1, false},
		{"the last one, beside one that is four times faster", 4 * s, []rival{fresh(s)}, 1, true},
		{"two left: the other ends them after 2 s and 3 s", 4 * s, []rival{fresh(s)}, 2, true},
		{"three left: the other would end the last at the same time", 4 * s, []rival{fresh(s)}, 3, false},
		{"a nanosecond decides", 4*s + 1, []rival{fresh(s)}, 3, true},
		{"many left", 4 * s, []rival{fresh(s)}, 100, false},
		{"the faster one is nearly through", 4 * s, []rival{{free: 1, task: 3 * s}}, 1, true},
		{"twice as fast, just begun", 4 * s, []rival{fresh(2 * s)}, 1, false},
		{"twice as fast, half through", 4 * s, []rival{{free: s, task: 2 * s}}, 1, true},
		{"two faster ones share what is left", 6 * s, []rival{fresh(2 * s), fresh(2 * s)}, 2, true},
		{"but not three", 6 * s, []rival{fresh(2 * s), fresh(2 * s)}, 3, false},
		{"the faster one is busy for longer", 4 * s, []rival{{free: 4 * s, task: s}}, 1, false},
		{"slower ones do not matter", s, []rival{fresh(4 * s), idle(2 * s)}, 1, false},
		{"a faster one is idle", 4 * s, []rival{idle(s)}, 3, true},
		{"a faster one is idle, but there are four", 4 * s, []rival{idle(s)}, 4, false},
		{"more than numbers can count", math.MaxInt64, []rival{{task: 1}, {task: 1}}, math.MaxInt, true},
	} {
		if got := leaveToRivals(c.own, c.rivals, c.waiting); got != c.leaves {
			t.Errorf("%s: leaves %v, want %v", c.name, got, c.leaves)
		}
	}
}

func TestWhatIsExpectedOfContenders(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const s = time.Second
	slow := Contender{Worker: numbered(1), Performance: 1, Can: true}
	fast := Contender{Worker: numbered(2), Performance: 4, Can: true}
	at := func(c Contender, change func(*Contender)) Contender { change(&c); return c }
	measured := func(c Contender, step time.Duration) Contender {
		c.Steps, c.Elapsed, c.Ended = 3, 3*step, ago(time.Minute)
		return c
	}
	working := func(c Contender, since time.Duration) Contender {
		c.Busy, c.Since, c.ActiveSteps = true, ago(since), 1
		return c
	}
	for _, c := range []struct {
		name    string
		slow    Contender
		fast    Contender
		idle    bool // the fast one's request is held
		waiting int
		leaves  bool
	}{
		{"nothing measured, both idle: the weights decide", slow, fast, true, 3, true},
		{"and leave the fourth to the slow one", slow, fast, true, 4, false},
		{"nothing measured, the fast one at work", slow, working(fast, 0), false, 2, true},
		{"what it did so far says nothing", slow, working(fast, 9*time.Minute), false, 3, false},
		{"but it does not go on for ever", slow, working(fast, guessHolds), false, 1, false},
		{"nobody asks", slow, fast, false, 1, false},
		{"it has a task of another job", slow, at(fast, func(c *Contender) { c.Busy = true }), true, 1, false},
		{"it may not take the task", slow, at(fast, func(c *Contender) { c.Can = false }), true, 1, false},
		{"it completed one and will ask", slow, at(fast, func(c *Contender) { c.Ended = ago(s) }), false, 1, true},
		{"it completed one and did not ask", slow, at(fast, func(c *Contender) { c.Ended = ago(askingTakes) }), false, 1, false},
		{"only the fast one is measured: 10 s, so 40 s", slow, working(measured(fast, 10*s), 0), false, 2, true},
		{"40 s is not before 40 s", slow, working(measured(fast, 10*s), 0), false, 3, false},
		{"but half through it ends three before", slow, working(measured(fast, 10*s), 5*s), false, 3, true},
		{"only the slow one is measured: 40 s, so 10 s", measured(slow, 40*s), working(fast, 0), false, 2, true},
		{"wrong weights: measured as fast", measured(slow, 10*s), working(measured(fast, 10*s), 0), false, 1, false},
		{"wrong weights: measured as slower", measured(slow, 10*s), working(measured(fast, 30*s), 29*s), false, 1, false},
		{"it is late, and may yet end two", measured(slow, 40*s), working(measured(fast, 10*s), 19*s), false, 2, true},
		{"it is later, and may yet end one", measured(slow, 40*s), working(measured(fast, 10*s), 20*s), false, 2, false},
		{"it hangs", measured(slow, 40*s), working(measured(fast, 10*s), 40*s), false, 1, false},
		{"its clock runs ahead", measured(slow, 40*s), working(measured(fast, 10*s), -time.Hour), false, 1, true},
	} {
		r := newRace([]Contender{c.slow, c.fast}, TaskState{Steps: 1}, now, func(WorkerID) bool { return c.idle })
		d := r.decide(c.slow.Worker, c.waiting)
		if d.leaves != c.leaves {
			t.Errorf("%s: leaves %v, want %v", c.name, d.leaves, c.leaves)
		}
		if wakes := c.leaves && c.idle; wakes != slices.Contains(d.wake, c.fast.Worker) {
			t.Errorf("%s: wakes %v", c.name, d.wake)
		}
		if d.leaves && (d.again < time.Second || d.again > askingTakes) {
			t.Errorf("%s: looks again after %v", c.name, d.again)
		}
	}
}

// TestStepsMakeTasksEqual: what counts is the time for a step, since tasks may differ in steps.
func TestStepsMakeTasksEqual(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	own := Contender{Worker: numbered(1), Performance: 1, Can: true, Steps: 10, Elapsed: 100 * time.Second}
	other := Contender{Worker: numbered(2), Performance: 1, Can: true, Busy: true, Steps: 2, Elapsed: 10 * time.Second,
		Since: now.Add(-10 * time.Second), ActiveSteps: 4}
	r := newRace([]Contender{own, other}, TaskState{Steps: 3}, now, func(WorkerID) bool { return false })
	if took := r.taskOf(own); took != 30*time.Second {
		t.Errorf("three steps take %v", took)
	}
	if v, ok := r.rivalOf(other); !ok || v.free != 10*time.Second || v.task != 15*time.Second {
		t.Errorf("the other: %+v, %v", v, ok)
	}
	if r.step != 110*time.Second/12 {
		t.Errorf("mean step %v", r.step)
	}
}

// TestEstimatesStayInBounds: the slowest conceivable worker at the largest task is only very slow.
func TestEstimatesStayInBounds(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	slow := Contender{Worker: numbered(1), Performance: MinPerformance, Can: true}
	fast := Contender{Worker: numbered(2), Performance: MaxPerformance, Can: true}
	for _, took := range []time.Duration{0, 1, math.MaxInt64} {
		for _, steps := range []int{1, math.MaxInt32} {
			if fast.Elapsed = took; took > 0 {
				fast.Steps = 1
			}
			r := newRace([]Contender{slow, fast}, TaskState{Steps: steps}, now, func(WorkerID) bool { return true })
			if own, other := r.taskOf(slow), r.taskOf(fast); other <= 0 || own < other {
				t.Errorf("after %v, %d steps take %v and %v", took, steps, own, other)
			}
			if steps == 1 && took < math.MaxInt64 && !r.decide(slow.Worker, 100).leaves {
				t.Errorf("after %v the slow one does not leave them to the fast one", took)
			}
			if r.decide(fast.Worker, 1).leaves {
				t.Errorf("after %v the fast one leaves them to the slow one", took)
			}
		}
	}
}

func TestPerformanceIsBounded(t *testing.T) {
	for _, p := range []float64{-1, 0.0009, 1000.1, math.Inf(1), math.NaN()} {
		if _, err := cleanPerformance(p); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: error %v", p, err)
		}
	}
	for p, want := range map[float64]float64{0: 1, MinPerformance: MinPerformance, 2.5: 2.5, MaxPerformance: MaxPerformance} {
		if got, err := cleanPerformance(p); err != nil || got != want {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
}

func numbered(n int) WorkerID {
	return WorkerID{UUID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n))}
}

// hand is a worker of a simulated farm.
type hand struct {
	Contender
	takes  time.Duration // really, for a task
	polls  bool          // its requests are never held
	dies   time.Duration // when; 0: it does not
	hangs  int           // at which of its tasks, from 1; 0: it does not
	dead   bool
	asks   time.Duration // when it asks next, if it is not busy
	done   int
	begins time.Duration // of the task in hand
}

// simulated is a farm with a clock of its own, in which all tasks are alike and workers decide by the rule, or just pull.
type simulated struct {
	hands   []*hand
	pulling bool
	now     time.Duration
	waiting int
	lost    int // tasks given back by workers that died
	idle    time.Duration
}

var simulatedStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// asking is how long after a completion a worker asks again.
const asking = 10 * time.Millisecond

// next is the earliest thing that happens.
func (f *simulated) next() (who *hand, at time.Duration) {
	for _, h := range f.hands {
		if h.dead {
			continue
		}
		when := h.asks
		if h.Busy {
			when = h.begins + h.takes
			if h.done+1 == h.hangs {
				when = math.MaxInt64
			}
		}
		if h.dies > 0 {
			when = min(when, h.dies)
		}
		if who == nil || when < at {
			who, at = h, when
		}
	}
	return who, at
}

// run renders some of n tasks and returns when the last of these was done. It fails when time passes and nobody works for
// longer than the rule allows.
func (f *simulated) run(t *rapid.T, n, some int) time.Duration {
	f.waiting = n
	for done, steps := 0, 0; done < some; steps++ {
		if steps > 300_000 {
			t.Fatalf("%d of %d tasks are done after %v, and it does not end", done, some, f.now)
		}
		h, at := f.next()
		if h == nil {
			t.Fatalf("nobody is left for %d tasks", some-done)
		}
		if !slices.ContainsFunc(f.hands, func(h *hand) bool { return h.Busy }) {
			f.idle += at - f.now
			if f.idle > 2*askingTakes {
				t.Fatalf("nobody works at %v, and %d tasks wait", f.now, f.waiting)
			}
		} else {
			f.idle = 0
		}
		f.now = at
		switch {
		case h.dies > 0 && f.now >= h.dies:
			f.die(h)
		case h.Busy:
			f.complete(h)
			done++
		default:
			f.ask(h)
		}
	}
	return f.now
}

func (f *simulated) die(h *hand) {
	h.dead, h.Can = true, false
	if h.Busy {
		f.waiting++
		f.lost++
		h.Busy, h.Since = false, time.Time{}
		f.wakeAll()
	}
}

// wakeAll lets those ask at once whose requests are held.
func (f *simulated) wakeAll() {
	for _, h := range f.hands {
		if !h.polls && !h.dead && !h.Busy {
			h.asks = f.now
		}
	}
}

func (f *simulated) complete(h *hand) {
	h.Steps, h.Elapsed, h.Ended = h.Steps+1, h.Elapsed+h.takes, simulatedStart.Add(f.now)
	h.Busy, h.Since = false, time.Time{}
	h.done++
	h.asks = f.now + asking
}

func (f *simulated) ask(h *hand) {
	d := leaving{again: askingTakes, leaves: f.waiting == 0}
	if f.waiting > 0 && !f.pulling {
		all := make([]Contender, len(f.hands))
		held := make(map[WorkerID]bool)
		for i, h := range f.hands {
			all[i] = h.Contender
			held[h.Worker] = !h.polls && !h.dead && !h.Busy && (h.asks == 0 || h.asks > f.now+asking)
		}
		r := newRace(all, TaskState{Steps: 1}, simulatedStart.Add(f.now), func(id WorkerID) bool { return held[id] })
		d = r.decide(h.Worker, f.waiting)
	}
	if d.leaves {
		h.asks = f.now + d.again
		for _, id := range d.wake {
			other := f.hands[slices.IndexFunc(f.hands, func(h *hand) bool { return h.Worker == id })]
			other.asks = f.now
		}
		return
	}
	f.waiting--
	h.Busy, h.begins, h.Since, h.ActiveSteps = true, f.now, simulatedStart.Add(f.now), 1
}

// newHands makes workers that need a whole number of seconds for a task.
func newHands(t *rapid.T, polls bool) []*hand {
	hands := make([]*hand, rapid.IntRange(1, 5).Draw(t, "workers"))
	for i := range hands {
		seconds := rapid.IntRange(1, 100).Draw(t, "seconds")
		hands[i] = &hand{
			Contender: Contender{Worker: numbered(i), Performance: 100 / float64(seconds), Can: true},
			takes:     time.Duration(seconds) * time.Second, polls: polls,
		}
	}
	return hands
}

func fresh(hands []*hand) []*hand {
	again := make([]*hand, len(hands))
	for i, h := range hands {
		c := *h
		again[i] = &c
	}
	return again
}

// best is the shortest possible time for n tasks: the n-th of all times at which a worker could have ended one more.
func best(hands []*hand, n int) time.Duration {
	ends := make([]time.Duration, len(hands))
	var last time.Duration
	for range n {
		first := 0
		for i, h := range hands {
			if ends[i]+h.takes < ends[first]+hands[first].takes {
				first = i
			}
		}
		ends[first] += hands[first].takes
		last = ends[first]
	}
	return last
}

// TestSharingBySpeedIsBest: with true weights the job ends as early as it possibly can, to the time that asking takes;
// workers that poll can only be a little late.
func TestSharingBySpeedIsBest(t *testing.T) {
	better := 0
	rapid.Check(t, func(t *rapid.T) {
		polls := rapid.Bool().Draw(t, "they poll")
		hands := newHands(t, polls)
		n := rapid.IntRange(1, 60).Draw(t, "tasks")
		pulled := (&simulated{hands: fresh(hands), pulling: true}).run(t, n, n)
		shared := (&simulated{hands: fresh(hands)}).run(t, n, n)
		slack := time.Duration(n+1) * asking
		if shared > pulled+slack {
			t.Fatalf("%d tasks took %v, pulling alone %v", n, shared, pulled)
		}
		if optimum := best(hands, n); !polls && shared > optimum+slack {
			t.Fatalf("%d tasks took %v, the best is %v", n, shared, optimum)
		}
		if pulled > shared+slack {
			better++
		}
	})
	if better == 0 {
		t.Error("it was never better than pulling alone")
	}
}

// TestSharesFollowTheSpeed: of many tasks everybody does as many as its speed says, whatever the weights said.
func TestSharesFollowTheSpeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hands := newHands(t, rapid.Bool().Draw(t, "they poll"))
		total := 0.0
		for _, h := range hands {
			total += 1 / h.takes.Seconds()
			h.Performance *= rapid.Float64Range(0.5, 2).Draw(t, "wrong by")
		}
		n := 1000
		(&simulated{hands: hands}).run(t, n, n)
		for _, h := range hands {
			want := float64(n) / h.takes.Seconds() / total
			if math.Abs(float64(h.done)-want) > float64(len(hands)+1)+0.02*want {
				t.Fatalf("one that takes %v did %d of %d tasks, its share is %.1f", h.takes, h.done, n, want)
			}
		}
	})
}

// TestHungWorkersStarveNobody: a fast one hangs at some task and is not known to; the others do the rest, late by what they
// believed in it at most.
func TestHungWorkersStarveNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hands := newHands(t, rapid.Bool().Draw(t, "they poll"))
		slowest := time.Duration(0)
		for _, h := range hands {
			slowest = max(slowest, h.takes)
		}
		h := &hand{Contender: Contender{Worker: numbered(99), Performance: 100, Can: true}, takes: time.Second,
			hangs: rapid.IntRange(1, 20).Draw(t, "hangs at")}
		n := h.hangs + rapid.IntRange(0, 30).Draw(t, "tasks")
		alone := best(hands, n)
		f := &simulated{hands: append([]*hand{h}, hands...)}
		if took, bound := f.run(t, n, n-1), alone+guessHolds+2*slowest+time.Minute; took > bound {
			t.Fatalf("%d tasks took %v, more than %v", n-1, took, bound)
		}
	})
}

// TestDeathsLoseNothing: whoever dies when, all tasks are done once, and what was in hand is done by another.
func TestDeathsLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hands := newHands(t, rapid.Bool().Draw(t, "they poll"))
		for _, h := range hands[1:] {
			h.Performance *= rapid.Float64Range(0.1, 10).Draw(t, "wrong by")
			h.dies = time.Duration(rapid.IntRange(0, 300).Draw(t, "dies")) * time.Second
		}
		n := rapid.IntRange(1, 60).Draw(t, "tasks")
		f := &simulated{hands: hands}
		f.run(t, n, n)
		done := 0
		for _, h := range hands {
			done += h.done
		}
		if done != n || f.waiting != 0 {
			t.Fatalf("%d of %d tasks are done, %d wait", done, n, f.waiting)
		}
	})
}
