package transfer

import (
	"bytes"
	"context"
	"errors"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/intake"
)

// Local sends into a store of this process.
func Local(to *intake.Intake) Remote { return local{to} }

type local struct{ to *intake.Intake }

func (l local) Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	return l.to.Lacking(ctx, blobs)
}

func (l local) SendFiles(ctx context.Context, frames []byte) error {
	_, err := l.to.TakeFiles(ctx, bytes.NewReader(frames))
	return err
}

func (l local) Begin(ctx context.Context, encoded []byte) (Session, error) {
	session, err := l.to.Begin(ctx, encoded)
	return sessionOf(session), meaning(err)
}

func (l local) Ask(ctx context.Context, encoded []byte) (Session, error) {
	session, err := l.to.Ask(ctx, encoded)
	return sessionOf(session), meaning(err)
}

func (l local) Append(ctx context.Context, id, lane string, offset int64, frames []byte) (int64, error) {
	session, err := intake.ParseSessionID(id)
	if err != nil {
		return 0, err
	}
	next, err := l.to.Append(ctx, session, lane, offset, bytes.NewReader(frames))
	return next, meaning(err)
}

func (l local) Session(ctx context.Context, id string) (Session, error) {
	parsed, err := intake.ParseSessionID(id)
	if err != nil {
		return Session{}, err
	}
	session, err := l.to.Session(ctx, parsed)
	return sessionOf(session), meaning(err)
}

func (l local) Commit(ctx context.Context, id string) ([]bool, error) {
	session, err := intake.ParseSessionID(id)
	if err != nil {
		return nil, err
	}
	err = l.to.Commit(ctx, session)
	var incomplete *intake.IncompleteError
	if errors.As(err, &incomplete) {
		return incomplete.Lacking, nil
	}
	return nil, meaning(err)
}

func sessionOf(s intake.Session) Session {
	return Session{ID: s.ID.String(), Blob: s.Blob, Stored: s.Stored, Lacking: s.Lacking, Lanes: s.Lanes}
}

// meant is an error of the intake with what it means to a sender. Its text is the intake's.
type meant struct {
	error
	means error
}

func (m meant) Unwrap() []error { return []error{m.error, m.means} }

func meaning(err error) error {
	var offset *intake.OffsetError
	switch {
	case errors.Is(err, intake.ErrUnknownBase):
		return meant{err, ErrUnknownBase}
	case errors.Is(err, intake.ErrNoSession):
		return meant{err, ErrNoSession}
	case errors.Is(err, intake.ErrLaneBusy):
		return meant{err, ErrLaneBusy}
	case errors.As(err, &offset):
		return meant{err, ErrOffset}
	case errors.Is(err, intake.ErrTooMany), errors.Is(err, intake.ErrOtherRecipe):
		return meant{err, ErrUnavailable}
	default:
		return err
	}
}

// ChunkStater is a store of this process that can be asked.
type ChunkStater interface {
	cas.Stater
	// LackingChunks tells for each chunk of a recipe, in the order of its Chunks, whether the store lacks it.
	LackingChunks(ctx context.Context, recipe chunk.Recipe) ([]bool, error)
}

// In asks a store of this process, for [Plan]; it need not be open for writing.
func In(s ChunkStater) ChunkAsker { return held{s} }

type held struct{ ChunkStater }

func (h held) Ask(ctx context.Context, encoded []byte) (Session, error) {
	if _, err := chunk.DeltaBase(encoded); err == nil {
		return Session{}, ErrUnknownBase // The recipe in full travels nowhere.
	}
	recipe, err := chunk.DecodeRecipe(encoded)
	if err != nil {
		return Session{}, err
	}
	lacking, err := h.LackingChunks(ctx, recipe)
	return Session{Blob: recipe.Blob(), Lacking: lacking}, err
}

func (h held) Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	have := make(map[cas.Blob]bool, len(blobs))
	err := h.Stat(ctx, blobs, func(b cas.Blob) error { have[b] = true; return nil })
	lacking := make([]bool, len(blobs))
	for i, b := range blobs {
		lacking[i] = !have[b]
	}
	return lacking, err
}
