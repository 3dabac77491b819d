package castest

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
)

// atOnce runs n goroutines that start together, and waits for all.
func atOnce(n int, work func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			work(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

const (
	clients = 8
	rounds  = 40
)

// testSameBlobAtOnce: every client succeeds, and the blob is there for each of them as soon as its own commit is back.
func testSameBlobAtOnce(t *testing.T, store cas.Store) {
	var all []cas.Blob
	for round := range rounds {
		content := Content(uint64(round), 3000)
		blob := BlobOf(content)
		var writers [clients]cas.Writer
		for i := range writers {
			writers[i] = written(t, store, content)
		}
		atOnce(clients, func(i int) {
			if err := writers[i].Commit(t.Context(), blob); err != nil {
				t.Errorf("round %d, client %d: %v", round, i, err)
				return
			}
			wantHeld(t, store, content)
		})
		all = append(all, blob)
	}
	if diff := cmp.Diff(sorted(all), list(t, store, cas.Digest{}), blobs); diff != "" {
		t.Errorf("list afterwards (-want +got):\n%s", diff)
	}
}

func testDifferentBlobsAtOnce(t *testing.T, store cas.Store) {
	const each = 12
	atOnce(clients, func(i int) {
		for k := range each {
			content := Content(uint64(i*each+k), 100*k+1)
			if blob, err := Put(t.Context(), store, content); err != nil {
				t.Errorf("put %v: %v", blob, err)
				return
			}
			wantHeld(t, store, content)
		}
	})
	if got := len(list(t, store, cas.Digest{})); got != clients*each {
		t.Errorf("%d blobs are listed, want %d", got, clients*each)
	}
}

// testReadersBesideWriters: whoever reads while others write sees a blob whole or not at all, and never sees it go.
func testReadersBesideWriters(t *testing.T, store cas.Store) {
	const count = 40
	content := make([][]byte, count)
	for i := range content {
		content[i] = Content(uint64(i), 10_000)
	}
	written := make(chan struct{})
	atOnce(2, func(i int) {
		if i == 0 {
			defer close(written)
			for _, c := range content {
				if blob, err := Put(t.Context(), store, c); err != nil {
					t.Errorf("put %v: %v", blob, err)
				}
			}
			return
		}
		seen := make(map[cas.Digest]bool)
		for over := false; !over; {
			select {
			case <-written:
				over = true
			default:
			}
			lookAround(t, store, content, seen)
		}
		if len(seen) != count {
			t.Errorf("%d blobs were seen after the last commit, want %d", len(seen), count)
		}
	})
}

func lookAround(t *testing.T, store cas.Store, content [][]byte, seen map[cas.Digest]bool) {
	for _, c := range content {
		blob := BlobOf(c)
		got, bytes, err := get(t.Context(), store, blob.Digest)
		switch {
		case errors.Is(err, cas.ErrNotFound) && !seen[blob.Digest]:
		case err != nil:
			t.Errorf("get %v: %v (seen before: %v)", blob, err, seen[blob.Digest])
		case got != blob || BlobOf(bytes) != blob:
			t.Errorf("get %v: got %v with bytes of %v", blob, got, BlobOf(bytes))
		default:
			seen[blob.Digest] = true
		}
	}
}
