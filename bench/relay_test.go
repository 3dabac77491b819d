package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRelayCounts sends requests through a relay and counts them at the server too.
func TestRelayCounts(t *testing.T) {
	const requests, size = 5, 300_000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	r, err := newRelay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.aimAt(strings.TrimPrefix(server.URL, "http://"))
	reached := r.after(2 * size)
	connections := newWideClient(1)
	for i := range requests {
		body := make([]byte, size)
		response, err := connections.Post(r.url(), "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		back, err := io.ReadAll(response.Body)
		if err != nil || len(back) != size {
			t.Fatalf("request %d came back with %d bytes: %v", i, len(back), err)
		}
		_ = response.Body.Close()
	}
	connections.CloseIdleConnections()
	select {
	case <-reached:
	default:
		t.Error("twice the size went through, and nobody was told")
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	got := r.count()
	if got.requests != requests {
		t.Errorf("counted %d requests, want %d", got.requests, requests)
	}
	for name, n := range map[string]int64{"sent": got.sent, "received": got.received} {
		if n < requests*size || n > requests*(size+1000) {
			t.Errorf("counted %d bytes %s, want a little more than %d", n, name, requests*size)
		}
	}
}

// TestRelayCuts ends a connection that is in use, and takes a new one afterwards.
func TestRelayCuts(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r, err := newRelay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.aimAt(server.Addr().String())
	for range 2 {
		client, err := net.Dial("tcp", r.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r.cut()
		if n, err := io.Copy(io.Discard, client); n != 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("the cut connection gave %d bytes and %v", n, err)
		}
		_ = client.Close()
		_ = accepted.Close()
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
}

// TestRequestsAreCountedHoweverTheyAreRead cuts a stream of requests anywhere.
func TestRequestsAreCountedHoweverTheyAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests := rapid.IntRange(0, 20).Draw(t, "requests")
		stream := strings.Repeat("POST /x HTTP/1.1\r\nHost: a\r\n\r\n HTTP/1.0\r\n", requests)
		r := &relay{}
		count := r.countSent()
		for rest := []byte(stream); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "read")
			count(rest[:n])
			rest = rest[n:]
		}
		if got := r.count(); got.requests != int64(requests) || got.sent != int64(len(stream)) {
			t.Fatalf("counted %d requests and %d bytes, want %d and %d", got.requests, got.sent, requests, len(stream))
		}
	})
}
