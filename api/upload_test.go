package api_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"
)

func blobOf(content []byte) cas.Blob {
	return cas.Blob{Digest: cas.SumBytes(content), Size: int64(len(content))}
}

func uploadPath(blob cas.Blob) string {
	return fmt.Sprintf("/api/v3/shaman/files/%s/%d", blob.Digest, blob.Size)
}

func randomBytes(seed uint64, n int) []byte {
	content := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = source.Read(content)
	return content
}

const anyBytes = "application/octet-stream"

func TestUploadAnswers(t *testing.T) {
	f := newFarm(t)
	content := []byte("the bytes of a texture")
	blob := blobOf(content)
	other := cas.Blob{Digest: blob.Digest, Size: blob.Size + 1}
	wrong := blobOf([]byte("THE bytes of a texture"))
	chunked := func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) }
	for _, step := range []struct {
		name    string
		blob    cas.Blob
		body    io.Reader
		headers []string
		status  int
	}{
		{"too short", other, bytes.NewReader(content), nil, 417},
		{"too short, length unknown", other, chunked(content), nil, 417},
		{"too long", blob, bytes.NewReader(append(content, 'x')), nil, 417},
		{"too long, length unknown", blob, chunked(append(content, 'x')), nil, 417},
		{"other bytes", wrong, bytes.NewReader(content), nil, 417},
		{"garbled file name", blob, bytes.NewReader(content), []string{"X-Shaman-Original-Filename", "=?utf-9?q?x?="}, 400},
		{"stored", blob, bytes.NewReader(content), []string{"X-Shaman-Original-Filename", "=?utf-8?q?t=C3=A9xture.png?="}, 200},
		{"stored before", blob, bytes.NewReader(content), []string{"X-Shaman-Can-Defer-Upload", "True"}, 208},
		{"empty file", blobOf(nil), http.NoBody, nil, 200},
	} {
		resp, body := f.do("POST", uploadPath(step.blob), step.body, append(step.headers, "Content-Type", anyBytes)...)
		if resp.StatusCode != step.status {
			t.Errorf("%s: %d %s, want %d", step.name, resp.StatusCode, body, step.status)
		}
	}
	entries := try(os.ReadDir(filepath.Join(f.storage, "blobs", "incoming")))(t)
	if len(entries) > 0 {
		t.Errorf("refused uploads left %v", entries)
	}
}

func TestUploadIsDeferredToTheOneUnderWay(t *testing.T) {
	f := newFarm(t)
	content := randomBytes(1, 3<<20)
	blob := blobOf(content)
	end := f.inflight.Begin(blob)
	for header, want := range map[string]int{"True": 425, "true": 425} {
		resp, _ := f.do("POST", uploadPath(blob), bytes.NewReader(content), "Content-Type", anyBytes, "X-Shaman-Can-Defer-Upload", header)
		if resp.StatusCode != want {
			t.Errorf("can defer %s: %d, want %d", header, resp.StatusCode, want)
		}
	}
	var lacking wire.ShamanRequirementsResponse
	file := wire.ShamanFileSpec{Sha: blob.Digest.String(), Size: blob.Size, Path: "a"}
	f.json("POST", "/api/v3/shaman/checkout/requirements", wire.ShamanRequirementsRequest{Files: []wire.ShamanFileSpec{file}}, &lacking, 200)
	if len(lacking.Files) != 1 || lacking.Files[0].Status != wire.ShamanFileStatusUploading {
		t.Errorf("requirements say %+v", lacking)
	}
	end()
	resp, _ := f.do("POST", uploadPath(blob), bytes.NewReader(content), "Content-Type", anyBytes, "X-Shaman-Can-Defer-Upload", "false")
	if resp.StatusCode != 200 {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}

func TestManyClientsUploadOneBlobAtOnce(t *testing.T) {
	f := newFarm(t)
	for round := range 8 {
		content := randomBytes(uint64(round), 256<<10)
		blob := blobOf(content)
		var clients sync.WaitGroup
		start := make(chan struct{})
		for range 4 {
			clients.Go(func() {
				<-start
				resp, body := f.do("POST", uploadPath(blob), bytes.NewReader(content), "Content-Type", anyBytes)
				if resp.StatusCode != 200 && resp.StatusCode != 208 {
					t.Errorf("round %d: %d %s", round, resp.StatusCode, body)
				}
			})
		}
		close(start)
		clients.Wait()
	}
}

// rawRequest writes bytes to a connection of its own and reads one answer.
func rawRequest(t *testing.T, f *farm, request string) (*http.Response, net.Conn) {
	t.Helper()
	conn := try(net.Dial("tcp", strings.TrimPrefix(f.url, "http://")))(t)
	t.Cleanup(func() { _ = conn.Close() })
	_, err := io.WriteString(conn, request)
	must(t, err)
	resp := try(http.ReadResponse(bufio.NewReader(conn), nil))(t)
	return resp, conn
}

func TestHostileBodiesAreCutOff(t *testing.T) {
	f := newFarm(t)
	small := cas.Blob{Digest: cas.SumBytes([]byte("x")), Size: 1024}
	head := func(path, kind, length string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: farm\r\nContent-Type: " + kind + "\r\n" + length + "\r\n\r\n"
	}
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"10 GB announced as 1 KB":      {head(uploadPath(small), anyBytes, "Content-Length: 10000000000"), 417},
		"endless chunks as 1 KB":       {head(uploadPath(small), anyBytes, "Transfer-Encoding: chunked") + "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n", 417},
		"10 GB of JSON":                {head("/api/v3/jobs", "application/json", "Content-Length: 10000000000"), 413},
		"4 GB of requirements":         {head("/api/v3/shaman/checkout/requirements", "application/json", "Content-Length: 4000000000"), 413},
		"deep nesting":                 {head("/api/v3/jobs", "application/json", "Content-Length: 40000") + strings.Repeat("[", 40000), 400},
		"an upload that is stored":     {head(uploadPath(blobOf(nil)), anyBytes, "Content-Length: 0"), 200},
		"an image without a length":    {head("/api/v3/worker/task/0192f3a0-0000-7000-8000-000000000000/output-produced", "image/png", "Transfer-Encoding: chunked"), 403},
		"endless chunks of JSON lists": {head("/api/v3/jobs", "application/json", "Transfer-Encoding: chunked") + strings.Repeat("10000\r\n"+strings.Repeat(" ", 0x10000)+"\r\n", 40), 413},
	} {
		resp, conn := rawRequest(t, f, c.request)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.status)
		}
		_ = conn.Close()
	}
}

func TestTruncatedUploadLeavesNothing(t *testing.T) {
	f := newFarm(t)
	content := randomBytes(3, 100<<10)
	blob := blobOf(content)
	conn := try(net.Dial("tcp", strings.TrimPrefix(f.url, "http://")))(t)
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: farm\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		uploadPath(blob), anyBytes, blob.Size, content[:50<<10])
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	resp := try(http.ReadResponse(bufio.NewReader(conn), nil))(t)
	if resp.StatusCode != 417 && resp.StatusCode != 400 {
		t.Errorf("half a file: %d", resp.StatusCode)
	}
	must(t, conn.Close())
	stored := false
	must(t, f.blobs.Stat(t.Context(), []cas.Blob{blob}, func(cas.Blob) error { stored = true; return nil }))
	if stored {
		t.Error("half a file is stored")
	}
}

// TestClientCarriesAProject goes the way of the bytes: ask, send, check out, name, read back.
func TestClientCarriesAProject(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	contents := map[string][]byte{"scene.blend": randomBytes(4, 3<<20), "tex/a.png": randomBytes(5, 10<<10), "tex/copy.png": randomBytes(5, 10<<10)}
	var files []wire.ShamanFileSpec
	var entries []checkout.Entry
	bytesOf := map[cas.Digest][]byte{}
	var blobs []cas.Blob
	for _, path := range []string{"scene.blend", "tex/a.png", "tex/copy.png"} {
		blob := blobOf(contents[path])
		bytesOf[blob.Digest] = contents[path]
		blobs = append(blobs, blob)
		files = append(files, wire.ShamanFileSpec{Sha: blob.Digest.String(), Size: blob.Size, Path: path})
		entries = append(entries, checkout.Entry{Path: try(checkout.ParsePath(path))(t), Mode: checkout.Regular, Blob: blob})
	}
	manifest := try(checkout.NewManifest(entries))(t)
	var text bytes.Buffer
	must(t, manifest.Encode(&text))
	bytesOf[cas.SumBytes(text.Bytes())] = text.Bytes()

	if _, err := c.Checkout(ctx, "early", files); !isMissing(err, 3) {
		t.Errorf("checkout of what is not there: %v", err)
	}
	asked := append(blobs, blobOf(text.Bytes()))
	lacking := try(c.Lacking(ctx, asked))(t)
	if !slices.Equal(lacking, []bool{true, true, true, true}) {
		t.Fatalf("lacking %v of an empty store", lacking)
	}
	for _, blob := range []cas.Blob{asked[0], asked[1], asked[3]} {
		var progress int
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(bytesOf[blob.Digest])), nil }
		if sent, err := c.Upload(ctx, blob, open, func(n int) { progress += n }); err != nil || !sent || int64(progress) != blob.Size {
			t.Fatalf("upload %v: sent %t, %d bytes told, %v", blob, sent, progress, err)
		}
	}
	first, second := try(c.Checkout(ctx, "job", files))(t), try(c.Checkout(ctx, "job", files))(t)
	if first != "job" || !strings.HasPrefix(second, "job-") {
		t.Errorf("checkouts %q and %q", first, second)
	}
	laid := try(os.ReadFile(filepath.Join(f.storage, "jobs", first, "tex", "copy.png")))(t)
	if !bytes.Equal(laid, contents["tex/copy.png"]) {
		t.Error("the checkout has other bytes")
	}
	must(t, c.PutRef(ctx, "project", blobOf(text.Bytes())))
	if got := try(c.Ref(ctx, "project"))(t); got != blobOf(text.Bytes()) {
		t.Errorf("ref names %v", got)
	}
	readBack(ctx, t, c, blobs[0], contents["scene.blend"])
	count := 0
	must(t, c.Blobs(ctx, func(cas.Blob) error { count++; return nil }))
	if count != 3 {
		t.Errorf("the store lists %d blobs", count)
	}
}

func isMissing(err error, files int) bool {
	answer, ok := asAnswer(err)
	return ok && answer.Is(client.ErrMissingBlobs) && len(answer.Files) == files
}

func readBack(ctx context.Context, t *testing.T, c *client.Client, blob cas.Blob, want []byte) {
	t.Helper()
	reader := try(c.Open(ctx, blob.Digest))(t)
	defer reader.Close()
	for _, from := range []int64{0, 1, blob.Size - 1} {
		got := make([]byte, blob.Size-from)
		if _, err := reader.ReadAt(got, from); err != nil || !bytes.Equal(got, want[from:]) {
			t.Errorf("blob from %d: %v, or other bytes", from, err)
		}
	}
	if _, err := c.Open(ctx, cas.SumBytes([]byte("nobody has this"))); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("an unknown blob: %v", err)
	}
}

func TestBlobHeaders(t *testing.T) {
	f := newFarm(t)
	content := []byte("0123456789")
	blob := blobOf(content)
	f.do("POST", uploadPath(blob), bytes.NewReader(content), "Content-Type", anyBytes)
	path := "/api/v3/cas/blobs/" + blob.Digest.String()
	for _, c := range []struct {
		header, value string
		status        int
		body          string
	}{
		{"Range", "bytes=2-4", 206, "234"},
		{"Range", "bytes=-2", 206, "89"},
		{"Range", "bytes=20-", 416, "invalid range: failed to overlap\n"},
		{"If-None-Match", `"` + blob.Digest.String() + `"`, 304, ""},
		{"Accept", "*/*", 200, "0123456789"},
	} {
		resp, body := f.do("GET", path, nil, c.header, c.value)
		if resp.StatusCode != c.status || string(body) != c.body {
			t.Errorf("%s: %s: %d %q", c.header, c.value, resp.StatusCode, body)
		}
	}
}
