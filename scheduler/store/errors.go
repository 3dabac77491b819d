package store

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"hayloft/scheduler"
)

// ErrClosed says that the store was closed before the call could run.
var ErrClosed = errors.New("the database is closed")

// primary gives SQLite's primary result code of an error, 0 if the error is not SQLite's.
func primary(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return sqlite3.SQLITE_OK
}

// meaning wraps an error of SQLite in the scheduler's sentinel for it, if there is one.
func meaning(err error) error {
	switch primary(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w; another program holds it, try again: %w", scheduler.ErrBusy, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w; make room on its disk: %w", scheduler.ErrNoSpace, err)
	}
	return err
}

// isConstraint tells whether a statement was refused by a constraint. SQLite undoes just that statement then.
func isConstraint(err error) bool { return primary(err) == sqlite3.SQLITE_CONSTRAINT }

// endsTransaction tells whether an error leaves the transaction in doubt: SQLite may have rolled all of it back. A refused
// constraint or a type that does not fit undoes just one statement.
func endsTransaction(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_OK:
		return errors.Is(err, driver.ErrBadConn)
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return false
	}
	return true
}

// isUnique tells whether a UNIQUE constraint refused a statement.
func isUnique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}
