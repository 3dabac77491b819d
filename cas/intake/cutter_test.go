package intake_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
)

// watched is a store that tells of each recipe it was given.
type watched struct {
	*disk.Store
	cut chan cas.Blob
}

func (w watched) PutRecipe(ctx context.Context, recipe chunk.Recipe) error {
	err := w.Store.PutRecipe(ctx, recipe)
	w.cut <- recipe.Blob()
	return err
}

func newWatched(t *testing.T) watched {
	t.Helper()
	store, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return watched{store, make(chan cas.Blob, 16)}
}

// putWhole stores a blob as Flamenco's clients bring it.
func (w watched) putWhole(t *testing.T, data []byte) cas.Blob {
	t.Helper()
	writer, err := w.Create(t.Context(), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Abort()
	if _, err := writer.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := writer.Commit(t.Context(), blobOf(data)); err != nil {
		t.Fatal(err)
	}
	return blobOf(data)
}

// runCutter runs until the test ends.
func runCutter(t *testing.T, c *intake.Cutter) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func TestTheCutterFindsWhatWasNeverCut(t *testing.T) {
	store := newWatched(t)
	old := store.putWhole(t, noise(20, 3<<20))
	store.putWhole(t, noise(21, 1<<20)) // travels in one frame
	runCutter(t, intake.NewCutter(store, func(blob cas.Blob, err error) { t.Error(blob, err) }))
	if got := <-store.cut; got != old {
		t.Fatalf("cut %v instead of %v", got, old)
	}
	recipe, err := store.Recipe(t.Context(), old.Digest)
	if err != nil || recipe.ID() != cut(t, noise(20, 3<<20)).recipe.ID() {
		t.Fatalf("%v: %v", recipe.Blob(), err)
	}
}

func TestTheNextVersionOfAWholeUploadComesInChunks(t *testing.T) {
	store := newWatched(t)
	c := intake.NewCutter(store, func(blob cas.Blob, err error) { t.Error(blob, err) })
	runCutter(t, c)
	data := noise(22, 3<<20)
	c.Offer(store.putWhole(t, data))
	<-store.cut
	in := intake.New(store.Store, intake.Config{})
	next := cut(t, append([]byte("a new head"), data...))
	s, err := in.Begin(t.Context(), next.encoded)
	if err != nil {
		t.Fatal(err)
	}
	if lacking := count(s.Lacking); lacking == 0 || lacking > 3 {
		t.Errorf("%d chunks of %d are lacking", lacking, len(s.Lacking))
	}
	if err := in.Cancel(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
}

func TestOffersNeverBlockAndNoneIsLost(t *testing.T) {
	store := newWatched(t)
	c := intake.NewCutter(store, nil)
	for range 5000 {
		c.Offer(cas.Blob{Digest: cas.SumBytes(nil), Size: 2 << 20}) // which the store does not have
	}
	blob := store.putWhole(t, noise(23, 2<<20))
	c.Offer(blob)
	runCutter(t, c)
	if got := <-store.cut; got != blob {
		t.Errorf("cut %v instead of %v", got, blob)
	}
}

func TestADamagedBlobGetsNoRecipe(t *testing.T) {
	store := newWatched(t)
	blob := store.putWhole(t, noise(24, 2<<20))
	path := store.Path(blob.Digest)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 2<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 16)
	runCutter(t, intake.NewCutter(store, func(got cas.Blob, err error) {
		if got == blob {
			failed <- err
		}
	}))
	if err := <-failed; !errors.Is(err, cas.ErrDigestMismatch) {
		t.Error(err)
	}
	if _, err := store.Recipe(t.Context(), blob.Digest); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("it has a recipe: %v", err)
	}
}
