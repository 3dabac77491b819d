package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"hayloft/cas/pack"
)

// Append takes bytes of a lane: frames of chunks, one after the other, cut anywhere. offset says how many bytes of the
// lane came before; next says how many have come now, whatever err is. A lane begins at offset 0, at its first use.
//
// A lane has one writer at a time, and belongs to whoever knows the frame in which it stands: senders choose names at
// random, so that two never meet. A lane that nobody used for long may be forgotten, and then begins at 0 again.
//
// A body that ends inside a frame is no error; one that breaks off is the error that it gave. A frame that is wrong, or
// could not be written, is not taken, and the lane goes on where it began. Errors: *[OffsetError], [ErrLaneBusy],
// [ErrBadLane], [ErrNoSession], pack.ErrBadFrame, pack.ErrWrongID, those of the store, cas.ErrNoSpace among them.
func (i *Intake) Append(ctx context.Context, id SessionID, lane string, offset int64, body io.Reader) (next int64, err error) {
	if !isLaneName(lane) {
		return 0, fmt.Errorf("append to a lane of upload %v: %w", id, ErrBadLane)
	}
	s, l, next, err := i.takeLane(ctx, id, lane, offset)
	if err == nil {
		next, err = i.write(ctx, s, l, body)
	}
	if err != nil {
		return next, fmt.Errorf("append to lane %q of upload %v: %w", lane, id, err)
	}
	return next, nil
}

func isLaneName(name string) bool {
	if len(name) < 1 || len(name) > 64 {
		return false
	}
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// takeLane makes the caller the one writer of a lane. After an error want is the offset at which the lane goes on, as
// far as that is known.
func (i *Intake) takeLane(ctx context.Context, id SessionID, name string, offset int64) (s *session, l *lane, want int64, err error) {
	if s, err = i.find(ctx, id); err != nil {
		return nil, nil, 0, err
	}
	defer i.mu.Unlock()
	if l = s.lanes[name]; l != nil {
		if want = l.next(); l.busy {
			return nil, nil, want, ErrLaneBusy
		}
	}
	if offset != want {
		return nil, nil, want, &OffsetError{Lane: name, Want: want}
	}
	if l == nil {
		if !i.table.roomForLane(s) {
			return nil, nil, 0, ErrLaneBusy
		}
		l = new(lane)
		s.lanes[name] = l
	}
	l.busy = true
	return s, l, want, nil
}

// roomForLane forgets the lane that was used least of late, if the session has no room for another.
func (t *table) roomForLane(s *session) bool {
	if len(s.lanes) < maxLanes {
		return true
	}
	var oldest string
	for name, l := range s.lanes {
		if !l.busy && (oldest == "" || l.used < s.lanes[oldest].used) {
			oldest = name
		}
	}
	if oldest == "" {
		return false
	}
	t.setTail(s.lanes[oldest], nil)
	delete(s.lanes, oldest)
	return true
}

// write takes what body gives. The lane is free afterwards, even if body panics.
func (i *Intake) write(ctx context.Context, s *session, l *lane, body io.Reader) (next int64, err error) {
	var kept []byte
	defer func() { next = i.giveLane(s, l, kept) }()
	if err := acquire(ctx, i.streams); err != nil {
		kept = l.tail
		return 0, err
	}
	defer release(i.streams)
	frames := newStream(pack.ChunkKind, i.takeTail(l), body)
	for {
		frame, err := frames.next()
		if err != nil {
			kept = bytes.Clone(frames.tail())
			if err == io.EOF {
				return 0, nil
			}
			return 0, err
		}
		if err := i.put(ctx, s, l, frame); err != nil {
			return 0, err
		}
		frames.done(frame)
	}
}

// put writes one frame. It came whole, so that it is written even if the client has gone meanwhile.
func (i *Intake) put(ctx context.Context, s *session, l *lane, frame pack.Frame) error {
	if err := i.use(ctx, s); err != nil {
		return err
	}
	taken := 0
	defer func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		s.leave()
		if taken > 0 {
			s.touched = i.config.Clock.Elapsed()
			l.border += int64(taken)
		}
	}()
	if err := s.assembly.Put(context.WithoutCancel(ctx), frame); err != nil {
		return err
	}
	taken = len(frame.Encoded())
	return nil
}

// takeTail moves the tail of a lane to its writer.
func (i *Intake) takeTail(l *lane) []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	tail := l.tail
	i.table.setTail(l, nil)
	return tail
}

// giveLane ends the writing of a lane and gives the offset at which it goes on. Without room for the tail that is the
// border of the last frame.
func (i *Intake) giveLane(s *session, l *lane, tail []byte) (next int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	l.busy = false
	l.used = i.config.Clock.Elapsed()
	if s.gone || i.table.tails-len(l.tail)+len(tail) > i.config.MaxTails {
		tail = nil
	}
	i.table.setTail(l, tail)
	return l.next()
}
