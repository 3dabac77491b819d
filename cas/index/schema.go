package index

import (
	"context"
	"database/sql"
	"fmt"
)

const (
	applicationID = 0x6879696e
	schemaVersion = 1
)

// schema makes the tables. In state is one row: the position and the totals.
//
// Of several recipes of one blob, the one with the lowest number is the blob's, and only its chunks are in chunks: the
// ordinals count in it. A chunk's row stays when its blob turns out damaged, since finding all rows of a blob would need
// an index as large as the table; the recipe's mark hides it.
const schema = `
CREATE TABLE state (
	one        INTEGER PRIMARY KEY CHECK (one = 1),
	pack       INTEGER NOT NULL DEFAULT 0,
	offset     INTEGER NOT NULL DEFAULT 0,
	length     INTEGER NOT NULL DEFAULT 0,
	blobs      INTEGER NOT NULL DEFAULT 0,
	blob_bytes INTEGER NOT NULL DEFAULT 0,
	recipes    INTEGER NOT NULL DEFAULT 0,
	chunks     INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO state (one) VALUES (1);
CREATE TABLE blobs (
	digest BLOB PRIMARY KEY,
	pack   INTEGER NOT NULL,
	offset INTEGER NOT NULL,
	length INTEGER NOT NULL,
	item   INTEGER NOT NULL,
	size   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE recipes (
	number  INTEGER PRIMARY KEY,
	id      BLOB NOT NULL UNIQUE,
	digest  BLOB NOT NULL,
	size    INTEGER NOT NULL,
	pack    INTEGER NOT NULL,
	offset  INTEGER NOT NULL,
	length  INTEGER NOT NULL,
	damaged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX recipes_of_blob ON recipes (digest, number);
CREATE INDEX recipes_damaged ON recipes (damaged) WHERE damaged;
CREATE TABLE chunks (
	prefix  BLOB PRIMARY KEY,
	recipe  INTEGER NOT NULL,
	ordinal INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`

// establish makes the tables in an empty file, and proves that another one is an index of this version.
func establish(ctx context.Context, db *sql.DB) error {
	var application, version, tables int
	const ask = `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`
	if err := db.QueryRowContext(ctx, ask).Scan(&application, &version, &tables); err != nil {
		return err
	}
	if application != 0 || version != 0 || tables != 0 {
		return check(application, version)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing, and before it there is nothing to lose
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
	if _, err := tx.ExecContext(ctx, marks+schema); err != nil {
		return err
	}
	return tx.Commit()
}

func check(application, version int) error {
	if application != applicationID {
		return fmt.Errorf("%w: the file belongs to another program", ErrDamaged)
	}
	if version != schemaVersion {
		return fmt.Errorf("%w: it has version %d instead of %d", ErrDamaged, version, schemaVersion)
	}
	return nil
}
