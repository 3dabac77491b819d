package disk

import (
	"context"
	"errors"
	"fmt"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/index"
	"hayloft/cas/pack"
)

// ErrLongRecipe: the encoded recipe is longer than a pack takes. Its blob has some hundred gigabytes.
var ErrLongRecipe = errors.New("the recipe is too long to be kept")

// Seed is where the bytes of a chunk can be had: the ranges of a blob, in order. The zero value stands for nowhere.
type Seed struct {
	Blob   cas.Blob
	Ranges []chunk.Range
}

// Recipe gives the recipe of a blob that was cut; [cas.ErrNotFound] if it never was, or is not stored.
func (v *View) Recipe(ctx context.Context, digest cas.Digest) (chunk.Recipe, error) {
	recipe, err := v.recipeAt(ctx, func(x *index.Index) (pack.Place, bool, error) { return x.Recipe(ctx, digest) })
	if err != nil {
		return chunk.Recipe{}, fmt.Errorf("recipe of blob %v: %w", digest, err)
	}
	return recipe, nil
}

// RecipeByID gives the recipe with this id; [cas.ErrNotFound] if there is none.
func (v *View) RecipeByID(ctx context.Context, id chunk.ID) (chunk.Recipe, error) {
	recipe, err := v.recipeAt(ctx, func(x *index.Index) (pack.Place, bool, error) { return x.RecipeByID(ctx, id) })
	if err != nil {
		return chunk.Recipe{}, fmt.Errorf("recipe %v: %w", id, err)
	}
	return recipe, nil
}

func (v *View) recipeAt(ctx context.Context, ask func(*index.Index) (pack.Place, bool, error)) (chunk.Recipe, error) {
	if err := ctx.Err(); err != nil {
		return chunk.Recipe{}, err
	}
	if v.shelf == nil {
		return chunk.Recipe{}, cas.ErrNotFound
	}
	place, known, err := ask(v.shelf.index)
	if err != nil {
		return chunk.Recipe{}, err
	}
	if !known {
		return chunk.Recipe{}, cas.ErrNotFound
	}
	recipe, err := v.shelf.recipe(ctx, place)
	if err != nil {
		return chunk.Recipe{}, err
	}
	if held, err := v.holds(ctx, recipe.Blob()); err != nil || !held {
		return chunk.Recipe{}, errors.Join(err, cas.ErrNotFound)
	}
	return recipe, nil
}

// PutRecipe keeps the recipe of a stored blob, durably. The caller vouches that it makes the blob. A recipe that the store
// has already is not kept twice. Errors: [cas.ErrNotFound] if the blob is not stored, [ErrLongRecipe], [cas.ErrNoSpace].
func (s *Store) PutRecipe(ctx context.Context, recipe chunk.Recipe) error {
	if err := s.life.enter(); err != nil {
		return fmt.Errorf("keep the recipe of blob %v: %w", recipe.Blob(), err)
	}
	defer s.leave()
	held, err := s.holds(ctx, recipe.Blob())
	if err == nil && !held {
		err = cas.ErrNotFound
	}
	if err == nil {
		_, err = s.keepRecipe(ctx, recipe)
	}
	if err != nil {
		return fmt.Errorf("keep the recipe of blob %v: %w", recipe.Blob(), s.explain(err))
	}
	return nil
}

// keepRecipe packs the recipe of a stored blob and tells how many bytes that took.
func (s *Store) keepRecipe(ctx context.Context, recipe chunk.Recipe) (stored int, err error) {
	encoded, err := recipe.MarshalBinary()
	if err != nil {
		return 0, err
	}
	if len(encoded) > pack.MaxRecipe {
		return 0, fmt.Errorf("%w: %d bytes", ErrLongRecipe, len(encoded))
	}
	id := chunk.Sum(encoded)
	if _, known, err := s.shelf.index.RecipeByID(ctx, id); known || err != nil {
		return 0, err
	}
	items := []pack.Item{{ID: id.Bytes(), Length: len(encoded)}}
	var job packing
	job.add(pack.Append(nil, pack.RecipeKind, items, encoded),
		index.Addition{Kind: pack.RecipeKind, Items: items, Recipe: &recipe})
	return s.packer.put(ctx, &job)
}

// LackingChunks tells for each chunk of a recipe, in the order of [chunk.Recipe.Chunks], whether no blob here has it.
func (v *View) LackingChunks(ctx context.Context, recipe chunk.Recipe) ([]bool, error) {
	ids := make([]chunk.ID, 0, recipe.Len())
	for c := range recipe.Chunks() {
		ids = append(ids, c.ID)
	}
	seeds, err := v.FindChunks(ctx, ids)
	if err != nil {
		return nil, err
	}
	lacking := make([]bool, len(ids))
	for i := range seeds {
		lacking[i] = seeds[i].Blob.Digest.IsZero()
	}
	return lacking, nil
}

// FindChunks tells for each id where its bytes can be had; the zero Seed: nowhere. Seeds are blobs that are stored whole;
// that their bytes are still right shows when what is made of them has its SHA-256.
func (v *View) FindChunks(ctx context.Context, ids []chunk.ID) ([]Seed, error) {
	seeds := make([]Seed, len(ids))
	if v.shelf == nil || len(ids) == 0 {
		return seeds, ctx.Err()
	}
	places, err := v.shelf.index.FindChunks(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("find %d chunks: %w", len(ids), err)
	}
	wanted := make(map[cas.Blob]map[int][]int) // for each blob and ordinal, the places in seeds
	for i, at := range places {
		if at.Blob.Digest.IsZero() {
			continue
		}
		if wanted[at.Blob] == nil {
			wanted[at.Blob] = make(map[int][]int)
		}
		wanted[at.Blob][at.Ordinal] = append(wanted[at.Blob][at.Ordinal], i)
	}
	for blob, ordinals := range wanted {
		if err := v.rangesOf(ctx, blob, ordinals, ids, seeds); err != nil {
			return nil, fmt.Errorf("find %d chunks: in blob %v: %w", len(ids), blob, err)
		}
	}
	return seeds, nil
}

// rangesOf fills in the seeds that lie in one blob. A blob that is no longer there gives none.
func (v *View) rangesOf(ctx context.Context, blob cas.Blob, ordinals map[int][]int, ids []chunk.ID, seeds []Seed) error {
	if whole, err := v.lies(blob); err != nil || !whole || !v.ledger.settled(blob.Digest) {
		return err
	}
	recipe, err := v.Recipe(ctx, blob.Digest)
	if errors.Is(err, cas.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ordinal := 0
	for c, ranges := range recipe.Chunks() {
		for _, i := range ordinals[ordinal] {
			if c.ID == ids[i] { // the index may know the ordinal in another recipe of the same blob
				seeds[i] = Seed{Blob: blob, Ranges: append([]chunk.Range(nil), ranges...)}
			}
		}
		ordinal++
	}
	return nil
}
