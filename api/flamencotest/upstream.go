package flamencotest

import (
	"context"
	"net/http"
	"time"
)

// taskUpdate is what a worker tells of a task.
type taskUpdate struct {
	Status   string `json:"taskStatus,omitempty"`
	Activity string `json:"activity,omitempty"`
	Log      string `json:"log,omitempty"`
	Steps    int    `json:"steps_completed,omitempty"`
}

// delivery is what became of an update.
type delivery int

const (
	delivered delivery = iota
	buffered           // no answer came: it is kept and sent again
	takenAway          // 409: the task is somebody else's by now
	poisoned           // anything else
)

// upstream sends updates, and keeps those that could not be sent (section 15). The original holds one lock for the whole
// call, so that a slow manager holds up the reader of a child's output; turn is that lock.
type upstream struct {
	worker  *Worker
	turn    chan struct{}
	waiting []waitingUpdate
}

type waitingUpdate struct {
	task   string
	update taskUpdate
}

// send delivers an update, or queues it behind those that wait.
func (u *upstream) send(ctx context.Context, task string, update taskUpdate) delivery {
	u.turn <- struct{}{}
	defer func() { <-u.turn }()
	if len(u.waiting) == 0 {
		if got := u.try(ctx, task, update); got != buffered {
			return got
		}
	}
	u.waiting = append(u.waiting, waitingUpdate{task, update})
	return buffered
}

func (u *upstream) try(ctx context.Context, task string, update taskUpdate) delivery {
	a, err := u.worker.call(ctx, asJSON("/worker/task/"+task, update))
	switch {
	case err != nil:
		return buffered
	case a.status == http.StatusConflict:
		return takenAway
	case a.status != http.StatusNoContent || a.empty() != nil:
		u.worker.cfg.Fault("a task update wants 204 or 409; on a log chunk anything else hangs the worker: %v", a)
		return poisoned
	}
	u.worker.count(func(t *Tally) {
		switch update.Status {
		case "completed":
			t.Completed = append(t.Completed, task)
		case "failed":
			t.Failed = append(t.Failed, task)
		}
	})
	return delivered
}

// flush sends what waits, in order, until something gets no answer. Any answer ends the wait of an update.
func (u *upstream) flush(ctx context.Context) {
	u.turn <- struct{}{}
	defer func() { <-u.turn }()
	for len(u.waiting) > 0 {
		first := u.waiting[0]
		if u.try(ctx, first.task, first.update) == buffered {
			return
		}
		u.waiting = u.waiting[1:]
	}
}

func (u *upstream) flushEvery(ctx context.Context, period time.Duration) {
	for rest(ctx, period) {
		u.flush(ctx)
	}
}
