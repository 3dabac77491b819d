package fileindex

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// schema is version 2. A version that needs another one raises the number, and finds the old file "damaged": an index
// costs one reading to make again.
//
// A record has a fixed layout (see record.go), so that a lookup of ten thousand files decodes two columns a row. Recipes
// lie apart, so that it does not wade through them.
const (
	version       = 2
	applicationID = 0x68617966 // "hayf"

	schema = `
CREATE TABLE files (path BLOB NOT NULL PRIMARY KEY, record BLOB NOT NULL, read INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE recipes (path BLOB NOT NULL PRIMARY KEY, recipe BLOB NOT NULL) STRICT;
CREATE TABLE bases (path BLOB NOT NULL PRIMARY KEY, recipe BLOB NOT NULL) STRICT;
CREATE TABLE stores (number INTEGER PRIMARY KEY AUTOINCREMENT, generation TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE has (store INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (store, digest)) STRICT, WITHOUT ROWID;
`
)

// settings of each connection. A rollback journal, and not a write-ahead log, since the folder of caches may lie on a
// network share, where the latter does not work. The time to wait for another process is in milliseconds.
var settings = []string{"busy_timeout(20000)", "journal_mode(truncate)", "synchronous(normal)", "temp_store(memory)", "cache_size(-16384)"}

// connect opens the database, makes its tables if it has none, and makes room if it has more than limit bytes.
func connect(path string, limit int64) (*sql.DB, error) {
	name, err := dataSource(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // callers take turns, and an index in memory lives as long as its connection
	if err = prepare(db); err == nil {
		err = makeRoom(db, limit)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func dataSource(path string) (string, error) {
	query := url.Values{"_pragma": settings, "_txlock": {"immediate"}}.Encode()
	if path == ":memory:" {
		return "file::memory:?" + query, nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	absolute = filepath.ToSlash(absolute)
	if !strings.HasPrefix(absolute, "/") {
		absolute = "/" + absolute
	}
	return (&url.URL{Scheme: "file", Path: absolute, RawQuery: query}).String(), nil
}

// prepare makes the tables of an empty database, and refuses one that is not ours.
func prepare(db *sql.DB) error {
	var id, found int
	if err := identity(db, &id, &found); err != nil {
		return err
	}
	if id == applicationID && found == version {
		return nil
	}
	switch {
	case id == applicationID:
		return fmt.Errorf("%w: %d, and this is %d", errOtherVersion, found, version)
	case id != 0 || found != 0:
		return fmt.Errorf("%w: the file is a database of another program", errDamaged)
	}
	return inTransaction(db, func(tx *sql.Tx) error {
		// Another process may have been first.
		if err := identity(tx, &id, &found); err != nil || id != 0 {
			return err
		}
		var tables int
		if err := tx.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
			return err
		}
		if tables > 0 {
			return fmt.Errorf("%w: the file is a database of another program", errDamaged)
		}
		_, err := tx.Exec(schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
		return err
	})
}

// asker is a database or a transaction.
type asker interface {
	QueryRow(query string, args ...any) *sql.Row
}

func identity(from asker, id, version *int) error {
	return errors.Join(from.QueryRow("PRAGMA application_id").Scan(id), from.QueryRow("PRAGMA user_version").Scan(version))
}

// inTransaction commits what f does, or nothing of it. No context that can end comes near the statements: the driver
// starts a goroutine for each of them under one, and a transaction here is short.
func inTransaction(db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// isDamage tells whether an error means that the file is of no use as an index.
func isDamage(err error) bool {
	var refused *sqlite.Error
	if errors.As(err, &refused) {
		primary := refused.Code() & 0xff
		return primary == sqlite3.SQLITE_CORRUPT || primary == sqlite3.SQLITE_NOTADB
	}
	return errors.Is(err, errDamaged) || errors.Is(err, errOtherVersion)
}

// makeRoom forgets the files that were read longest ago until the rest takes at most limit bytes.
func makeRoom(db *sql.DB, limit int64) error {
	for {
		var used, files int64
		err := errors.Join(
			db.QueryRow("SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&used),
			db.QueryRow("SELECT count(*) FROM (SELECT 1 FROM files LIMIT 1)").Scan(&files))
		if err != nil || used <= limit || files == 0 {
			return err
		}
		if err := inTransaction(db, forgetHalf); err != nil {
			return err
		}
	}
}

func forgetHalf(tx *sql.Tx) error {
	for _, statement := range []string{
		"DELETE FROM has",
		"DELETE FROM stores",
		"DELETE FROM files WHERE read <= (SELECT read FROM files ORDER BY read LIMIT 1 OFFSET (SELECT count(*) / 2 FROM files))",
		"DELETE FROM recipes WHERE path NOT IN (SELECT path FROM files)",
		"DELETE FROM bases WHERE path NOT IN (SELECT path FROM files)",
	} {
		if _, err := tx.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}
