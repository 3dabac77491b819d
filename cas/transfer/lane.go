package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// chunksBody bounds the bytes of one request with chunks.
const chunksBody = 4 << 20

// piece is a chunk to send, and where its bytes are in the file.
type piece struct {
	chunk.Chunk
	ranges []chunk.Range
}

// load is what one request carries.
type load struct {
	pieces []piece
	size   int64 // bytes of the body, at most
	fills  int64 // bytes of the file that they make: a chunk may stand in it more than once
}

// todo groups the chunks that the session lacks into loads, in the order of the recipe, so that neighbours in the file
// and in the literal stream travel together. A chunk that stands in the file more than once travels once.
func (u *upload) todo() []*load {
	var loads []*load
	carried := make(map[chunk.ID]*load)
	at := -1
	for c, ranges := range u.recipe.Chunks() {
		if at++; !u.session.Lacking[at] {
			continue
		}
		if l := carried[c.ID]; l != nil {
			l.fills += int64(c.Length)
			continue
		}
		size := int64(c.Length) + itemSize
		if len(loads) == 0 || loads[len(loads)-1].size+size > chunksBody {
			loads = append(loads, &load{})
		}
		l := loads[len(loads)-1]
		l.pieces = append(l.pieces, piece{c, slices.Clone(ranges)})
		l.size, l.fills = l.size+size, l.fills+int64(c.Length)
		carried[c.ID] = l
	}
	return loads
}

// lane is one stream of frames of an upload. Its loads end where frames end.
type lane struct {
	*upload
	name   string
	offset int64 // bytes that the store took
}

// carry sends one load and, when the connection breaks, what the store has not taken of it. It is [ErrNoSession] if
// the lane does not go on there.
func (l *lane) carry(ctx context.Context, load *load) error {
	body, err := l.takeBody(ctx, load.size)
	if err != nil {
		return err
	}
	defer l.giveBody(body)
	if body.bytes, err = l.appendChunks(body.bytes, load); err != nil {
		return err
	}
	start := l.offset
	end, furthest := start+int64(len(body.bytes)), start
	for attempt := 0; l.offset < end; {
		failed := body.note(l.send(ctx, body.bytes[l.offset-start:]))
		if failed == nil {
			break
		}
		if !passes(failed) {
			return l.refused(load, failed)
		}
		if err := l.pause(ctx, attempt, failed); err != nil {
			return err
		}
		at, err := l.stands(ctx)
		switch {
		case err != nil:
			return err
		case at < start || at > end:
			return fmt.Errorf("lane %s stands at %d, not between %d and %d: %w", l.name, at, start, end, ErrNoSession)
		case at > furthest:
			furthest, attempt = at, 0
		default:
			attempt++
		}
		l.count(at)
	}
	return nil
}

// send sends bytes to where the lane stands. Without an error it stands after them.
func (l *lane) send(ctx context.Context, frames []byte) error {
	next, err := l.to.Append(ctx, l.session.ID, l.name, l.offset, frames)
	if err != nil {
		return fmt.Errorf("append at byte %d of lane %s: %w", l.offset, l.name, err)
	}
	if next != l.offset+int64(len(frames)) {
		return fmt.Errorf("append at byte %d of lane %s: %w: %d", l.offset, l.name, ErrOffset, next)
	}
	l.count(next)
	return nil
}

// stands asks where the lane goes on.
func (l *lane) stands(ctx context.Context) (int64, error) {
	var session Session
	err := l.retry(ctx, func() (err error) {
		session, err = l.to.Session(ctx, l.session.ID)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ask where lane %s goes on: %w", l.name, err)
	}
	return session.Lanes[l.name], nil
}

// count notes where the lane stands, and that the bytes up to there travelled. It may have gone back to the border of a
// frame; what travelled then did so.
func (l *lane) count(at int64) {
	if at > l.offset {
		l.ledger.travel(int(at - l.offset))
	}
	l.offset = at
}

// appendChunks reads chunks and appends frames of them.
func (u *upload) appendChunks(b []byte, load *load) ([]byte, error) {
	f := newFramer(b, pack.ChunkKind)
	defer f.free()
	for _, p := range load.pieces {
		err := f.add(pack.Item{ID: p.ID.Bytes(), Length: p.Length}, func(data []byte) error { return u.read(p, data) })
		if err != nil {
			return b, err
		}
	}
	return f.finish(), nil
}

// read fills data with the bytes of a piece.
func (u *upload) read(p piece, data []byte) error {
	for _, r := range p.ranges {
		if err := readAt(u.file, data[:r.Length], r.Offset); err != nil {
			return err
		}
		data = data[r.Length:]
	}
	return nil
}

// refused finds out why the store did not take chunks, as [Sender.refused] does.
func (u *upload) refused(load *load, err error) error {
	if errors.Is(err, ErrNoSession) || u.ctx.Err() != nil {
		return err
	}
	for _, p := range load.pieces {
		data := make([]byte, p.Length)
		if readErr := u.read(p, data); readErr != nil {
			return readErr
		}
		if chunk.Sum(data) != p.ID {
			return fmt.Errorf("%w; send it again (%w)", ErrChanged, err)
		}
	}
	return err
}
