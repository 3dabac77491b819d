package index

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// Addition is one frame that was appended to a pack.
type Addition struct {
	Place  pack.Place
	Kind   pack.Kind
	Items  []pack.Item
	Recipe *chunk.Recipe // what a frame of RecipeKind holds; nil for others
}

// Add takes frames in, in one transaction, and moves the position to the last of them. Over all calls, frames must come
// in ascending order of their places, since after a crash nothing before the position is scanned again. Adding again what
// is known does no harm. A blob is then found in the frame that was added last, a chunk in the blob that had it first.
//
// Errors: [ErrReadOnly], [ErrDamaged], [cas.ErrNoSpace]; a recipe that is missing or has another id than its frame says.
func (x *Index) Add(ctx context.Context, additions []Addition) error {
	if len(additions) == 0 {
		return nil
	}
	if err := x.change(ctx, func(a *adding) error { return a.all(ctx, additions) }); err != nil {
		return x.failed(fmt.Sprintf("add frames up to %v", additions[len(additions)-1].Place), err)
	}
	return nil
}

// change runs do in a transaction.
func (x *Index) change(ctx context.Context, do func(*adding) error) error {
	if x.write == nil {
		return ErrReadOnly
	}
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(&adding{tx: tx}); err != nil {
		if undone := tx.Rollback(); undone != nil && !errors.Is(undone, sql.ErrTxDone) {
			err = errors.Join(err, undone)
		}
		return err
	}
	return tx.Commit()
}

// adding is one transaction that writes.
type adding struct {
	tx    *sql.Tx
	state state
}

func (a *adding) all(ctx context.Context, additions []Addition) (err error) {
	if a.state, err = readState(ctx, a.tx); err != nil {
		return err
	}
	var blobs []blobRow
	for _, addition := range additions {
		switch addition.Kind {
		case pack.BlobKind:
			blobs = appendRows(blobs, addition)
		case pack.RecipeKind:
			if err := a.recipe(ctx, addition); err != nil {
				return err
			}
		case pack.ChunkKind: // Its recipe tells where it lies.
		}
		if addition.Place.Compare(a.state.position) > 0 {
			a.state.position = addition.Place
		}
	}
	if err := a.blobs(ctx, blobs); err != nil {
		return err
	}
	s := a.state
	_, err = a.tx.ExecContext(ctx,
		`UPDATE state SET pack = ?, offset = ?, length = ?, blobs = ?, blob_bytes = ?, recipes = ?, chunks = ?`,
		s.position.Pack, s.position.Offset, s.position.Length,
		s.totals.Blobs, s.totals.BlobBytes, s.totals.Recipes, s.totals.Chunks)
	return err
}

// blobRow is one row of blobs.
type blobRow struct {
	place pack.Place
	item  int
	pack.Item
}

func appendRows(rows []blobRow, addition Addition) []blobRow {
	for i, item := range addition.Items {
		rows = append(rows, blobRow{place: addition.Place, item: i, Item: item})
	}
	return rows
}

// blobs writes rows in the order of the tree, so that each page is found once. Of equal digests the last one stays.
func (a *adding) blobs(ctx context.Context, rows []blobRow) error {
	if len(rows) == 0 {
		return nil
	}
	slices.SortStableFunc(rows, func(r, s blobRow) int { return bytes.Compare(r.ID[:], s.ID[:]) })
	insert, err := a.tx.PrepareContext(ctx, `INSERT OR IGNORE INTO blobs (digest, pack, offset, length, item, size)
		VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	move, err := a.tx.PrepareContext(ctx, `UPDATE blobs SET pack = ?2, offset = ?3, length = ?4, item = ?5, size = ?6
		WHERE digest = ?1`)
	if err != nil {
		return err
	}
	defer move.Close()
	for _, r := range rows {
		args := []any{r.ID[:], r.place.Pack, r.place.Offset, r.place.Length, r.item, r.Length}
		fresh, err := affects(insert.ExecContext(ctx, args...))
		if err != nil {
			return err
		}
		if fresh {
			a.state.totals.Blobs++
			a.state.totals.BlobBytes += int64(r.Length)
		} else if _, err := move.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// affects tells whether a statement changed a row.
func affects(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

var errWrongRecipe = errors.New("not the recipe of the frame")

// recipe notes one recipe, and its chunks if it is its blob's first one.
func (a *adding) recipe(ctx context.Context, addition Addition) error {
	if addition.Recipe == nil || len(addition.Items) != 1 {
		return fmt.Errorf("%w at %v: a recipe and one item are needed", errWrongRecipe, addition.Place)
	}
	id, blob := addition.Recipe.ID().Bytes(), addition.Recipe.Blob()
	if id != addition.Items[0].ID {
		return fmt.Errorf("%w at %v: it has the id %x instead of %x", errWrongRecipe, addition.Place, id, addition.Items[0].ID)
	}
	digest, place := digestBytes(blob.Digest), addition.Place
	var number int64
	fresh, err := affects(a.tx.ExecContext(ctx, `INSERT OR IGNORE INTO recipes (id, digest, size, pack, offset, length)
		VALUES (?, ?, ?, ?, ?, ?)`, id[:], digest, blob.Size, place.Pack, place.Offset, place.Length))
	if err != nil {
		return err
	}
	if fresh {
		a.state.totals.Recipes++
	} else if _, err := a.tx.ExecContext(ctx, `UPDATE recipes SET pack = ?, offset = ?, length = ? WHERE id = ?`,
		place.Pack, place.Offset, place.Length, id[:]); err != nil {
		return err
	}
	var first []byte
	if err := a.tx.QueryRowContext(ctx, `SELECT number, id FROM recipes WHERE digest = ? ORDER BY number LIMIT 1`,
		digest).Scan(&number, &first); err != nil {
		return err
	}
	// Whoever adds a recipe vouches for the blob as it is now.
	if _, err := a.tx.ExecContext(ctx, `UPDATE recipes SET damaged = 0 WHERE number = ? AND damaged`, number); err != nil {
		return err
	}
	if !bytes.Equal(first, id[:]) {
		return nil
	}
	return a.chunks(ctx, number, addition.Recipe)
}

// prefixSize is how many bytes of a chunk's id are its key.
const prefixSize = 16

// chunkRow is one row of chunks.
type chunkRow struct {
	prefix  [prefixSize]byte
	ordinal int
}

// chunks notes where the chunks of a recipe can be had, unless they can be had elsewhere. Rows go in in the order of the
// tree, so that each page is found once.
func (a *adding) chunks(ctx context.Context, number int64, recipe *chunk.Recipe) error {
	rows := make([]chunkRow, 0, recipe.Len())
	for c := range recipe.Chunks() {
		id := c.ID.Bytes()
		rows = append(rows, chunkRow{prefix: [prefixSize]byte(id[:prefixSize]), ordinal: len(rows)})
	}
	slices.SortStableFunc(rows, func(r, s chunkRow) int { return bytes.Compare(r.prefix[:], s.prefix[:]) })
	insert, err := a.tx.PrepareContext(ctx, `INSERT OR IGNORE INTO chunks (prefix, recipe, ordinal) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	var damaged bool
	if err := a.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM recipes WHERE damaged)`).Scan(&damaged); err != nil {
		return err
	}
	for _, r := range rows {
		fresh, err := affects(insert.ExecContext(ctx, r.prefix[:], number, r.ordinal))
		if err != nil {
			return err
		}
		if fresh {
			a.state.totals.Chunks++
			continue
		}
		if !damaged {
			continue
		}
		if _, err := a.tx.ExecContext(ctx, `UPDATE chunks SET recipe = ?, ordinal = ? WHERE prefix = ?
			AND recipe IN (SELECT number FROM recipes WHERE damaged)`, number, r.ordinal, r.prefix[:]); err != nil {
			return err
		}
	}
	return nil
}

// ForgetChunks is for a blob that turned out damaged: its chunks are told to nobody, until Add takes in a recipe of the
// blob again, or another blob with the same chunks. A blob without a recipe is no error.
func (x *Index) ForgetChunks(ctx context.Context, digest cas.Digest) error {
	err := x.change(ctx, func(a *adding) error {
		_, err := a.tx.ExecContext(ctx, `UPDATE recipes SET damaged = 1
			WHERE number = (SELECT min(number) FROM recipes WHERE digest = ?)`, digestBytes(digest))
		return err
	})
	if err != nil {
		return x.failed(fmt.Sprintf("forget the chunks of %v", digest), err)
	}
	return nil
}

// digestBytes is a digest as it lies in the index.
func digestBytes(digest cas.Digest) []byte {
	sum := digest.Bytes()
	return sum[:]
}

func digestOf(raw []byte) (cas.Digest, error) {
	if len(raw) != cas.Size {
		return cas.Digest{}, fmt.Errorf("%w: a digest of %d bytes", ErrDamaged, len(raw))
	}
	return cas.DigestFromBytes([cas.Size]byte(raw)), nil
}
