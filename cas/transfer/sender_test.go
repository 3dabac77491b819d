package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/cas/transfer"
)

// TestSendProperty holds for any mixture of files, some equal, some stored before and some known to be: what is lacking
// is sent, nothing else is, and the plan, the report and both callbacks agree on it.
func TestSendProperty(t *testing.T) {
	s, round := openSite(t), uint64(0)
	rapid.Check(t, func(r *rapid.T) {
		round++ // makes new contents, so that the store knows none of them from before
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 100, 5000, 300 << 10, 1<<20 - 3, 1<<20 - 2, 5 << 18}), 0, 8).Draw(r, "sizes")
		var all, stored []transfer.Source
		var want transfer.Report
		lacking := map[cas.Blob]bool{}
		for i, size := range sizes {
			source := content(fmt.Sprint("file ", i), append(noise(round<<8|uint64(i), size), byte(round), byte(round>>8), byte(i)))
			switch rapid.SampledFrom([]string{"new", "new", "twice", "stored", "known"}).Draw(r, "kind") {
			case "twice":
				all = append(all, source)
			case "stored":
				stored = append(stored, source)
			case "known":
				stored, source.Known = append(stored, source), true
			}
			all = append(all, source)
			want.Blobs, want.Bytes = want.Blobs+1, want.Bytes+source.Blob.Size
			if len(stored) == 0 || stored[len(stored)-1].Blob != source.Blob {
				want.BlobsSent, want.BytesSent, want.BytesNew = want.BlobsSent+1, want.BytesSent+source.Blob.Size, want.BytesNew+source.Blob.Size
				lacking[source.Blob] = true
			}
		}
		w := &wire{site: s}
		mustSend(r, w, unknown(stored), transfer.Options{})
		plan, err := transfer.Plan(context.Background(), w, all)
		want.BytesTravelled = plan.BytesTravelled
		if diff := cmp.Diff(want, plan); diff != "" || err != nil {
			r.Fatalf("plan: %v %s", err, diff)
		}
		told := map[cas.Blob]int{}
		var arrived, known int64
		report := mustSend(r, w, all, transfer.Options{
			Parallel: rapid.IntRange(0, 3).Draw(r, "parallel"),
			Stored: func(blobs []cas.Blob) {
				for _, b := range blobs {
					told[b]++
				}
			},
			Progress: func(now, lacking int64) {
				if now < arrived || lacking < known || now > lacking {
					r.Fatalf("progress went from %d of %d to %d of %d", arrived, known, now, lacking)
				}
				arrived, known = now, lacking
			},
		})
		want = checkGrowth(r, want, report)
		if diff := cmp.Diff(want, report); diff != "" || arrived != want.BytesSent || known != want.BytesSent {
			r.Fatalf("arrived %d of %d: %s", arrived, known, diff)
		}
		for _, source := range all {
			if n := told[source.Blob]; source.Known == (n == 1) || n > 1 {
				r.Fatalf("told %d times that %s is stored", n, source.Name)
			}
		}
		checkStored(r, s, all)
	})
}

// unknown are sources of which nobody says that they are stored.
func unknown(sources []transfer.Source) []transfer.Source {
	sources = slices.Clone(sources)
	for i := range sources {
		sources[i].Known = false
	}
	return sources
}

// TestOffersTravelWhileMoreAreMade holds that nothing waits for Close: the second source is made only when the first is
// stored.
func TestOffersTravelWhileMoreAreMade(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	stored := make(chan cas.Blob, 2)
	to := transfer.NewSender(t.Context(), &wire{site: s}, transfer.Options{Stored: func(blobs []cas.Blob) {
		for _, b := range blobs {
			stored <- b
		}
	}})
	sources := []transfer.Source{content("small", []byte("hay")), content("large", noise(1, 2<<20))}
	for _, source := range sources {
		if err := to.Offer(source); err != nil {
			t.Fatal(err)
		}
		if got := <-stored; got != source.Blob {
			t.Fatalf("%v is stored, want %v", got, source.Blob)
		}
	}
	if report, err := to.Close(); err != nil || report.BlobsSent != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := to.Offer(sources[0]); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("an offer after Close: %v", err)
	}
	if report, err := to.Close(); err != nil || report.BlobsSent != 2 {
		t.Errorf("closed again: %+v, %v", report, err)
	}
}

// slow answers the first question only when it is told to, and notes how much each asks.
type slow struct {
	transfer.Remote
	first, answer chan struct{}
	asked         []int
}

func (s *slow) Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	if s.asked = append(s.asked, len(blobs)); len(s.asked) == 1 {
		close(s.first)
		<-s.answer
	}
	return s.Remote.Lacking(ctx, blobs)
}

// TestWhatGathersIsAskedAtOnce holds that a question has all that was offered while the last was answered, up to the
// limit, and that small files then travel many to a request.
func TestWhatGathersIsAskedAtOnce(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	w := &wire{site: s}
	remote := &slow{Remote: w, first: make(chan struct{}), answer: make(chan struct{})}
	to := transfer.NewSender(t.Context(), remote, transfer.Options{})
	for i := range 12_001 {
		if err := to.Offer(content("small", fmt.Appendf(nil, "%d", i))); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-remote.first
		}
	}
	close(remote.answer)
	report, err := to.Close()
	if err != nil || report.BlobsSent != 12_001 {
		t.Fatalf("%+v, %v", report, err)
	}
	if want := []int{1, transfer.MaxAsked, 2_000}; !slices.Equal(remote.asked, want) {
		t.Errorf("asked for %v, want %v", remote.asked, want)
	}
	if n := w.files.Load(); n > 5 {
		t.Errorf("%d requests for 12,001 tiny files", n)
	}
}

func TestPlanAsksInBatches(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	sources := make([]transfer.Source, 2*transfer.MaxAsked+5)
	for i := range sources {
		sources[i] = content("small", fmt.Appendf(nil, "%d", i))
	}
	remote := &slow{Remote: &wire{site: s}, first: make(chan struct{}), answer: make(chan struct{})}
	close(remote.answer)
	report, err := transfer.Plan(t.Context(), remote, sources)
	if err != nil || report.BlobsSent != len(sources) || report.BytesTravelled != 40*int64(len(sources)) {
		t.Fatalf("%+v, %v", report, err)
	}
	if want := []int{transfer.MaxAsked, transfer.MaxAsked, 5}; !slices.Equal(remote.asked, want) {
		t.Errorf("asked for %v, want %v", remote.asked, want)
	}
	mustSend(t, remote, sources[:3], transfer.Options{})
	report, err = transfer.Plan(t.Context(), transfer.In(s.store), sources)
	if err != nil || report.BlobsSent != len(sources)-3 {
		t.Errorf("from the store itself: %+v, %v", report, err)
	}
}

// TestBytesInFlightAreBounded sends large and small files at once through a narrow gate.
func TestBytesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	var sources []transfer.Source
	for i := range 40 {
		sources = append(sources, content("small", noise(uint64(i), 900<<10)))
	}
	for i := range 3 {
		sources = append(sources, content("large", noise(uint64(100+i), 10<<20)))
	}
	w := &wire{site: s}
	mustSend(t, w, sources, transfer.Options{InFlight: 12 << 20})
	if most := w.most.Load(); most > 12<<20 || most < 4<<20 {
		t.Errorf("%d bytes were in flight", most)
	}
	checkStored(t, s, sources)
}

// TestFilesThatChange holds that a file which is not what it was announced as is named, and that none of its bytes are
// taken for it.
func TestFilesThatChange(t *testing.T) {
	t.Parallel()
	for _, size := range []int{5, 3 << 20} {
		data := noise(uint64(size), size)
		other := slices.Clone(data)
		other[size/2]++
		for _, test := range []struct {
			name string
			now  []byte
		}{{"other content", other}, {"shorter", data[:size-1]}, {"empty", nil}} {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprint(test.name, size, known), func(t *testing.T) {
					t.Parallel()
					s := openSite(t)
					path, source := onDisk(t, "scene.blend", data)
					if known {
						source.Recipe = recipeOf(t, data)
					}
					if err := os.WriteFile(path, test.now, 0o600); err != nil {
						t.Fatal(err)
					}
					report, err := transfer.Send(t.Context(), &wire{site: s}, []transfer.Source{source}, transfer.Options{})
					if !errors.Is(err, transfer.ErrChanged) || !strings.HasPrefix(err.Error(), "send scene.blend: ") || report.BlobsSent != 0 {
						t.Errorf("%+v, %v", report, err)
					}
					if err := s.store.List(t.Context(), cas.Digest{}, func(b cas.Blob) error { return fmt.Errorf("%v is stored", b) }); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

func TestFilesThatAreGone(t *testing.T) {
	t.Parallel()
	for _, size := range []int{5, 2 << 20} {
		s := openSite(t)
		path, source := onDisk(t, "gone.exr", noise(7, size))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		_, err := transfer.Send(t.Context(), &wire{site: s}, []transfer.Source{source}, transfer.Options{})
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "send gone.exr: ") {
			t.Errorf("%v", err)
		}
	}
}

// TestTheFirstErrorEndsAllOfIt holds that one file that cannot be read ends everything, that offers say why, and that
// sending again sends only the rest.
func TestTheFirstErrorEndsAllOfIt(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	w := &wire{site: s}
	broken := errors.New("broken disk")
	bad := content("bad", noise(1, 2<<20))
	bad.Open = func() (transfer.File, error) { return nil, broken }
	to := transfer.NewSender(t.Context(), w, transfer.Options{})
	var err error
	for i := uint64(0); err == nil; i++ { // until an offer is refused
		if i == 100 {
			err = to.Offer(bad)
		} else {
			err = to.Offer(content("good", noise(1000+i, 1000)))
		}
	}
	report, closeErr := to.Close()
	if !errors.Is(err, broken) || !errors.Is(closeErr, broken) || !strings.HasPrefix(err.Error(), "send bad: ") {
		t.Fatalf("offer: %v; close: %v", err, closeErr)
	}
	var first []transfer.Source
	for i := range uint64(100) {
		first = append(first, content("good", noise(1000+i, 1000)))
	}
	stored := 0
	if err := s.store.List(t.Context(), cas.Digest{}, func(cas.Blob) error { stored++; return nil }); err != nil {
		t.Fatal(err)
	}
	if stored < report.BlobsSent {
		t.Errorf("%d were reported and %d are stored", report.BlobsSent, stored)
	}
	mustSend(t, w, first, transfer.Options{})
	if again := mustSend(t, w, first, transfer.Options{}); again.BlobsSent != 0 {
		t.Errorf("sent once more: %+v", again)
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := &wire{site: s, next: func(int) (fault, int) { cancel(); return refused, 0 }}
	report, err := transfer.Send(ctx, w, []transfer.Source{content("small", []byte("hay"))}, transfer.Options{})
	if !errors.Is(err, context.Canceled) || report.BlobsSent != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestPatienceEnds holds that a store which stays away is given up, after pauses that grow within their bounds.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	w := &wire{site: s, next: func(int) (fault, int) { return refused, 0 }}
	var pauses []time.Duration
	_, err := transfer.Send(t.Context(), w, []transfer.Source{content("small", []byte("hay"))}, transfer.Options{Attempts: 9,
		Wait: func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }})
	if !errors.Is(err, transfer.ErrUnavailable) || !strings.Contains(err.Error(), "given up after 9 attempts") {
		t.Errorf("%v", err)
	}
	whole := 200 * time.Millisecond
	for i, d := range pauses {
		if d < whole/2 || d > whole {
			t.Errorf("pause %d is %v, want %v to %v", i, d, whole/2, whole)
		}
		whole = min(2*whole, 10*time.Second)
	}
	if len(pauses) != 8 {
		t.Errorf("%d pauses", len(pauses))
	}
}

// curt answers for fewer blobs and chunks than it was asked for.
type curt struct {
	transfer.Remote
	blobs atomic.Bool
}

func (c *curt) Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	lacking, err := c.Remote.Lacking(ctx, blobs)
	if c.blobs.Load() {
		lacking = lacking[1:]
	}
	return lacking, err
}

func (c *curt) Begin(ctx context.Context, encoded []byte) (transfer.Session, error) {
	session, err := c.Remote.Begin(ctx, encoded)
	session.Lacking = session.Lacking[1:]
	return session, err
}

func TestAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	remote := &curt{Remote: &wire{site: openSite(t)}}
	sources := []transfer.Source{content("large", noise(1, 2<<20))}
	if _, err := transfer.Send(t.Context(), remote, sources, transfer.Options{}); err == nil || !strings.Contains(err.Error(), "answered for") {
		t.Errorf("chunks: %v", err)
	}
	remote.blobs.Store(true)
	if _, err := transfer.Send(t.Context(), remote, sources, transfer.Options{}); err == nil || !strings.Contains(err.Error(), "answered for 0 of 1 blobs") {
		t.Errorf("blobs: %v", err)
	}
}

// checkGrowth: the store grows exactly when something is sent, and by no more than came. It gives want with what travelled
// and grew.
func checkGrowth(r *rapid.T, want, report transfer.Report) transfer.Report {
	if report.BytesStored > report.BytesTravelled+report.BytesSent || (report.BytesStored == 0) != (report.BlobsSent == 0) {
		r.Fatalf("%d bytes stored of %d sent in %d travelled", report.BytesStored, report.BytesSent, report.BytesTravelled)
	}
	want.BytesTravelled, want.BytesStored = report.BytesTravelled, report.BytesStored
	return want
}
