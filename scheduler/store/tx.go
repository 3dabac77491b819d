package store

import (
	"time"

	"hayloft/scheduler"
)

// readTx reads in the transaction that is open on its connection.
type readTx struct{ *conn }

// tx is one operation of the writer.
type tx struct {
	readTx
	at        time.Time
	savepoint bool // an earlier operation of this transaction has written
	wrote     bool // this one has

	// What was last read of a task, for the move that follows; nil once anything was written.
	known *taskRow
}

var _ scheduler.Tx = (*tx)(nil)

func (t *tx) Now() time.Time { return t.at }

// exec writes.
func (t *tx) exec(text string, args ...any) (int, error) {
	if !t.wrote {
		if t.savepoint {
			if _, err := t.conn.exec("SAVEPOINT operation"); err != nil {
				return 0, err
			}
		}
		t.wrote = true
	}
	t.known = nil
	return t.conn.exec(text, args...)
}

// mustChange writes and returns [scheduler.ErrNotFound] when no row was there to change.
func (t *tx) mustChange(text string, args ...any) error {
	n, err := t.exec(text, args...)
	if err == nil && n == 0 {
		return scheduler.ErrNotFound
	}
	return err
}
