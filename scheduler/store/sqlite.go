package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hayloft/scheduler"
)

// Options tune a store; zero fields take defaults.
type Options struct {
	Now         func() time.Time // default time.Now
	Readers     int              // connections for View, default 4; more Views than that wait for each other
	BusyTimeout time.Duration    // how long to wait for another program that writes, default 5 s
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 5 * time.Second
	}
	return o
}

// SQLite is a [scheduler.Store] in one SQLite file and its write-ahead log beside it.
type SQLite struct {
	now     func() time.Time
	readers chan *conn // idle ones
	nReader int
	writer  *writer

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

var _ scheduler.Store = (*SQLite)(nil)

// OpenSQLite opens the database at path, makes it if absent, and brings its schema up to date. A database of a later
// version than this one knows is [scheduler.ErrNewerSchema]. ctx bounds the opening only.
func OpenSQLite(ctx context.Context, path string, opts Options) (*SQLite, error) {
	opts = opts.withDefaults()
	if err := migrate(ctx, path, opts.BusyTimeout); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s := &SQLite{
		now: opts.Now, readers: make(chan *conn, opts.Readers), nReader: opts.Readers, closing: make(chan struct{}),
	}
	c, err := open(ctx, path, writerPragmas(opts.BusyTimeout), "_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	for range opts.Readers {
		r, err := open(ctx, path, readerPragmas(opts.BusyTimeout))
		if err != nil {
			close(s.readers)
			for idle := range s.readers {
				err = errors.Join(err, idle.close())
			}
			return nil, fmt.Errorf("open database %s: %w", path, errors.Join(err, c.close()))
		}
		s.readers <- r
	}
	s.writer = newWriter(c, s.monotonic(), s.closing)
	go s.writer.run()
	return s, nil
}

// monotonic gives the transactions' times: never earlier than the one before, in the precision that is stored.
func (s *SQLite) monotonic() func() time.Time {
	var last time.Time
	return func() time.Time {
		if t := s.now().UTC().Truncate(time.Microsecond); t.After(last) {
			last = t
		}
		return last
	}
}

// Update implements [scheduler.Store]. fn runs on the store's own goroutine, so it must neither call Update nor end its
// goroutine (as t.FailNow does). A panic in fn becomes an error. When ctx ends before fn began, fn does not run; after
// that the call waits for its commit, since its outcome would be unknown else.
func (s *SQLite) Update(ctx context.Context, fn func(scheduler.Tx) error) error {
	op := &operation{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case s.writer.queue <- op:
	case <-ctx.Done():
		return fmt.Errorf("wait for the database: %w", ctx.Err())
	case <-s.closing:
		return ErrClosed
	}
	<-op.done
	return op.err
}

// View implements [scheduler.Store]. fn may take its time: it keeps no writer waiting.
func (s *SQLite) View(ctx context.Context, fn func(scheduler.ReadTx) error) (err error) {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	c.broken = nil
	if _, err := c.exec("BEGIN"); err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer func() {
		c.broken = nil
		if _, endErr := c.exec("ROLLBACK"); err == nil && endErr != nil {
			err = fmt.Errorf("end reading: %w", endErr)
		}
	}()
	return fn(readTx{c})
}

func (s *SQLite) reader(ctx context.Context) (*conn, error) {
	select {
	case <-s.closing:
		return nil, ErrClosed
	default:
	}
	select {
	case c := <-s.readers:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the database: %w", ctx.Err())
	case <-s.closing:
		return nil, ErrClosed
	}
}

// Close implements [scheduler.Store]: it waits for what runs. Calls that come later return [ErrClosed].
func (s *SQLite) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.writer.stopped
		var errs []error
		for range s.nReader {
			errs = append(errs, (<-s.readers).close())
		}
		// The writer goes last: the last connection to close folds the write-ahead log into the database.
		errs = append(errs, s.writer.conn.close())
		if err := errors.Join(errs...); err != nil {
			s.closeErr = fmt.Errorf("close database: %w", err)
		}
	})
	return s.closeErr
}

// Stats counts what a store did since it was opened.
type Stats struct {
	Commits    int64 // commits that had something to write; each costs one fsync
	Operations int64 // calls of Update whose function ran
	Failed     int64 // of these, how many left nothing behind
}

// Stats returns the counts so far.
func (s *SQLite) Stats() Stats {
	w := s.writer
	return Stats{Commits: w.commits.Load(), Operations: w.operations.Load(), Failed: w.failed.Load()}
}

type counters struct{ commits, operations, failed atomic.Int64 }
