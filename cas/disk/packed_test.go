package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
	"hayloft/cas/castest"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// smallOnes gives n small contents of different sizes, the first of them empty.
func smallOnes(seed uint64, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = castest.Content(seed+uint64(i), i*997%(SmallSize+1))
	}
	return all
}

func blobsOf(contents [][]byte) []cas.Blob {
	blobs := make([]cas.Blob, len(contents))
	for i, content := range contents {
		blobs[i] = castest.BlobOf(content)
	}
	return blobs
}

// wantHeldBytes checks that a store or view gives each content.
func wantHeldBytes(t *testing.T, view *View, contents [][]byte) {
	t.Helper()
	for _, content := range contents {
		if !isHeld(t, view, castest.BlobOf(content)) {
			t.Errorf("a blob of %d bytes is not held", len(content))
			continue
		}
		if got := mustRead(t, view, cas.SumBytes(content)); !bytes.Equal(got, content) {
			t.Errorf("a blob of %d bytes came back as %d other ones", len(content), len(got))
		}
	}
}

func stats(t *testing.T, view *View) Stats {
	t.Helper()
	s, err := view.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSmallBlobsEndInPacks sends them by every way there is, from two actors at once.
func TestSmallBlobsEndInPacks(t *testing.T) {
	root := t.TempDir()
	store := reopen(t, root)
	contents := smallOnes(1, 60)
	var frames []pack.Frame
	for _, content := range contents[40:] {
		items := []pack.Item{{ID: cas.SumBytes(content).Bytes(), Length: len(content)}}
		frame, err := pack.NewReader(bytes.NewReader(pack.Append(nil, pack.BlobKind, items, content))).Next()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	var actors sync.WaitGroup
	for range 2 {
		actors.Go(func() {
			for _, content := range contents[:20] {
				if _, err := castest.Put(t.Context(), store, content); err != nil {
					t.Error(err)
				}
			}
		})
		actors.Go(func() {
			named, err := store.PutSmall(t.Context(), contents[20:40])
			if diff := cmp.Diff(fmt.Sprint(blobsOf(contents[20:40])), fmt.Sprint(named)); diff != "" || err != nil {
				t.Errorf("PutSmall: %v (-want +got):\n%s", err, diff)
			}
		})
		actors.Go(func() {
			if err := store.PutFrames(t.Context(), frames); err != nil {
				t.Error(err)
			}
		})
	}
	actors.Wait()
	wantHeldBytes(t, &store.View, contents)
	wantSound(t, store)
	s := stats(t, &store.View)
	if s.PackedBlobs != int64(len(contents)) || s.Blobs != s.PackedBlobs || s.WholeBlobs != 0 || s.PackedBytes != s.Bytes {
		t.Errorf("stats: %+v, want %d packed blobs and no other", s, len(contents))
	}
	wantNothingIncoming(t, root)
	view, err := OpenReadOnly(root)
	if err != nil {
		t.Fatal(err)
	}
	defer closeView(t, view)
	wantHeldBytes(t, view, contents)
	later := castest.Content(1000, 5000)
	put(t, store, later)
	wantHeldBytes(t, view, [][]byte{later})
	if view.Generation() != store.Generation() || view.Generation() == "" {
		t.Errorf("the reader sees generation %q of %q", view.Generation(), store.Generation())
	}
}

func TestFramesOfLargerBlobsBecomeFiles(t *testing.T) {
	store := openNew(t)
	small, big := castest.Content(1, 1000), castest.Content(2, SmallSize+1)
	items := []pack.Item{{ID: cas.SumBytes(big).Bytes(), Length: len(big)}, {ID: cas.SumBytes(small).Bytes(), Length: len(small)}}
	frame := pack.Frame{Kind: pack.BlobKind, Items: items, Data: append(bytes.Clone(big), small...)}
	if err := store.PutFrames(t.Context(), []pack.Frame{frame}); err != nil {
		t.Fatal(err)
	}
	wantHeldBytes(t, &store.View, [][]byte{small, big})
	if s := stats(t, &store.View); s.WholeBlobs != 1 || s.PackedBlobs != 1 {
		t.Errorf("stats: %+v, want one whole and one packed", s)
	}
	frame.Kind = pack.ChunkKind
	if err := store.PutFrames(t.Context(), []pack.Frame{frame}); !errors.Is(err, pack.ErrBadFrame) {
		t.Errorf("a frame of chunks: %v, want ErrBadFrame", err)
	}
	if _, err := store.PutSmall(t.Context(), [][]byte{big}); !errors.Is(err, cas.ErrSizeMismatch) {
		t.Errorf("PutSmall of a big blob: %v, want ErrSizeMismatch", err)
	}
}

// TestShortOfMemoryWritersUseFiles: what has no room in memory is written to a file, and packed from there.
func TestShortOfMemoryWritersUseFiles(t *testing.T) {
	root := t.TempDir()
	store := reopen(t, root)
	if !store.memory.take(smallMemory) {
		t.Fatal("the budget of a new store is taken")
	}
	contents := smallOnes(1, 30)
	var actors sync.WaitGroup
	for range 2 {
		actors.Go(func() {
			for _, content := range contents {
				if _, err := castest.Put(t.Context(), store, content); err != nil {
					t.Error(err)
				}
			}
		})
	}
	actors.Wait()
	wantHeldBytes(t, &store.View, contents)
	wantNothingIncoming(t, root)
	if s := stats(t, &store.View); s.PackedBlobs != int64(len(contents)) {
		t.Errorf("stats: %+v, want %d packed", s, len(contents))
	}
	store.memory.give(smallMemory)
	if left := store.memory.taken.Load(); left != 0 {
		t.Errorf("%d bytes of the budget were not given back", left)
	}
}

func TestShape(t *testing.T) {
	root := t.TempDir()
	store := reopen(t, root)
	contents := append(smallOnes(1, 30), large("whole"))
	for _, content := range contents {
		put(t, store, content)
	}
	lacking := castest.BlobOf([]byte("never stored"))
	_, err := store.Shape(t.Context(), append(blobsOf(contents), lacking))
	if !errors.Is(err, cas.ErrNotFound) || !bytes.Contains([]byte(err.Error()), []byte(lacking.Digest.String())) {
		t.Errorf("shape of a blob that is not stored: %v, want ErrNotFound that names it", err)
	}
	var actors sync.WaitGroup
	for range 2 {
		actors.Go(func() {
			if _, err := store.Shape(t.Context(), blobsOf(contents)); err != nil {
				t.Error(err)
			}
		})
	}
	actors.Wait()
	for _, content := range contents {
		path := store.Path(cas.SumBytes(content))
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s has %d bytes, %v", path, len(got), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o444 {
			t.Errorf("%s: %v, %v; want mode 0444", path, info, err)
		}
	}
	wantHeldBytes(t, &store.View, contents)
	wantSound(t, store)
	wantNothingIncoming(t, root)
	if s := stats(t, &store.View); s.ShapedBlobs != 30 || s.Blobs != 31 {
		t.Errorf("stats: %+v, want 30 shaped of 31", s)
	}
}

// TestSuspectsAreCompared: after the system has started anew, a whole file that was not synced is not believed.
func TestSuspectsAreCompared(t *testing.T) {
	root := t.TempDir()
	store := openUnsynced(t, root)
	rotten, sound := castest.Content(1, 5000), castest.Content(2, 5000)
	blobs := blobsOf([][]byte{put2(t, store, rotten), put2(t, store, sound)})
	if _, err := store.Shape(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	overwriteKeepingTime(t, store.Path(blobs[0].Digest), make([]byte, 5000))
	before, err := os.Stat(store.Path(blobs[1].Digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	again := reopen(t, root) // on the real volume, which names another boot
	wantHeldBytes(t, &again.View, [][]byte{rotten, sound})
	wantSound(t, again)
	if _, err := again.Shape(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(again.Path(blobs[0].Digest)); err != nil || !bytes.Equal(got, rotten) {
		t.Errorf("the rotten file is still there; %v", err)
	}
	after, err := os.Stat(again.Path(blobs[1].Digest))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the sound file was replaced; %v", err)
	}
	if again.isSuspect(after) {
		t.Error("the sound file is a suspect although it was compared")
	}
}

func put2(t *testing.T, store *Store, content []byte) []byte {
	t.Helper()
	put(t, store, content)
	return content
}

// overwriteKeepingTime does to a file what a power cut can do: its time is on the disk, and its bytes are not.
func overwriteKeepingTime(t *testing.T, path string, content []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, string(content))
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestEarlierFormat: a store of format 1 is taken over as it is, and nobody who knows format 1 alone opens it again.
func TestEarlierFormat(t *testing.T) {
	root := t.TempDir()
	content := []byte("kept as a file since format 1")
	path := layout(root).object(cas.SumBytes(content))
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o444),
		os.WriteFile(filepath.Join(root, formatName), []byte("hayloft-blobs 1\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	view, err := OpenReadOnly(root)
	if err != nil {
		t.Fatal(err)
	}
	wantHeldBytes(t, view, [][]byte{content})
	closeView(t, view)
	if text, err := os.ReadFile(filepath.Join(root, formatName)); string(text) != "hayloft-blobs 1\n" {
		t.Errorf("a reader has changed the format to %q, %v", text, err)
	}

	store := reopen(t, root)
	wantHeldBytes(t, &store.View, [][]byte{content})
	put(t, store, content)
	if _, err := store.Shape(t.Context(), blobsOf([][]byte{content})); err != nil {
		t.Error(err)
	}
	if s := stats(t, &store.View); s.WholeBlobs != 1 || s.PackedBlobs != 0 {
		t.Errorf("stats: %+v, want one whole blob", s)
	}
	if text, err := os.ReadFile(filepath.Join(root, formatName)); string(text) != stamp() {
		t.Errorf("the format is %q, %v", text, err)
	}
}

// TestIndexIsMadeAnew takes the index away, damages it, and takes back what the packs hold.
func TestIndexIsMadeAnew(t *testing.T) {
	contents := smallOnes(1, 20)
	big := castest.Content(9, FrameSize+1)
	for what, harm := range map[string]func(*testing.T, layout){
		"deleted": func(t *testing.T, l layout) {
			if err := l.removeIndex(); err != nil {
				t.Fatal(err)
			}
		},
		"damaged": func(t *testing.T, l layout) {
			if err := os.WriteFile(l.join(indexName), castest.Content(1, 100_000), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"rebuilt": func(t *testing.T, l layout) {
			calls := 0
			rebuilt, err := RebuildIndex(t.Context(), string(l), func(done, total int64) { calls++ })
			if err != nil || rebuilt.Blobs != 20 || rebuilt.Recipes != 1 || calls == 0 {
				t.Errorf("rebuilt %+v with %d calls, %v", rebuilt, calls, err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			root := t.TempDir()
			store := openUnsynced(t, root)
			if _, err := store.PutSmall(t.Context(), contents); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Ingest(t.Context(), bytes.NewReader(big), int64(len(big))); err != nil {
				t.Fatal(err)
			}
			before := stats(t, &store.View)
			before.PackBytes = 0 // Close adds a trailer
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			harm(t, store.layout)
			again := reopen(t, root)
			wantHeldBytes(t, &again.View, append([][]byte{big}, contents...))
			wantRecipe(t, again, big)
			after := stats(t, &again.View)
			after.PackBytes = 0
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("stats (-before +after):\n%s", diff)
			}
			if (again.Generation() != store.Generation()) != (what == "rebuilt") {
				t.Errorf("the generation was %s and is %s", store.Generation(), again.Generation())
			}
		})
	}
}

func TestRebuildIndexNeedsAStore(t *testing.T) {
	root := t.TempDir()
	if _, err := RebuildIndex(t.Context(), root, func(int64, int64) {}); !errors.Is(err, ErrNotAStore) {
		t.Errorf("in an empty directory: %v, want ErrNotAStore", err)
	}
	if left := tree(t, root); len(left) > 0 {
		t.Errorf("it has made %v", left)
	}
	store := reopen(t, root)
	if _, err := RebuildIndex(t.Context(), string(store.layout), func(int64, int64) {}); !errors.Is(err, ErrInUse) {
		t.Errorf("beside a writer: %v, want ErrInUse", err)
	}
}

// TestVerifyReadsPacks changes one byte in a pack.
func TestVerifyReadsPacks(t *testing.T) {
	store := openNew(t)
	blob := put(t, store, castest.Content(1, 5000))
	packs, err := filepath.Glob(store.layout.join(packsName + "/*"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs: %v, %v", packs, err)
	}
	content, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, castest.Content(1, 5000)[:100])
	content[at+50] ^= 1
	if err := errors.Join(os.Chmod(packs[0], 0o600), os.WriteFile(packs[0], content, 0o600)); err != nil {
		t.Fatal(err)
	}
	for what, verify := range map[string]func(func(cas.Blob, error) error) error{
		"all":  func(each func(cas.Blob, error) error) error { return store.Verify(t.Context(), each) },
		"some": func(each func(cas.Blob, error) error) error { return store.VerifyPart(t.Context(), 100, 1, each) },
	} {
		found := 0
		err := verify(func(b cas.Blob, err error) error {
			if b == blob && err != nil {
				found++
			}
			return nil
		})
		if err != nil || found != 1 {
			t.Errorf("%s: %d findings, %v", what, found, err)
		}
	}
}

func TestVerifyPartReadsItsPart(t *testing.T) {
	store := openNew(t)
	for _, content := range smallOnes(1, 100) {
		put(t, store, content)
	}
	count := func(percent float64, seed uint64) (n int) {
		err := store.VerifyPart(t.Context(), percent, seed, func(_ cas.Blob, err error) error { n++; return err })
		if err != nil {
			t.Error(err)
		}
		return n
	}
	if none, some, all := count(0, 1), count(50, 1), count(100, 1); none != 0 || all != 100 || some < 20 || some > 80 || some != count(50, 1) {
		t.Errorf("read %d, %d and %d of 100", none, some, all)
	}
}

func TestIngest(t *testing.T) {
	root := t.TempDir()
	store := reopen(t, root)
	for _, size := range []int{0, 1, SmallSize, SmallSize + 1, FrameSize, FrameSize + 1, 5<<20 + 3} {
		content := castest.Content(uint64(size), size)
		for _, isNew := range []bool{true, false} {
			done, err := store.Ingest(t.Context(), bytes.NewReader(content), int64(size))
			if err != nil || done.Blob != castest.BlobOf(content) || done.New != isNew || done.Stored > 0 != isNew {
				t.Errorf("%d bytes: %v, new %t, stored %d; %v", size, done.Blob, done.New, done.Stored, err)
			}
			if cut := done.Recipe.Len() > 0; cut != (size > FrameSize) {
				t.Errorf("%d bytes: the recipe has %d chunks", size, done.Recipe.Len())
			}
		}
		wantHeldBytes(t, &store.View, [][]byte{content})
	}
	_, err := store.Ingest(t.Context(), bytes.NewReader(make([]byte, 2<<20)), 3<<20)
	if !errors.Is(err, cas.ErrSizeMismatch) {
		t.Errorf("a file that is too short: %v, want ErrSizeMismatch", err)
	}
	wantSound(t, store)
	wantNothingIncoming(t, root)
}

// changingFile gives other bytes whenever it is read again.
type changingFile struct {
	size int64
	mu   sync.Mutex
	read int
}

func (f *changingFile) ReadAt(p []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read++
	n := min(int64(len(p)), f.size-offset)
	for i := range p[:n] {
		p[i] = byte(f.read)
	}
	if offset == 0 {
		copy(p[:n], "BLENDER-v300") // so that it is looked through before it is cut
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// TestIngestOfAChangingFile: what is stored is what was hashed, whatever the file does meanwhile.
func TestIngestOfAChangingFile(t *testing.T) {
	store := openNew(t)
	for _, size := range []int64{FrameSize + 1, 2<<20 + 5, 9 << 20} {
		if _, err := store.Ingest(t.Context(), &changingFile{size: size}, size); err != nil {
			t.Error(err)
		}
	}
	wantSound(t, store)
}

// scene is a .blend file of many blocks, small and large; address stands in every head and small block.
func scene(address uint64, blocks int) []byte {
	file := []byte("BLENDER-v304")
	for i := range blocks {
		payload := castest.Content(uint64(i), []int{200, 90_000, 5000}[i%3])
		if len(payload) < 1000 {
			binary.LittleEndian.PutUint64(payload, address+uint64(i))
		}
		file = append(file, "DATA"...)
		file = binary.LittleEndian.AppendUint32(file, uint32(len(payload)))
		file = binary.LittleEndian.AppendUint64(file, address+uint64(i))
		file = append(file, make([]byte, 8)...)
		file = append(file, payload...)
	}
	return append(file, "ENDB"...)
}

// TestSceneSavedAnew: a scene whose addresses have all changed is put together from the one before.
func TestSceneSavedAnew(t *testing.T) {
	store := openNew(t)
	old, anew := scene(1<<40, 300), scene(1<<41, 300)
	done, err := store.Ingest(t.Context(), bytes.NewReader(old), int64(len(old)))
	if err != nil || done.Blob != castest.BlobOf(old) {
		t.Fatalf("ingest: %v, %v", done.Blob, err)
	}
	recipe, frames := mustCut(t, anew)
	a := mustAssemble(t, store, recipe)
	sent := 0
	for i, lacks := range a.Lacking() {
		if lacks {
			frame := sameOrder(t, recipe, frames, i)
			sent += len(frame.Data)
			if err := a.Put(t.Context(), frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sent == 0 || sent > 100_000 {
		t.Errorf("%d of %d bytes are lacking", sent, len(anew))
	}
	if err := a.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHeldBytes(t, &store.View, [][]byte{old, anew})
	wantSound(t, store)
}

// sameOrder gives the frame of the chunk with that number in the recipe; frames are in the order of cutting.
func sameOrder(t *testing.T, recipe chunk.Recipe, frames []pack.Frame, number int) pack.Frame {
	t.Helper()
	at := 0
	for c := range recipe.Chunks() {
		if at++; at <= number {
			continue
		}
		for _, frame := range frames {
			if frame.Items[0].ID == c.ID.Bytes() {
				return frame
			}
		}
	}
	t.Fatalf("no frame for chunk %d", number)
	return pack.Frame{}
}
