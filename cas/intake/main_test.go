package intake_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/cas/pack"
)

func TestMain(m *testing.M) {
	if mostDraws != "" {
		if err := flag.Set("rapid.checks", mostDraws); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// farm is a store with an intake that runs.
type farm struct {
	*intake.Intake
	store *disk.Store
	full  *[]string // the steps at which the disk is full, each once
	clock *handClock
	end   func() error // of Run, once
}

// start opens the store in root and runs an intake on it.
func start(t failer, root string, c intake.Config) *farm {
	t.Helper()
	store, err := disk.Open(root)
	if err != nil {
		t.Fatalf("%v", err)
	}
	clock := newHandClock()
	c.Clock = clock
	full := new([]string)
	f := &farm{Intake: intake.New(fullDisk{store, full}, c), store: store, full: full, clock: clock}
	f.end = run(f.Run, clock)
	return f
}

// run runs in a goroutine until the result is called, and has looked for idle sessions once when it returns.
func run(work func(context.Context) error, clock *handClock) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	clock.settle()
	return sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

func (f *farm) stop(t failer) {
	t.Helper()
	if err := errors.Join(f.end(), f.store.Close()); err != nil {
		t.Fatalf("%v", err)
	}
}

// newFarm is a farm in a new directory that stops with the test.
func newFarm(t *testing.T, c intake.Config) *farm {
	t.Helper()
	f := start(t, t.TempDir(), c)
	t.Cleanup(func() { f.stop(t) })
	return f
}

// fullDisk is a store whose disk is full at the steps that are named.
type fullDisk struct {
	*disk.Store
	at *[]string
}

func (d fullDisk) full(step string) error {
	if at := slices.Index(*d.at, step); at >= 0 {
		*d.at = slices.Delete(*d.at, at, at+1)
		return cas.ErrNoSpace
	}
	return nil
}

func (d fullDisk) PutFrames(ctx context.Context, frames []pack.Frame) error {
	if err := d.full("files"); err != nil {
		return err
	}
	return d.Store.PutFrames(ctx, frames)
}

func (d fullDisk) Assemble(ctx context.Context, recipe chunk.Recipe) (fullAssembly, error) {
	if err := d.full("begin"); err != nil {
		return fullAssembly{}, err
	}
	a, err := d.Store.Assemble(ctx, recipe)
	return fullAssembly{a, d}, err
}

type fullAssembly struct {
	*disk.Assembly
	disk fullDisk
}

func (a fullAssembly) Put(ctx context.Context, frame pack.Frame) error {
	if err := a.disk.full("chunk"); err != nil {
		return err
	}
	return a.Assembly.Put(ctx, frame)
}

func (a fullAssembly) Commit(ctx context.Context) error {
	if err := a.disk.full("commit"); err != nil {
		return errors.Join(err, a.Close()) // as the real one does
	}
	return a.Assembly.Commit(ctx)
}

// handClock stands still until it is set forward by hand.
type handClock struct {
	armed chan chan time.Time // what Run waits for next
	next  chan time.Time

	mu  sync.Mutex
	now time.Duration
}

func newHandClock() *handClock { return &handClock{armed: make(chan chan time.Time)} }

func (c *handClock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) After(time.Duration) <-chan time.Time {
	ring := make(chan time.Time)
	c.armed <- ring
	return ring
}

// settle waits until Run waits for the clock.
func (c *handClock) settle() { c.next = <-c.armed }

func (c *handClock) set(forward time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += forward
}

// pass lets time go by. Run has looked for idle sessions when it returns.
func (c *handClock) pass(d time.Duration) {
	c.set(d)
	c.next <- time.Time{}
	c.settle()
}

// file is the content of one file, cut.
type file struct {
	data    []byte
	recipe  chunk.Recipe
	encoded []byte
	order   []chunk.Chunk // as Recipe.Chunks has them
	chunks  map[chunk.ID][]byte
}

func cut(t failer, data []byte) file {
	t.Helper()
	f := file{data: data, chunks: make(map[chunk.ID][]byte)}
	var err error
	f.recipe, err = chunk.Split(t.Context(), bytes.NewReader(data), int64(len(data)), func(p chunk.Piece) error {
		f.chunks[p.ID] = bytes.Clone(p.Data)
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	f.encoded, _ = f.recipe.MarshalBinary() // the error is always nil
	for c := range f.recipe.Chunks() {
		f.order = append(f.order, c)
	}
	return f
}

// noise gives bytes of which half can be compressed away.
func noise(seed uint64, size int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, size)
	for i := range data {
		if i%128 < 64 {
			data[i] = byte(random.Uint32())
		}
	}
	return data
}

func someFile(t failer) file { return cut(t, noise(1, 600<<10)) }

// frame encodes chunks that lie at the given places of the order.
func (f file) frame(places ...int) []byte {
	var items []pack.Item
	var data []byte
	for _, at := range places {
		c := f.order[at]
		items = append(items, pack.Item{ID: c.ID.Bytes(), Length: c.Length})
		data = append(data, f.chunks[c.ID]...)
	}
	return pack.Append(nil, pack.ChunkKind, items, data)
}

// lane encodes the lacking chunks, one a frame; nil: all of them.
func (f file) lane(lacking []bool) (b []byte) {
	for at := range f.order {
		if lacking == nil || lacking[at] {
			b = append(b, f.frame(at)...)
		}
	}
	return b
}

func blobFrame(contents ...[]byte) []byte {
	var items []pack.Item
	for _, content := range contents {
		items = append(items, pack.Item{ID: rawDigest(cas.SumBytes(content)), Length: len(content)})
	}
	return pack.Append(nil, pack.BlobKind, items, bytes.Join(contents, nil))
}

func rawDigest(digest cas.Digest) (raw [cas.Size]byte) {
	b, err := hex.DecodeString(digest.String())
	if err != nil {
		panic(err)
	}
	copy(raw[:], b)
	return raw
}

func blobOf(content []byte) cas.Blob {
	return cas.Blob{Digest: cas.SumBytes(content), Size: int64(len(content))}
}

// begin is Begin that must succeed.
func (f *farm) begin(t failer, encoded []byte) intake.Session {
	t.Helper()
	s, err := f.Begin(t.Context(), encoded)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

// send is Append that must take all of b.
func (f *farm) send(t failer, id intake.SessionID, lane string, offset int64, b []byte) {
	t.Helper()
	next, err := f.Append(t.Context(), id, lane, offset, bytes.NewReader(b))
	if err != nil || next != offset+int64(len(b)) {
		t.Fatalf("lane %s at %d took %d of %d bytes: %v", lane, offset, next-offset, len(b), err)
	}
}

// commit is Commit that must succeed, and looks at what is stored.
func (f *farm) commit(t failer, id intake.SessionID, want file) {
	t.Helper()
	if err := f.Commit(t.Context(), id); err != nil {
		t.Fatalf("%v", err)
	}
	f.holds(t, want.data)
}

// holds fails unless the store gives exactly these bytes.
func (f *farm) holds(t failer, want []byte) {
	t.Helper()
	r, err := f.store.Open(t.Context(), cas.SumBytes(want))
	if err != nil {
		t.Fatalf("%v", err)
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("stored are %d bytes, and not the %d that were sent: %v", len(got), len(want), err)
	}
}

// lacks fails if the store has the blob.
func (f *farm) lacks(t failer, blob cas.Blob) {
	t.Helper()
	lacking, err := f.Lacking(t.Context(), []cas.Blob{blob})
	if err != nil || !lacking[0] {
		t.Fatalf("the blob is visible, or: %v", err)
	}
}

// leftovers gives what is half made in the store.
func (f *farm) leftovers(t failer) []cas.Blob {
	t.Helper()
	blobs, err := f.store.Assemblies(t.Context())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return blobs
}
