package store

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"hayloft/scheduler"
)

// Bounds of one commit. They keep the wait of the first caller short; a queue that is longer shares the next commit.
const (
	batchOperations = 512
	batchTime       = 5 * time.Millisecond
)

// operation is one Update on its way.
type operation struct {
	ctx  context.Context
	fn   func(scheduler.Tx) error
	err  error         // set before done is closed
	done chan struct{} // closed once the outcome is on stable storage
}

// writer runs operations, several to a commit. Its goroutine owns the connection from newWriter until stopped is closed.
type writer struct {
	counters
	conn    *conn
	now     func() time.Time
	queue   chan *operation // unbuffered: who is not taken yet can still go away
	closing <-chan struct{}
	stopped chan struct{}
}

func newWriter(c *conn, now func() time.Time, closing <-chan struct{}) *writer {
	return &writer{conn: c, now: now, queue: make(chan *operation), closing: closing, stopped: make(chan struct{})}
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case op := <-w.queue:
			w.commitBatch(op)
		case <-w.closing:
			return
		}
	}
}

// batch is the operations of one transaction.
type batch struct {
	ops    []*operation
	wrote  bool  // an operation that counts has written
	broken error // the transaction is lost, and with it every operation
}

// commitBatch runs the first operation and those that wait behind it, commits, and answers all of them. An empty queue
// ends the batch at once, so a lone caller waits for nobody.
func (w *writer) commitBatch(first *operation) {
	var b batch
	w.conn.broken = nil
	if _, err := w.conn.exec("BEGIN IMMEDIATE"); err != nil {
		first.err = fmt.Errorf("begin to write: %w", err)
		close(first.done)
		return
	}
	began := time.Now()
	for op := first; op != nil; op = w.next(&b, began) {
		b.ops = append(b.ops, op)
		w.operate(&b, op)
	}
	w.commit(&b)
	for _, op := range b.ops {
		if op.err == nil {
			op.err = b.broken
		}
		if op.err != nil {
			w.failed.Add(1)
		}
		close(op.done)
	}
}

// yields is how often the writer lets others run before it takes an empty queue for the end of a batch. Those who got the
// answers of the last commit are then often ready with their next request, and an fsync costs far more than the wait.
const yields = 4

// next takes the next operation that waits, nil when the batch is to be committed.
func (w *writer) next(b *batch, began time.Time) *operation {
	if b.broken != nil || len(b.ops) >= batchOperations || time.Since(began) >= batchTime {
		return nil
	}
	for try := 0; ; try++ {
		select {
		case op := <-w.queue:
			return op
		default:
		}
		if try == yields {
			return nil
		}
		runtime.Gosched()
	}
}

// operate runs one operation. Its savepoint is opened by its first write, and only when an earlier operation has
// written: to undo the only one that did, the whole transaction can go.
func (w *writer) operate(b *batch, op *operation) {
	if err := op.ctx.Err(); err != nil {
		op.err = fmt.Errorf("wait for the database: %w", err)
		return
	}
	w.operations.Add(1)
	t := &tx{readTx: readTx{w.conn}, at: w.now(), savepoint: b.wrote}
	op.err = call(op.fn, t)
	switch {
	case w.conn.broken != nil:
		b.broken = fmt.Errorf("the transaction was lost: %w", w.conn.broken)
	case !t.wrote:
	case op.err == nil:
		b.broken = w.keep(b)
	default:
		b.broken = w.undo(b)
	}
}

func (w *writer) keep(b *batch) error {
	if b.wrote {
		if _, err := w.conn.exec("RELEASE operation"); err != nil {
			return fmt.Errorf("keep a change: %w", err)
		}
	}
	b.wrote = true
	return nil
}

func (w *writer) undo(b *batch) error {
	steps := []string{"ROLLBACK", "BEGIN IMMEDIATE"}
	if b.wrote {
		steps = []string{"ROLLBACK TO operation", "RELEASE operation"}
	}
	for _, step := range steps {
		if _, err := w.conn.exec(step); err != nil {
			return fmt.Errorf("undo a failed change: %w", err)
		}
	}
	return nil
}

// call runs fn and turns a panic into an error: it must not take the manager down, nor those who share the commit.
func call(fn func(scheduler.Tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}

// commit ends the transaction. Afterwards none is open, whatever happened.
func (w *writer) commit(b *batch) {
	if b.broken == nil {
		_, err := w.conn.exec("COMMIT")
		if err == nil {
			if b.wrote {
				w.commits.Add(1)
			}
			return
		}
		b.broken = fmt.Errorf("commit: %w", err)
	}
	// SQLite may have rolled back already; then this fails, and nothing is open either.
	w.conn.broken = nil
	_, _ = w.conn.exec("ROLLBACK")
}
