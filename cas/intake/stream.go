package intake

import (
	"errors"
	"fmt"
	"io"

	"hayloft/cas/pack"
)

// stream takes frames of one kind from a source that may end or break off anywhere. It keeps the bytes that came after
// the last frame that it gave, so that another stream can go on with them.
type stream struct {
	source io.Reader
	kind   pack.Kind
	reader *pack.Reader

	border int64  // bytes in the frames that were given
	held   []byte // bytes from some earlier place on to the last byte that came
	begun  int    // place in held where the frame after the border begins
	read   int    // place in held up to which reader has been given them
	failed error  // of source, io.EOF too
}

// newStream reads from source, after the bytes of tail, which it takes over.
func newStream(kind pack.Kind, tail []byte, source io.Reader) *stream {
	s := &stream{source: source, kind: kind, held: tail}
	s.renew()
	return s
}

// renew makes the frames that next gave before last longer than until the following call of next.
func (s *stream) renew() {
	s.read = s.begun
	s.reader = pack.NewReader(replayed{s}).Only(s.kind)
}

// replayed is what a stream's reader reads: first what the stream holds, then the source.
type replayed struct{ *stream }

func (r replayed) Read(p []byte) (int, error) {
	s := r.stream
	if s.read < len(s.held) {
		n := copy(p, s.held[s.read:])
		s.read += n
		return n, nil
	}
	if s.failed != nil {
		return 0, s.failed
	}
	n, err := s.source.Read(p)
	s.held = append(s.held, p[:n]...)
	s.read += n
	s.failed = err
	return n, err
}

// next gives a frame, which is valid until the next call unless renew was called in between. It is not counted as taken
// before the caller calls done.
//
// At the end of the source it returns io.EOF, also inside a frame: then tail holds what came of it. When the source broke
// off, it returns the source's error, and tail holds likewise. Any other error is the frame's, which is not kept.
func (s *stream) next() (pack.Frame, error) {
	frame, err := s.reader.Next()
	switch {
	case err == nil:
		return frame, nil
	case err == io.EOF:
		return pack.Frame{}, io.EOF
	case errors.Is(err, pack.ErrBadFrame) || errors.Is(err, pack.ErrWrongID):
		s.held, s.begun, s.read = nil, 0, 0
		return pack.Frame{}, err
	case s.failed == io.EOF:
		return pack.Frame{}, io.EOF
	default:
		return pack.Frame{}, fmt.Errorf("the body broke off: %w", err)
	}
}

// done counts a frame as taken.
func (s *stream) done(frame pack.Frame) {
	n := len(frame.Encoded())
	s.border += int64(n)
	s.begun += n
	if s.begun > len(s.held)/2 { // so that a byte is moved once for each byte that goes
		kept := copy(s.held, s.held[s.begun:])
		s.held = s.held[:kept]
		s.read -= s.begun
		s.begun = 0
	}
}

// tail is what came after the last frame that was taken.
func (s *stream) tail() []byte { return s.held[s.begun:] }
