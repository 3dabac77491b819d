package intake_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"hayloft/cas/intake"
)

// TestAnyInterleavingEndsInTheRightBlob lets clients of two files cut their bodies, lose their places, cancel, wait for
// too long and be restarted under, in any order. A blob is visible exactly from the commit on that succeeded, and in the
// end an honest client brings each of them in.
func TestAnyInterleavingEndsInTheRightBlob(t *testing.T) {
	all := &model{dir: t.TempDir()} // one store for all checks: to make one takes longer than a check
	all.farm = start(t, all.dir, all.config())
	defer func() { all.stop(t) }()
	checks := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		checks++
		first := cut(t, noise(1000+2*checks, 250<<10))
		second := cut(t, append(noise(1001+2*checks, 100<<10), first.data[:150<<10]...))
		m := &model{dir: all.dir, farm: all.farm, files: []file{first, second}, stored: make([]bool, 2)}
		defer func() { all.farm = m.farm }()
		for n := range 3 {
			m.senders = append(m.senders, &sender{name: fmt.Sprint("sender", n), file: n % 2})
		}
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"renew":   func(t *rapid.T) { m.renew(t, m.anySender(t)) },
			"send":    m.send,
			"commit":  m.commit,
			"cancel":  m.cancel,
			"wait":    func(*rapid.T) { m.clock.pass(20 * time.Minute) },
			"restart": m.restart, // rarely, as it takes longer than all the rest
		})
		for at := range m.files {
			if err := upload(t.Context(), m.farm, m.files[at], "last"); err != nil {
				t.Fatalf("%v", err)
			}
			m.holds(t, m.files[at].data)
		}
		for _, left := range m.leftovers(t) {
			if left == first.recipe.Blob() || left == second.recipe.Blob() {
				t.Fatalf("left over: %v", left)
			}
		}
	})
}

type model struct {
	*farm
	dir     string
	files   []file
	stored  []bool
	senders []*sender
	lanes   int // that were ever used, so that each name is new
}

// sender is a client that has a stream to send, and knows how far it came.
type sender struct {
	name    string
	file    int
	session intake.Session
	lane    string
	stream  []byte
	at      int64
}

func (m *model) config() intake.Config { return intake.Config{MaxTails: 90 << 10} }

func (m *model) anySender(t *rapid.T) *sender { return rapid.SampledFrom(m.senders).Draw(t, "sender") }

func (m *model) check(t *rapid.T) {
	for at, stored := range m.stored {
		if stored {
			m.holds(t, m.files[at].data)
		} else {
			m.lacks(t, m.files[at].recipe.Blob())
		}
	}
}

func (m *model) renew(t *rapid.T, s *sender) {
	want := m.files[s.file]
	s.session = m.begin(t, want.encoded)
	if s.session.Stored != m.stored[s.file] {
		t.Fatalf("%s: stored is %v", s.name, s.session.Stored)
	}
	m.lanes++
	s.lane, s.at = fmt.Sprint(s.name, "-", m.lanes), 0
	s.stream = nil
	if !s.session.Stored {
		s.stream = want.lane(s.session.Lacking)
	}
}

func (m *model) send(t *rapid.T) {
	s := m.anySender(t)
	rest := s.stream[s.at:]
	if len(rest) == 0 {
		m.renew(t, s)
		return
	}
	n := rapid.IntRange(0, len(rest)).Draw(t, "bytes")
	broken := rapid.Bool().Draw(t, "broken")
	var body io.Reader = bytes.NewReader(rest[:n])
	if broken {
		body = io.MultiReader(body, iotest.ErrReader(errBroken))
	}
	next, err := m.Append(t.Context(), s.session.ID, s.lane, s.at, body)
	var wrong *intake.OffsetError
	switch {
	case errors.Is(err, intake.ErrNoSession):
		m.renew(t, s)
	case errors.As(err, &wrong):
		if s.at = wrong.Want; s.at > int64(len(s.stream)) {
			t.Fatalf("%s: wants byte %d of %d", s.name, s.at, len(s.stream))
		}
	case err == nil && !broken, broken && errors.Is(err, errBroken):
		if next > s.at+int64(n) {
			t.Fatalf("%s: took %d bytes of %d", s.name, next-s.at, n)
		}
		s.at = next
	default:
		t.Fatalf("%s: %v", s.name, err)
	}
}

func (m *model) commit(t *rapid.T) {
	s := m.anySender(t)
	err := m.Commit(t.Context(), s.session.ID)
	switch {
	case err == nil:
		m.stored[s.file] = true
	case errors.Is(err, intake.ErrNoSession), errors.As(err, new(*intake.IncompleteError)):
		m.renew(t, s)
	default:
		t.Fatalf("%s: %v", s.name, err)
	}
}

func (m *model) cancel(t *rapid.T) {
	s := m.anySender(t)
	if err := m.Cancel(t.Context(), s.session.ID); err != nil && !errors.Is(err, intake.ErrNoSession) {
		t.Fatalf("%s: %v", s.name, err)
	}
}

func (m *model) restart(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return
	}
	m.stop(t)
	m.farm = start(t, m.dir, m.config())
}

// FuzzAppend: whatever comes on a lane and wherever it is cut, the lane stands where it would stand had it come at once,
// and the honest rest is taken after it.
func FuzzAppend(f *testing.F) {
	want := cut(f, noise(12, 40<<10))
	good := want.lane(nil)
	f.Add(good, 10)
	f.Add(good[:100], 50)
	f.Add([]byte("\x02\x00\x01\x05"), 2)
	f.Add(append(bytes.Clone(good), 0xff), len(good))
	root := f.TempDir()
	farm := start(f, root, intake.Config{})
	f.Cleanup(func() { farm.stop(f) })
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		at = max(0, min(at, len(stream)))
		s := farm.begin(t, want.encoded)
		once, onceErr := farm.Append(t.Context(), s.ID, "once", 0, bytes.NewReader(stream))
		next, err := farm.Append(t.Context(), s.ID, "twice", 0, bytes.NewReader(stream[:at]))
		if err == nil {
			next, err = farm.Append(t.Context(), s.ID, "twice", next, bytes.NewReader(stream[at:]))
		}
		if next != once || (err == nil) != (onceErr == nil) {
			t.Errorf("at once: %d, %v; in two: %d, %v", once, onceErr, next, err)
		}
		farm.send(t, s.ID, "good", 0, good)
		if err := farm.Cancel(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
		farm.lacks(t, want.recipe.Blob())
	})
}
