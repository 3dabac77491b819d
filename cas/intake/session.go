package intake

import (
	"context"
	"errors"
	"fmt"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// SessionID names an upload session. It follows from the recipe, so that it is the same for everybody who brings that
// recipe, and after a restart. The zero value names none.
type SessionID struct{ recipe chunk.ID }

// ParseSessionID reads what [SessionID.String] gave; anything else is [ErrBadSessionID].
func ParseSessionID(text string) (SessionID, error) {
	id, err := chunk.ParseID(text)
	if err != nil {
		return SessionID{}, fmt.Errorf("%w: %w", ErrBadSessionID, err)
	}
	return SessionID{recipe: id}, nil
}

// String gives 64 lower-case hex digits.
func (id SessionID) String() string { return id.recipe.String() }

// Session is the state of an upload at one moment.
type Session struct {
	ID      SessionID
	Blob    cas.Blob         // that the recipe makes
	Stored  bool             // the store has the blob: there is nothing to send or to commit
	Lacking []bool           // the chunks to send, in the order of chunk.Recipe.Chunks; empty if Stored
	Lanes   map[string]int64 // for each lane the offset in bytes at which it goes on
}

// Begin opens the session of an encoded recipe, or gives the one that is open. The recipe is itself the question which
// of its chunks the store lacks. It may be encoded as a delta.
//
// Errors: chunk.ErrBadRecipe, [ErrUnknownBase], [ErrTooLarge], [ErrTooMany], [ErrOtherRecipe], cas.ErrNoSpace.
func (i *Intake) Begin(ctx context.Context, encoded []byte) (Session, error) {
	recipe, err := i.decode(ctx, encoded)
	if err != nil {
		return Session{}, fmt.Errorf("begin an upload: %w", err)
	}
	session, err := i.begin(ctx, recipe)
	if err != nil {
		return Session{}, fmt.Errorf("begin the upload of %v: %w", recipe.Blob(), err)
	}
	return session, nil
}

// Ask tells what [Intake.Begin] would, and begins nothing. Work of an earlier process that nobody has taken up counts as
// lacking.
func (i *Intake) Ask(ctx context.Context, encoded []byte) (Session, error) {
	recipe, err := i.decode(ctx, encoded)
	if err != nil {
		return Session{}, fmt.Errorf("ask what an upload would lack: %w", err)
	}
	session, err := i.ask(ctx, recipe)
	if err != nil {
		return Session{}, fmt.Errorf("ask what the upload of %v would lack: %w", recipe.Blob(), err)
	}
	return session, nil
}

func (i *Intake) ask(ctx context.Context, recipe chunk.Recipe) (Session, error) {
	if err := i.bounded(recipe); err != nil {
		return Session{}, err
	}
	asked := Session{ID: SessionID{recipe: recipe.ID()}, Blob: recipe.Blob()}
	var err error
	if asked.Stored, err = i.stored(ctx, asked.Blob); asked.Stored || err != nil {
		return asked, err
	}
	open, err := i.Session(ctx, asked.ID)
	if err == nil && !open.Stored {
		return open, nil
	}
	if err != nil && !errors.Is(err, ErrNoSession) {
		return Session{}, err
	}
	asked.Lacking, err = i.depot.LackingChunks(ctx, recipe)
	return asked, err
}

// bounded refuses a recipe of too many chunks.
func (i *Intake) bounded(recipe chunk.Recipe) error {
	if recipe.Len() > i.config.MaxChunks {
		return fmt.Errorf("%w: %d chunks, where %d are the most; upload the blob whole", ErrTooLarge, recipe.Len(), i.config.MaxChunks)
	}
	return nil
}

// deltaVersion is the first byte of a delta; see package chunk.
const deltaVersion = 0x81

func (i *Intake) decode(ctx context.Context, encoded []byte) (chunk.Recipe, error) {
	if len(encoded) > maxRecipe {
		return chunk.Recipe{}, fmt.Errorf("%w: a recipe of %d bytes, where %d are the most", ErrTooLarge, len(encoded), maxRecipe)
	}
	if err := acquire(ctx, i.decoders); err != nil {
		return chunk.Recipe{}, err
	}
	defer release(i.decoders)
	if len(encoded) == 0 || encoded[0] != deltaVersion {
		return chunk.DecodeRecipe(encoded)
	}
	id, err := chunk.DeltaBase(encoded)
	if err != nil {
		return chunk.Recipe{}, err
	}
	base, err := i.depot.RecipeByID(ctx, id)
	if errors.Is(err, cas.ErrNotFound) {
		return chunk.Recipe{}, fmt.Errorf("%w: %v", ErrUnknownBase, id)
	}
	if err != nil {
		return chunk.Recipe{}, err
	}
	return chunk.DecodeDelta(encoded, base)
}

// errAgain: the table has changed meanwhile; look at everything anew.
var errAgain = errors.New("look again")

func (i *Intake) begin(ctx context.Context, recipe chunk.Recipe) (Session, error) {
	id := SessionID{recipe: recipe.ID()}
	if err := i.bounded(recipe); err != nil {
		return Session{}, err
	}
	for {
		stored, err := i.stored(ctx, recipe.Blob())
		if err != nil {
			return Session{}, err
		}
		if stored {
			return i.alreadyStored(id, recipe.Blob()), nil
		}
		session, err := i.findOrOpen(ctx, id, recipe)
		if errors.Is(err, ErrNoSession) || errors.Is(err, errAgain) {
			continue
		}
		return session, err
	}
}

func (i *Intake) alreadyStored(id SessionID, blob cas.Blob) Session {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.table.end(id, blob)
	return Session{ID: id, Blob: blob, Stored: true}
}

// findOrOpen gives the session with that id and makes it if need be. After [ErrNoSession] and errAgain the caller looks
// again whether the blob is stored.
func (i *Intake) findOrOpen(ctx context.Context, id SessionID, recipe chunk.Recipe) (Session, error) {
	s, err := i.find(ctx, id)
	if err == nil {
		s.touched = i.config.Clock.Elapsed()
		i.mu.Unlock()
		return i.describe(ctx, s)
	}
	if !errors.Is(err, ErrNoSession) {
		return Session{}, err
	}
	s, err = i.place(ctx, id, recipe)
	if err != nil {
		return Session{}, err
	}
	if err := i.open(s, recipe); err != nil {
		return Session{}, err
	}
	return i.describe(ctx, s)
}

// open takes the work of an earlier process up, if there is any. That may mean to hash all of it, and goes on when the
// client loses patience: it finds the session open when it comes back.
func (i *Intake) open(s *session, recipe chunk.Recipe) (err error) {
	opened := false
	defer func() { i.release(s, !opened) }()
	s.assembly, err = i.depot.assemble(i.life, recipe)
	opened = err == nil
	return err
}

// place makes room for a new session and gives it, held by the caller. When it had to wait for room, or to make it, that
// is errAgain.
func (i *Intake) place(ctx context.Context, id SessionID, recipe chunk.Recipe) (*session, error) {
	i.mu.Lock()
	now := i.config.Clock.Elapsed()
	other, err := i.table.inTheWay(now, i.config, recipe)
	if other == nil && err == nil {
		defer i.mu.Unlock()
		return i.table.open(id, recipe, now), nil
	}
	if err != nil {
		i.mu.Unlock()
		return nil, err
	}
	if held := other.held; held != nil {
		i.mu.Unlock()
		return nil, errOr(wait(ctx, held), errAgain)
	}
	other.seize()
	i.mu.Unlock()
	i.discard(other)
	return nil, errAgain
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// describe gives the state of an open session.
func (i *Intake) describe(ctx context.Context, s *session) (Session, error) {
	if err := i.use(ctx, s); err != nil {
		return Session{}, err
	}
	lacking := s.assembly.Lacking()
	lanes := make(map[string]int64)
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, l := range s.lanes {
		lanes[name] = l.next()
	}
	s.leave()
	return Session{ID: s.id, Blob: s.blob, Lacking: lacking, Lanes: lanes}, nil
}

// Session gives the state of an open session, or of one that ended with the blob stored; else [ErrNoSession].
func (i *Intake) Session(ctx context.Context, id SessionID) (Session, error) {
	s, err := i.find(ctx, id)
	if err == nil {
		i.mu.Unlock()
		var session Session
		if session, err = i.describe(ctx, s); err == nil {
			return session, nil
		}
	}
	if blob, ended := i.hasEnded(id); ended && errors.Is(err, ErrNoSession) {
		return Session{ID: id, Blob: blob, Stored: true}, nil
	}
	return Session{}, fmt.Errorf("look at upload %v: %w", id, err)
}

func (i *Intake) hasEnded(id SessionID) (cas.Blob, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	blob, ended := i.table.ended[id]
	return blob, ended
}

// Commit makes the blob whole, durable and visible. Committing again, or at the same time as somebody else, is fine.
//
// Errors: *[IncompleteError]; cas.ErrDigestMismatch if all chunks came and do not make the blob, so that the recipe
// lied: nothing is left of the session then; [ErrNoSession]; and what the store says, cas.ErrNoSpace above all: then what
// came is kept, and the session is to be begun again.
func (i *Intake) Commit(ctx context.Context, id SessionID) error {
	s, err := i.hold(ctx, id)
	if errors.Is(err, ErrNoSession) {
		if _, ended := i.hasEnded(id); ended {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("commit upload %v: %w", id, err)
	}
	if err := i.finish(s); err != nil {
		return fmt.Errorf("commit the upload of %v: %w", s.blob, err)
	}
	return nil
}

// finish commits a session that the caller holds, and lets go of it. It goes on when the client loses patience: to hash a
// large blob takes long, and would have to be done again.
func (i *Intake) finish(s *session) error {
	becomes := leftOver // also if the store panics
	defer func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.table.settle(s, becomes, i.config.Clock.Elapsed())
	}()
	if lacking := s.assembly.Lacking(); count(lacking) > 0 {
		becomes = stayOpen
		return &IncompleteError{Lacking: lacking}
	}
	i.lease(s.blob)
	err := s.assembly.Commit(i.life)
	if err == nil {
		becomes = ended
		return nil
	}
	if errors.Is(err, cas.ErrDigestMismatch) {
		becomes = gone
		return err
	}
	if lacking := s.assembly.Lacking(); count(lacking) > 0 { // the seed of a chunk turned out to be damaged
		becomes = stayOpen
		return &IncompleteError{Lacking: lacking}
	}
	return errors.Join(err, s.assembly.Close())
}

// Cancel ends the session for everybody and removes what came. While somebody is sending, it is [ErrLaneBusy].
// Cancelling a session whose blob is stored does nothing.
func (i *Intake) Cancel(ctx context.Context, id SessionID) error {
	s, err := i.holdUnlessBusy(ctx, id)
	if errors.Is(err, ErrNoSession) {
		if _, ended := i.hasEnded(id); ended {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("cancel upload %v: %w", id, err)
	}
	i.discard(s)
	return nil
}
