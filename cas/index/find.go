package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// Location is where a small blob lies. The zero value means that it is in no pack.
type Location struct {
	Place pack.Place // of the frame
	Item  int        // which item of the frame, from 0
	Size  int64      // bytes of the blob
}

// mostKeys is how many keys one statement looks for. Many for each, since a statement costs more than a key; not all,
// so that no list of keys grows beyond bounds.
const mostKeys = 2000

// keys makes the table k of the numbers i from 0 to ?2 exclusive. The keys themselves are one value, ?1, of which the
// statement takes pieces: that is several times faster than a parameter for each.
const keys = `WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i + 1 < ?2) `

// lookUp asks query for n keys in batches, and calls found for each row with the number of the batch's first key. key
// appends one key.
func (x *Index) lookUp(ctx context.Context, query string, n int, key func([]byte, int) []byte,
	found func(first int, rows *sql.Rows) error,
) error {
	var joined []byte
	for first := 0; first < n; first += mostKeys {
		joined = joined[:0]
		last := min(n, first+mostKeys)
		for i := first; i < last; i++ {
			joined = key(joined, i)
		}
		if err := x.eachRow(ctx, func(rows *sql.Rows) error { return found(first, rows) }, query, joined, last-first); err != nil {
			return err
		}
	}
	return nil
}

// eachRow calls visit for every row of an answer.
func (x *Index) eachRow(ctx context.Context, visit func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := x.read.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// integers is a row of up to six integers. They are scanned as any, which database/sql hands over as they are; into an
// int it would go by way of text, which takes longer than finding them.
type integers struct{ values, targets [6]any }

func (r *integers) scan(rows *sql.Rows, columns int) error {
	for i := range columns {
		r.targets[i] = &r.values[i]
	}
	if err := rows.Scan(r.targets[:columns]...); err != nil {
		return err
	}
	for i, value := range r.values[:columns] {
		if _, ok := value.(int64); !ok {
			return fmt.Errorf("%w: column %d is no integer", ErrDamaged, i)
		}
	}
	return nil
}

func (r *integers) at(column int) int64 { return r.values[column].(int64) }

// location reads a location from the five columns that begin with the given one.
func (r *integers) location(first int) Location {
	return Location{
		Place: pack.Place{Pack: uint64(r.at(first)), Offset: r.at(first + 1), Length: r.at(first + 2)},
		Item:  int(r.at(first + 3)), Size: r.at(first + 4),
	}
}

// Blobs tells where blobs lie: one location for each digest, in the order given.
func (x *Index) Blobs(ctx context.Context, digests []cas.Digest) ([]Location, error) {
	const query = keys + `SELECT k.i, b.pack, b.offset, b.length, b.item, b.size
		FROM k CROSS JOIN blobs b ON b.digest = substr(?1, k.i * 32 + 1, 32)`
	locations := make([]Location, len(digests))
	var row integers
	key := func(b []byte, i int) []byte { return append(b, digestBytes(digests[i])...) }
	err := x.lookUp(ctx, query, len(digests), key, func(first int, rows *sql.Rows) error {
		if err := row.scan(rows, 6); err != nil {
			return err
		}
		locations[first+int(row.at(0))] = row.location(1)
		return nil
	})
	if err != nil {
		return nil, x.failed(fmt.Sprintf("find %d blobs", len(digests)), err)
	}
	return locations, nil
}

// packedBlob is a blob and where it lies.
type packedBlob struct {
	blob     cas.Blob
	location Location
}

// pageSize is how many blobs are in memory while EachBlob calls its visitor, outside of any transaction.
const pageSize = 1000

// EachBlob calls each for every packed blob whose digest is greater than after (zero: all), in ascending order of
// digests, until each returns an error, which is returned. A blob added meanwhile may or may not be among them.
func (x *Index) EachBlob(ctx context.Context, after cas.Digest, each func(cas.Blob, Location) error) error {
	last := []byte{} // less than any digest
	if !after.IsZero() {
		last = digestBytes(after)
	}
	for {
		page, err := x.page(ctx, last)
		if err != nil {
			return x.failed("list blobs", err)
		}
		for _, p := range page {
			if err := ctx.Err(); err != nil {
				return x.failed("list blobs", err)
			}
			if err := each(p.blob, p.location); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		last = digestBytes(page[len(page)-1].blob.Digest)
	}
}

// page gives the next blobs behind a digest.
func (x *Index) page(ctx context.Context, after []byte) ([]packedBlob, error) {
	var page []packedBlob
	err := x.eachRow(ctx, func(rows *sql.Rows) error {
		var raw []byte
		var p packedBlob
		l := &p.location
		err := rows.Scan(&raw, &l.Place.Pack, &l.Place.Offset, &l.Place.Length, &l.Item, &l.Size)
		if err != nil {
			return err
		}
		p.blob.Size = l.Size
		p.blob.Digest, err = digestOf(raw)
		page = append(page, p)
		return err
	}, `SELECT digest, pack, offset, length, item, size FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?`, after, pageSize)
	return page, err
}

// Recipe tells where a recipe of a blob lies, and false if there is none. Of several, it is the one that came first, in
// which [ChunkAt] counts.
func (x *Index) Recipe(ctx context.Context, digest cas.Digest) (pack.Place, bool, error) {
	place, found, err := x.place(ctx,
		`SELECT pack, offset, length FROM recipes WHERE digest = ? ORDER BY number LIMIT 1`, digestBytes(digest))
	if err != nil {
		return pack.Place{}, false, x.failed(fmt.Sprintf("find the recipe of %v", digest), err)
	}
	return place, found, nil
}

// RecipeByID tells where the recipe with this id lies, and false if there is none.
func (x *Index) RecipeByID(ctx context.Context, id chunk.ID) (pack.Place, bool, error) {
	raw := id.Bytes()
	place, found, err := x.place(ctx, `SELECT pack, offset, length FROM recipes WHERE id = ?`, raw[:])
	if err != nil {
		return pack.Place{}, false, x.failed(fmt.Sprintf("find recipe %v", id), err)
	}
	return place, found, nil
}

func (x *Index) place(ctx context.Context, query string, key []byte) (p pack.Place, found bool, err error) {
	err = x.read.QueryRowContext(ctx, query, key).Scan(&p.Pack, &p.Offset, &p.Length)
	if errors.Is(err, sql.ErrNoRows) {
		return pack.Place{}, false, nil
	}
	return p, err == nil, err
}

// ChunkAt is where the bytes of a chunk can be had. The zero value means that nobody is known to have them.
type ChunkAt struct {
	Blob    cas.Blob
	Ordinal int // which chunk, from 0, in the order of Chunks of the recipe that [Index.Recipe] tells of
}

// FindChunks tells for each id a blob that has the chunk, in the order given. The id is compared by its first 16 bytes;
// whoever takes bytes from there checks them.
func (x *Index) FindChunks(ctx context.Context, ids []chunk.ID) ([]ChunkAt, error) {
	const query = keys + `SELECT k.i, c.recipe, c.ordinal
		FROM k CROSS JOIN chunks c ON c.prefix = substr(?1, k.i * 16 + 1, 16)`
	found := make([]ChunkAt, len(ids))
	blobs := make(map[int64]cas.Blob) // by the recipe's number; zero: damaged
	key := func(b []byte, i int) []byte {
		raw := ids[i].Bytes()
		return append(b, raw[:prefixSize]...)
	}
	recipes := make([]int64, len(ids)) // by number; 0: none
	var row integers
	err := x.lookUp(ctx, query, len(ids), key, func(first int, rows *sql.Rows) error {
		if err := row.scan(rows, 3); err != nil {
			return err
		}
		at := first + int(row.at(0))
		recipes[at], found[at].Ordinal = row.at(1), int(row.at(2))
		blobs[recipes[at]] = cas.Blob{}
		return nil
	})
	if err == nil {
		err = x.blobsOf(ctx, blobs)
	}
	if err != nil {
		return nil, x.failed(fmt.Sprintf("find %d chunks", len(ids)), err)
	}
	for i := range found {
		if blob := blobs[recipes[i]]; blob.Digest.IsZero() {
			found[i] = ChunkAt{}
		} else {
			found[i].Blob = blob
		}
	}
	return found, nil
}

// blobsOf fills in the blobs of recipes, by number, that are not damaged.
func (x *Index) blobsOf(ctx context.Context, blobs map[int64]cas.Blob) error {
	for number := range blobs {
		var raw []byte
		var blob cas.Blob
		err := x.read.QueryRowContext(ctx, `SELECT digest, size FROM recipes WHERE number = ? AND NOT damaged`, number).
			Scan(&raw, &blob.Size)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		if blob.Digest, err = digestOf(raw); err != nil {
			return err
		}
		blobs[number] = blob
	}
	return nil
}
