package api_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"hayloft/api"
	"hayloft/api/client"
	"hayloft/api/octets"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
	"hayloft/cas/transfer"
	"hayloft/checkout"
)

// cut gives the recipe of some bytes.
func cut(t testing.TB, content []byte) chunk.Recipe {
	t.Helper()
	return try(chunk.Split(t.Context(), bytes.NewReader(content), int64(len(content)), func(chunk.Piece) error { return nil }))(t)
}

func encoded(t testing.TB, recipe chunk.Recipe) []byte { return try(recipe.MarshalBinary())(t) }

// chunkFrames makes frames of the chosen chunks, each chunk in a frame of its own.
func chunkFrames(recipe chunk.Recipe, content []byte, chosen []bool) []byte {
	var frames []byte
	ordinal := 0
	for c, ranges := range recipe.Chunks() {
		if ordinal++; !chosen[ordinal-1] {
			continue
		}
		var data []byte
		for _, r := range ranges {
			data = append(data, content[r.Offset:r.End()]...)
		}
		frames = pack.Append(frames, pack.ChunkKind, []pack.Item{{ID: c.ID.Bytes(), Length: c.Length}}, data)
	}
	return frames
}

// fileFrames makes frames of small files, ten to a frame.
func fileFrames(contents ...[]byte) []byte {
	var frames []byte
	for group := range slices.Chunk(contents, 10) {
		var items []pack.Item
		for _, content := range group {
			items = append(items, pack.Item{ID: cas.SumBytes(content).Bytes(), Length: len(content)})
		}
		frames = pack.Append(frames, pack.BlobKind, items, slices.Concat(group...))
	}
	return frames
}

func all(n int) []bool { return slices.Repeat([]bool{true}, n) }

func count(set []bool) (n int) {
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}

// send uploads bytes by their recipe, or by a delta, in one lane.
func send(t testing.TB, c *client.Client, announced []byte, content []byte) (sent int) {
	t.Helper()
	ctx, recipe := t.Context(), cut(t, content)
	asked := try(c.Ask(ctx, announced))(t)
	if _, err := c.Session(ctx, asked.ID); !errors.Is(err, transfer.ErrNoSession) {
		t.Errorf("the question began a session: %v", err)
	}
	session := try(c.Begin(ctx, announced))(t)
	if asked.ID != session.ID || asked.Blob != session.Blob || !slices.Equal(asked.Lacking, session.Lacking) {
		t.Errorf("asked %+v, and then began %+v", asked, session)
	}
	if session.Blob != recipe.Blob() {
		t.Fatalf("the session is about %v", session.Blob)
	}
	frames := chunkFrames(recipe, content, session.Lacking)
	if next := try(c.Append(ctx, session.ID, "lane", 0, frames))(t); next != int64(len(frames)) {
		t.Fatalf("the lane stands at %d of %d", next, len(frames))
	}
	if lacking := try(c.Commit(ctx, session.ID))(t); lacking != nil {
		t.Fatalf("%d chunks are lacking", count(lacking))
	}
	return count(session.Lacking)
}

func wantBlob(t testing.TB, c *client.Client, content []byte) {
	t.Helper()
	reader := try(c.Open(t.Context(), cas.SumBytes(content)))(t)
	defer reader.Close()
	if got := try(io.ReadAll(reader))(t); !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back, other than the %d that were sent", len(got), len(content))
	}
}

func TestUploadByRecipeAndDelta(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	first := randomBytes(20, 4<<20)
	recipe := cut(t, first)
	if n := send(t, c, encoded(t, recipe), first); n != recipe.Len() {
		t.Errorf("%d of %d chunks were lacking in an empty store", n, recipe.Len())
	}
	wantBlob(t, c, first)
	if again := try(c.Begin(ctx, encoded(t, recipe)))(t); !again.Stored || count(again.Lacking) != 0 {
		t.Errorf("announced again: %+v", again)
	}
	second := slices.Concat(first[:1<<20], randomBytes(21, 1000), first[1<<20:])
	if n := send(t, c, cut(t, second).AppendDelta(nil, recipe), second); n > 3 {
		t.Errorf("%d chunks were lacking after an insertion", n)
	}
	wantBlob(t, c, second)
	lacking := try(c.Lacking(ctx, []cas.Blob{blobOf(first), blobOf([]byte("x")), blobOf(second)}))(t)
	if !slices.Equal(lacking, []bool{false, true, false}) || c.Generation() != f.blobs.Generation() || c.Generation() == "" {
		t.Errorf("lacking %v in store %q", lacking, c.Generation())
	}
	third := randomBytes(22, 2<<20)
	_, err := c.Begin(ctx, cut(t, third).AppendDelta(nil, cut(t, randomBytes(23, 2<<20))))
	if answer, ok := asAnswer(err); !ok || answer.Status != http.StatusConflict || !errors.Is(err, transfer.ErrUnknownBase) {
		t.Errorf("a delta against nothing: %v", err)
	}
}

func TestSenderAndClientCarryFiles(t *testing.T) {
	f := newFarm(t)
	c := f.client()
	contents := [][]byte{randomBytes(30, 5<<20), randomBytes(31, 700<<10), []byte("small"), {}}
	var sources []transfer.Source
	for i, content := range contents {
		sources = append(sources, transfer.Source{Blob: blobOf(content), Name: fmt.Sprint(i),
			Open: func() (transfer.File, error) { return contentFile{bytes.NewReader(content)}, nil }})
	}
	report := try(transfer.Send(t.Context(), c, sources, transfer.Options{}))(t)
	if report.BlobsSent != len(contents) {
		t.Errorf("%+v", report)
	}
	for _, content := range contents {
		wantBlob(t, c, content)
	}
	again := try(transfer.Send(t.Context(), c, sources, transfer.Options{}))(t)
	if again.BlobsSent != 0 {
		t.Errorf("sent again: %+v", again)
	}
}

type contentFile struct{ *bytes.Reader }

func (contentFile) Close() error { return nil }

// TestUploadGoesOnInsideOfAFrame cuts the connection in the middle of a frame; not one byte is sent again.
func TestUploadGoesOnInsideOfAFrame(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	content := randomBytes(24, 3<<20)
	recipe := cut(t, content)
	session := try(c.Begin(ctx, encoded(t, recipe)))(t)
	frames := chunkFrames(recipe, content, all(recipe.Len()))
	half := len(frames)/2 + 1
	conn := dialFarm(t, f)
	_, err := fmt.Fprintf(conn, "PATCH /api/v3/cas/uploads/%s/lanes/a HTTP/1.1\r\nHost: farm\r\nContent-Type: %s\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n%s",
		session.ID, octets.FramesType, len(frames), frames[:half])
	must(t, err)
	endRequest(t, conn) // the answer comes when the server has noticed
	stands := try(c.Session(ctx, session.ID))(t)
	if stands.Lanes["a"] != int64(half) {
		t.Fatalf("after a cut at %d the lanes stand at %v", half, stands.Lanes)
	}
	if lacking := count(stands.Lacking); lacking == 0 || lacking == recipe.Len() {
		t.Errorf("%d of %d chunks are lacking in the middle", lacking, recipe.Len())
	}
	if lacking := try(c.Commit(ctx, session.ID))(t); !slices.Equal(lacking, stands.Lacking) {
		t.Errorf("a commit in the middle lacks %d chunks, want %d", count(lacking), count(stands.Lacking))
	}
	try(c.Append(ctx, session.ID, "a", int64(half), frames[half:]))(t)
	if lacking := try(c.Commit(ctx, session.ID))(t); lacking != nil {
		t.Errorf("%d chunks are lacking", count(lacking))
	}
	wantBlob(t, c, content)
}

func TestWrongOffsetsAreTold(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	content := randomBytes(25, 6<<20)
	recipe := cut(t, content)
	session := try(c.Begin(ctx, encoded(t, recipe)))(t)
	frames := chunkFrames(recipe, content, all(recipe.Len()))
	if _, err := c.Append(ctx, session.ID, "a", 5, frames); !errors.Is(err, transfer.ErrOffset) {
		t.Errorf("a lane that begins at 5: %v", err)
	}
	try(c.Append(ctx, session.ID, "a", 0, frames[:1000]))(t)
	resp, body := f.do("PATCH", "/api/v3/cas/uploads/"+session.ID+"/lanes/a", bytes.NewReader(frames[:2000]),
		"Content-Type", octets.FramesType, "Upload-Offset", "0")
	if resp.StatusCode != http.StatusConflict || resp.Header.Get("Upload-Offset") != "1000" {
		t.Errorf("%d, Upload-Offset %q: %s", resp.StatusCode, resp.Header.Get("Upload-Offset"), body)
	}
	resp, body = f.do("PATCH", "/api/v3/cas/uploads/"+session.ID+"/lanes/a", bytes.NewReader(frames[1000:]),
		"Content-Type", octets.FramesType, "Upload-Offset", "1000")
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Upload-Offset") != fmt.Sprint(len(frames)) {
		t.Errorf("%d, Upload-Offset %q: %s", resp.StatusCode, resp.Header.Get("Upload-Offset"), body)
	}
	must(t, c.Cancel(ctx, session.ID))
	if _, err := c.Session(ctx, session.ID); !errors.Is(err, transfer.ErrNoSession) || !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a session that was given up: %v", err)
	}
}

func TestTwoClientsShareASession(t *testing.T) {
	f := newFarm(t)
	content := randomBytes(26, 4<<20)
	recipe := cut(t, content)
	ids := make([]string, 2)
	var clients sync.WaitGroup
	for i := range ids {
		clients.Go(func() {
			c := f.client()
			session := try(c.Begin(t.Context(), encoded(t, recipe)))(t)
			ids[i] = session.ID
			mine := make([]bool, recipe.Len())
			for ordinal := range mine {
				mine[ordinal] = ordinal%2 == i
			}
			try(c.Append(t.Context(), session.ID, fmt.Sprint("lane-", i), 0, chunkFrames(recipe, content, mine)))(t)
		})
	}
	clients.Wait()
	if ids[0] != ids[1] {
		t.Errorf("two sessions: %v", ids)
	}
	for i := range ids {
		if lacking := try(f.client().Commit(t.Context(), ids[i]))(t); lacking != nil {
			t.Errorf("client %d: %d chunks are lacking", i, count(lacking))
		}
	}
	wantBlob(t, f.client(), content)
}

// numbered are small files, all different.
func numbered(n int) (contents [][]byte, digests []cas.Digest) {
	for i := range n {
		content := fmt.Appendf(nil, "file %d %s", i, strings.Repeat("x", i%500))
		contents, digests = append(contents, content), append(digests, cas.SumBytes(content))
	}
	return contents, digests
}

func TestManySmallFilesThereAndBack(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	contents, digests := numbered(2500)
	must(t, c.SendFiles(ctx, fileFrames(contents...)))
	slices.Reverse(digests)
	digests = append(digests, digests[7]) // one that comes twice
	at := 0
	must(t, c.Files(ctx, digests, func(blob cas.Blob, data []byte) error {
		if blob != blobOf(data) || blob.Digest != digests[at] {
			t.Errorf("file %d is %v", at, blob)
		}
		at++
		return nil
	}))
	if at != len(digests) {
		t.Errorf("%d of %d files came", at, len(digests))
	}
	nobodys := cas.SumBytes([]byte("nobody has this"))
	err := c.Files(ctx, append(digests, nobodys), func(cas.Blob, []byte) error { t.Error("a file came"); return nil })
	if !errors.Is(err, cas.ErrNotFound) || !strings.Contains(err.Error(), nobodys.String()) {
		t.Errorf("with one that is lacking: %v", err)
	}
	large := randomBytes(27, 1<<20+1)
	send(t, c, encoded(t, cut(t, large)), large)
	if err := c.Files(ctx, []cas.Digest{cas.SumBytes(large)}, nil); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a large file among the small: %v", err)
	}
	enough := errors.New("enough")
	if err := c.Files(ctx, digests, func(cas.Blob, []byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("an error of the caller: %v", err)
	}
}

func TestRecipesAndChunksComeBack(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	first := randomBytes(28, 5<<20)
	second := slices.Concat(first[:2<<20], []byte("more"), first[2<<20:])
	send(t, c, encoded(t, cut(t, first)), first)
	send(t, c, encoded(t, cut(t, second)), second)
	_, before := c.Traffic()
	whole := try(c.Recipe(ctx, cas.SumBytes(second), chunk.Recipe{}))(t)
	_, between := c.Traffic()
	delta := try(c.Recipe(ctx, cas.SumBytes(second), cut(t, first)))(t)
	_, after := c.Traffic()
	stranger := try(c.Recipe(ctx, cas.SumBytes(second), cut(t, []byte("of nobody"))))(t)
	for name, got := range map[string]chunk.Recipe{"whole": whole, "delta": delta, "against a recipe that the store lacks": stranger} {
		if got.ID() != cut(t, second).ID() {
			t.Errorf("%s: another recipe came", name)
		}
	}
	if between-before < 2*(after-between) {
		t.Errorf("the recipe took %d bytes, the delta %d", between-before, after-between)
	}
	if _, err := c.Recipe(ctx, cas.SumBytes([]byte("x")), chunk.Recipe{}); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("a blob that nobody cut: %v", err)
	}
	wanted := make([]bool, whole.Len())
	var want []chunk.Chunk
	ordinal := 0
	for c := range whole.Chunks() {
		if wanted[ordinal] = ordinal%3 != 1; wanted[ordinal] {
			want = append(want, c)
		}
		ordinal++
	}
	var got []chunk.Chunk
	must(t, c.Chunks(ctx, whole, wanted, func(c chunk.Chunk, data []byte) error {
		if chunk.Sum(data) != c.ID {
			t.Errorf("chunk %v has other bytes", c.ID)
		}
		got = append(got, c)
		return nil
	}))
	if !slices.Equal(got, want) {
		t.Errorf("%d chunks came, want %d", len(got), len(want))
	}
}

// bomb is a frame whose payload is a thousand times larger than it says.
func bomb(kind pack.Kind) []byte {
	zeros := pack.Item{Length: pack.MaxData}
	honest := pack.Append(nil, kind, []pack.Item{zeros}, make([]byte, zeros.Length))
	length := binary.AppendUvarint(nil, uint64(zeros.Length))
	return slices.Concat(honest[:3], binary.AppendUvarint(nil, 1000), honest[3+len(length):])
}

func TestHostileTransfersAreRefused(t *testing.T) {
	f := newFarm(t)
	content := randomBytes(29, 2<<20)
	recipe := cut(t, content)
	session := try(f.client().Begin(t.Context(), encoded(t, recipe)))(t)
	lane := "/api/v3/cas/uploads/" + session.ID + "/lanes/a"
	good, wrong := fileFrames([]byte("good")), fileFrames([]byte("wrong"))
	wrong[len(wrong)-1]++
	foreign := randomBytes(30, 1<<20)
	liar := cut(t, content)
	nowhere := "/api/v3/cas/uploads/" + strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		method, path, mediaType string
		body                    []byte
		status                  int
	}{
		"frames without a version":       {"POST", "/api/v3/cas/files", "application/vnd.hayloft.frames", good, 415},
		"frames of another version":      {"POST", "/api/v3/cas/files", "application/vnd.hayloft.frames; version=2", good, 415},
		"frames with more to say":        {"POST", "/api/v3/cas/files", "application/vnd.hayloft.frames; version=1; x=y", good, 415},
		"frames as JSON":                 {"POST", "/api/v3/cas/files", "application/json", good, 415},
		"frames without a type":          {"POST", "/api/v3/cas/files", "", good, 415},
		"frames written otherwise":       {"POST", "/api/v3/cas/files", `Application/vnd.hayloft.frames;version="1"`, good, 200},
		"a file with other bytes":        {"POST", "/api/v3/cas/files", octets.FramesType, slices.Concat(good, wrong), 417},
		"a frame that ends early":        {"POST", "/api/v3/cas/files", octets.FramesType, good[:len(good)-1], 400},
		"chunks among files":             {"POST", "/api/v3/cas/files", octets.FramesType, chunkFrames(recipe, content, all(recipe.Len())), 400},
		"a bomb of files":                {"POST", "/api/v3/cas/files", octets.FramesType, bomb(pack.BlobKind), 400},
		"a bomb of chunks":               {"PATCH", lane, octets.FramesType, bomb(pack.ChunkKind), 400},
		"files among chunks":             {"PATCH", lane, octets.FramesType, good, 400},
		"chunks of another file":         {"PATCH", lane, octets.FramesType, chunkFrames(cut(t, foreign), foreign, all(cut(t, foreign).Len())), 400},
		"a lane with a dot":              {"PATCH", lane + ".", octets.FramesType, nil, 400},
		"a lane of nobody":               {"PATCH", nowhere + "/lanes/a", octets.FramesType, chunkFrames(recipe, content, all(recipe.Len())), 404},
		"a commit of nobody":             {"POST", nowhere + "/commit", "", nil, 404},
		"the end of nobody":              {"DELETE", nowhere, "", nil, 404},
		"an id of no session":            {"GET", "/api/v3/cas/uploads/x", "", nil, 400},
		"a recipe of noise":              {"POST", "/api/v3/cas/uploads", anyBytes, randomBytes(31, 1000), 400},
		"a recipe with a tail":           {"POST", "/api/v3/cas/uploads", anyBytes, append(encoded(t, liar), 0), 400},
		"an empty recipe":                {"POST", "/api/v3/cas/uploads", anyBytes, nil, 400},
		"a million chunks of a byte":     {"POST", "/api/v3/cas/uploads", anyBytes, crumbs(1_000_000), 400},
		"half a question":                {"POST", "/api/v3/cas/lacking", anyBytes, make([]byte, 60), 400},
		"a question as JSON":             {"POST", "/api/v3/cas/lacking", "application/json", make([]byte, 40), 415},
		"10,001 questions":               {"POST", "/api/v3/cas/lacking", anyBytes, make([]byte, 10_001*40), 413},
		"half a digest":                  {"POST", "/api/v3/cas/files/read", anyBytes, make([]byte, 16), 400},
		"chunks of a blob that is gone":  {"POST", "/api/v3/cas/blobs/" + strings.Repeat("0", 64) + "/chunks", anyBytes, nil, 404},
		"a recipe against no recipe":     {"GET", "/api/v3/cas/blobs/" + strings.Repeat("0", 64) + "/recipe?base=x", "", nil, 400},
		"a recipe of a blob that is not": {"GET", "/api/v3/cas/blobs/x/recipe", "", nil, 400},
	} {
		headers := []string{"Content-Type", c.mediaType, "Upload-Offset", "0"}
		if c.mediaType == "" {
			headers = headers[2:]
		}
		resp, answer := f.do(c.method, c.path, bytes.NewReader(c.body), headers...)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, answer, c.status)
		}
	}
	if lacking := try(f.client().Lacking(t.Context(), []cas.Blob{blobOf([]byte("good")), blobOf([]byte("wrong")), recipe.Blob()}))(t); !slices.Equal(lacking, []bool{false, true, true}) {
		t.Errorf("afterwards the store lacks %v", lacking)
	}
}

// crumbs is a recipe of so many chunks of one byte each.
func crumbs(n int) []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(n))
	b = append(b, make([]byte, 32)...)
	b = binary.AppendUvarint(append(b, 0), uint64(n))
	for range n {
		b = append(append(b, 3), bytes.Repeat([]byte{7}, 32)...)
	}
	return b
}

// TestTransfersAreBoundedBeforeTheyAreRead announces more than is taken, and sends nothing of it.
func TestTransfersAreBoundedBeforeTheyAreRead(t *testing.T) {
	f := newFarm(t)
	head := func(path, mediaType, length string) string {
		return "POST /api/v3/cas/" + path + " HTTP/1.1\r\nHost: farm\r\nContent-Type: " + mediaType + "\r\n" + length + "\r\n\r\n"
	}
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"65 MiB of files":             {head("files", octets.FramesType, "Content-Length: 68157440"), 413},
		"65 MiB of a recipe":          {head("uploads", anyBytes, "Content-Length: 68157440"), 413},
		"a recipe without a length":   {head("uploads", anyBytes, "Transfer-Encoding: chunked"), 411},
		"a gigabyte of questions":     {head("lacking", anyBytes, "Content-Length: 1000000000"), 413},
		"endless chunks of questions": {head("lacking", anyBytes, "Transfer-Encoding: chunked") + "80000\r\n" + strings.Repeat("x", 0x80000) + "\r\n", 413},
	} {
		resp, conn := rawRequest(t, f, c.request)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.status)
		}
		_ = conn.Close()
	}
}

// TestLyingRecipe sends all chunks of a recipe whose SHA-256 is not that of its bytes.
func TestLyingRecipe(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	content := randomBytes(32, 2<<20)
	recipe := cut(t, content)
	lie := encoded(t, recipe)
	lie[10]++ // within the SHA-256
	session := try(c.Begin(ctx, lie))(t)
	try(c.Append(ctx, session.ID, "a", 0, chunkFrames(recipe, content, all(recipe.Len()))))(t)
	if _, err := c.Commit(ctx, session.ID); !errors.Is(err, cas.ErrDigestMismatch) {
		t.Errorf("the commit: %v", err)
	}
	if _, err := c.Session(ctx, session.ID); !errors.Is(err, transfer.ErrNoSession) {
		t.Errorf("the session afterwards: %v", err)
	}
	if assemblies := try(f.blobs.Assemblies(ctx))(t); len(assemblies) != 0 {
		t.Errorf("left behind: %v", assemblies)
	}
}

// offers hears what the cutter is offered.
type offers chan cas.Blob

func (o offers) Offer(blob cas.Blob) { o <- blob }

func TestWholeUploadsAreOfferedToTheCutter(t *testing.T) {
	heard := make(offers, 2)
	f := newFarm(t, func(c *api.Config) { c.Cutter = heard })
	content := randomBytes(33, 2<<20)
	for range 2 { // the second time it is stored already
		f.do("POST", uploadPath(blobOf(content)), bytes.NewReader(content), "Content-Type", anyBytes)
	}
	if got := <-heard; got != blobOf(content) || len(heard) != 0 {
		t.Errorf("offered %v and %d more", got, len(heard))
	}
}

// name stores a tree of small files and names it.
func name(ctx context.Context, t *testing.T, c *client.Client, ref string, files map[string]string) {
	t.Helper()
	var entries []checkout.Entry
	var contents [][]byte
	for path, text := range files {
		entries = append(entries, checkout.Entry{Path: try(checkout.ParsePath(path))(t), Mode: checkout.Regular, Blob: blobOf([]byte(text))})
		contents = append(contents, []byte(text))
	}
	manifest := try(checkout.NewManifest(entries))(t)
	var text bytes.Buffer
	must(t, manifest.Encode(&text))
	must(t, c.SendFiles(ctx, fileFrames(append(contents, text.Bytes())...)))
	must(t, c.PutRef(ctx, ref, blobOf(text.Bytes())))
}

func TestStatsTellWhatDeletingARefWouldFree(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	if stats := try(c.Stats(ctx))(t); stats.Blobs != 0 || stats.Refs == nil || len(stats.Refs) != 0 {
		t.Errorf("an empty store: %+v", stats)
	}
	name(ctx, t, c, "a", map[string]string{"one": "1", "two": "22", "again": "1"})
	name(ctx, t, c, "b", map[string]string{"two": "22", "three": "333"})
	name(ctx, t, c, "c", map[string]string{"two": "22"})
	stats := try(c.Stats(ctx))(t)
	want := []wire.RefStats{
		{Name: "a", Files: 3, Logical: 4, Unique: 1, Shared: 2},
		{Name: "b", Files: 2, Logical: 5, Unique: 3, Shared: 2},
		{Name: "c", Files: 1, Logical: 2, Unique: 0, Shared: 2},
	}
	if !slices.Equal(stats.Refs, want) || stats.Blobs != 6 || stats.Generation != f.blobs.Generation() {
		t.Errorf("%+v", stats)
	}
}
