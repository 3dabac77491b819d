package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"hayloft/scheduler"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate brings the schema up to date, on a connection of its own.
func migrate(ctx context.Context, path string, busy time.Duration) (err error) {
	db, provider, err := migrations(path, busy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", meaning(err))
	}
	if current > target {
		return fmt.Errorf("%w: version %d, this program knows up to %d; use the newer program, or a backup from before the upgrade",
			scheduler.ErrNewerSchema, current, target)
	}
	if current == target {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", current, target, meaning(err))
	}
	return nil
}

// migrations returns a provider for the database at path. Closing db ends it.
func migrations(path string, busy time.Duration) (db *sql.DB, _ *goose.Provider, err error) {
	dsn, err := dataSource(path, writerPragmas(busy), "_txlock=immediate")
	if err != nil {
		return nil, nil, err
	}
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, nil, err
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, nil, err
	}
	db = sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, provider, nil
}
