package castest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"hayloft/cas"
)

func testWrongDigest(t *testing.T, store cas.Store) {
	content := []byte("what came")
	announced := BlobOf([]byte("announced"))
	err := written(t, store, content).Commit(t.Context(), announced)
	if !errors.Is(err, cas.ErrDigestMismatch) {
		t.Errorf("commit of other bytes of the same size: %v, want ErrDigestMismatch", err)
	}
	wantAbsent(t, store, announced)
	wantAbsent(t, store, BlobOf(content))
}

func testWrongSize(t *testing.T, store cas.Store) {
	content := []byte("what came")
	for name, size := range map[string]int64{"more came": 1, "less came": 10_000_000_000, "negative": -1} {
		t.Run(name, func(t *testing.T) {
			announced := cas.Blob{Digest: cas.SumBytes(content), Size: size}
			err := written(t, store, content).Commit(t.Context(), announced)
			if !errors.Is(err, cas.ErrSizeMismatch) {
				t.Errorf("commit: %v, want ErrSizeMismatch", err)
			}
			wantAbsent(t, store, announced)
			wantAbsent(t, store, BlobOf(content))
		})
	}
}

func testShortBody(t *testing.T, store cas.Store) {
	content := Content(1, 1<<20)
	blob := BlobOf(content)
	err := written(t, store, content[:len(content)-1]).Commit(t.Context(), blob)
	if !errors.Is(err, cas.ErrSizeMismatch) {
		t.Errorf("commit of a body that is one byte short: %v, want ErrSizeMismatch", err)
	}
	wantAbsent(t, store, blob)
	mustPut(t, store, content)
	wantHeld(t, store, content)
}

// testBodyFails cuts bodies off with the error that net/http gives when a client goes away. io.Copy must pass it on,
// neither swallow it as an end nor take it for one.
func testBodyFails(t *testing.T, store cas.Store) {
	for _, size := range []int{0, 100, 256 << 10, 700_000} {
		for _, failure := range []error{io.ErrUnexpectedEOF, errEnough} {
			content := Content(1, size)
			w, err := store.Create(t.Context(), -1)
			if err != nil {
				t.Fatal(err)
			}
			body := io.MultiReader(bytes.NewReader(content), iotest.ErrReader(failure))
			n, err := io.Copy(w, struct{ io.Reader }{body}) // hides WriteTo from io.Copy
			if !errors.Is(err, failure) || n != int64(size) {
				t.Errorf("copy of %d bytes and then %v: %d, %v", size, failure, n, err)
			}
			w.Abort()
			wantAbsent(t, store, BlobOf(content))
		}
	}
}

func testAbort(t *testing.T, store cas.Store) {
	content := []byte("given up")
	w := written(t, store, content)
	w.Abort()
	w.Abort()
	wantAbsent(t, store, BlobOf(content))
}

func testAbortAfterCommit(t *testing.T, store cas.Store) {
	content := []byte("kept")
	w := written(t, store, content)
	if err := w.Commit(t.Context(), BlobOf(content)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	wantHeld(t, store, content)
}

func testCommitTwice(t *testing.T, store cas.Store) {
	content := []byte("once")
	w := written(t, store, content)
	if err := w.Commit(t.Context(), BlobOf(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), BlobOf(content)); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("second commit: %v, want ErrClosed", err)
	}
	if _, err := w.Write([]byte("more")); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("write after commit: %v, want ErrClosed", err)
	}
	wantHeld(t, store, content)
}

func testUseAfterAbort(t *testing.T, store cas.Store) {
	content := []byte("given up")
	w := written(t, store, content)
	w.Abort()
	if _, err := w.Write(content); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("write after abort: %v, want ErrClosed", err)
	}
	if err := w.Commit(t.Context(), BlobOf(content)); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("commit after abort: %v, want ErrClosed", err)
	}
	wantAbsent(t, store, BlobOf(content))
}

func testFailedCommitUsesUp(t *testing.T, store cas.Store) {
	content := []byte("right all along")
	w := written(t, store, content)
	if err := w.Commit(t.Context(), BlobOf([]byte("wrong"))); err == nil {
		t.Fatal("a wrong commit succeeded")
	}
	if err := w.Commit(t.Context(), BlobOf(content)); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("commit after a failed one: %v, want ErrClosed", err)
	}
	wantAbsent(t, store, BlobOf(content))
}

func testInvisibleBeforeCommit(t *testing.T, store cas.Store) {
	content := Content(1, 1<<20)
	w := written(t, store, content)
	wantAbsent(t, store, BlobOf(content))
	if err := w.Commit(t.Context(), BlobOf(content)); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, store, content)
}

func testContextEnded(t *testing.T, store cas.Store) {
	content := []byte("too late")
	blob := BlobOf(content)
	w := written(t, store, content)
	stored := mustPut(t, store, []byte("stored"))
	ended, end := context.WithCancel(t.Context())
	end()
	if err := w.Commit(ended, blob); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v, want Canceled", err)
	}
	wantAbsent(t, store, blob)
	if w, err := store.Create(ended, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v, %v, want Canceled", w, err)
	}
	if r, err := store.Open(ended, stored.Digest); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v, %v, want Canceled", r, err)
	}
	unwanted := func(b cas.Blob) error { t.Errorf("got %v", b); return nil }
	if err := store.Stat(ended, []cas.Blob{stored}, unwanted); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v, want Canceled", err)
	}
	if err := store.List(ended, cas.Digest{}, unwanted); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v, want Canceled", err)
	}
}
