package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimitsHoldOnTheWire sends and receives 10 seconds' worth of bytes in virtual time.
func TestLimitsHoldOnTheWire(t *testing.T) {
	const perSecond, bytes = 1 << 20, 10 << 20
	for _, way := range []string{"up", "down"} {
		synctest.Test(t, func(t *testing.T) {
			watched := &traffic{}
			WithLimits(map[string]int64{"up": perSecond}[way], map[string]int64{"down": perSecond}[way])(watched)
			near, far := net.Pipe()
			from, to := watched.watch(near), far
			if way == "down" {
				from, to = far, watched.watch(near)
			}
			began := time.Now()
			go func() {
				_, _ = from.Write(make([]byte, bytes))
				_ = from.Close()
			}()
			n, err := io.Copy(io.Discard, to)
			if n != bytes || err != nil {
				t.Fatalf("%s: %d bytes came, %v", way, n, err)
			}
			if took := time.Since(began); took < 9900*time.Millisecond || took > 10*time.Second {
				t.Errorf("%s: took %v", way, took)
			}
			if sent, received := watched.sent.Load(), watched.received.Load(); sent+received != bytes {
				t.Errorf("%s: counted %d sent, %d received", way, sent, received)
			}
		})
	}
}

func TestClosingEndsAWaitForTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watched := &traffic{}
		WithLimits(1, 0)(watched)
		near, far := net.Pipe()
		conn := watched.watch(near)
		ended := make(chan error, 1)
		go func() { _, _ = io.Copy(io.Discard, far) }()
		go func() {
			_, err := conn.Write(make([]byte, 2*burst))
			ended <- err
		}()
		synctest.Wait()
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the write ended with %v", err)
		}
	})
}

func TestTrafficCountsHeadsAndBodies(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat(" ", 10000)+`{"version":"1","shortversion":"1","name":"n","git":""}`)
	})
	if sent, received := c.Traffic(); sent != 0 || received != 0 {
		t.Errorf("before the first request: %d, %d", sent, received)
	}
	if _, err := c.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent, received := c.Traffic(); sent < 50 || sent > 1000 || received < 10100 || received > 11000 {
		t.Errorf("one request: %d sent, %d received", sent, received)
	}
}
