package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// relay stands between a client and a manager on loopback and counts what goes over it. It can change the manager, and
// can cut the connections as a network does that fails.
type relay struct {
	listener net.Listener
	traffic  struct{ sent, received, requests atomic.Int64 }

	mu     sync.Mutex
	closed bool
	target string
	ends   map[net.Conn]bool // of all connections that are open
	marks  []mark

	work sync.WaitGroup
}

// mark is somebody who waits for that many bytes to have been sent.
type mark struct {
	sent    int64
	reached chan struct{}
}

// traffic is what went over a relay, in bytes of TCP payload: HTTP's heads are in it, TCP's own are not.
type traffic struct{ sent, received, requests int64 }

func (t traffic) minus(before traffic) traffic {
	return traffic{t.sent - before.sent, t.received - before.received, t.requests - before.requests}
}

const (
	relayBuffer = 256 * kiB
	// socketBuffer keeps the relay from taking in much that the manager has not seen.
	socketBuffer = 256 * kiB
)

// requestMark ends the first line of each request. A body that has it by chance is counted as a request too many.
var requestMark = []byte(" HTTP/1.1\r\n")

// newRelay listens on a free port. Nothing goes through before aimAt.
func newRelay(ctx context.Context) (*relay, error) {
	listener, err := listenLoopback(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen for the relay: %w", err)
	}
	r := &relay{listener: listener, ends: map[net.Conn]bool{}}
	r.work.Go(func() { r.accept(ctx) })
	return r, nil
}

func (r *relay) url() string { return "http://" + r.listener.Addr().String() }

// aimAt sends connections from now on to that address.
func (r *relay) aimAt(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = address
}

func (r *relay) count() traffic {
	return traffic{r.traffic.sent.Load(), r.traffic.received.Load(), r.traffic.requests.Load()}
}

// after gives a channel that is closed once that many bytes in all were sent to the manager.
func (r *relay) after(sent int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := mark{sent, make(chan struct{})}
	r.marks = append(r.marks, m)
	return m.reached
}

// cut ends all connections at once.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for end := range r.ends {
		_ = end.Close()
	}
}

// close ends the relay and waits until nothing of it runs.
func (r *relay) close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	err := r.listener.Close()
	r.cut()
	r.work.Wait()
	return err
}

func (r *relay) accept(ctx context.Context) {
	for {
		from, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			r.work.Go(func() { r.connect(ctx, from) })
		}
	}
}

// hold remembers an open end, unless the relay has ended.
func (r *relay) hold(end net.Conn) (target string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return "", false
	}
	r.ends[end] = true
	return r.target, true
}

func (r *relay) release(end net.Conn) {
	r.mu.Lock()
	delete(r.ends, end)
	r.mu.Unlock()
	_ = end.Close()
}

// connect carries one connection both ways until both have ended.
func (r *relay) connect(ctx context.Context, from net.Conn) {
	defer r.release(from)
	target, ok := r.hold(from)
	if !ok {
		return
	}
	to, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return // The client sees its connection end, as with a manager that is away.
	}
	defer r.release(to)
	if _, ok := r.hold(to); !ok {
		return
	}
	for _, end := range []net.Conn{from, to} {
		if tcp, ok := end.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(socketBuffer)
			_ = tcp.SetWriteBuffer(socketBuffer)
		}
	}
	var back sync.WaitGroup
	back.Go(func() { r.carry(to, from, r.countReceived) })
	r.carry(from, to, r.countSent())
	back.Wait()
}

// carry copies one direction to its end and counts what was passed on.
func (r *relay) carry(from, to net.Conn, count func([]byte)) {
	buffer := make([]byte, relayBuffer)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close()
				return
			}
			count(buffer[:n])
		}
		if err != nil {
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
			return
		}
	}
}

func (r *relay) countReceived(data []byte) { r.traffic.received.Add(int64(len(data))) }

// countSent counts the bytes of one connection, and its requests, whose first lines may lie across two reads.
func (r *relay) countSent() func([]byte) {
	var tail []byte
	return func(data []byte) {
		requests := bytes.Count(data, requestMark)
		seam := append(tail, data[:min(len(data), len(requestMark)-1)]...)
		requests += bytes.Count(seam, requestMark)
		if len(data) < len(requestMark) {
			tail = append([]byte(nil), seam[max(0, len(seam)-len(requestMark)+1):]...)
		} else {
			tail = append(tail[:0], data[len(data)-len(requestMark)+1:]...)
		}
		r.traffic.requests.Add(int64(requests))
		r.reach(r.traffic.sent.Add(int64(len(data))))
	}
}

// reach tells those who wait for no more than that many bytes.
func (r *relay) reach(sent int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.marks[:0]
	for _, m := range r.marks {
		if sent >= m.sent {
			close(m.reached)
		} else {
			kept = append(kept, m)
		}
	}
	r.marks = kept
}
