package api

import (
	"io"
	"net/http"
	"time"
)

// bodyStall is how long a client may stop in the middle of a body.
const bodyStall = 60 * time.Second

// steadyBody reads a request's body and gives up on a client that stops sending, with [os.ErrDeadlineExceeded].
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
	return n, err
}
