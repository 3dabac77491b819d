package disk

import (
	"context"
	"fmt"

	"hayloft/cas"
)

// Stats counts what a store holds.
type Stats struct {
	Blobs int64 `json:"blobs"` // all of them
	Bytes int64 `json:"bytes"` // their sizes added up

	WholeBlobs  int64 `json:"whole_blobs"` // kept as a file each
	WholeBytes  int64 `json:"whole_bytes"`
	PackedBlobs int64 `json:"packed_blobs"` // kept in packs
	PackedBytes int64 `json:"packed_bytes"` // their sizes added up
	ShapedBlobs int64 `json:"shaped_blobs"` // packed ones that also have a whole file, for checkouts
	ShapedBytes int64 `json:"shaped_bytes"`

	Packs     int   `json:"packs"`
	PackBytes int64 `json:"pack_bytes"` // of the pack files
	Recipes   int64 `json:"recipes"`
	Chunks    int64 `json:"chunks"` // different ones that can be found
}

// Stats counts what the store holds. It looks at every name, and reads no content.
func (v *View) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := v.everything(ctx, cas.Digest{}, func(f found) error {
		s.count(f)
		return nil
	})
	if err != nil {
		return Stats{}, fmt.Errorf("count what the store holds: %w", err)
	}
	if v.shelf == nil {
		return s, nil
	}
	totals, err := v.shelf.index.Totals(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("count what the store holds: %w", err)
	}
	s.Recipes, s.Chunks = totals.Recipes, totals.Chunks
	if s.Packs, s.PackBytes, err = v.shelf.packs.Size(); err != nil {
		return Stats{}, fmt.Errorf("count what the store holds: %w", err)
	}
	return s, nil
}

func (s *Stats) count(f found) {
	s.Blobs, s.Bytes = s.Blobs+1, s.Bytes+f.blob.Size
	switch {
	case !f.packed:
		s.WholeBlobs, s.WholeBytes = s.WholeBlobs+1, s.WholeBytes+f.blob.Size
		return
	case f.whole:
		s.ShapedBlobs, s.ShapedBytes = s.ShapedBlobs+1, s.ShapedBytes+f.blob.Size
	}
	s.PackedBlobs, s.PackedBytes = s.PackedBlobs+1, s.PackedBytes+f.blob.Size
}
