package intake

import (
	"context"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// Store is what the intake needs of a store. A is the store's own type of half-made blobs.
type Store[A Assembly] interface {
	cas.Stater
	Files
	Recipes
	Assembler[A]
}

// Files keeps small blobs.
type Files interface {
	// PutFrames stores the blobs of the frames; they are durable when it returns nil.
	PutFrames(ctx context.Context, frames []pack.Frame) error
}

// Recipes knows the recipes of stored blobs, and so their chunks.
type Recipes interface {
	// RecipeByID gives the recipe with that id, or an error that is cas.ErrNotFound.
	RecipeByID(ctx context.Context, id chunk.ID) (chunk.Recipe, error)
	// LackingChunks tells for each chunk of a recipe, in the order of its Chunks, whether no stored blob has it.
	LackingChunks(ctx context.Context, recipe chunk.Recipe) ([]bool, error)
}

// Assembler keeps blobs that are put together out of order.
type Assembler[A Assembly] interface {
	// Assemble begins the blob of a recipe, or takes up what came of it before.
	Assemble(ctx context.Context, recipe chunk.Recipe) (A, error)
	// Assemblies lists the blobs that have been begun and neither committed nor aborted.
	Assemblies(ctx context.Context) ([]cas.Blob, error)
	// DropAssembly removes one that is not open.
	DropAssembly(digest cas.Digest) error
}

// Assembly is one half-made blob. Its Put may be called by many goroutines; the others are called alone.
type Assembly interface {
	Lacking() []bool
	Put(ctx context.Context, data pack.Frame) error
	Commit(ctx context.Context) error
	Holder
}

// Holder is what ends: by Close, so that what came can be taken up again, or by Abort, which removes it.
type Holder interface {
	Close() error
	Abort()
}

// depot is a [Store] whose type of assemblies has been forgotten.
type depot interface {
	cas.Stater
	Files
	Recipes
	assembler
}

type assembler interface {
	assemble(ctx context.Context, recipe chunk.Recipe) (Assembly, error)
	Assemblies(ctx context.Context) ([]cas.Blob, error)
	DropAssembly(digest cas.Digest) error
}

type depotOf[A Assembly] struct{ Store[A] }

func (d depotOf[A]) assemble(ctx context.Context, recipe chunk.Recipe) (Assembly, error) {
	assembly, err := d.Assemble(ctx, recipe)
	if err != nil {
		return nil, err // and not an interface that holds a nil A
	}
	return assembly, nil
}
