package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"hayloft/cas"
)

// Defaults of [Options].
const (
	// DefaultParallel keeps two cores and a disk busy on either side, and shares the store's syncs.
	DefaultParallel = 4
	// DefaultInFlight is room for as many of the largest bodies.
	DefaultInFlight = DefaultParallel * filesBody
	// DefaultAttempts, with the pauses between them, outlast a restart of the store.
	DefaultAttempts = 16
)

// Bounds of what was offered and is not stored yet. A source weighs one for itself, and for the recipe that it may have.
const (
	maxOffered   = 16 << 10
	recipeWeight = 1 << 20 // bytes of a file whose recipe weighs as much as a source without one
)

// Options tune a [Sender]; the zero value is good.
type Options struct {
	// Parallel is how many requests with small files, how many large files, and how many lanes of one large file are
	// under way at a time; 0 means DefaultParallel. At most 16 lanes are used.
	Parallel int
	// InFlight bounds the bytes of all bodies that are being made and sent; 0 means DefaultInFlight. It is never less
	// than one body, of 8 MiB.
	InFlight int64
	// Attempts is how often one request is made at most, if the store is not available and nothing goes forward; 0 means
	// DefaultAttempts.
	Attempts int
	// Wait waits for so long, or for the end of the context, which is then its error; nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Random gives 64 random bits, for the length of pauses and the names of lanes; nil means math/rand/v2. It is called
	// by many goroutines.
	Random func() uint64

	// The functions below are called by one goroutine at a time, and hold up the sending while they run.

	// Stored, if set, is told of blobs that the store said it has, or has now.
	Stored func(blobs []cas.Blob)
	// Progress, if set, is told how many bytes of blobs are known to be lacking so far, and how many of these have
	// arrived. Both only grow.
	Progress func(arrived, lacking int64)
}

func (o Options) withDefaults() Options {
	o.Parallel = cmp.Or(o.Parallel, DefaultParallel)
	o.InFlight = max(cmp.Or(o.InFlight, DefaultInFlight), filesBody)
	o.Attempts = cmp.Or(o.Attempts, DefaultAttempts)
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Random == nil {
		o.Random = rand.Uint64
	}
	return o
}

// Sender is a pipeline into one store: sources may be offered while earlier ones travel. It remembers the name of each
// blob that it was offered. It may be used by many goroutines.
type Sender struct {
	to      Remote
	options Options
	name    string // random, begins the names of its lanes

	ctx    context.Context // of all the work; its cause is the first error
	cancel context.CancelFunc
	work   *errgroup.Group

	// The stages hand on what was offered. Each channel has room for all of it, so that no stage waits for a slower one.
	offered chan *offer   // to be asked for
	small   chan []*offer // lacking, to be put into bodies
	bodies  chan []*offer // to be sent in one request each
	large   chan *offer   // lacking, to be sent in sessions

	room     *semaphore.Weighted // weight of what was offered and is not done
	inFlight *semaphore.Weighted // bytes of bodies

	mu     sync.Mutex
	seen   map[cas.Blob]bool
	closed bool

	ledger ledger
}

// offer is a source on its way.
type offer struct {
	Source
	weight int64
}

// NewSender begins to send to a store. Its goroutines end with [Sender.Close], which must be called, or with ctx.
func NewSender(ctx context.Context, to Remote, o Options) *Sender {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	s := &Sender{
		to: to, options: o, name: strconv.FormatUint(o.Random(), 36), cancel: cancel,
		offered: make(chan *offer, maxOffered), small: make(chan []*offer, maxOffered),
		bodies: make(chan []*offer), large: make(chan *offer, maxOffered),
		room: semaphore.NewWeighted(maxOffered), inFlight: semaphore.NewWeighted(o.InFlight),
		seen:   make(map[cas.Blob]bool),
		ledger: ledger{stored: o.Stored, progress: o.Progress},
	}
	s.work, s.ctx = errgroup.WithContext(ctx)
	s.work.Go(s.ask)
	s.work.Go(s.fillBodies)
	for range o.Parallel {
		s.work.Go(s.sendBodies)
		s.work.Go(s.sendLarge)
	}
	return s
}

// Offer takes one source, and waits while too much is under way. A blob that was offered before is not sent again. An
// error is the one that ended the sending, or [cas.ErrClosed] after [Sender.Close].
func (s *Sender) Offer(source Source) error {
	o := &offer{Source: source, weight: min(1+source.Blob.Size/recipeWeight, maxOffered)}
	err := s.room.Acquire(s.ctx, o.weight)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("offer %s: %w", source.Name, cas.ErrClosed) // the room is of no use to anybody any more
	case err != nil:
		return context.Cause(s.ctx)
	case s.seen[source.Blob]:
		s.room.Release(o.weight)
		return nil
	}
	s.seen[source.Blob] = true
	s.ledger.offer(source.Blob)
	if source.Known {
		s.room.Release(o.weight)
		return nil
	}
	s.offered <- o // has room: see Sender
	return nil
}

// Close waits until everything that was offered is stored, or the first error. The report counts what was stored in
// either case.
func (s *Sender) Close() (Report, error) {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.offered)
	}
	s.mu.Unlock()
	err := s.work.Wait()
	s.cancel()
	return s.ledger.sum(), err
}

// ask finds out in batches which of the sources are lacking: each batch is what gathered while the last was answered.
func (s *Sender) ask() error {
	defer close(s.large)
	defer close(s.small)
	for {
		batch, err := s.gathered()
		if err != nil || len(batch) == 0 {
			return err
		}
		lacking, err := s.lacking(batch)
		if err != nil {
			return fmt.Errorf("ask which of %d files are lacking: %w", len(batch), err)
		}
		var have []cas.Blob
		var small, large []*offer
		var bytes int64
		for i, o := range batch {
			if !lacking[i] {
				have = append(have, o.Blob)
				s.room.Release(o.weight)
				continue
			}
			bytes += o.Blob.Size
			if o.Blob.Size <= maxSmall {
				small = append(small, o)
			} else {
				large = append(large, o)
			}
		}
		s.ledger.have(have)
		s.ledger.move(0, bytes) // before any of them arrives
		for _, o := range large {
			s.large <- o
		}
		if len(small) > 0 {
			s.small <- small
		}
	}
}

// gathered waits for a source and takes all that there are then; none means that no more will come.
func (s *Sender) gathered() ([]*offer, error) {
	var batch []*offer
	select {
	case first, ok := <-s.offered:
		if !ok {
			return nil, nil
		}
		batch = append(batch, first)
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
	for len(batch) < MaxAsked {
		select {
		case next, ok := <-s.offered:
			if !ok {
				return batch, nil
			}
			batch = append(batch, next)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

func (s *Sender) lacking(batch []*offer) (lacking []bool, err error) {
	blobs := make([]cas.Blob, len(batch))
	for i, o := range batch {
		blobs[i] = o.Blob
	}
	err = s.retry(s.ctx, func() error {
		s.ledger.travel(questionSize(len(blobs)))
		lacking, err = ask(s.ctx, s.to, blobs)
		return err
	})
	return lacking, err
}

// ask checks that an answer fits the question.
func ask(ctx context.Context, asker Asker, blobs []cas.Blob) ([]bool, error) {
	lacking, err := asker.Lacking(ctx, blobs)
	if err == nil && len(lacking) != len(blobs) {
		err = fmt.Errorf("the store answered for %d of %d blobs", len(lacking), len(blobs))
	}
	return lacking, err
}

// questionSize is how many bytes the question for so many blobs takes: a digest and eight bytes for the size of each.
func questionSize(blobs int) int { return blobs * (cas.Size + 8) }

// Send stores what the store lacks of the sources, the largest first, so that no large one is left to travel alone at
// the end.
func Send(ctx context.Context, to Remote, sources []Source, o Options) (Report, error) {
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b Source) int { return cmp.Compare(b.Blob.Size, a.Blob.Size) })
	s := NewSender(ctx, to, o)
	var offerErr error
	for _, source := range sources {
		if offerErr = s.Offer(source); offerErr != nil {
			break
		}
	}
	report, err := s.Close()
	return report, cmp.Or(err, offerErr)
}

// passes tells whether a request that failed so may be made again after a pause.
func passes(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrLaneBusy) || errors.Is(err, ErrOffset)
}
