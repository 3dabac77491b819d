package fileindex

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"time"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/checkout"
)

// Known is what the index knows of one file.
type Known struct {
	Stat Stat
	Blob cas.Blob
	// Origin tells in which envelope the file lies on disk; Blob is without it.
	Origin checkout.Origin
	// Verbatim: the file was taken as it is, without a look for an envelope.
	Verbatim bool
	// HasRecipe: [Index.Recipe] has the recipe of Blob.
	HasRecipe bool
	// Racy: the file was read so soon after it was written that its Stat does not tell of each later write. What is known
	// is an earlier version of it, or it may be.
	Racy bool
}

// Unchanged tells whether a file that looks like that now still has the content that is known.
func (k Known) Unchanged(now Stat) bool { return !k.Racy && k.Stat == now }

// Fact is what reading a file has shown.
type Fact struct {
	Path     string    // absolute
	Stat     Stat      // the same before and after it was read
	Read     time.Time // by this machine's clock, before the first Stat was taken
	Blob     cas.Blob
	Origin   checkout.Origin
	Verbatim bool
	Recipe   chunk.Recipe // of Blob; the zero value if it was not cut
}

// Under gives what is known of the file root and of all files below the folder root, by their absolute paths.
func (x *Index) Under(ctx context.Context, root string) (map[string]Known, error) {
	root = filepath.Clean(root)
	first, last := below(root)
	var found map[string]Known
	err := x.use(ctx, fmt.Sprintf("look up what lies in %q", root), func(db *sql.DB) error {
		found = map[string]Known{}
		rows, err := db.QueryContext(context.Background(), `SELECT path, record FROM files WHERE path = ?
			UNION ALL SELECT path, record FROM files WHERE path > ? AND path < ?`, []byte(root), first, last)
		if err != nil {
			return err
		}
		return errors.Join(collect(ctx, rows, found), rows.Close())
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// below gives the bounds, themselves excluded, of the paths in a folder.
func below(root string) (first, last []byte) {
	first = []byte(root)
	if len(first) == 0 || first[len(first)-1] != filepath.Separator {
		first = append(first, filepath.Separator)
	}
	last = slices.Clone(first)
	last[len(last)-1]++
	return first, last
}

func collect(ctx context.Context, rows *sql.Rows, found map[string]Known) error {
	var path, record sql.RawBytes
	for rows.Next() {
		if err := errors.Join(ctx.Err(), rows.Scan(&path, &record)); err != nil {
			return err
		}
		name := string(path)
		known, err := parseRecord(name, record)
		if err != nil {
			return err
		}
		found[name] = known
	}
	return rows.Err()
}

// Recipe gives the recipe of the blob that the index knows for a path, and whether there is one.
func (x *Index) Recipe(ctx context.Context, path string) (recipe chunk.Recipe, ok bool, err error) {
	return x.storedRecipe(ctx, "the recipe", "SELECT recipe FROM recipes WHERE path = ?", filepath.Clean(path))
}

// A stored recipe is the CRC-32C of the path and the encoded recipe, little-endian, and the encoded recipe.
func storedRecipe(path string, recipe chunk.Recipe) ([]byte, error) {
	b, err := recipe.AppendBinary(make([]byte, crc32.Size))
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(b, checksum(path, b[crc32.Size:]))
	return b, nil
}

func parseRecipe(path string, stored []byte) (chunk.Recipe, error) {
	if len(stored) < crc32.Size || binary.LittleEndian.Uint32(stored) != checksum(path, stored[crc32.Size:]) {
		return chunk.Recipe{}, fmt.Errorf("%w: the recipe of %q is not as it was written", errDamaged, path)
	}
	recipe, err := chunk.DecodeRecipe(stored[crc32.Size:])
	if err != nil {
		return chunk.Recipe{}, fmt.Errorf("%w: the recipe of %q: %w", errDamaged, path, err)
	}
	return recipe, nil
}

// Remember takes facts in, all or none, in the place of what was known of these paths.
func (x *Index) Remember(ctx context.Context, facts []Fact) error {
	if len(facts) == 0 {
		return nil
	}
	return x.use(ctx, fmt.Sprintf("remember %d files", len(facts)), func(db *sql.DB) error {
		return inTransaction(db, func(tx *sql.Tx) error { return remember(ctx, tx, facts) })
	})
}

func remember(ctx context.Context, tx *sql.Tx, facts []Fact) (err error) {
	var statements [4]*sql.Stmt
	for i, text := range []string{
		"INSERT OR REPLACE INTO files (path, record, read) VALUES (?, ?, ?)",
		"INSERT OR REPLACE INTO recipes (path, recipe) VALUES (?, ?)",
		"DELETE FROM recipes WHERE path = ?",
		keepBase,
	} {
		if statements[i], err = tx.Prepare(text); err != nil {
			return err
		}
		defer statements[i].Close()
	}
	insert, keep, drop, putAside := statements[0], statements[1], statements[2], statements[3]
	var record []byte
	for _, f := range facts {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Clean(f.Path)
		k := Known{Stat: f.Stat, Blob: f.Blob, Origin: f.Origin, Verbatim: f.Verbatim, HasRecipe: f.Recipe.Len() > 0, Racy: racy(f.Stat, f.Read)}
		record = appendRecord(record[:0], path, k)
		if k.HasRecipe {
			if _, err := putAside.Exec([]byte(path), digestBytes(f.Blob)); err != nil {
				return err
			}
		}
		if _, err := insert.Exec([]byte(path), record, f.Read.Unix()); err != nil {
			return err
		}
		if !k.HasRecipe {
			_, err = drop.Exec([]byte(path))
		} else if stored, encodeErr := storedRecipe(path, f.Recipe); encodeErr != nil {
			return encodeErr
		} else {
			_, err = keep.Exec([]byte(path), stored)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
