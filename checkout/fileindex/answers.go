package fileindex

import (
	"context"
	"database/sql"
	"errors"

	"hayloft/cas"
)

// maxStores is how many stores' answers are kept; those of the one first met are forgotten for a further one.
const maxStores = 16

// numbered turns one parameter, digests one after another, into rows: asking for each alone would cost more than all
// the rest of a question. Its parameters are the number of digests and the digests.
const numbered = `WITH RECURSIVE
	number(n) AS (SELECT 0 WHERE ?1 > 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?1),
	asked(n, digest) AS (SELECT n, substr(?2, n * 32 + 1, 32) FROM number) `

// Has tells which blobs the store with that generation was noted to have. A yes is as good as the note: whoever learns
// that the store lacks such a blob after all calls [Index.Forget].
func (x *Index) Has(ctx context.Context, generation string, digests []cas.Digest) ([]bool, error) {
	asked := joined(digests)
	var has []bool
	err := x.use(ctx, "look up what the store has", func(db *sql.DB) error {
		has = make([]bool, len(digests))
		rows, err := db.QueryContext(context.Background(), numbered+`SELECT n FROM asked CROSS JOIN has
			WHERE has.store = (SELECT number FROM stores WHERE generation = ?3) AND has.digest = asked.digest`, len(digests), asked, generation)
		if err != nil {
			return err
		}
		return errors.Join(mark(ctx, rows, has), rows.Close())
	})
	return has, err
}

func mark(ctx context.Context, rows *sql.Rows, has []bool) error {
	for rows.Next() {
		var n int
		if err := errors.Join(ctx.Err(), rows.Scan(&n)); err != nil {
			return err
		}
		has[n] = true
	}
	return rows.Err()
}

func joined(digests []cas.Digest) []byte {
	all := make([]byte, 0, len(digests)*cas.Size)
	for _, d := range digests {
		all = appendDigest(all, d)
	}
	return all
}

// NoteHas remembers that the store with that generation has these blobs: that it said so, or that it took them in.
func (x *Index) NoteHas(ctx context.Context, generation string, digests []cas.Digest) error {
	asked := joined(digests)
	return x.use(ctx, "remember what the store has", func(db *sql.DB) error {
		return inTransaction(db, func(tx *sql.Tx) error {
			added, err := tx.Exec("INSERT OR IGNORE INTO stores (generation) VALUES (?)", generation)
			if err != nil {
				return err
			}
			if n, err := added.RowsAffected(); err != nil || n > 0 {
				if err := errors.Join(err, forgetFirst(tx)); err != nil {
					return err
				}
			}
			_, err = tx.Exec(numbered+`INSERT OR IGNORE INTO has (store, digest)
				SELECT (SELECT number FROM stores WHERE generation = ?3), digest FROM asked ORDER BY digest`, len(digests), asked, generation)
			return err
		})
	})
}

func forgetFirst(tx *sql.Tx) error {
	_, err := tx.Exec("DELETE FROM stores WHERE number NOT IN (SELECT number FROM stores ORDER BY number DESC LIMIT ?)", maxStores)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM has WHERE store NOT IN (SELECT number FROM stores)")
	return err
}

// Forget drops all answers of the store with that generation.
func (x *Index) Forget(ctx context.Context, generation string) error {
	return x.use(ctx, "forget what the store has", func(db *sql.DB) error {
		return inTransaction(db, func(tx *sql.Tx) error {
			if _, err := tx.Exec("DELETE FROM stores WHERE generation = ?", generation); err != nil {
				return err
			}
			_, err := tx.Exec("DELETE FROM has WHERE store NOT IN (SELECT number FROM stores)")
			return err
		})
	})
}
