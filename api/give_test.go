package api_test

import (
	"bytes"
	"net/http"
	"testing"

	"hayloft/api/octets"
	"hayloft/cas"
	"hayloft/cas/pack"
)

// TestFramesAreCompressedForTheNetwork reads the same files on this machine, and as if a proxy on it passed the request on.
func TestFramesAreCompressedForTheNetwork(t *testing.T) {
	f := newFarm(t)
	text := bytes.Repeat([]byte("all work and no play "), 1000)
	question := octets.AppendDigests(nil, []cas.Digest{blobOf(text).Digest})
	must(t, f.client().SendFiles(t.Context(), fileFrames(text)))
	for passedOn, compressed := range map[string]bool{"": false, "X-Forwarded-For": true, "Forwarded": true, "Via": true} {
		headers := []string{"Content-Type", "application/octet-stream"}
		if passedOn != "" {
			headers = append(headers, passedOn, "192.0.2.7")
		}
		resp, answer := f.do(http.MethodPost, "/api/v3/cas/files/read", bytes.NewReader(question), headers...)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("with %q: %d %s", passedOn, resp.StatusCode, answer)
		}
		frame, err := pack.NewReader(bytes.NewReader(answer)).Next()
		if err != nil || !bytes.Equal(frame.Data, text) {
			t.Errorf("with %q: %d bytes came, %v", passedOn, len(frame.Data), err)
		}
		if got := len(answer) < len(text); got != compressed {
			t.Errorf("with %q: %d bytes travelled for %d, compressed: %v, want %v", passedOn, len(answer), len(text), got, compressed)
		}
	}
}
