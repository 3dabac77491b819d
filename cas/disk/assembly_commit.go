package disk

import (
	"context"
	"errors"
	"fmt"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// Commit copies the chunks that the store has elsewhere, checks the SHA-256 of the whole, and makes the blob durable and
// visible by the same steps as any other, and keeps its recipe. The file is read once for all of that.
//
// While chunks are lacking it is [ErrIncomplete]; they can be put, and Commit called again. When the SHA-256 is wrong,
// every chunk is checked: those that are damaged count as lacking from then on ([ErrIncomplete]), and the blobs that they
// were copied from are no seeds any more; if all are right, the recipe lied, which is [cas.ErrDigestMismatch], and nothing
// is left. After any other error the assembly is closed, and can be taken up again by [Store.Assemble]. Two calls at once:
// one is [ErrAssembling].
func (a *Assembly) Commit(ctx context.Context) error {
	if err := a.turn(assemblyOpen, assemblyCommitting); err != nil {
		return fmt.Errorf("commit blob %v: %w", a.Blob(), err)
	}
	kept, err := a.commit(ctx)
	switch {
	case errors.Is(err, ErrIncomplete):
		a.change(func() { a.state = assemblyOpen })
	case errors.Is(err, cas.ErrDigestMismatch) || err == nil && !kept:
		a.change(func() { a.state = assemblyEnded })
		a.abandon()
	case err == nil:
		a.change(func() { a.state = assemblyEnded })
		_ = a.store.removeAssembly(a.Blob().Digest) // the recipe; without its part the next Open clears it
		a.leave()
	default:
		a.change(func() { a.state = assemblyEnded })
		_ = a.part.Close() // it may be closed
		a.leave()
	}
	if err != nil {
		return fmt.Errorf("commit blob %v: %w", a.Blob(), a.store.explain(err))
	}
	return nil
}

func (a *Assembly) change(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
}

// commit tells whether the part has become the blob. It has not if the blob was stored by somebody else meanwhile.
func (a *Assembly) commit(ctx context.Context) (kept bool, err error) {
	if lacking := a.countLacking(); lacking > 0 {
		return false, fmt.Errorf("%w: %d of %d", ErrIncomplete, lacking, len(a.slots))
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	digest, err := a.complete(ctx)
	if err != nil {
		return false, err
	}
	if digest != a.Blob().Digest {
		return false, a.blame(ctx, digest)
	}
	kept, err = a.store.install(ctx, a.part, a.Blob())
	if err != nil {
		return kept, err
	}
	_, err = a.store.keepRecipe(ctx, a.recipe)
	if errors.Is(err, ErrLongRecipe) {
		err = nil // the blob is stored all the same; its next version travels whole
	}
	return kept, err
}

func (a *Assembly) countLacking() (n int) {
	for _, lacks := range a.Lacking() {
		if lacks {
			n++
		}
	}
	return n
}

// complete copies what is to be copied and gives the SHA-256 of the whole. A source that cannot be read is forgotten,
// and the error is then ErrIncomplete.
func (a *Assembly) complete(ctx context.Context) (cas.Digest, error) {
	c := completion{part: a.part, size: a.Blob().Size, copies: a.plan(), sources: sources{view: &a.store.View}}
	digest, err := c.run(ctx)
	err = errors.Join(err, c.sources.close())
	var source *sourceError
	if errors.As(err, &source) && ctx.Err() == nil {
		if err := a.forget(ctx, source.blob); err != nil {
			return digest, err
		}
		return digest, fmt.Errorf("%w: %w", ErrIncomplete, source)
	}
	return digest, err
}

// forget makes a stored blob no seed any more, neither for this assembly nor for others.
func (a *Assembly) forget(ctx context.Context, blob cas.Blob) error {
	a.change(func() {
		for i := range a.slots {
			if a.slots[i].seed.Blob == blob {
				a.slots[i].seed = Seed{}
			}
		}
	})
	return a.store.shelf.index.ForgetChunks(ctx, blob.Digest)
}

// blame finds out why the SHA-256 is wrong. By now the part holds what was copied.
func (a *Assembly) blame(ctx context.Context, digest cas.Digest) error {
	buf := make([]byte, chunk.MaxSize)
	damaged, guilty := 0, make(map[cas.Blob]bool)
	for i := range a.slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &a.slots[i]
		right, err := a.isHere(s, buf)
		if err != nil {
			return err
		}
		if !right {
			damaged++
			if !s.here {
				guilty[s.seed.Blob] = true
			}
		}
		a.change(func() { s.here, s.seed = right, Seed{} })
	}
	for blob := range guilty {
		if err := a.forget(ctx, blob); err != nil {
			return err
		}
	}
	if damaged > 0 {
		return fmt.Errorf("%w: %d of %d were damaged", ErrIncomplete, damaged, len(a.slots))
	}
	return fmt.Errorf("%w: the recipe makes %v", cas.ErrDigestMismatch, digest)
}
