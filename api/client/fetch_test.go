package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
	"hayloft/cas/transfer"
)

// frameOf is one frame of blobs.
func frameOf(contents ...[]byte) []byte {
	var items []pack.Item
	for _, content := range contents {
		items = append(items, pack.Item{ID: cas.SumBytes(content).Bytes(), Length: len(content)})
	}
	return pack.Append(nil, pack.BlobKind, items, bytes.Join(contents, nil))
}

// files are small files and what they are asked for with.
func files(n int) (contents [][]byte, digests []cas.Digest) {
	for i := range n {
		contents = append(contents, fmt.Appendf(nil, "file %d", i))
		digests = append(digests, cas.SumBytes(contents[i]))
	}
	return contents, digests
}

// TestReadingGoesOnWhereItBroke sends one frame of two files for each request, and breaks the connection in the next.
func TestReadingGoesOnWhereItBroke(t *testing.T) {
	contents, digests := files(9)
	var requests atomic.Int32
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		first := len(contents) - len(body)/cas.Size
		_, _ = w.Write(frameOf(contents[first:min(first+2, len(contents))]...))
		if first+2 < len(contents) {
			_, _ = w.Write(frameOf(contents[first+2])[:20])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	var got [][]byte
	err := c.Files(t.Context(), digests, func(_ cas.Blob, data []byte) error {
		got = append(got, bytes.Clone(data))
		return nil
	})
	if err != nil || !bytes.Equal(bytes.Join(got, nil), bytes.Join(contents, nil)) || requests.Load() != 5 {
		t.Errorf("%d files in %d requests, %v", len(got), requests.Load(), err)
	}
}

func TestAnswersThatWereNotAskedForAreRefused(t *testing.T) {
	contents, digests := files(2)
	damaged := frameOf(contents...)
	damaged[len(damaged)-1]++
	one := chunk.Sum([]byte("x")).Bytes()
	for name, answer := range map[string][]byte{
		"ends early":      frameOf(contents[0]),
		"in wrong order":  frameOf(contents[1], contents[0]),
		"one too many":    frameOf(contents[0], contents[1], contents[1]),
		"with wrong kind": pack.Append(nil, pack.ChunkKind, []pack.Item{{ID: one, Length: 1}}, []byte("x")),
		"damaged":         damaged,
		"foreign":         []byte("<html>"),
	} {
		var requests atomic.Int32
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			_, _ = w.Write(answer)
		})
		err := c.Files(t.Context(), digests, func(cas.Blob, []byte) error { return nil })
		if err == nil || errors.Is(err, transfer.ErrUnavailable) || requests.Load() != 1 {
			t.Errorf("an answer %s: %v after %d requests", name, err, requests.Load())
		}
	}
}

func TestRecipesOfOtherFilesAreRefused(t *testing.T) {
	recipe, err := chunk.Split(t.Context(), strings.NewReader("content"), 7, func(chunk.Piece) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := recipe.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(encoded) })
	if got, err := c.Recipe(t.Context(), recipe.Blob().Digest, chunk.Recipe{}); err != nil || got.ID() != recipe.ID() {
		t.Errorf("its own: %v", err)
	}
	if _, err := c.Recipe(t.Context(), cas.SumBytes([]byte("other")), chunk.Recipe{}); err == nil {
		t.Error("the recipe of another file is taken")
	}
	if err := c.Chunks(t.Context(), recipe, nil, nil); err == nil {
		t.Error("a bitmap of another length is taken")
	}
}

// TestErrorsThatPass wants that a sender can tell what is worth another try.
func TestErrorsThatPass(t *testing.T) {
	gone, err := New("127.0.0.1:1", "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.SendFiles(t.Context(), nil); !errors.Is(err, transfer.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	for status, passes := range map[int]bool{408: false, 400: false, 502: true, 503: true, 504: true, 507: false, 500: false} {
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if err := c.SendFiles(t.Context(), nil); err == nil || errors.Is(err, transfer.ErrUnavailable) != passes {
			t.Errorf("%d: %v", status, err)
		}
	}
	cut := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"taken":`)
	})
	if err := cut.SendFiles(t.Context(), nil); !errors.Is(err, transfer.ErrUnavailable) {
		t.Errorf("an answer that breaks off: %v", err)
	}
}
