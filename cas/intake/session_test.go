package intake_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"hayloft/cas"
	"hayloft/cas/intake"
)

// state is what a session can be in between two calls.
type state string

const (
	none  state = "none"  // never begun, cancelled or expired
	left  state = "left"  // on disk, from an earlier process
	empty state = "empty" // open, nothing came
	part  state = "part"  // open, some chunks came
	full  state = "full"  // open, all chunks came
	done  state = "done"  // the blob is stored
)

// step is one call, and what it means in each state: the error and the state afterwards.
type step struct {
	name string
	do   func(t *testing.T, f *farm, want file, id intake.SessionID) error
	then map[state]outcome
}

type outcome struct {
	err  error
	next state
}

var errIncomplete, errOffset = errors.New("incomplete"), errors.New("offset") // stand for the errors that are types

// transitions is the whole of the machine.
var transitions = []step{
	{"begin", doBegin, map[state]outcome{
		none: {nil, empty}, left: {nil, part}, empty: {nil, empty}, part: {nil, part}, full: {nil, full}, done: {nil, done},
	}},
	{"look", doLook, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {nil, empty}, part: {nil, part},
		full: {nil, full}, done: {nil, done},
	}},
	{"send one chunk", doSendOne, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {nil, part}, part: {nil, part},
		full: {nil, full}, done: {intake.ErrNoSession, done},
	}},
	{"send all", doSendAll, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {nil, full}, part: {nil, full},
		full: {nil, full}, done: {intake.ErrNoSession, done},
	}},
	{"send at a wrong offset", doSendWrong, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {errOffset, empty},
		part: {errOffset, part}, full: {errOffset, full}, done: {intake.ErrNoSession, done},
	}},
	{"commit", doCommit, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {errIncomplete, empty},
		part: {errIncomplete, part}, full: {nil, done}, done: {nil, done},
	}},
	{"commit on a full disk", doCommitFull, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {errIncomplete, empty},
		part: {errIncomplete, part}, full: {cas.ErrNoSpace, left}, done: {nil, done},
	}},
	{"cancel", doCancel, map[state]outcome{
		none: {intake.ErrNoSession, none}, left: {intake.ErrNoSession, left}, empty: {nil, none}, part: {nil, none},
		full: {nil, none}, done: {nil, done},
	}},
	{"expire", doExpire, map[state]outcome{
		none: {nil, none}, left: {nil, none}, empty: {nil, none}, part: {nil, none}, full: {nil, none}, done: {nil, done},
	}},
}

func doBegin(t *testing.T, f *farm, want file, _ intake.SessionID) error {
	_, err := f.Begin(t.Context(), want.encoded)
	return err
}

func doLook(t *testing.T, f *farm, _ file, id intake.SessionID) error {
	_, err := f.Session(t.Context(), id)
	return err
}

func doSendOne(t *testing.T, f *farm, want file, id intake.SessionID) error {
	_, err := f.Append(t.Context(), id, "one", 0, bytes.NewReader(want.frame(0)))
	return err
}

func doSendAll(t *testing.T, f *farm, want file, id intake.SessionID) error {
	_, err := f.Append(t.Context(), id, "all", 0, bytes.NewReader(want.lane(nil)))
	return err
}

func doSendWrong(t *testing.T, f *farm, want file, id intake.SessionID) error {
	_, err := f.Append(t.Context(), id, "wrong", 7, bytes.NewReader(want.lane(nil)))
	if errors.As(err, new(*intake.OffsetError)) {
		return errOffset
	}
	return err
}

func doCommit(t *testing.T, f *farm, _ file, id intake.SessionID) error {
	err := f.Commit(t.Context(), id)
	if errors.As(err, new(*intake.IncompleteError)) {
		return errIncomplete
	}
	return err
}

func doCommitFull(t *testing.T, f *farm, want file, id intake.SessionID) error {
	*f.full = []string{"commit"}
	defer func() { *f.full = nil }()
	return doCommit(t, f, want, id)
}

func doCancel(t *testing.T, f *farm, _ file, id intake.SessionID) error {
	return f.Cancel(t.Context(), id)
}

func doExpire(_ *testing.T, f *farm, _ file, _ intake.SessionID) error {
	f.clock.pass(time.Hour)
	return nil
}

func TestEveryTransition(t *testing.T) {
	shared := newFarm(t, intake.Config{})
	for at, from := range []state{none, left, empty, part, full, done} {
		for n, step := range transitions {
			t.Run(string(from)+"/"+step.name, func(t *testing.T) {
				f, want := shared, cut(t, noise(uint64(100+at*len(transitions)+n), 600<<10))
				if from == left {
					f = afterRestart(t, want)
				}
				id := f.bring(t, from, want)
				then, told := step.then[from]
				if !told {
					t.Fatal("the table does not say")
				}
				if err := step.do(t, f, want, id); !errors.Is(err, then.err) || (err == nil) != (then.err == nil) {
					t.Fatalf("%v instead of %v", err, then.err)
				}
				if got := stateOf(t, f, want, id); got != then.next {
					t.Fatalf("goes to %s instead of %s", got, then.next)
				}
				if err := f.Cancel(t.Context(), id); err != nil && !errors.Is(err, intake.ErrNoSession) {
					t.Fatal(err)
				}
			})
		}
	}
}

// afterRestart gives a farm in whose store an earlier process left the first chunk of a file.
func afterRestart(t *testing.T, want file) *farm {
	t.Helper()
	root := t.TempDir()
	before := start(t, root, intake.Config{})
	s := before.begin(t, want.encoded)
	before.send(t, s.ID, "before", 0, want.frame(0))
	before.stop(t)
	f := start(t, root, intake.Config{})
	t.Cleanup(func() { f.stop(t) })
	return f
}

// bring brings the session of a file into the given state.
func (f *farm) bring(t *testing.T, to state, want file) intake.SessionID {
	t.Helper()
	if to == left {
		id, err := intake.ParseSessionID(want.recipe.ID().String())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	s := f.begin(t, want.encoded)
	switch to {
	case none:
		if err := f.Cancel(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	case part:
		f.send(t, s.ID, "before", 0, want.frame(0))
	case full, done:
		f.send(t, s.ID, "before", 0, want.lane(nil))
		if to == done {
			f.commit(t, s.ID, want)
		}
	}
	return s.ID
}

// stateOf looks without changing anything.
func stateOf(t *testing.T, f *farm, want file, id intake.SessionID) state {
	t.Helper()
	s, err := f.Session(t.Context(), id)
	lacking := count(s.Lacking)
	switch {
	case errors.Is(err, intake.ErrNoSession) && slices.Contains(f.leftovers(t), want.recipe.Blob()):
		f.lacks(t, want.recipe.Blob())
		return left
	case errors.Is(err, intake.ErrNoSession):
		f.lacks(t, want.recipe.Blob())
		return none
	case err != nil:
		t.Fatal(err)
		return ""
	case s.Stored:
		f.holds(t, want.data)
		return done
	}
	f.lacks(t, want.recipe.Blob())
	switch lacking {
	case len(want.order):
		return empty
	case 0:
		return full
	default:
		return part
	}
}

func TestWhatComesKeepsASessionOpen(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	offset := int64(0)
	for at := range want.order[1:] {
		f.clock.pass(50 * time.Minute)
		b := want.frame(at)
		f.send(t, s.ID, "a", offset, b)
		offset += int64(len(b))
	}
	f.clock.pass(50 * time.Minute)
	if _, err := f.Session(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	f.clock.pass(10 * time.Minute)
	if _, err := f.Session(t.Context(), s.ID); !errors.Is(err, intake.ErrNoSession) {
		t.Fatalf("an idle session stays: %v", err)
	}
	if left := f.leftovers(t); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestASessionEndsUnderASilentClient(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	body, feed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := f.Append(t.Context(), s.ID, "a", 0, body)
		ended <- err
	}()
	stream := want.lane(nil)
	if _, err := feed.Write(stream[:10]); err != nil {
		t.Fatal(err)
	}
	f.clock.pass(time.Hour)
	if left := f.leftovers(t); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	go func() {
		_, err := feed.Write(stream[10:])
		feed.CloseWithError(err)
	}()
	err := <-ended
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, intake.ErrNoSession) {
		t.Fatalf("sending into an ended session: %v", err)
	}
}

func TestWhatARestartLeftGetsItsTime(t *testing.T) {
	want := someFile(t)
	f := afterRestart(t, want)
	f.clock.pass(59 * time.Minute)
	if left := f.leftovers(t); len(left) != 1 {
		t.Fatalf("left over: %v", left)
	}
	s := f.begin(t, want.encoded)
	if s.Lacking[0] || count(s.Lacking) != len(want.order)-1 {
		t.Fatalf("what came before the restart is lacking: %v", s.Lacking)
	}
	f.clock.pass(59 * time.Minute)
	f.send(t, s.ID, "a", 0, want.lane(s.Lacking))
	f.commit(t, s.ID, want)
}

func TestAnotherRecipeWaitsForASilentOne(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	liar := f.begin(t, rewrite(want, want.recipe.Blob(), swapped(want.order)))
	if _, err := f.Begin(t.Context(), want.encoded); !errors.Is(err, intake.ErrOtherRecipe) {
		t.Fatalf("two recipes for one blob: %v", err)
	}
	f.clock.set(time.Minute)
	s := f.begin(t, want.encoded)
	if _, err := f.Session(t.Context(), liar.ID); !errors.Is(err, intake.ErrNoSession) {
		t.Errorf("the other session did not give way: %v", err)
	}
	f.send(t, s.ID, "a", 0, want.lane(s.Lacking))
	f.commit(t, s.ID, want)
}

func TestSessionsAreBounded(t *testing.T) {
	f := newFarm(t, intake.Config{MaxSessions: 2, MaxChunks: 1000})
	files := []file{someFile(t), cut(t, noise(7, 600<<10)), cut(t, noise(8, 600<<10))}
	first := f.begin(t, files[0].encoded)
	f.clock.set(time.Second)
	second := f.begin(t, files[1].encoded)
	if _, err := f.Begin(t.Context(), files[2].encoded); !errors.Is(err, intake.ErrTooMany) {
		t.Fatalf("a third session: %v", err)
	}
	f.clock.set(time.Minute)
	f.send(t, second.ID, "a", 0, files[1].lane(nil))
	third := f.begin(t, files[2].encoded) // in the place of the first, which was silent for longest
	if _, err := f.Session(t.Context(), first.ID); !errors.Is(err, intake.ErrNoSession) {
		t.Errorf("the silent session is still there: %v", err)
	}
	f.commit(t, second.ID, files[1])
	f.send(t, third.ID, "a", 0, files[2].lane(nil))
	f.commit(t, third.ID, files[2])
}

func TestChunksOfAllSessionsAreBounded(t *testing.T) {
	want, other := someFile(t), cut(t, noise(7, 600<<10))
	f := newFarm(t, intake.Config{MaxChunks: len(want.order) + 1})
	f.begin(t, want.encoded)
	if _, err := f.Begin(t.Context(), other.encoded); !errors.Is(err, intake.ErrTooMany) {
		t.Fatalf("too many chunks: %v", err)
	}
}

func TestNothingWorksAfterRun(t *testing.T) {
	want := someFile(t)
	f := start(t, t.TempDir(), intake.Config{})
	s := f.begin(t, want.encoded)
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	defer f.stop(t)
	_, beginErr := f.Begin(t.Context(), want.encoded)
	_, appendErr := f.Append(t.Context(), s.ID, "a", 0, bytes.NewReader(nil))
	for _, err := range []error{beginErr, appendErr, f.Commit(t.Context(), s.ID), f.Cancel(t.Context(), s.ID)} {
		if !errors.Is(err, cas.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	}
}

func TestSessionIDs(t *testing.T) {
	f := newFarm(t, intake.Config{})
	s := f.begin(t, someFile(t).encoded)
	back, err := intake.ParseSessionID(s.ID.String())
	if err != nil || back != s.ID {
		t.Errorf("%v: %v", back, err)
	}
	for _, text := range []string{"", "x", "../../etc/passwd", s.ID.String() + "0"} {
		if _, err := intake.ParseSessionID(text); !errors.Is(err, intake.ErrBadSessionID) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAFullDiskInEachStep(t *testing.T) {
	want, small := someFile(t), []byte("small")
	f := newFarm(t, intake.Config{})
	*f.full = []string{"files", "begin", "chunk", "commit"}
	noSpace := func(step string, err error) {
		t.Helper()
		if !errors.Is(err, cas.ErrNoSpace) {
			t.Fatalf("%s: %v", step, err)
		}
		f.lacks(t, want.recipe.Blob())
	}

	taken, err := f.TakeFiles(t.Context(), bytes.NewReader(blobFrame(small)))
	noSpace("files", err)
	if taken != 0 {
		t.Errorf("took %d", taken)
	}
	if _, err = f.TakeFiles(t.Context(), bytes.NewReader(blobFrame(small))); err != nil {
		t.Fatal(err)
	}
	f.holds(t, small)
	_, err = f.Begin(t.Context(), want.encoded)
	noSpace("begin", err)
	s := f.begin(t, want.encoded)
	next, err := f.Append(t.Context(), s.ID, "a", 0, bytes.NewReader(want.lane(nil)))
	noSpace("chunk", err)
	f.send(t, s.ID, "a", next, want.lane(nil))
	noSpace("commit", f.Commit(t.Context(), s.ID))
	if s = f.begin(t, want.encoded); count(s.Lacking) > 0 {
		t.Errorf("to be sent again: %v", s.Lacking)
	}
	f.commit(t, s.ID, want)
	if len(*f.full) > 0 {
		t.Errorf("never full at %v", *f.full)
	}
}

func TestWhatAFailedCommitLeftExpires(t *testing.T) {
	want := someFile(t)
	f := newFarm(t, intake.Config{})
	*f.full = []string{"commit"}
	s := f.begin(t, want.encoded)
	f.send(t, s.ID, "a", 0, want.lane(nil))
	if err := f.Commit(t.Context(), s.ID); !errors.Is(err, cas.ErrNoSpace) {
		t.Fatal(err)
	}
	f.clock.pass(59 * time.Minute)
	if left := f.leftovers(t); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
	f.clock.pass(time.Minute)
	if left := f.leftovers(t); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
