package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"hayloft/cas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clientOf(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := New(server.URL, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, address := range []string{"", "ftp://farm", "http://", "http://%zz"} {
		if _, err := New(address, "test"); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
	if c, err := New("farm:8080/app/", "test"); err != nil || c.Address() != "http://farm:8080" {
		t.Errorf("farm:8080/app/ becomes %v, %v", c, err)
	}
}

func TestUploadStartsOverWhenTheConnectionBreaks(t *testing.T) {
	var attempts atomic.Int32
	content := bytes.Repeat([]byte("x"), 300<<10)
	var stored []byte
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if attempts.Add(1) < 3 {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		}
		stored, _ = io.ReadAll(r.Body)
	})
	blob := cas.Blob{Digest: cas.SumBytes(content), Size: int64(len(content))}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	if sent, err := c.Upload(t.Context(), blob, open, nil); err != nil || !sent || !bytes.Equal(stored, content) {
		t.Errorf("after %d attempts: sent %t, %d bytes, %v", attempts.Load(), sent, len(stored), err)
	}
}

func TestUnreachableAndForeignServers(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := c.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "not what a Hayloft manager sends") {
		t.Errorf("a foreign server: %v", err)
	}
	gone, err := New("127.0.0.1:1", "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Version(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestEventsConnectAgain(t *testing.T) {
	var connections atomic.Int32
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		connections.Add(1)
		_, _ = io.WriteString(w, ": hello\n\nevent: job\ndata: {\"n\":\ndata: 1}\n\n")
	})
	enough := errors.New("enough")
	var got []string
	err := c.Events(t.Context(), []string{"jobs"}, func(e Event) error {
		got = append(got, e.Type+" "+string(e.Data))
		if len(got) == 4 {
			return enough
		}
		return nil
	})
	want := "resync {}|job {\"n\":\n1}|resync {}|job {\"n\":\n1}"
	if !errors.Is(err, enough) || strings.Join(got, "|") != want || connections.Load() != 2 {
		t.Errorf("%v after %d connections: %q", err, connections.Load(), got)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add("event: job\ndata: {}\n\n")
	f.Add("data\n\n:\n\nevent:x\n\ndata: a\r\n\r\n")
	f.Fuzz(func(t *testing.T, stream string) {
		events := 0
		err := readEvents(strings.NewReader(stream), func() {}, func(Event) error { events++; return nil })
		if err == nil || events > strings.Count(stream, "data") {
			t.Fatalf("%d events, %v", events, err)
		}
	})
}
