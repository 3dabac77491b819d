package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// An Option changes how a [Client] works.
type Option func(*traffic)

// WithLimits bounds what all connections of the client together send and receive, in bytes per second on the wire; 0
// sets no limit. The limits hold on the average: a burst of up to 64 KiB goes through at once.
func WithLimits(up, down int64) Option {
	return func(t *traffic) { t.up, t.down = limiter(up), limiter(down) }
}

// burst is how many bytes pass a limit at once.
const burst = 64 << 10

func limiter(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), burst)
}

// traffic counts and limits what goes over the connections of one client. A nil limiter sets no limit.
type traffic struct {
	sent, received atomic.Int64
	up, down       *rate.Limiter
}

// Traffic tells how many bytes the client's connections have carried, everything included: heads of requests and
// answers, bodies, and what encryption adds.
func (c *Client) Traffic() (sent, received int64) {
	return c.traffic.sent.Load(), c.traffic.received.Load()
}

// dial makes connections that are counted and limited.
func (t *traffic) dial(dialer *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return t.watch(conn), nil
	}
}

// watch counts and limits one connection.
func (t *traffic) watch(conn net.Conn) net.Conn {
	open, closed := context.WithCancel(context.Background())
	return &watchedConn{Conn: conn, traffic: t, open: open, closed: closed}
}

// watchedConn waits before it sends and after it has received, so that a limited peer feels it through the flow control
// of TCP. Closing it ends every wait.
type watchedConn struct {
	net.Conn
	traffic *traffic
	open    context.Context
	closed  context.CancelFunc
}

// Read takes no more at once than the limit lets through at once.
func (c *watchedConn) Read(p []byte) (int, error) {
	if c.traffic.down != nil {
		p = p[:min(len(p), burst)]
	}
	n, err := c.Conn.Read(p)
	c.traffic.received.Add(int64(n))
	if waitErr := c.pass(c.traffic.down, n); err == nil {
		err = waitErr
	}
	return n, err
}

// Write sends piece by piece if there is a limit.
func (c *watchedConn) Write(p []byte) (written int, err error) {
	for first := true; first || len(p) > 0; first = false {
		piece := p
		if c.traffic.up != nil {
			piece = p[:min(len(p), burst)]
		}
		if err := c.pass(c.traffic.up, len(piece)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(piece)
		c.traffic.sent.Add(int64(n))
		if written += n; err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// pass waits until the limit lets so many bytes through.
func (c *watchedConn) pass(limit *rate.Limiter, n int) error {
	if limit == nil || n == 0 {
		return nil
	}
	if err := limit.WaitN(c.open, n); errors.Is(err, context.Canceled) {
		return net.ErrClosed
	} else if err != nil {
		return err
	}
	return nil
}

// Close closes the connection.
func (c *watchedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
