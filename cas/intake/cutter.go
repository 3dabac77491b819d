package intake

import (
	"context"
	"errors"
	"fmt"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// CutStore is what the [Cutter] needs of a store.
type CutStore interface {
	cas.Opener
	cas.Lister
	// Recipe gives the recipe of a blob, or an error that is cas.ErrNotFound if it was never cut.
	Recipe(ctx context.Context, digest cas.Digest) (chunk.Recipe, error)
	// PutRecipe keeps the recipe of a stored blob.
	PutRecipe(ctx context.Context, recipe chunk.Recipe) error
}

const (
	maxOffers = 1024 // that wait
	cutPage   = 256  // blobs that are looked at together
)

// Cutter gives blobs that came whole their recipes, in the background and one at a time, so that the next version of the
// file need not come whole. Blobs of at most pack.MaxData bytes are let be: they travel in one frame. A blob that cannot
// be cut, because it is damaged or the disk is full, is tried again after the next start.
type Cutter struct {
	store  CutStore
	failed func(cas.Blob, error)
	offers chan cas.Blob
	lost   chan struct{} // holds something when an offer found no room, so that the whole store is to be looked at
}

// NewCutter makes the cutter of a store. failed is told of each blob that could not be cut; nil: nobody is.
func NewCutter(store CutStore, failed func(cas.Blob, error)) *Cutter {
	if failed == nil {
		failed = func(cas.Blob, error) {}
	}
	c := &Cutter{store: store, failed: failed, offers: make(chan cas.Blob, maxOffers), lost: make(chan struct{}, 1)}
	c.lost <- struct{}{} // what an earlier process did not come to
	return c
}

// Offer tells the cutter of a blob that may lack a recipe. It never blocks, and no offer is lost while Run runs.
func (c *Cutter) Offer(blob cas.Blob) {
	if blob.Size <= pack.MaxData {
		return
	}
	select {
	case c.offers <- blob:
		return
	default:
	}
	select {
	case c.lost <- struct{}{}:
	default: // it will be looked at already
	}
}

// Run cuts until ctx ends. It begins with the blobs of the store that have no recipe.
func (c *Cutter) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case blob := <-c.offers:
			c.tryCut(ctx, blob)
		case <-c.lost:
			if err := c.cutAll(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("look for blobs without a recipe: %w", err)
			}
		}
	}
}

func (c *Cutter) cutAll(ctx context.Context) error {
	var after cas.Digest
	for {
		page, err := c.page(ctx, after)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, blob := range page {
			c.cutOffered(ctx) // which somebody may be about to change
			c.tryCut(ctx, blob)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		after = page[len(page)-1].Digest
	}
}

// cutOffered cuts what waits at this moment.
func (c *Cutter) cutOffered(ctx context.Context) {
	for range len(c.offers) {
		c.tryCut(ctx, <-c.offers)
	}
}

// page gives some of the blobs behind after that are large enough to be cut.
func (c *Cutter) page(ctx context.Context, after cas.Digest) (page []cas.Blob, err error) {
	errFull := errors.New("the page is full")
	err = c.store.List(ctx, after, func(blob cas.Blob) error {
		if blob.Size > pack.MaxData {
			page = append(page, blob)
		}
		if len(page) == cutPage {
			return errFull
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFull) {
		return nil, err
	}
	return page, nil
}

func (c *Cutter) tryCut(ctx context.Context, blob cas.Blob) {
	if err := c.cut(ctx, blob); err != nil && ctx.Err() == nil {
		c.failed(blob, fmt.Errorf("cut blob %v: %w", blob, err))
	}
}

func (c *Cutter) cut(ctx context.Context, blob cas.Blob) error {
	_, err := c.store.Recipe(ctx, blob.Digest)
	if !errors.Is(err, cas.ErrNotFound) {
		return err // nil: it has a recipe
	}
	r, err := c.store.Open(ctx, blob.Digest)
	if errors.Is(err, cas.ErrNotFound) {
		return nil // deleted since
	}
	if err != nil {
		return err
	}
	recipe, err := chunk.Split(ctx, r, blob.Size, func(chunk.Piece) error { return nil })
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if recipe.Blob() != blob {
		return fmt.Errorf("%w: what is stored is %v", cas.ErrDigestMismatch, recipe.Blob())
	}
	return c.store.PutRecipe(ctx, recipe)
}
