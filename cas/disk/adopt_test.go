package disk

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"hayloft/cas"
	"hayloft/cas/castest"
)

// outside lays a file beside a store, on the same volume.
func outside(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "1.blob")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAdoptSharesTheBytes(t *testing.T) {
	store := openNew(t)
	content := castest.Content(1, 300_000)
	blob, path := castest.BlobOf(content), outside(t, content)
	for i, wantKnown := range []bool{false, true} {
		known, err := store.Adopt(t.Context(), path, blob)
		if err != nil || known != wantKnown {
			t.Fatalf("turn %d: known %t, %v", i, known, err)
		}
	}
	old, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := os.Stat(store.Path(blob.Digest))
	if err != nil || !os.SameFile(old, adopted) {
		t.Errorf("the store's file is another one: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !isHeld(t, store, blob) {
		t.Error("the blob went with its old name")
	}
	wantSound(t, store)
	wantNothingIncoming(t, string(store.layout))
}

func TestAdoptRefusesWhatIsNotTheBlob(t *testing.T) {
	store := openNew(t)
	content := castest.Content(2, 1000)
	path := outside(t, content)
	other := castest.BlobOf([]byte("something else"))
	for _, c := range []struct {
		blob cas.Blob
		want error
	}{
		{cas.Blob{Digest: other.Digest, Size: 1000}, cas.ErrDigestMismatch},
		{cas.Blob{Digest: castest.BlobOf(content).Digest, Size: 999}, cas.ErrSizeMismatch},
	} {
		if _, err := store.Adopt(t.Context(), path, c.blob); !errors.Is(err, c.want) {
			t.Errorf("got %v, want %v", err, c.want)
		}
		if isHeld(t, store, c.blob) {
			t.Error("a wrong blob became visible")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the refused file was changed: %v, %v", info, err)
	}
	if _, err := store.Adopt(t.Context(), path+"x", other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	wantNothingIncoming(t, string(store.layout))
}

func TestManyAdoptOneFile(t *testing.T) {
	store := openNew(t)
	content := castest.Content(3, 50_000)
	blob, path := castest.BlobOf(content), outside(t, content)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := store.Adopt(t.Context(), path, blob); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantSound(t, store)
	wantNothingIncoming(t, string(store.layout))
}
