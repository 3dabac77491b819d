package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener gives a server one connection in memory, which knows deadlines and virtual time.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error   { close(l.closed); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// serveInMemory serves until the test ends, and gives the client's side of a connection.
func serveInMemory(t *testing.T, handler http.HandlerFunc) (conn net.Conn, end func()) {
	near, far := net.Pipe()
	listener := pipeListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	listener.conns <- far
	server := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return near, func() {
		_ = near.Close()
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving ended with %v", err)
		}
	}
}

// TestStalledSendersAreCutOff sends half a body in pieces, with pauses that are allowed, and then nothing.
func TestStalledSendersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan error, 1)
		conn, end := serveInMemory(t, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, newSteadyBody(r.Body, w))
			read <- err
		})
		defer end()
		began := time.Now()
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: farm\r\nContent-Length: 10\r\n\r\n")
		for range 5 {
			<-time.After(bodyStall - time.Second)
			fmt.Fprint(conn, "x")
		}
		err := <-read
		if !errors.Is(err, errStalled) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the body ended with %v", err)
		}
		if took, want := time.Since(began), 5*(bodyStall-time.Second)+bodyStall; took != want {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

// TestStalledReadersAreCutOff reads a little of a long answer, with pauses that are allowed, and then nothing.
func TestStalledReadersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan error, 1)
		conn, end := serveInMemory(t, func(w http.ResponseWriter, _ *http.Request) {
			written <- steadily(w, func(w http.ResponseWriter) error {
				_, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20))
				return err
			})
		})
		defer end()
		began := time.Now()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: farm\r\n\r\n")
		in := bufio.NewReaderSize(conn, 16)
		for range 3 {
			<-time.After(bodyStall - time.Second)
			if _, err := io.CopyN(io.Discard, in, 64<<10); err != nil {
				t.Error(err)
			}
		}
		if err := <-written; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the answer ended with %v", err)
		}
		if took := time.Since(began); took < 3*bodyStall || took > 5*bodyStall {
			t.Errorf("it took %v", took)
		}
	})
}

// TestConnectionsOutliveSteadyAnswers asks twice on one connection, with a long pause in between.
func TestConnectionsOutliveSteadyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, end := serveInMemory(t, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, newSteadyBody(r.Body, w)); err != nil {
				t.Error(err)
			}
			if r.ContentLength > 0 { // an answer that knows no deadline of its own
				_, _ = io.WriteString(w, "short")
				return
			}
			err := steadily(w, func(w http.ResponseWriter) error {
				_, err := io.WriteString(w, strings.Repeat("x", 100<<10))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		defer end()
		in := bufio.NewReader(conn)
		for _, c := range []struct{ request, length string }{{"GET", "0"}, {"POST", "1"}, {"GET", "0"}} {
			fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: farm\r\nContent-Length: %s\r\n\r\n%s", c.request, c.length, strings.Repeat("y", len(c.length)*int(c.length[0]-'0')))
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			_ = resp.Body.Close()
			<-time.After(10 * bodyStall)
		}
	})
}
