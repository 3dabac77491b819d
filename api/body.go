package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// bodyStall is how long a client may stop in the middle of a body that it sends or reads.
const bodyStall = 60 * time.Second

// steadyBody reads a request's body and gives up on a client that stops sending, with [errStalled], or leaves, with
// [errCutShort].
type steadyBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func newSteadyBody(body io.ReadCloser, w http.ResponseWriter) steadyBody {
	return steadyBody{ReadCloser: body, control: http.NewResponseController(w)}
}

// Read moves the deadline on. At the end of the body it takes the deadline back: the server goes on reading in the
// background to see when the client leaves, and would take a passed deadline for that.
func (b steadyBody) Read(p []byte) (int, error) {
	// A server without deadlines, such as one in memory, has no network that could stall.
	_ = b.control.SetReadDeadline(time.Now().Add(bodyStall))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: nothing came for %v: %w", errStalled, bodyStall, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %w", errCutShort, err)
	}
	return n, err
}

// steadily answers with a body that may be long, and gives up on a client that stops reading it: write then gets
// [os.ErrDeadlineExceeded] from its writer.
func steadily(w http.ResponseWriter, write func(http.ResponseWriter) error) error {
	steady := &steadyWriter{ResponseWriter: w, control: http.NewResponseController(w)}
	if err := write(steady); err != nil {
		return err
	}
	return steady.rest()
}

// steadyWriter moves the deadline on with each piece that it writes.
type steadyWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	written int64
}

func (s *steadyWriter) Write(p []byte) (int, error) {
	// As with steadyBody, a server in memory has no deadlines and needs none.
	_ = s.control.SetWriteDeadline(time.Now().Add(bodyStall))
	n, err := s.ResponseWriter.Write(p)
	s.written += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (s *steadyWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// serverBuffer is what the server holds back of an answer, in bytes, at most.
const serverBuffer = 4 << 10

// rest takes the deadline back, since the connection lives on. What the server holds back of a long answer must leave
// before, or nothing would end a client that reads all but that.
func (s *steadyWriter) rest() error {
	if s.written > serverBuffer {
		if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	_ = s.control.SetWriteDeadline(time.Time{})
	return nil
}
