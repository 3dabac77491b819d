package worker

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"hayloft/api/tasklog"
	"hayloft/api/wire"
	"hayloft/worker/process"
)

const (
	chunkSize    = 10 << 10  // bytes of log that are sent without waiting for more
	maxChunk     = 64 << 10  // most bytes of log in one update
	spillSize    = 256 << 10 // bytes of log in memory above which updates go to disk instead of waiting for the manager
	maxPending   = 1 << 20   // bytes of log in memory above which writers wait for the disk
	maxOutputs   = 1000      // outputs in one update
	progressText = "Progress"
)

// reporter gathers what a task has to say and makes numbered updates of it. Its methods may be called from any goroutine
// and never wait for the manager.
type reporter struct {
	courier *courier
	task    uuid.UUID
	claim   *int64
	linger  time.Duration

	mu      sync.Mutex
	room    *sync.Cond // log has shrunk
	log     []byte
	first   time.Time // when the oldest pending log line came
	news    wire.TaskUpdate
	outputs []wire.ProducedOutput
	steps   int
	seq     int64

	wake  chan struct{}
	spill chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

// newReporter starts a reporter. Either finish or abandon must be called in the end.
func newReporter(c *courier, task wire.AssignedTask, linger time.Duration) *reporter {
	r := &reporter{courier: c, task: task.Uuid, claim: task.Claim, linger: linger,
		wake: make(chan struct{}, 1), spill: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	r.room = sync.NewCond(&r.mu)
	active, started := wire.TaskStatusActive, "Started"
	r.news.TaskStatus, r.news.Activity = &active, &started
	signal(r.wake)
	go r.pump()
	return r
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// note adds something that the worker itself has to say to the task's log.
func (r *reporter) note(text string) { r.line(tasklog.Note(text)) }

// output adds what a process wrote to the task's log.
func (r *reporter) output(line process.Line) {
	stream := tasklog.Stdout
	if line.Stream == process.Stderr {
		stream = tasklog.Stderr
	}
	r.line(tasklog.Line(line.PID, stream, line.Continued, line.Text))
}

// line adds a line, or what a note makes of several, as it is.
func (r *reporter) line(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.log) > maxPending {
		signal(r.spill)
		r.room.Wait()
	}
	if len(r.log) == 0 {
		r.first = time.Now()
	}
	r.log = append(append(r.log, text...), '\n')
	if len(r.log) > spillSize {
		signal(r.spill)
	}
	signal(r.wake)
}

// progress counts finished steps and adds outputs; both travel in one update.
func (r *reporter) progress(steps int, outputs ...wire.ProducedOutput) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if steps > 0 {
		r.steps += steps
		total, text := r.steps, progressText
		r.news.StepsCompleted = &total
		if r.news.Activity == nil {
			r.news.Activity = &text
		}
	}
	r.outputs = append(r.outputs, outputs...)
	signal(r.wake)
}

// pump hands updates to the courier until stop. While the courier waits for an answer, what comes in is gathered in
// memory; when that becomes too much, it goes to the outbox instead.
func (r *reporter) pump() {
	defer close(r.done)
	for {
		if wait := r.due(); wait != 0 {
			t := time.NewTimer(wait)
			select {
			case <-r.wake:
			case <-t.C:
			case <-r.stop:
				t.Stop()
				return
			}
			t.Stop()
			continue
		}
		e := r.take()
		select {
		case r.courier.direct <- e:
		case <-r.spill:
			r.courier.submit(e)
		case <-r.stop:
			r.courier.submit(e)
			return
		}
	}
}

// due gives how long to wait for more before the next update is made; zero means that it should be made now.
func (r *reporter) due() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.news != (wire.TaskUpdate{}) || len(r.outputs) > 0 || len(r.log) >= chunkSize:
		return 0
	case len(r.log) == 0:
		return time.Hour
	}
	return max(0, r.linger-time.Since(r.first))
}

// take makes an update of what is pending, as far as it fits into one.
func (r *reporter) take() entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.takeLocked(maxChunk)
}

func (r *reporter) takeLocked(chunk int) entry {
	r.seq++
	seq := r.seq
	u := r.news
	u.Claim, u.Seq = r.claim, &seq
	r.news = wire.TaskUpdate{}
	if n := chunkEnd(r.log, chunk); n > 0 {
		text := string(r.log[:n])
		u.Log = &text
		r.log = append(r.log[:0], r.log[n:]...)
		r.room.Broadcast()
	}
	if n := min(len(r.outputs), maxOutputs); n > 0 {
		part := r.outputs[:n:n]
		u.Outputs = &part
		r.outputs = r.outputs[n:]
	}
	return entry{Task: r.task, Update: u, ordinal: r.courier.box.ordinal()}
}

// chunkEnd gives the length of the largest part of a log that fits and ends with a line, or else with a character.
func chunkEnd(log []byte, limit int) int {
	if len(log) <= limit {
		return len(log)
	}
	if i := bytes.LastIndexByte(log[:limit], '\n'); i >= 0 {
		return i + 1
	}
	for limit > 1 && !utf8.RuneStart(log[limit]) {
		limit--
	}
	return limit
}

// finish reports the end of the task together with everything that is pending. The end is in the outbox when finish
// returns, unless ctx ended while the disk refused it.
func (r *reporter) finish(ctx context.Context, status wire.TaskStatus, activity string) error {
	return r.end(ctx, func(u *wire.TaskUpdate) { u.TaskStatus, u.Activity = &status, &activity })
}

// abandon stores what is pending and says nothing of an end: the task is not this worker's any more.
func (r *reporter) abandon(ctx context.Context) error {
	r.mu.Lock()
	idle := len(r.log) == 0 && len(r.outputs) == 0
	r.mu.Unlock()
	if idle {
		close(r.stop)
		<-r.done
		return nil
	}
	return r.end(ctx, func(*wire.TaskUpdate) {})
}

func (r *reporter) end(ctx context.Context, complete func(*wire.TaskUpdate)) error {
	close(r.stop)
	<-r.done
	r.mu.Lock()
	var entries []entry
	for len(r.outputs) > maxOutputs || len(r.log) > maxChunk {
		entries = append(entries, r.takeLocked(maxChunk))
	}
	last := r.takeLocked(maxChunk)
	r.mu.Unlock()
	complete(&last.Update)
	for _, e := range entries {
		r.courier.submit(e)
	}
	retry := backoff{min: r.courier.wait.min, max: r.courier.wait.max}
	for !r.courier.submit(last) {
		if err := pause(ctx, retry.pause()); err != nil {
			return err
		}
	}
	return nil
}

// oneLine makes a text fit for an activity: one line of bounded length.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + " …"
	}
	return text
}
