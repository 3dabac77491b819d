package gather

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"hayloft/cas"
	"hayloft/checkout"
)

// scene is what the plain bytes of a .blend file look like to somebody who reads their first seven alone.
func scene(size int) []byte {
	plain := make([]byte, size)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range plain {
		plain[i] = byte(random.UintN(16))
	}
	copy(plain, "BLENDER-v304")
	return plain
}

// zstdFrames compresses as Blender does (fact: "zstd as Blender writes it"): a frame for each piece, and a table of
// their sizes in a frame that readers skip.
func zstdFrames(t testing.TB, plain []byte, piece int) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	var packed, table []byte
	count := uint32(0)
	for start := 0; start < len(plain); start += piece {
		part := plain[start:min(start+piece, len(plain))]
		frame := encoder.EncodeAll(part, nil)
		packed = append(packed, frame...)
		table = binary.LittleEndian.AppendUint32(table, uint32(len(frame)))
		table = binary.LittleEndian.AppendUint32(table, uint32(len(part)))
		count++
	}
	packed = binary.LittleEndian.AppendUint32(packed, 0x184D2A5E)
	packed = binary.LittleEndian.AppendUint32(packed, uint32(len(table)+9))
	packed = append(packed, table...)
	packed = binary.LittleEndian.AppendUint32(packed, count)
	packed = append(packed, 0)
	return binary.LittleEndian.AppendUint32(packed, 0x8F92EAB1)
}

func gzipped(t testing.TB, plain []byte, members int) []byte {
	t.Helper()
	var packed bytes.Buffer
	each := (len(plain) + members - 1) / members
	for start := 0; start < len(plain); start += each {
		w := gzip.NewWriter(&packed)
		_, err := w.Write(plain[start:min(start+each, len(plain))])
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return packed.Bytes()
}

func TestDecode(t *testing.T) {
	plain := scene(300_000)
	seekable, skipped := zstdFrames(t, plain, 100_000), []byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'}
	for name, test := range map[string]struct {
		path    string
		content []byte
		decoded checkout.Origin
	}{
		"plain":                  {"a.blend", plain, checkout.Plain},
		"zstd":                   {"a.blend", seekable, checkout.FromZstd},
		"zstd, by its content":   {"a.BLEND", seekable, checkout.FromZstd},
		"zstd, one frame":        {"a.blend", zstdFrames(t, plain, len(plain)), checkout.FromZstd},
		"zstd, skipped first":    {"a.blend", append(skipped, seekable...), checkout.FromZstd},
		"gzip":                   {"a.blend", gzipped(t, plain, 1), checkout.FromGzip},
		"gzip in members":        {"a.blend", gzipped(t, plain, 3), checkout.FromGzip},
		"no scene by its name":   {"a.vdb", seekable, checkout.Plain},
		"no scene by content":    {"a.blend", gzipped(t, []byte("a letter"), 1), checkout.Plain},
		"cut short":              {"a.blend", seekable[:len(seekable)/2], checkout.Plain},
		"with something behind":  {"a.blend", append(bytes.Clone(seekable), "tail"...), checkout.Plain},
		"gzip, damaged":          {"a.blend", damaged(gzipped(t, plain, 1)), checkout.Plain},
		"zstd, damaged":          {"a.blend", damaged(seekable), checkout.Plain},
		"empty":                  {"a.blend", nil, checkout.Plain},
		"no more than the magic": {"a.blend", seekable[:4], checkout.Plain},
	} {
		t.Run(name, func(t *testing.T) { decodes(t, test.path, test.content, plain, test.decoded) })
	}
}

// damaged has a wrong byte in its middle.
func damaged(content []byte) []byte {
	content = bytes.Clone(content)
	content[len(content)/2] ^= 1
	return content
}

func decodes(t *testing.T, path string, content, plain []byte, decoded checkout.Origin) {
	root, x := t.TempDir(), index(t)
	want := content
	if decoded != checkout.Plain {
		want = plain
	}
	lay(t, root, map[string]string{path: string(content)})
	how := Reading{Index: x, Decode: true, Spool: t.TempDir()}
	_, all, summary := reads(t, root, how)
	f := all[path]
	if f.Decoded != decoded || f.Blob.Digest != cas.SumBytes(want) || f.Blob.Size != int64(len(want)) {
		t.Fatalf("got %v, %v", f.Decoded, f.Blob)
	}
	if summary.BytesRead != int64(len(content)) {
		t.Errorf("%d bytes were read of %d", summary.BytesRead, len(content))
	}
	// The second time, what was decoded is used up.
	for range 2 {
		if !bytes.Equal(opens(t, f), want) {
			t.Error("it opens to other bytes")
		}
	}
	spoolIsEmpty(t, how.Spool)
	how.Read = neverRead
	_, all, _ = reads(t, root, how)
	if again := all[path]; again.State != Unchanged || again.Decoded != decoded || !bytes.Equal(opens(t, again), want) {
		t.Errorf("unchanged: %v %v", again.State, again.Decoded)
	}
	spoolIsEmpty(t, how.Spool)
}

func spoolIsEmpty(t *testing.T, spool string) {
	t.Helper()
	if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// A file is read again if it was read with another wish to decode it, and it could make a difference.
func TestDecodeIsSwitched(t *testing.T) {
	plain := scene(2000)
	packed := zstdFrames(t, plain, 1000)
	root, x := t.TempDir(), index(t)
	lay(t, root, map[string]string{"packed.blend": string(packed), "plain.blend": string(plain), "wood.png": "w"})
	for _, step := range []struct {
		decode bool
		want   Summary
		origin checkout.Origin
	}{
		{false, Summary{FilesNew: 3, BytesRead: int64(len(packed) + len(plain) + 1)}, checkout.Plain},
		{true, Summary{FilesChanged: 1, FilesUnchanged: 2, BytesRead: int64(len(packed) + len(plain))}, checkout.FromZstd},
		{true, Summary{FilesUnchanged: 3}, checkout.FromZstd},
		{false, Summary{FilesChanged: 1, FilesUnchanged: 2, BytesRead: int64(len(packed))}, checkout.Plain},
		{false, Summary{FilesUnchanged: 3}, checkout.Plain},
	} {
		_, all, summary := reads(t, root, Reading{Index: x, Decode: step.decode, Spool: t.TempDir()})
		if summary != step.want || all["packed.blend"].Decoded != step.origin {
			t.Errorf("decode %v: %+v, %v", step.decode, summary, all["packed.blend"].Decoded)
		}
	}
}

func TestDecodeNeedsRoom(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a.blend": string(zstdFrames(t, scene(2000), 1000))})
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(t.Context(), tree, Reading{Decode: true}); err == nil {
		t.Error("decoded without a spool")
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if _, _, err := Read(t.Context(), tree, Reading{Decode: true, Spool: gone}); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrUnusable) {
		t.Errorf("a spool that is not there: %v", err)
	}
}

// What was decoded of a file that changed meanwhile does not stay.
func TestDecodeLeavesNothingOfEarlierVersions(t *testing.T) {
	root, spool := t.TempDir(), t.TempDir()
	lay(t, root, map[string]string{"a.blend": string(zstdFrames(t, scene(2000), 1000))})
	times := 0
	_, all, _ := reads(t, root, Reading{Decode: true, Spool: spool, Read: func(ctx context.Context, r io.ReaderAt, size int64) (Content, error) {
		if times++; times < attempts {
			lay(t, root, map[string]string{"a.blend": string(gzipped(t, scene(2000+times), 1))})
		}
		return sum(ctx, r, size)
	}})
	if f := all["a.blend"]; f.Decoded != checkout.FromGzip || f.Blob.Digest != cas.SumBytes(scene(2000+attempts-1)) {
		t.Errorf("got %v, %v", f.Decoded, f.Blob)
	}
	if left, err := os.ReadDir(spool); err != nil || len(left) != 1 {
		t.Errorf("in the spool: %v, %v", left, err)
	}
	opens(t, all["a.blend"])
	spoolIsEmpty(t, spool)
}

// Beyond its bound nothing stays in the spool, and all can be opened all the same.
func TestSpoolIsBounded(t *testing.T) {
	s := &spool{folder: t.TempDir()}
	s.used.Store(spoolBytes - 1000)
	plain := scene(1001)
	path := filepath.Join(t.TempDir(), "a.blend")
	packed := gzipped(t, plain, 1)
	if err := os.WriteFile(path, packed, 0o666); err != nil {
		t.Fatal(err)
	}
	u, content, err := s.unpack(t.Context(), path, bytes.NewReader(packed), int64(len(packed)))
	if err != nil || u.size != int64(len(plain)) {
		t.Fatal(u, err)
	}
	if err := content.Close(); err != nil {
		t.Fatal(err)
	}
	spoolIsEmpty(t, s.folder)
	if s.used.Load() != spoolBytes-1000 {
		t.Errorf("%d bytes count as used", s.used.Load())
	}
	if got := opens(t, Found{Open: u.open}); !bytes.Equal(got, plain) {
		t.Error("it opens to other bytes")
	}
}

func FuzzDecode(f *testing.F) {
	plain := scene(300)
	for _, content := range [][]byte{plain, zstdFrames(f, plain, 100), gzipped(f, plain, 2), gzipped(f, []byte("BLENDER"), 1), {0x50, 0x2a, 0x4d, 0x18}} {
		f.Add(content)
	}
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		s := &spool{folder: folder}
		got, origin, err := s.decode(t.Context(), bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			return
		}
		head := make([]byte, len(blendMagic))
		if _, err := got.ReadAt(head, 0); err != nil || !bytes.Equal(head, blendMagic) || origin == checkout.Plain {
			t.Error(fmt.Sprintf("%q", head), origin, err)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	})
}
