package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// maxLanes is how many lanes a store takes for one session.
const maxLanes = 16

func (s *Sender) sendLarge() error {
	for o := range s.large {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		if err := s.sendOne(o); err != nil {
			return fmt.Errorf("send %s: %w", o.Name, err)
		}
		s.ledger.send([]cas.Blob{o.Blob}, o.Blob.Size)
		s.room.Release(o.weight)
	}
	return nil
}

func (s *Sender) sendOne(o *offer) error {
	file, err := o.Open()
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	u := &upload{Sender: s, source: o.Source, file: file}
	if u.recipe, err = cutOnce(s.ctx, o.Source, file); err != nil {
		return err
	}
	if err := u.run(s.ctx); err != nil {
		return err
	}
	u.arrived(o.Blob.Size)
	return nil
}

// cutOnce gives the recipe of a source, and makes it if nobody has yet.
func cutOnce(ctx context.Context, source Source, file File) (chunk.Recipe, error) {
	recipe := source.Recipe
	if recipe.Blob() == (cas.Blob{}) {
		var err error
		recipe, err = chunk.Split(ctx, file, source.Blob.Size, func(chunk.Piece) error { return nil })
		if errors.Is(err, cas.ErrSizeMismatch) || err == nil && recipe.Blob() != source.Blob {
			return chunk.Recipe{}, fmt.Errorf("%w; send it again", ErrChanged)
		}
		return recipe, err
	}
	if recipe.Blob() != source.Blob {
		return chunk.Recipe{}, fmt.Errorf("the recipe makes %s, not %s", recipe.Blob(), source.Blob)
	}
	return recipe, nil
}

// upload sends one large blob.
type upload struct {
	*Sender
	source  Source
	recipe  chunk.Recipe
	file    File
	session Session
	lanes   []*lane      // of this session, begun by this upload
	names   int          // lanes that were named
	most    atomic.Int64 // bytes that are known to have arrived
}

// run begins the session, sends what it lacks, and commits, until the blob is stored. A session that was lost is begun
// again: what arrived before is not lacking then.
func (u *upload) run(ctx context.Context) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	least := u.lackingBytes()
	u.ledger.fresh(least)
	for attempt := 0; !u.session.Stored; {
		u.arrived(u.source.Blob.Size - u.lackingBytes())
		failed, err := u.round(ctx)
		if failed == nil || err != nil {
			return err
		}
		if left := u.lackingBytes(); left < least {
			least, attempt = left, 0
			continue
		}
		if err := u.pause(ctx, attempt, failed); err != nil {
			return err
		}
		attempt++
	}
	return nil
}

// errStillLacking: the store found chunks that it had wanting when it put the blob together.
var errStillLacking = errors.New("the store goes on to lack chunks")

// round sends once what the session lacks and commits. Then failed says why there must be another round, for which the
// session is ready; nil: the blob is stored.
func (u *upload) round(ctx context.Context) (failed, err error) {
	err = u.sendChunks(ctx)
	if err == nil {
		var lacking []bool
		if lacking, err = u.commit(ctx); err == nil && lacking != nil {
			u.session.Lacking = lacking
			return errStillLacking, u.session.check(u.recipe)
		}
	}
	if !errors.Is(err, ErrNoSession) {
		return nil, err
	}
	return err, u.begin(ctx)
}

// begin opens the session.
func (u *upload) begin(ctx context.Context) error {
	var session Session
	err := announce(u.recipe, u.source.Base, func(encoded []byte) (err error) {
		session, err = u.beginWith(ctx, encoded)
		if errors.Is(err, ErrUnknownBase) {
			u.source.Base = chunk.Recipe{} // not worth another try
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("begin an upload: %w", err)
	}
	u.session, u.lanes = session, nil
	return session.check(u.recipe)
}

func (u *upload) beginWith(ctx context.Context, encoded []byte) (session Session, err error) {
	err = u.retry(ctx, func() error {
		u.ledger.travel(len(encoded))
		session, err = u.to.Begin(ctx, encoded)
		return err
	})
	return session, err
}

func (u *upload) commit(ctx context.Context) (lacking []bool, err error) {
	err = u.retry(ctx, func() error {
		lacking, err = u.to.Commit(ctx, u.session.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("commit the upload: %w", err)
	}
	return lacking, nil
}

// check refuses a session that does not fit the recipe.
func (s Session) check(recipe chunk.Recipe) error {
	if n := recipe.Len(); !s.Stored && len(s.Lacking) != n {
		return fmt.Errorf("the store answered for %d of %d chunks", len(s.Lacking), n)
	}
	return nil
}

// lackingBytes is how much of the blob's bytes the session lacks.
func (u *upload) lackingBytes() (n int64) {
	at := 0
	for c := range u.recipe.Chunks() {
		if !u.session.Stored && u.session.Lacking[at] {
			n += int64(c.Length)
		}
		at++
	}
	return n
}

// arrived tells that so many of the blob's bytes are known to have arrived, which may be fewer than were thought before.
func (u *upload) arrived(n int64) {
	for before := u.most.Load(); n > before; before = u.most.Load() {
		if u.most.CompareAndSwap(before, n) {
			u.ledger.move(n-before, 0)
		}
	}
}

// sendChunks sends every chunk that the session lacks, in several lanes. Each takes the next body of the file when it is
// done with one, so that none waits for another.
func (u *upload) sendChunks(ctx context.Context) error {
	todo := u.todo()
	for len(u.lanes) < min(u.options.Parallel, maxLanes, len(todo)) {
		u.lanes = append(u.lanes, &lane{upload: u, name: fmt.Sprintf("%s-%d", u.name, u.names)})
		u.names++
	}
	var next, sent atomic.Int64
	before := u.source.Blob.Size - u.lackingBytes()
	work, ctx := errgroup.WithContext(ctx)
	for _, l := range u.lanes[:min(len(u.lanes), len(todo))] {
		work.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(todo)); i = next.Add(1) - 1 {
				if err := l.carry(ctx, todo[i]); err != nil {
					return err
				}
				u.arrived(before + sent.Add(todo[i].fills))
			}
			return nil
		})
	}
	return work.Wait()
}
