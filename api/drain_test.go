package api_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"net"
	"net/http"
	"strings"
	"testing"
)

// slowRequest sends a request piece by piece on a connection of its own, and reads the answer only when all is sent, as
// clients do that know no better.
func slowRequest(t *testing.T, conn net.Conn, head string, body []byte) *http.Response {
	t.Helper()
	_, err := conn.Write([]byte(head))
	must(t, err)
	for len(body) > 0 {
		n := min(len(body), 16<<10)
		_, err := conn.Write(body[:n])
		must(t, err)
		body = body[n:]
	}
	return try(http.ReadResponse(bufio.NewReader(conn), nil))(t)
}

func dialFarm(t *testing.T, f *farm) net.Conn {
	t.Helper()
	conn := try(net.Dial("tcp", strings.TrimPrefix(f.url, "http://")))(t)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestUnwantedUploadsAreDrained wants that a client which sends a large file that nobody needs gets to read why, on a
// connection that it can go on using (fact sheet, section 17, item 11).
func TestUnwantedUploadsAreDrained(t *testing.T) {
	f := newFarm(t)
	content := randomBytes(9, 8<<20)
	stored, busy := blobOf(content), blobOf(content[1:])
	f.do("POST", uploadPath(stored), bytes.NewReader(content), "Content-Type", anyBytes)
	defer f.inflight.Begin(busy)()
	head := func(path string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: farm\r\nContent-Type: %s\r\nX-Shaman-Can-Defer-Upload: True\r\nContent-Length: %d\r\n",
			path, anyBytes, length)
	}
	conn := dialFarm(t, f)
	for range 2 {
		if resp := slowRequest(t, conn, head(uploadPath(stored), len(content))+"\r\n", content); resp.StatusCode != http.StatusAlreadyReported {
			t.Errorf("a file that is stored: %d, want 208", resp.StatusCode)
		}
		if resp := slowRequest(t, conn, head(uploadPath(busy), len(content)-1)+"\r\n", content[1:]); resp.StatusCode != http.StatusTooEarly {
			t.Errorf("a file that another client sends: %d, want 425", resp.StatusCode)
		}
	}
	// Who asks first is told without having sent anything.
	if resp := slowRequest(t, conn, head(uploadPath(stored), len(content))+"Expect: 100-continue\r\n\r\n", nil); resp.StatusCode != http.StatusAlreadyReported {
		t.Errorf("a client that asked first: %d, want 208", resp.StatusCode)
	}
}

// TestImagesThatAreRefused covers what the previews do not take, each with the status that tells why.
func TestImagesThatAreRefused(t *testing.T) {
	f := newFarm(t)
	f.submit()
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	path := "/api/v3/worker/task/" + task.Uuid.String() + "/output-produced"
	var frame bytes.Buffer
	must(t, png.Encode(&frame, picture(64, 48)))
	f.stop() // nobody works on the queue any more

	head := "POST " + path + " HTTP/1.1\r\nHost: farm\r\nContent-Type: image/png\r\nAuthorization: Basic " +
		base64.StdEncoding.EncodeToString([]byte(w.id.String()+":"+workerSecret)) + "\r\n"
	tooLarge, _ := rawRequest(t, f, head+"Content-Length: 26214401\r\n\r\n")
	if tooLarge.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("25 MiB and a byte: %d, want 413", tooLarge.StatusCode)
	}
	unknown, _ := rawRequest(t, f, head+"Transfer-Encoding: chunked\r\n\r\n")
	if unknown.StatusCode != http.StatusLengthRequired {
		t.Errorf("no length: %d, want 411", unknown.StatusCode)
	}
	conn := dialFarm(t, f)
	_, err := conn.Write([]byte(head + "Content-Length: 1000\r\n\r\nhalf an image"))
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	if short := try(http.ReadResponse(bufio.NewReader(conn), nil))(t); short.StatusCode != http.StatusBadRequest {
		t.Errorf("shorter than announced: %d, want 400", short.StatusCode)
	}
	for i, want := range []int{202, 202, 202, 429} {
		resp, body := f.do("POST", path, bytes.NewReader(frame.Bytes()), append(w.signIn(), "Content-Type", "image/png")...)
		if resp.StatusCode != want || (want == 429) != (resp.Header.Get("Retry-After") == "1") {
			t.Errorf("image %d: %d %s, Retry-After %q; want %d", i+1, resp.StatusCode, body, resp.Header.Get("Retry-After"), want)
		}
	}
}

// endRequest stops sending and waits for the answer.
func endRequest(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	must(t, conn.(*net.TCPConn).CloseWrite())
	return try(http.ReadResponse(bufio.NewReader(conn), nil))(t)
}
