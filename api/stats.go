package api

import (
	"context"
	"fmt"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"
)

// GetStoreStats tells what the store holds, and what each ref holds of it.
func (s *Server) GetStoreStats(ctx context.Context, _ gen.GetStoreStatsRequestObject) (gen.GetStoreStatsResponseObject, error) {
	select {
	case s.counting <- struct{}{}:
		defer func() { <-s.counting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	held, err := s.Recipes.Stats(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := s.refStats(ctx, held.Blobs)
	if err != nil {
		return nil, err
	}
	return gen.GetStoreStats200JSONResponse{
		Generation: s.Recipes.Generation(), Blobs: held.Blobs, Bytes: held.Bytes,
		WholeBlobs: held.WholeBlobs, WholeBytes: held.WholeBytes, PackedBlobs: held.PackedBlobs, PackedBytes: held.PackedBytes,
		ShapedBlobs: held.ShapedBlobs, ShapedBytes: held.ShapedBytes, Packs: held.Packs, PackBytes: held.PackBytes,
		Recipes: held.Recipes, Chunks: held.Chunks, Refs: refs,
	}, nil
}

// refStats reads the manifest of every ref.
func (s *Server) refStats(ctx context.Context, blobs int64) ([]wire.RefStats, error) {
	refs := []wire.RefStats{}
	var trees []cas.Blob
	err := s.Refs.ListRefs(ctx, cas.RefName{}, func(name cas.RefName, manifest cas.Blob) error {
		refs, trees = append(refs, wire.RefStats{Name: name.String()}), append(trees, manifest)
		return nil
	})
	if err != nil {
		return nil, err
	}
	used, err := checkout.UsageOf(trees, blobs, func(tree cas.Blob) (checkout.Manifest, error) { return s.manifest(ctx, tree) })
	if err != nil {
		return nil, fmt.Errorf("count what refs hold: %w", err)
	}
	for i, u := range used {
		refs[i].Files, refs[i].Logical, refs[i].Unique, refs[i].Shared = int64(u.Files), u.Logical, u.Unique, u.Shared
	}
	return refs, nil
}
