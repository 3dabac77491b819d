package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"hayloft/cas"
	"hayloft/cas/pack"
)

// ErrDamaged: the file is not a sound index of this version. The owner deletes it, with the files of the same name and
// -wal and -shm behind it, and fills a new one from the packs.
var ErrDamaged = errors.New("damaged index")

// ErrReadOnly: the index was opened for reading only.
var ErrReadOnly = errors.New("the index is open for reading only")

// Index is an open index. It may be used by many goroutines.
type Index struct {
	path  string
	read  *sql.DB
	write *sql.DB // one connection, so that writers wait in a queue; nil when open for reading only
}

// mostReaders is how many questions are answered at once; others wait.
const mostReaders = 4

// The settings of connections. A cache is in KiB, when negative; it lets the upper pages of the trees stay in memory.
const (
	readSettings  = "_pragma=busy_timeout(10000)&_pragma=cache_size(-8000)&_pragma=query_only(1)"
	writeSettings = "_pragma=busy_timeout(10000)&_pragma=cache_size(-32000)&_pragma=journal_mode(wal)" +
		"&_pragma=synchronous(normal)&_pragma=journal_size_limit(67108864)&_txlock=immediate"
)

// Open opens the index in the file path for writing, and makes it if there is none. The caller sees to it that one
// process at a time does so, and ends with Close.
//
// Errors: [ErrDamaged], [cas.ErrNoSpace], what the file system says.
func Open(path string) (*Index, error) {
	x := &Index{path: path}
	var err error
	if x.write, err = connect(path, writeSettings, 1); err == nil {
		err = establish(context.Background(), x.write)
	}
	if err == nil {
		x.read, err = connect(path, readSettings, mostReaders)
	}
	if err == nil {
		_, err = x.state(context.Background())
	}
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", path, errors.Join(meaning(err), x.Close()))
	}
	return x, nil
}

// OpenReadOnly opens the index for reading, also beside a process that writes. The caller ends with Close.
//
// Errors: [ErrDamaged]; fs.ErrNotExist when there is none.
func OpenReadOnly(path string) (*Index, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open index for reading: %w", err)
	}
	x, err := openReadOnly(path, "mode=ro&"+readSettings)
	if isClosedOff(err) {
		// Where nothing may be written, SQLite cannot note that it reads; and then nobody else writes either.
		x, err = openReadOnly(path, "immutable=1&mode=ro&"+readSettings)
	}
	if err != nil {
		return nil, fmt.Errorf("open index %s for reading: %w", path, meaning(err))
	}
	return x, nil
}

func openReadOnly(path, settings string) (*Index, error) {
	db, err := connect(path, settings, mostReaders)
	if err != nil {
		return nil, err
	}
	x := &Index{path: path, read: db}
	var application, version int
	err = db.QueryRowContext(context.Background(), `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version)`).Scan(&application, &version)
	if err == nil {
		err = check(application, version)
	}
	if err == nil {
		_, err = x.state(context.Background())
	}
	if err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

func connect(path, settings string, connections int) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute), RawQuery: settings}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Close ends the index. What was added stays.
func (x *Index) Close() error {
	var errs []error
	for _, db := range []*sql.DB{x.read, x.write} { // the writer is last, and folds the log into the file
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// meaning gives an error of SQLite the sentinel that it stands for.
func meaning(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", cas.ErrNoSpace, err)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", ErrDamaged, err) // only state is asked for a row that must be there
	}
	return err
}

// isClosedOff tells whether SQLite could not make the files beside the index that it needs for reading.
func isClosedOff(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CANTOPEN || c == sqlite3.SQLITE_READONLY
}

// code is SQLite's primary result code, or SQLITE_OK for what is no error of SQLite.
func code(err error) int {
	var failed *sqlite.Error
	if !errors.As(err, &failed) {
		return sqlite3.SQLITE_OK
	}
	return failed.Code() & 0xff
}

// Totals counts what the index knows.
type Totals struct {
	Blobs     int64 // in packs
	BlobBytes int64 // raw bytes of these
	Recipes   int64
	Chunks    int64 // distinct
}

// state is the row of that table.
type state struct {
	position pack.Place
	totals   Totals
}

// rower is what can be asked for one row: a database or a transaction.
type rower interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (x *Index) state(ctx context.Context) (state, error) { return readState(ctx, x.read) }

func readState(ctx context.Context, from rower) (s state, err error) {
	err = from.QueryRowContext(ctx, `SELECT pack, offset, length, blobs, blob_bytes, recipes, chunks FROM state`).Scan(
		&s.position.Pack, &s.position.Offset, &s.position.Length,
		&s.totals.Blobs, &s.totals.BlobBytes, &s.totals.Recipes, &s.totals.Chunks)
	return s, err
}

// Position is the place of the last frame that the index knows: the packs are to be scanned from there on. It is zero for
// an empty index.
func (x *Index) Position(ctx context.Context) (pack.Place, error) {
	s, err := x.state(ctx)
	if err != nil {
		return pack.Place{}, x.failed("position", err)
	}
	return s.position, nil
}

// Totals counts what the index knows, without looking at it all.
func (x *Index) Totals(ctx context.Context) (Totals, error) {
	s, err := x.state(ctx)
	if err != nil {
		return Totals{}, x.failed("totals", err)
	}
	return s.totals, nil
}

// failed wraps an error with what was asked of which index.
func (x *Index) failed(what string, err error) error {
	return fmt.Errorf("index %s: %s: %w", x.path, what, meaning(err))
}
