package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/cas/transfer"
)

func TestMain(m *testing.M) {
	if mostDraws != "" {
		if err := flag.Set("rapid.checks", mostDraws); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// site is a store with the process that takes blobs in for it, which can be started anew.
type site struct {
	store *disk.Store

	mu     sync.Mutex
	intake *intake.Intake
	age    int // restarts
	stop   func() error
}

func openSite(t testing.TB) *site {
	t.Helper()
	store, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{store: store}
	s.start()
	t.Cleanup(func() {
		if err := errors.Join(s.stop(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	in := intake.New(s.store, intake.Config{})
	go func() { ended <- in.Run(ctx) }()
	s.intake = in
	s.stop = func() error {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// restart ends the process, whatever it does at this moment, and starts one that knows nothing but the store.
func (s *site) restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(); err != nil {
		return err
	}
	s.age++
	s.start()
	return nil
}

func (s *site) remote() (transfer.Remote, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return transfer.Local(s.intake), s.age
}

// fault is what happens to one request.
type fault int

const (
	none     fault = iota
	refused        // the store does not take it at this moment
	cut            // the connection breaks somewhere in the request
	lost           // the answer is lost
	restarts       // the store's process starts anew
)

// wire is the way to a site. It counts what goes over it, and faults are injected into it.
type wire struct {
	*site
	// next gives the fault of a request with a body of so many bytes, and how many of these still arrive if it is cut.
	// nil: no faults. It is called by one goroutine at a time.
	next func(size int) (fault, int)
	// after, if set, is called when a fault has happened.
	after func()

	faults              sync.Mutex
	travelled           atomic.Int64 // bytes of bodies and recipes that arrived
	asked, begun, files atomic.Int64
	flying, most        atomic.Int64 // bytes of the requests that are under way, and the most that ever were
}

// errBroken is what a transport says when a request fails on its way.
var errBroken = fmt.Errorf("connection reset: %w", transfer.ErrUnavailable)

// carry does a request, of which a fault may let only a part arrive, or nothing, or take the answer. request tells how
// many bytes of the body the store read.
func (w *wire) carry(body []byte, request func(to transfer.Remote, body []byte) (int, error)) error {
	flying := w.flying.Add(int64(len(body)))
	defer w.flying.Add(-int64(len(body)))
	for most := w.most.Load(); flying > most && !w.most.CompareAndSwap(most, flying); most = w.most.Load() {
	}
	happens, arrives := none, len(body)
	if w.next != nil {
		w.faults.Lock()
		happens, arrives = w.next(len(body))
		w.faults.Unlock()
	}
	if happens != none && w.after != nil {
		defer w.after()
	}
	switch happens {
	case refused:
		return errBroken
	case restarts:
		if err := w.restart(); err != nil {
			return err
		}
		return errBroken
	case cut:
		body = body[:arrives]
	}
	to, age := w.remote()
	n, err := request(to, body)
	w.travelled.Add(int64(n))
	if _, now := w.remote(); happens != none || now != age {
		return errBroken
	}
	return err
}

func (w *wire) Lacking(ctx context.Context, blobs []cas.Blob) (lacking []bool, err error) {
	w.asked.Add(int64(len(blobs)))
	err = w.carry(nil, func(to transfer.Remote, _ []byte) (_ int, err error) {
		lacking, err = to.Lacking(ctx, blobs)
		return 0, err
	})
	return lacking, err
}

func (w *wire) SendFiles(ctx context.Context, frames []byte) error {
	w.files.Add(1)
	return w.carry(frames, func(to transfer.Remote, body []byte) (int, error) {
		return len(body), to.SendFiles(ctx, body)
	})
}

func (w *wire) Begin(ctx context.Context, encoded []byte) (session transfer.Session, err error) {
	w.begun.Add(1)
	err = w.carry(encoded, func(to transfer.Remote, body []byte) (_ int, err error) {
		session, err = to.Begin(ctx, body)
		return len(body), err
	})
	return session, err
}

func (w *wire) Append(ctx context.Context, id, lane string, offset int64, frames []byte) (next int64, err error) {
	err = w.carry(frames, func(to transfer.Remote, body []byte) (_ int, err error) {
		next, err = to.Append(ctx, id, lane, offset, body)
		return int(max(next-offset, 0)), err
	})
	return next, err
}

func (w *wire) Session(ctx context.Context, id string) (session transfer.Session, err error) {
	err = w.carry(nil, func(to transfer.Remote, _ []byte) (_ int, err error) {
		session, err = to.Session(ctx, id)
		return 0, err
	})
	return session, err
}

func (w *wire) Commit(ctx context.Context, id string) (lacking []bool, err error) {
	err = w.carry(nil, func(to transfer.Remote, _ []byte) (_ int, err error) {
		lacking, err = to.Commit(ctx, id)
		return 0, err
	})
	return lacking, err
}

// impatient is for tests that need no pause: it goes on at once.
func impatient(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// inMemory is a file in memory.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// content is a source of bytes in memory.
func content(name string, data []byte) transfer.Source {
	return transfer.Source{Blob: cas.Blob{Digest: cas.SumBytes(data), Size: int64(len(data))}, Name: name,
		Open: func() (transfer.File, error) { return inMemory{bytes.NewReader(data)}, nil }}
}

// noise is bytes that do not compress; each seed has its own.
func noise(seed uint64, size int) []byte {
	data := make([]byte, size)
	source := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 3: byte(seed >> 24)})
	if _, err := io.ReadFull(source, data); err != nil {
		panic(err) // it never ends
	}
	return data
}

// onDisk puts bytes into a file, as a source that opens it.
func onDisk(t testing.TB, name string, data []byte) (path string, source transfer.Source) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	source = content(name, data)
	source.Open = func() (transfer.File, error) { return os.Open(path) }
	return path, source
}

func recipeOf(t failer, data []byte) chunk.Recipe {
	t.Helper()
	recipe, err := chunk.Split(context.Background(), bytes.NewReader(data), int64(len(data)), func(chunk.Piece) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return recipe
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// checkStored reads every blob back from the store.
func checkStored(t failer, s *site, sources []transfer.Source) {
	t.Helper()
	for _, source := range sources {
		r, err := s.store.Open(context.Background(), source.Blob.Digest)
		if err != nil {
			t.Fatalf("%s: %v", source.Name, err)
		}
		got, err := cas.SumReader(r)
		if err := errors.Join(err, r.Close()); err != nil || got != source.Blob {
			t.Fatalf("%s came back as %v, %v; want %v", source.Name, got, err, source.Blob)
		}
	}
}

func mustSend(t failer, to transfer.Remote, sources []transfer.Source, o transfer.Options) transfer.Report {
	t.Helper()
	report, err := transfer.Send(context.Background(), to, sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}
