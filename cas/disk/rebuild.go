package disk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"hayloft/cas/index"
	"hayloft/cas/pack"
)

// Rebuilt tells what an index was made from.
type Rebuilt struct {
	Packs   int   `json:"packs"`
	Bytes   int64 `json:"bytes"` // of the packs
	Frames  int64 `json:"frames"`
	Blobs   int64 `json:"blobs"` // packed ones
	Recipes int64 `json:"recipes"`
	Chunks  int64 `json:"chunks"` // different ones that can be found
}

// RebuildIndex throws the index of the store in the directory root away and makes it anew from the packs alone. It is
// never needed for an index that is missing or that SQLite finds damaged: [Open] does so by itself. progress is told how
// many bytes of the packs are done, of how many. The store gets a new [View.Generation], since nobody should rely on
// what it told before. When it is stopped half way, the next Open goes on.
//
// Errors: as of [Open]; a directory that is not a store yet is [ErrNotAStore].
func RebuildIndex(ctx context.Context, root string, progress func(done, total int64)) (Rebuilt, error) {
	path, err := filepath.Abs(root)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild the index of store %s: %w", root, err)
	}
	rebuilt, err := rebuildIndex(ctx, layout(path), progress)
	if err != nil {
		return rebuilt, fmt.Errorf("rebuild the index of store %s: %w", path, err)
	}
	return rebuilt, nil
}

func rebuildIndex(ctx context.Context, where layout, progress func(done, total int64)) (rebuilt Rebuilt, err error) {
	version, err := where.inspect()
	if err != nil {
		return rebuilt, err
	}
	if version == 0 {
		return rebuilt, fmt.Errorf("%w: it has no file %q; check the path", ErrNotAStore, formatName)
	}
	volume := osVolume{}
	lock, err := prepare(volume, where)
	if err != nil {
		return rebuilt, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := where.newGeneration(volume); err != nil {
		return rebuilt, err
	}
	acknowledged := where.acknowledged(ctx)
	if err := where.removeIndex(); err != nil {
		return rebuilt, err
	}
	packs, err := pack.OpenDir(where.join(packsName), acknowledged)
	if err != nil {
		return rebuilt, err
	}
	s := &shelf{packs: packs}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.index, err = index.Open(where.join(indexName)); err != nil {
		return rebuilt, err
	}
	return s.rebuild(ctx, progress)
}

func (s *shelf) rebuild(ctx context.Context, progress func(done, total int64)) (rebuilt Rebuilt, err error) {
	if rebuilt.Packs, rebuilt.Bytes, err = s.packs.Size(); err != nil {
		return rebuilt, err
	}
	done := int64(0)
	err = s.catalogue(ctx, pack.Place{}, func(place pack.Place) {
		rebuilt.Frames++
		done += place.Length
		progress(done, rebuilt.Bytes)
	})
	if err != nil {
		return rebuilt, err
	}
	totals, err := s.index.Totals(ctx)
	rebuilt.Blobs, rebuilt.Recipes, rebuilt.Chunks = totals.Blobs, totals.Recipes, totals.Chunks
	progress(rebuilt.Bytes, rebuilt.Bytes)
	return rebuilt, err
}
