package tasklog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Splitter takes a log and writes the lines of processes, without their marks, to one writer for each stream. Lines that
// were cut into pieces are put together again. What the worker and the manager said goes nowhere.
type Splitter struct {
	streams  [Stderr + 1]*streamWriter // by stream
	head     []byte                    // the beginning of a line whose mark was not read yet
	into     *streamWriter             // takes the rest of the line; nil if nobody does
	pastHead bool
}

// streamWriter holds back the end of a line, since the next may go on with it.
type streamWriter struct {
	to   *bufio.Writer
	open bool
}

// NewSplitter gives a splitter that writes to both. Either may be [io.Discard].
func NewSplitter(stdout, stderr io.Writer) *Splitter {
	s := &Splitter{head: make([]byte, 0, maxMark)}
	s.streams[Stdout] = &streamWriter{to: bufio.NewWriter(stdout)}
	s.streams[Stderr] = &streamWriter{to: bufio.NewWriter(stderr)}
	return s
}

// Write takes the next piece of the log. Its error is one of a stream's writer.
func (s *Splitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.pastHead {
			p = s.rest(p)
			continue
		}
		take := min(len(p), maxMark-len(s.head))
		if end := bytes.IndexByte(p[:take], '\n'); end >= 0 {
			s.head = append(s.head, p[:end]...)
			p = p[end:]
			s.begin()
			continue
		}
		s.head = append(s.head, p[:take]...)
		p = p[take:]
		if len(s.head) == maxMark {
			s.begin()
		}
	}
	return n, s.failed()
}

// rest takes what belongs to the line that was begun, and gives what comes after it.
func (s *Splitter) rest(p []byte) []byte {
	text, after, ended := bytes.Cut(p, []byte("\n"))
	if s.into != nil {
		_, _ = s.into.to.Write(text) // the error stays in the buffer
	}
	s.pastHead = !ended
	return after
}

// begin reads the mark of a line and writes what of the line came with it.
func (s *Splitter) begin() {
	s.into, s.pastHead = nil, true
	if m, ok := parseMark(s.head); ok {
		s.into = s.streams[m.stream]
		if s.into.open && !m.continued {
			_ = s.into.to.WriteByte('\n')
		}
		s.into.open = true
		_, _ = s.into.to.Write(s.head[m.length:])
	}
	s.head = s.head[:0]
}

// failed gives the first error of the streams' writers; a buffer keeps its own.
func (s *Splitter) failed() error {
	_, stdout := s.streams[Stdout].to.Write(nil)
	_, stderr := s.streams[Stderr].to.Write(nil)
	return errors.Join(stdout, stderr)
}

// Close ends the last lines and writes what is left. It closes neither writer.
func (s *Splitter) Close() error {
	if len(s.head) > 0 {
		s.begin()
	}
	var failed error
	for _, w := range []*streamWriter{s.streams[Stdout], s.streams[Stderr]} {
		if w.open {
			_ = w.to.WriteByte('\n')
			w.open = false
		}
		failed = errors.Join(failed, w.to.Flush())
	}
	return failed
}
