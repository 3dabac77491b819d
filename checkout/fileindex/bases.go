package fileindex

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// keepBase puts the recipe that a new one replaces aside, since the new version may be looked at many times before it
// is sent, and travels best as a difference to what the store has. One that is aside already stays, unless the store is
// known to have the later one. Its parameters are the path and the new digest; a digest begins at byte 49 of a record.
const keepBase = `INSERT OR REPLACE INTO bases (path, recipe)
	SELECT recipes.path, recipes.recipe FROM recipes JOIN files ON files.path = recipes.path
	WHERE recipes.path = ?1 AND substr(files.record, 49, 32) != ?2 AND (
		NOT EXISTS (SELECT 1 FROM bases WHERE path = ?1) OR
		EXISTS (SELECT 1 FROM stores CROSS JOIN has ON has.store = stores.number AND has.digest = substr(files.record, 49, 32)))`

// Base gives the recipe of an earlier version of a file than the one that the index knows: the latest that a store was
// noted to have, or else the earliest. ok is false if there is none.
func (x *Index) Base(ctx context.Context, path string) (recipe chunk.Recipe, ok bool, err error) {
	return x.storedRecipe(ctx, "the earlier recipe", "SELECT recipe FROM bases WHERE path = ?", filepath.Clean(path))
}

func (x *Index) storedRecipe(ctx context.Context, what, query, path string) (recipe chunk.Recipe, ok bool, err error) {
	err = x.use(ctx, fmt.Sprintf("look up %s of %q", what, path), func(db *sql.DB) error {
		ok = false
		var stored []byte
		err := db.QueryRowContext(context.Background(), query, []byte(path)).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if recipe, err = parseRecipe(path, stored); err != nil {
			return err
		}
		ok = true
		return nil
	})
	return recipe, ok, err
}

func digestBytes(b cas.Blob) []byte { return appendDigest(nil, b.Digest) }
