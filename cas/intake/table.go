package intake

import (
	"context"
	"time"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// table is what the intake knows of sessions. A session comes and goes like this; what is not in the table is "none":
//
//	state      who uses it                      ends by
//	none       nobody                           Begin -> held (opening)
//	left over  nobody: what an earlier process  Begin -> held (opening); idle, or its place is needed -> none
//	           or a failure left on disk
//	open       Append, Session: many at once    Commit, Cancel, idle, its place is needed -> held
//	held       one: opening, committing,        opening: open, or none on failure; committing: ended, open if chunks are
//	           removing; others wait            lacking, none if the recipe lied, left over if the store failed;
//	                                            removing: none
//	ended      nobody: its blob is stored       Begin, if the blob is gone -> held (opening); forgotten for newer ones
//
// Waiting is done without the lock: for held to be closed, or for the last user to leave.
type table struct {
	closed   bool
	sessions map[SessionID]*session  // open or held, those alone that have a recipe
	blobs    map[cas.Digest]*session // the same ones by their blob, and what is left over
	ended    map[SessionID]cas.Blob
	oldest   []SessionID // of ended, oldest first
	chunks   int         // in the recipes of sessions
	tails    int         // bytes in the tails of all lanes
}

func newTable() table {
	return table{
		sessions: make(map[SessionID]*session),
		blobs:    make(map[cas.Digest]*session),
		ended:    make(map[SessionID]cas.Blob),
	}
}

// session is one row. Its fields belong to the intake's lock, but for those that never change and for the assembly, which
// belongs to users and to the holder.
type session struct {
	id       SessionID // zero for what is left over
	blob     cas.Blob
	chunks   int
	assembly Assembly

	touched time.Duration // by the clock, when something came
	users   int
	held    chan struct{} // not nil while somebody holds the session; closed when he lets go
	unused  chan struct{} // not nil while the holder waits for the last user; closed when he leaves
	gone    bool          // it is not in the table any more
	lanes   map[string]*lane
}

// lane is one stream of frames into a session.
type lane struct {
	busy   bool
	border int64  // offset in bytes after the last whole frame
	tail   []byte // what came after it
	used   time.Duration
}

func (l *lane) next() int64 { return l.border + int64(len(l.tail)) }

// add puts a session into the table, held by the caller.
func (t *table) add(s *session) {
	s.held = make(chan struct{})
	t.sessions[s.id] = s
	t.blobs[s.blob.Digest] = s
	t.chunks += s.chunks
}

// remove takes a session out of the table, or what is left over.
func (t *table) remove(s *session) {
	if s.gone {
		return
	}
	s.gone = true
	for _, l := range s.lanes {
		t.setTail(l, nil)
	}
	if t.sessions[s.id] == s {
		delete(t.sessions, s.id)
		t.chunks -= s.chunks
	}
	if t.blobs[s.blob.Digest] == s {
		delete(t.blobs, s.blob.Digest)
	}
}

// fate is what becomes of a session after the attempt to commit it.
type fate int

const (
	leftOver fate = iota // what came stays on disk
	stayOpen             // more chunks are wanted
	ended                // the blob is stored
	gone                 // nothing is left
)

// settle lets go of a session that was held to be committed.
func (t *table) settle(s *session, f fate, now time.Duration) {
	s.touched = now
	if f != stayOpen {
		t.remove(s)
	}
	switch f {
	case leftOver:
		t.noteLeft(s.blob, now)
	case ended:
		t.end(s.id, s.blob)
	case stayOpen, gone:
	}
	s.letGo()
}

// noteLeft adds what no session works on.
func (t *table) noteLeft(blob cas.Blob, now time.Duration) {
	if t.blobs[blob.Digest] == nil {
		t.blobs[blob.Digest] = &session{blob: blob, touched: now}
	}
}

// end remembers that the blob of a session is stored.
func (t *table) end(id SessionID, blob cas.Blob) {
	if _, known := t.ended[id]; known {
		return
	}
	if len(t.oldest) >= maxEnded {
		delete(t.ended, t.oldest[0])
		t.oldest = append(t.oldest[:0], t.oldest[1:]...)
	}
	t.ended[id] = blob
	t.oldest = append(t.oldest, id)
}

// open puts the session of a recipe into the table, held by the caller. What is left over of its blob is taken up.
func (t *table) open(id SessionID, recipe chunk.Recipe, now time.Duration) *session {
	if left := t.blobs[recipe.Blob().Digest]; left != nil {
		t.remove(left)
	}
	delete(t.ended, id)
	s := &session{id: id, blob: recipe.Blob(), chunks: recipe.Len(), touched: now, lanes: make(map[string]*lane)}
	t.add(s)
	return s
}

// inTheWay gives the session that must be waited for, if it is held, or else must go, before there is room for the
// session of a recipe.
func (t *table) inTheWay(now time.Duration, c Config, recipe chunk.Recipe) (*session, error) {
	if t.closed {
		return nil, cas.ErrClosed
	}
	places := len(t.blobs) + 1
	if other := t.blobs[recipe.Blob().Digest]; other != nil {
		if other.held != nil || other.assembly != nil && other.removable(now, c.GiveWay) {
			return other, nil
		}
		if other.assembly != nil {
			return nil, ErrOtherRecipe
		}
		places-- // what is left over gives its place
	}
	short := t.chunks+recipe.Len() > c.MaxChunks
	if places <= c.MaxSessions && !short {
		return nil, nil
	}
	other := t.victim(func(s *session) bool { return s.removable(now, c.GiveWay) && (!short || s.chunks > 0) })
	if other == nil {
		return nil, ErrTooMany
	}
	return other, nil
}

// setTail replaces the tail of a lane in the account of all tails.
func (t *table) setTail(l *lane, tail []byte) {
	t.tails += len(tail) - len(l.tail)
	l.tail = tail
}

// letGo ends the holding of a session.
func (s *session) letGo() {
	close(s.held)
	s.held = nil
}

// find gives the open session, and waits while somebody holds it. It returns with the lock, unless err is not nil.
func (i *Intake) find(ctx context.Context, id SessionID) (*session, error) {
	for {
		i.mu.Lock()
		if i.table.closed {
			i.mu.Unlock()
			return nil, cas.ErrClosed
		}
		s := i.table.sessions[id]
		if s == nil {
			i.mu.Unlock()
			return nil, ErrNoSession
		}
		held := s.held
		if held == nil {
			return s, nil
		}
		i.mu.Unlock()
		if err := wait(ctx, held); err != nil {
			return nil, err
		}
	}
}

// use joins the users of a session. Every use ends with a leave.
func (i *Intake) use(ctx context.Context, s *session) error {
	now, err := i.find(ctx, s.id)
	if err != nil {
		return err
	}
	defer i.mu.Unlock()
	if now != s { // it has ended and been begun anew
		return ErrNoSession
	}
	s.users++
	return nil
}

// leave ends a use. The caller has the lock.
func (s *session) leave() {
	if s.users--; s.users == 0 && s.unused != nil {
		close(s.unused)
		s.unused = nil
	}
}

// hold makes the caller the only one who works on a session. Every hold ends with a release.
func (i *Intake) hold(ctx context.Context, id SessionID) (*session, error) {
	s, err := i.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return s, i.waitUnused(ctx, s)
}

// holdUnlessBusy is hold, but refuses with [ErrLaneBusy] while somebody sends.
func (i *Intake) holdUnlessBusy(ctx context.Context, id SessionID) (*session, error) {
	s, err := i.find(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, l := range s.lanes {
		if l.busy {
			i.mu.Unlock()
			return nil, ErrLaneBusy
		}
	}
	return s, i.waitUnused(ctx, s)
}

// waitUnused takes hold of a session, gives back the lock and waits until the last user has left. After an error the
// session is not held.
func (i *Intake) waitUnused(ctx context.Context, s *session) error {
	unused := s.seize()
	i.mu.Unlock()
	if unused == nil {
		return nil
	}
	if err := wait(ctx, unused); err != nil {
		i.mu.Lock()
		s.unused = nil
		i.mu.Unlock()
		i.release(s, false)
		return err
	}
	return nil
}

// seize takes hold under the lock. If the result is not nil, the caller works on nothing before it is closed.
func (s *session) seize() (unused chan struct{}) {
	s.held = make(chan struct{})
	if s.users > 0 {
		s.unused = make(chan struct{})
	}
	return s.unused
}

// release lets go of a session, and takes it out of the table if it is gone for good.
func (i *Intake) release(s *session, gone bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if gone {
		i.table.remove(s)
	}
	s.letGo()
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// idle tells for how long nothing has come.
func (s *session) idle(now time.Duration) time.Duration { return now - s.touched }

// victim finds the session in which nothing has come for longest, among those that may go; nil if none may.
func (t *table) victim(mayGo func(*session) bool) (oldest *session) {
	for _, s := range t.blobs {
		if mayGo(s) && (oldest == nil || s.touched < oldest.touched) {
			oldest = s
		}
	}
	return oldest
}

// removable tells whether nobody works on a session and nothing has come for so long.
func (s *session) removable(now, age time.Duration) bool {
	return s.held == nil && s.users == 0 && s.idle(now) >= age
}
