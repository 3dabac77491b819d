package process

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// MaxLine is the longest line that is delivered whole, in bytes. Longer ones arrive in pieces.
const MaxLine = 40 << 10

// Lines cuts what is written to it into lines. A carriage return ends a line too, since progress bars use it. Invalid
// UTF-8 arrives as U+FFFD, and no piece of a long line ends inside a character.
type Lines struct {
	emit      func(text string, continued bool)
	pending   []byte
	continued bool // pending goes on with a line of which a piece was sent
	wasCR     bool
}

// NewLines gives a writer that calls emit for each line, without its end, or for each piece of a long one; continued says
// that it goes on with the line of the piece before it.
func NewLines(emit func(text string, continued bool)) *Lines { return &Lines{emit: emit} }

// Write takes a piece of output. It never fails.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	if l.wasCR && len(p) > 0 {
		p = bytes.TrimPrefix(p, []byte("\n"))
		l.wasCR = false
	}
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			l.add(p)
			return n, nil
		}
		l.add(p[:i])
		l.send(len(l.pending))
		l.continued = false
		cr := p[i] == '\r'
		if p = p[i+1:]; cr {
			l.wasCR = len(p) == 0
			p = bytes.TrimPrefix(p, []byte("\n"))
		}
	}
	return n, nil
}

// Close delivers an unfinished last line.
func (l *Lines) Close() {
	if len(l.pending) > 0 {
		l.send(len(l.pending))
	}
}

func (l *Lines) add(p []byte) {
	for len(l.pending)+len(p) > MaxLine {
		take := MaxLine - len(l.pending)
		l.pending = append(l.pending, p[:take]...)
		p = p[take:]
		l.send(wholeRunes(l.pending))
	}
	l.pending = append(l.pending, p...)
}

func (l *Lines) send(n int) {
	l.emit(strings.ToValidUTF8(string(l.pending[:n]), "\uFFFD"), l.continued)
	l.pending, l.continued = append(l.pending[:0], l.pending[n:]...), true
}

// wholeRunes gives the length of b without a character that is cut off at its end.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return i
			}
			break
		}
	}
	return len(b)
}
