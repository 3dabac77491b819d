package fileindex

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Index is an open index. It can be used from many goroutines; they take turns.
type Index struct {
	path   string
	lock   *os.File
	limit  int64         // bytes of the file's used pages, above which Open makes room
	turn   chan struct{} // holds one token; whoever took it uses what follows
	db     *sql.DB       // nil when closed
	damage error
}

// ErrClosed: the index was closed before.
var ErrClosed = errors.New("the index of files is closed")

// errDamaged: what the file holds was not written by this package, or not all of it arrived on the disk.
var errDamaged = errors.New("the index of files is damaged")

// errOtherVersion: the file was written by another version of this package.
var errOtherVersion = errors.New("the index of files has another version")

// defaultLimit is the size of the index of some three million files, or of the recipes of 2 TB in large files.
const defaultLimit = 1 << 30

// Open opens the index in the given file, which it makes if there is none, with folders that only this user can read.
// Beside it lies a file with ".lock" added to its name.
//
// A damaged file, or one of another version, is replaced by an empty index, and [Index.Damage] tells. If another process
// uses that file at the moment, this one works with an index in memory instead. An index above its bound forgets what
// was read longest ago.
func Open(path string) (*Index, error) { return open(path, defaultLimit) }

func open(path string, limit int64) (*Index, error) {
	x := &Index{path: path, limit: limit, turn: make(chan struct{}, 1)}
	err := x.open()
	if err != nil {
		return nil, fmt.Errorf("open the index of files %q: %w", path, errors.Join(err, x.shut()))
	}
	x.turn <- struct{}{}
	return x, nil
}

func (x *Index) open() (err error) {
	if err := os.MkdirAll(filepath.Dir(x.path), 0o700); err != nil {
		return err
	}
	if x.lock, err = os.OpenFile(x.path+".lock", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := lockShared(x.lock); err != nil {
		return err
	}
	x.db, err = connect(x.path, x.limit)
	if isDamage(err) {
		return x.replace(err)
	}
	return err
}

// replace puts an empty index in the place of a damaged one, or uses one in memory where that cannot be done.
func (x *Index) replace(damage error) (err error) {
	x.damage = damage
	if x.db != nil {
		// The file is given up, whatever closing it says.
		_ = x.db.Close()
	}
	if x.db, err = x.afresh(); err != nil {
		x.damage = errors.Join(damage, err)
		x.db, err = connect(":memory:", x.limit)
	}
	return err
}

// afresh removes the file and makes a new one. The lock tells that no other process has it open: one that opened it
// between two removals would work on half of it.
func (x *Index) afresh() (*sql.DB, error) {
	if err := lockExclusive(x.lock); err != nil {
		return nil, fmt.Errorf("another process uses it as well: %w", err)
	}
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(x.path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	db, err := connect(x.path, x.limit)
	if err != nil {
		return nil, err
	}
	if err := lockShared(x.lock); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Damage says why the file was replaced, or why it is not used; nil if it was sound so far.
func (x *Index) Damage() error {
	<-x.turn
	defer func() { x.turn <- struct{}{} }()
	return x.damage
}

// Close lets go of the file. What was remembered is on disk already. Closing twice is fine.
func (x *Index) Close() error {
	<-x.turn
	defer func() { x.turn <- struct{}{} }()
	if err := x.shut(); err != nil {
		return fmt.Errorf("close the index of files %q: %w", x.path, err)
	}
	return nil
}

func (x *Index) shut() error {
	var errs []error
	if x.db != nil {
		errs = append(errs, x.db.Close())
	}
	if x.lock != nil {
		errs = append(errs, x.lock.Close())
	}
	x.db, x.lock = nil, nil
	return errors.Join(errs...)
}

// use runs f in its turn, once more on an empty index if the one at hand turns out to be damaged.
func (x *Index) use(ctx context.Context, what string, f func(*sql.DB) error) error {
	select {
	case <-x.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { x.turn <- struct{}{} }()
	if x.db == nil {
		return ErrClosed
	}
	err := f(x.db)
	if isDamage(err) {
		if err = x.replace(err); err == nil {
			err = f(x.db)
		}
	}
	if err != nil {
		return fmt.Errorf("%s, by the index of files %q: %w", what, x.path, err)
	}
	return nil
}
