package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"hayloft/api/wire"
)

// Event is one event of the manager. Type and the shape of Data are those of the contract; wire has their Go shapes.
type Event struct {
	Type string
	Data json.RawMessage
}

// Reconnected is the type of an event that says: this is the beginning, or events or the connection were lost; read the
// state anew.
const Reconnected = "resync"

// Bounds of an event stream.
const (
	// A connection that broke is made again after a delay that doubles from the first to the last of these.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// silence is how long a stream may say nothing, not even its heartbeat, before it counts as broken.
	silence = 45 * time.Second
	// maxEventLine is the longest line of an event in bytes; a piece of a log is the longest there is.
	maxEventLine = 32 << 20
)

// Events calls handle for each event of the topics until ctx ends or handle returns an error, which is returned. A broken
// connection is made again; handle then gets an event [Reconnected] first. It does so at the very beginning too: read the
// state then, and no change is missed.
func (c *Client) Events(ctx context.Context, topics []string, handle func(Event) error) error {
	delay := firstBackoff
	for {
		began := time.Now()
		err := c.listen(ctx, topics, handle)
		var stopped handlerError
		var refused *Error
		switch {
		case errors.As(err, &stopped):
			return stopped.err
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
			return err
		}
		if time.Since(began) > silence {
			delay = firstBackoff
		}
		if err := wait(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, lastBackoff)
	}
}

// handlerError tells an error of the caller's from one of the connection.
type handlerError struct{ err error }

func (e handlerError) Error() string { return e.err.Error() }

// listen reads one connection until it breaks.
func (c *Client) listen(ctx context.Context, topics []string, handle func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	params := &wire.GetEventsParams{}
	if len(topics) > 0 {
		params.Topic = &topics
	}
	got, err := c.wire.GetEvents(ctx, params)
	if got, err = expect("listen to events", got, err, http.StatusOK); err != nil {
		return err
	}
	defer got.Body.Close()
	if err := handle(Event{Type: Reconnected, Data: json.RawMessage("{}")}); err != nil {
		return handlerError{err}
	}
	return readEvents(got.Body, func() { watchdog.Reset(silence) }, func(e Event) error {
		if err := handle(e); err != nil {
			return handlerError{err}
		}
		return nil
	})
}

// readEvents parses a stream as of the HTML standard, section 9.2.6, as far as the manager uses it. It calls alive for
// each line. It returns [io.ErrUnexpectedEOF] when the stream ends.
func readEvents(stream io.Reader, alive func(), handle func(Event) error) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 0, 64<<10), maxEventLine)
	var name string
	var data []string
	for lines.Scan() {
		alive()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && data != nil:
			if err := handle(Event{Type: name, Data: json.RawMessage(strings.Join(data, "\n"))}); err != nil {
				return err
			}
			name, data = "", nil
		case lines.Text() == "":
			name = ""
		case field == "event":
			name = value
		case field == "data":
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return io.ErrUnexpectedEOF
}
