package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/cas/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openStore(t *testing.T) *disk.Store {
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
	return store
}

// source is a file in memory.
func source(name, text string) transfer.Source {
	return transfer.Source{Blob: cas.Blob{Digest: cas.SumBytes([]byte(text)), Size: int64(len(text))}, Name: name,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// numbered are sources of different content, 5 bytes each.
func numbered(n int) []transfer.Source {
	all := make([]transfer.Source, n)
	for i := range all {
		all[i] = source(fmt.Sprint("file ", i), fmt.Sprintf("%05d", i))
	}
	return all
}

// watched counts what reaches a store, and fails where told to.
type watched struct {
	transfer.Target
	uploads sync.Map // cas.Blob -> *atomic.Int64
	running atomic.Int64
	most    atomic.Int64
	before  func(ctx context.Context, blob cas.Blob) error
}

func (w *watched) Upload(ctx context.Context, blob cas.Blob, open func() (io.ReadCloser, error), progress func(int)) (bool, error) {
	count, _ := w.uploads.LoadOrStore(blob, &atomic.Int64{})
	count.(*atomic.Int64).Add(1)
	now := w.running.Add(1)
	defer w.running.Add(-1)
	for most := w.most.Load(); now > most && !w.most.CompareAndSwap(most, now); most = w.most.Load() {
	}
	if w.before != nil {
		if err := w.before(ctx, blob); err != nil {
			return false, err
		}
	}
	return w.Target.Upload(ctx, blob, open, progress)
}

func (w *watched) times(blob cas.Blob) int64 {
	if count, ok := w.uploads.Load(blob); ok {
		return count.(*atomic.Int64).Load()
	}
	return 0
}

// TestSendProperty holds for any mixture of files, some equal and some stored before: each blob that is lacking is sent
// exactly once, none else is, and the report and the progress count just these.
func TestSendProperty(t *testing.T) {
	store, round := openStore(t), 0
	rapid.Check(t, func(r *rapid.T) {
		round++ // begins each content, so that the store knows none of it from before
		content := rapid.Map(rapid.StringMatching(`[ab]{0,4}`), func(s string) string { return fmt.Sprint(round, s) })
		texts := rapid.SliceOfN(content, 0, 20).Draw(r, "files")
		stored := rapid.SliceOfN(content, 0, 5).Draw(r, "stored")
		parallel := rapid.IntRange(0, 3).Draw(r, "parallel")
		ctx := t.Context()
		if _, err := transfer.Send(ctx, transfer.Into(store), asSources(stored), transfer.Options{}); err != nil {
			r.Fatal(err)
		}
		different, wantBlobs, wantBytes := expected(texts, stored)
		target := &watched{Target: transfer.Into(store)}
		var plannedBlobs int
		var plannedBytes, progressed atomic.Int64
		plan, err := transfer.Plan(ctx, target, asSources(texts))
		if err != nil || plan.BlobsSent != wantBlobs || plan.BytesSent != wantBytes {
			r.Fatalf("planned %+v, %v; want %d blobs, %d bytes", plan, err, wantBlobs, wantBytes)
		}
		report, err := transfer.Send(ctx, target, asSources(texts), transfer.Options{Parallel: parallel,
			Planned:  func(blobs int, bytes int64) { plannedBlobs = blobs; plannedBytes.Store(bytes) },
			Progress: func(n int) { progressed.Add(int64(n)) }})
		if err != nil || report != plan || report.Blobs != different {
			r.Fatalf("sent %+v, %v; planned %+v", report, err, plan)
		}
		if plannedBlobs != wantBlobs || plannedBytes.Load() != wantBytes || progressed.Load() != wantBytes {
			r.Fatalf("told of %d blobs, %d bytes, and then of %d bytes", plannedBlobs, plannedBytes.Load(), progressed.Load())
		}
		if after, err := transfer.Plan(ctx, transfer.In(store), asSources(texts)); err != nil || after.BlobsSent > 0 {
			r.Fatalf("still lacking after all was sent: %+v, %v", after, err)
		}
		checkTimes(r, target, texts, stored)
	})
}

// checkTimes holds that what was lacking was sent once, and what was stored was not sent.
func checkTimes(r *rapid.T, target *watched, texts, stored []string) {
	for _, s := range asSources(texts) {
		want := int64(1)
		if slices.Contains(stored, s.Name) {
			want = 0
		}
		if got := target.times(s.Blob); got != want {
			r.Fatalf("%q was sent %d times, want %d", s.Name, got, want)
		}
	}
}

// expected counts the different texts, and those of them that are not stored.
func expected(texts, stored []string) (different, lacking int, bytes int64) {
	for _, text := range slices.Compact(slices.Sorted(slices.Values(texts))) {
		different++
		if !slices.Contains(stored, text) {
			lacking, bytes = lacking+1, bytes+int64(len(text))
		}
	}
	return different, lacking, bytes
}

func asSources(texts []string) []transfer.Source {
	all := make([]transfer.Source, len(texts))
	for i, text := range texts {
		all[i] = source(text, text)
	}
	return all
}

// TestSendStopsAtTheFirstErrorAndResumes lets one upload fail while others wait: they are ended, the error names the
// file, and sending again sends only the rest.
func TestSendStopsAtTheFirstErrorAndResumes(t *testing.T) {
	t.Parallel()
	store, files := openStore(t), numbered(200)
	broken := errors.New("broken")
	var begun, stored atomic.Int64
	target := &watched{Target: transfer.Into(store)}
	target.before = func(ctx context.Context, _ cas.Blob) error {
		switch n := begun.Add(1); {
		case n <= 10:
			stored.Add(1)
			return nil
		case n == 11:
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	}
	report, err := transfer.Send(t.Context(), target, files, transfer.Options{Parallel: 4})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "send file ") {
		t.Fatalf("got %v", err)
	}
	if report.BlobsSent > int(stored.Load()) || target.most.Load() > 4 {
		t.Errorf("reported %+v after %d stored; %d at a time", report, stored.Load(), target.most.Load())
	}
	lacking, err := transfer.Into(store).Lacking(t.Context(), blobsOf(files))
	if err != nil {
		t.Fatal(err)
	}
	if len(lacking) != len(files)-report.BlobsSent {
		t.Errorf("%d are lacking after %d were sent", len(lacking), report.BlobsSent)
	}
	rest, err := transfer.Send(t.Context(), transfer.Into(store), files, transfer.Options{})
	if err != nil || rest.BlobsSent != len(lacking) || rest.BytesSent != 5*int64(len(lacking)) {
		t.Errorf("the rest: %+v, %v", rest, err)
	}
}

func blobsOf(files []transfer.Source) []cas.Blob {
	blobs := make([]cas.Blob, len(files))
	for i, f := range files {
		blobs[i] = f.Blob
	}
	return blobs
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	target := &watched{Target: transfer.Into(store), before: func(ctx context.Context, _ cas.Blob) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	if report, err := transfer.Send(ctx, target, numbered(50), transfer.Options{}); !errors.Is(err, context.Canceled) || report.BlobsSent != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
}

// TestFilesThatChange holds that a file which is not what it was announced as is refused, and leaves nothing.
func TestFilesThatChange(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, test := range []struct {
		name string
		open func() (io.ReadCloser, error)
		want error
	}{
		{"other content", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("HELLO")), nil }, cas.ErrDigestMismatch},
		{"shorter", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hell")), nil }, cas.ErrSizeMismatch},
		{"longer", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello!")), nil }, cas.ErrSizeMismatch},
		{"gone", func() (io.ReadCloser, error) { return nil, gone }, gone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store := openStore(t)
			file := source("hello.txt", "hello")
			file.Open = test.open
			report, err := transfer.Send(t.Context(), transfer.Into(store), []transfer.Source{file}, transfer.Options{})
			if !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), "send hello.txt: ") || report.BlobsSent != 0 {
				t.Errorf("got %+v, %v", report, err)
			}
			if err := store.List(t.Context(), cas.Digest{}, func(b cas.Blob) error { return fmt.Errorf("%v is stored", b) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// greedy asks for a blob that nobody offered.
type greedy struct{ transfer.Target }

func (g greedy) Lacking(context.Context, []cas.Blob) ([]cas.Blob, error) {
	return []cas.Blob{{Digest: cas.SumBytes([]byte("secret")), Size: 6}}, nil
}

func TestOnlyWhatWasOfferedIsSent(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	_, err := transfer.Send(t.Context(), greedy{transfer.Into(store)}, numbered(3), transfer.Options{})
	if err == nil || !strings.Contains(err.Error(), "which was not offered") {
		t.Errorf("got %v", err)
	}
}
