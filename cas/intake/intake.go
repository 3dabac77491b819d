package intake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"hayloft/cas"
	"hayloft/cas/pack"
)

// Bounds that need no setting.
const (
	maxLanes     = 16       // of one session
	maxRecipe    = 64 << 20 // bytes of an encoded recipe or delta
	maxDecoders  = 2        // recipes that are decoded at one time, each in a small multiple of maxRecipe at worst
	maxEnded     = 4096     // sessions that are known to have ended well
	maxLeases    = 1 << 19  // blobs leased in one term
	batchBytes   = 4 << 20  // of small files that become durable together
	batchFrames  = 256
	sweepsPerAge = 8 // looks for idle sessions in one IdleTimeout
)

// Config bounds an [Intake]. Zero values stand for the defaults.
type Config struct {
	IdleTimeout time.Duration // after which a session in which nothing came is removed; 1 h
	GiveWay     time.Duration // after which such a session gives way to another that needs its place; 1 min
	LeaseTime   time.Duration // for which a lease lasts at least, and less than twice as long; 24 h
	MaxSessions int           // that are open or left over at one time; 256
	MaxChunks   int           // in the recipes of all open sessions; 2,097,152, which is 150 GiB of files
	MaxStreams  int           // bodies that are read at one time, each in about 8 MiB at most; 32. Others wait
	MaxTails    int           // bytes of frames that were cut, in all lanes; 64 MiB
	Clock       Clock         // the machine's monotonic clock
	// Failed is told of what could not be tidied away; it is tried again later. Nil: nobody is told.
	Failed func(cas.Blob, error)
}

func (c Config) withDefaults() Config {
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Hour)
	c.GiveWay = cmp.Or(c.GiveWay, time.Minute)
	c.LeaseTime = cmp.Or(c.LeaseTime, 24*time.Hour)
	c.MaxSessions = cmp.Or(c.MaxSessions, 256)
	c.MaxChunks = cmp.Or(c.MaxChunks, 2<<20)
	c.MaxStreams = cmp.Or(c.MaxStreams, 32)
	c.MaxTails = cmp.Or(c.MaxTails, 64<<20)
	if c.Clock == nil {
		c.Clock = monotonic{time.Now()}
	}
	if c.Failed == nil {
		c.Failed = func(cas.Blob, error) {}
	}
	return c
}

// Intake receives blobs for one store. It may be used by many goroutines.
type Intake struct {
	depot    depot
	config   Config
	leases   leases
	streams  chan struct{} // one for each body that is read
	decoders chan struct{} // one for each recipe that is decoded
	life     context.Context
	die      context.CancelFunc // ends the work on the disk that no client waits for

	mu    sync.Mutex // guards table and all that hangs on it; nobody waits for anything while holding it
	table table
}

// New makes the intake of a store. [Intake.Run] must run for sessions to end by themselves.
func New[A Assembly](store Store[A], c Config) *Intake {
	c = c.withDefaults()
	life, die := context.WithCancel(context.Background())
	return &Intake{
		depot:    depotOf[A]{store},
		config:   c,
		leases:   leases{term: c.LeaseTime, max: maxLeases, turned: c.Clock.Elapsed()},
		streams:  make(chan struct{}, c.MaxStreams),
		decoders: make(chan struct{}, maxDecoders),
		life:     life,
		die:      die,
		table:    newTable(),
	}
}

// Lacking tells for each blob whether the store lacks it. It takes a lease on every one of them: see [Intake.Leased].
func (i *Intake) Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	i.lease(blobs...) // before the look, so that none is deleted in between
	lacking := make([]bool, len(blobs))
	at := 0
	err := i.depot.Stat(ctx, blobs, func(have cas.Blob) error {
		for ; blobs[at] != have; at++ { // the answers come in the order of the question
			lacking[at] = true
		}
		at++
		return nil
	})
	for ; at < len(blobs); at++ {
		lacking[at] = true
	}
	if err != nil {
		return nil, fmt.Errorf("look for %d blobs: %w", len(blobs), err)
	}
	return lacking, nil
}

// Leased tells whether somebody was told, or is about to be told, that the store has the blob. Such a blob must not be
// deleted: its sender relies on it. Leases are not kept over a restart: whoever deletes waits for one LeaseTime first.
func (i *Intake) Leased(blob cas.Blob) bool {
	return i.leases.has(i.config.Clock.Elapsed(), blob.Digest)
}

func (i *Intake) lease(blobs ...cas.Blob) { i.leases.take(i.config.Clock.Elapsed(), blobs) }

// stored tells whether the store has the blob, and takes a lease on it.
func (i *Intake) stored(ctx context.Context, blob cas.Blob) (bool, error) {
	lacking, err := i.Lacking(ctx, []cas.Blob{blob})
	if err != nil {
		return false, err
	}
	return !lacking[0], nil
}

// TakeFiles takes frames of small blobs until body ends, and tells how many blobs are durable now, also when err is not
// nil. Errors: pack.ErrBadFrame, pack.ErrWrongID, io.ErrUnexpectedEOF, the error of body, cas.ErrNoSpace.
func (i *Intake) TakeFiles(ctx context.Context, body io.Reader) (taken int, err error) {
	if err := acquire(ctx, i.streams); err != nil {
		return 0, fmt.Errorf("take files: %w", err)
	}
	defer release(i.streams)
	frames := newStream(pack.BlobKind, nil, body)
	for {
		batch, readErr := nextBatch(frames)
		if err := i.takeBatch(ctx, batch); err != nil {
			return taken, fmt.Errorf("take files: %w", err)
		}
		for _, frame := range batch {
			taken += len(frame.Items)
		}
		switch {
		case readErr == io.EOF && len(frames.tail()) > 0:
			return taken, fmt.Errorf("take files: %w: the body ends inside a frame", io.ErrUnexpectedEOF)
		case readErr == io.EOF:
			return taken, nil
		case readErr != nil:
			return taken, fmt.Errorf("take files: %w", readErr)
		}
	}
}

// nextBatch gathers frames that may share a sync. The error, if any, is what comes after them.
func nextBatch(frames *stream) (batch []pack.Frame, err error) {
	for size := 0; size < batchBytes && len(batch) < batchFrames; {
		frame, err := frames.next()
		if err != nil {
			return batch, err
		}
		frames.done(frame)
		frames.renew()
		batch = append(batch, frame)
		size += max(len(frame.Data), len(frame.Encoded()))
	}
	return batch, nil
}

// takeBatch stores what came whole, even if the client has gone meanwhile: it would have to be sent again.
func (i *Intake) takeBatch(ctx context.Context, batch []pack.Frame) error {
	if len(batch) == 0 {
		return nil
	}
	for _, frame := range batch {
		blobs := make([]cas.Blob, len(frame.Items))
		for at, item := range frame.Items {
			blobs[at] = cas.Blob{Digest: cas.DigestFromBytes(item.ID), Size: int64(item.Length)}
		}
		i.lease(blobs...)
	}
	return i.depot.PutFrames(context.WithoutCancel(ctx), batch)
}

func acquire(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func release(slots chan struct{}) { <-slots }
