package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"modernc.org/sqlite"

	"hayloft/scheduler"
)

// conn is one connection with its prepared statements. It talks to the driver without database/sql between, which costs
// more than many of the statements here. One goroutine uses it at a time.
type conn struct {
	raw   driver.Conn
	stmts map[string]*statement // every SQL text is a constant of this package, so this is bounded
	args  []driver.NamedValue
	// broken is the first error after which the open transaction is in doubt, even if a caller passed over it. Nothing
	// runs on the connection until whoever owns the transaction clears it: statements would commit one by one.
	broken error
}

type statement struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
}

func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, meaning(err)
	}
	return &conn{raw: raw, stmts: make(map[string]*statement)}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

func (c *conn) prepare(text string) (*statement, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	raw, err := c.raw.Prepare(text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, c.failed(err))
	}
	exec, canExec := raw.(driver.StmtExecContext)
	query, canQuery := raw.(driver.StmtQueryContext)
	if !canExec || !canQuery {
		return nil, errors.Join(errors.New("the SQLite driver lacks statements with a context"), raw.Close())
	}
	s := &statement{Stmt: raw, exec: exec, query: query}
	c.stmts[text] = s
	return s, nil
}

// failed gives an error its meaning and notes when the transaction is in doubt.
func (c *conn) failed(err error) error {
	doubt := endsTransaction(err)
	err = meaning(err)
	if doubt {
		c.broken = err
	}
	return err
}

// bind numbers the arguments. The slice is used again by the next call; the driver copies what it binds.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		if n, ok := a.(int); ok {
			a = int64(n)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement that returns no rows and tells how many rows it changed.
func (c *conn) exec(text string, args ...any) (int, error) {
	s, err := c.prepare(text)
	if err != nil {
		return 0, err
	}
	// No context that can end: the driver starts a goroutine for each statement under one.
	res, err := s.exec.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, c.failed(err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// each calls f with every row. f may run other statements, but not the same one again.
func (c *conn) each(f func(row) error, text string, args ...any) (err error) {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	rows, err := s.query.QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return c.failed(err)
	}
	defer func() {
		if closeErr := rows.Close(); err == nil && closeErr != nil {
			err = c.failed(closeErr)
		}
	}()
	values := make(row, len(rows.Columns()))
	for {
		switch err := rows.Next(values); {
		case err == io.EOF:
			return nil
		case err != nil:
			return c.failed(err)
		}
		if err := f(values); err != nil {
			if err == errEnough {
				return nil
			}
			return err
		}
	}
}

// errEnough ends each without an error.
var errEnough = errors.New("enough rows")

// one calls f with the first row; without a row it returns [scheduler.ErrNotFound].
func (c *conn) one(f func(row), text string, args ...any) error {
	found := false
	err := c.each(func(r row) error {
		found = true
		f(r)
		return errEnough
	}, text, args...)
	if err == nil && !found {
		return scheduler.ErrNotFound
	}
	return err
}

// number returns the first column of the first row, 0 for NULL; without a row [scheduler.ErrNotFound].
func (c *conn) number(text string, args ...any) (n int64, err error) {
	err = c.one(func(r row) { n = r.int64(0) }, text, args...)
	return n, err
}

// row is one row of a result. The methods read a column; NULL gives the zero value. The tables are STRICT, so a column
// has no other type than its own.
type row []driver.Value

func (r row) int64(i int) int64 { n, _ := r[i].(int64); return n }

func (r row) int(i int) int { return int(r.int64(i)) }

func (r row) bool(i int) bool { return r.int64(i) != 0 }

func (r row) float64(i int) float64 { f, _ := r[i].(float64); return f }

func (r row) text(i int) string { s, _ := r[i].(string); return s }

func (r row) bytes(i int) []byte { b, _ := r[i].([]byte); return b }

func (r row) uuid(i int) (u uuid.UUID) { copy(u[:], r.bytes(i)); return u }

func (r row) time(i int) time.Time {
	if r[i] == nil {
		return time.Time{}
	}
	return time.UnixMicro(r.int64(i)).UTC()
}

// duration reads microseconds.
func (r row) duration(i int) time.Duration { return time.Duration(r.int64(i)) * time.Microsecond }

// key gives an id as its column holds it.
func key[Kind any](id scheduler.ID[Kind]) []byte { return id.UUID[:] }

// stamp gives a time as its column holds it; the zero time is NULL.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}
