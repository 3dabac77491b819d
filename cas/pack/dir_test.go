package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
)

func openTest(t testing.TB, dir string) *Dir {
	t.Helper()
	d, err := OpenDir(dir, Place{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func mustAppend(t testing.TB, d *Dir, contents ...[]byte) Place {
	t.Helper()
	places, err := d.Append(t.Context(), [][]byte{frameOf(BlobKind, contents...)})
	if err != nil {
		t.Fatal(err)
	}
	return places[0]
}

// placesIn scans a directory from the start.
func placesIn(t testing.TB, d *Dir) (places []Place) {
	t.Helper()
	if err := d.Scan(t.Context(), Place{}, func(p Place, _ Kind, _ []Item) error {
		places = append(places, p)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return places
}

// damagedIn verifies a directory, and gives for each item that is damaged, or range in which nobody knows, its error.
func damagedIn(t testing.TB, d *Dir) (items int, damaged map[Item]error) {
	t.Helper()
	damaged = make(map[Item]error)
	if err := d.Verify(t.Context(), func(_ Place, item Item, err error) error {
		items++
		if err != nil {
			damaged[item] = err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return items, damaged
}

// change rewrites a file.
func change(t testing.TB, path string, edit func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, edit(content), packMode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// flip changes one byte.
func flip(at int64) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at] ^= 0x55
		return b
	}
}

// tornPack leaves a pack without a trailer, with three frames of one blob each.
func tornPack(t *testing.T, contents ...[]byte) (dir string, places []Place) {
	t.Helper()
	dir = t.TempDir()
	d := openTest(t, dir)
	for _, content := range contents {
		places = append(places, mustAppend(t, d, content))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	last := places[len(places)-1]
	change(t, d.file(1), func(b []byte) []byte { return b[:last.Offset+last.Length] })
	return dir, places
}

// history is what a directory was told, in order.
type history struct {
	dir    string
	opened *Dir
	places []Place
	held   map[Place][]byte
}

// same compares what a directory tells from some place on with the history.
func (h *history) same(t *rapid.T, ctx context.Context, d *Dir) {
	from := rapid.IntRange(0, len(h.places)).Draw(t, "from")
	var after Place
	if from > 0 {
		after = h.places[from-1]
	}
	var seen []Place
	if err := d.Scan(ctx, after, func(p Place, _ Kind, items []Item) error {
		seen = append(seen, p)
		frame, err := d.Frame(ctx, p)
		if err == nil && (!bytes.Equal(frame.Data, h.held[p]) || !slices.Equal(frame.Items, items)) {
			err = fmt.Errorf("%v holds something else", p)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, h.places[from:]) {
		t.Fatalf("%v behind %v instead of %v", seen, after, h.places[from:])
	}
}

func (h *history) append(t *rapid.T, ctx context.Context) {
	var frames, contents [][]byte
	for range rapid.IntRange(0, 4).Draw(t, "frames") {
		content := random(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 1500).Draw(t, "size"))
		kind := rapid.SampledFrom([]Kind{BlobKind, ChunkKind, RecipeKind}).Draw(t, "kind")
		frames, contents = append(frames, frameOf(kind, content)), append(contents, content)
	}
	places, err := h.opened.Append(ctx, frames)
	if err != nil {
		t.Fatal(err)
	}
	for i, place := range places {
		h.held[place] = contents[i]
	}
	h.places = append(h.places, places...)
}

func (h *history) reopen(t *rapid.T) {
	if err := h.opened.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.opened, err = openDir(h.dir, unsyncedVolume{}, smallPack, Place{}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasAppendedIsThere(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		h := &history{dir: dir, held: map[Place][]byte{}}
		if h.opened, err = openDir(dir, unsyncedVolume{}, smallPack, Place{}); err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = h.opened.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"append":     func(rt *rapid.T) { h.append(rt, ctx) },
			"open again": h.reopen,
			"look from outside": func(rt *rapid.T) {
				outside, err := OpenDirReadOnly(dir)
				if err != nil {
					rt.Fatal(err)
				}
				h.same(rt, ctx, outside)
			},
			"": func(rt *rapid.T) { h.same(rt, ctx, h.opened) },
		})
	})
}

// TestManyCallersShareASync holds the first sync until all others have queued up behind it.
func TestManyCallersShareASync(t *testing.T) {
	const callers = 50
	v := &gatedVolume{faultyVolume: newFaultyVolume(0, nil), reached: make(chan struct{}), goOn: make(chan struct{})}
	d, err := openDir(t.TempDir(), v, fullPack, Place{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var wait sync.WaitGroup
	places := make(chan Place, callers+1)
	put := func(i int) {
		got, err := d.Append(t.Context(), [][]byte{frameOf(BlobKind, []byte(fmt.Sprint(i)))})
		if err != nil {
			t.Error(err)
			return
		}
		places <- got[0]
	}
	wait.Go(func() { put(callers) })
	<-v.reached
	started := make(chan struct{}, callers)
	for i := range callers {
		wait.Go(func() {
			started <- struct{}{}
			put(i)
		})
	}
	for range callers {
		<-started
	}
	close(v.goOn)
	wait.Wait()
	close(places)
	seen := map[Place]bool{}
	for place := range places {
		seen[place] = true
	}
	if len(seen) != callers+1 || len(placesIn(t, d)) != callers+1 {
		t.Errorf("%d places, %d frames", len(seen), len(placesIn(t, d)))
	}
	if syncs := v.count("sync"); syncs > callers/2 {
		t.Errorf("%d syncs for %d callers", syncs, callers)
	}
}

// gatedVolume stops in its first sync until it is opened.
type gatedVolume struct {
	*faultyVolume
	once          sync.Once
	reached, goOn chan struct{}
}

func (v *gatedVolume) create(path string) (packFile, error) {
	file, err := v.faultyVolume.create(path)
	return &gatedFile{packFile: file, volume: v}, err
}

type gatedFile struct {
	packFile
	volume *gatedVolume
}

func (f *gatedFile) Sync() error {
	f.volume.once.Do(func() {
		close(f.volume.reached)
		<-f.volume.goOn
	})
	return f.packFile.Sync()
}

func TestPacksFillUp(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, dir)
	var frames [][]byte
	for i := range 45 {
		frames = append(frames, frameOf(ChunkKind, random(uint64(i), MaxData)))
	}
	places, err := d.Append(t.Context(), frames)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(places, Place.Compare) || len(places) != len(frames) {
		t.Errorf("%d places out of order", len(places))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	packs, size, err := d.Size()
	if err != nil || packs != 3 {
		t.Fatalf("%d packs of %d bytes: %v", packs, size, err)
	}
	for number := range uint64(packs) {
		info, err := os.Stat(d.file(number + 1))
		if err != nil {
			t.Fatal(err)
		}
		full := info.Size() >= fullPack && info.Size() <= 2*fullPack
		if last := number == uint64(packs)-1; !full && !last {
			t.Errorf("pack %d has %d bytes", number+1, info.Size())
		}
	}
}

func TestAPackThatIsNotFullIsTakenUpAgain(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		d := openTest(t, dir)
		mustAppend(t, d, []byte(fmt.Sprint(i)))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d := openTest(t, dir)
	if packs, _, err := d.Size(); packs != 1 || err != nil {
		t.Errorf("%d packs: %v", packs, err)
	}
	if got := placesIn(t, d); len(got) != 20 {
		t.Errorf("%d frames", len(got))
	}
}

// TestScanReadsTrailersOnly damages all that the frames hold, and scans.
func TestScanReadsTrailersOnly(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, dir)
	place := mustAppend(t, d, random(1, 5000), []byte("more"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, d.file(1), func(b []byte) []byte {
		clear(b[place.Offset : place.Offset+place.Length])
		return b
	})
	var seen [][]Item
	if err := d.Scan(t.Context(), Place{}, func(_ Place, _ Kind, items []Item) error {
		seen = append(seen, slices.Clone(items))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want, _ := itemsOf(BlobKind, random(1, 5000), []byte("more"))
	if diff := cmp.Diff([][]Item{want}, seen); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Frame(t.Context(), place); !errors.Is(err, ErrBadFrame) {
		t.Error(err)
	}
	if items, damaged := damagedIn(t, d); items != 2 || len(damaged) != 2 {
		t.Errorf("%d items, damaged %v", items, damaged)
	}
}

// TestEveryFlippedByteIsFound changes each byte of a sealed pack in turn.
func TestEveryFlippedByteIsFound(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, dir)
	mustAppend(t, d, []byte("one"), []byte("two"))
	mustAppend(t, d, []byte("three")) // uncompressed: some bits of zstd do not matter to what comes out
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, size, err := d.Size()
	if err != nil {
		t.Fatal(err)
	}
	for at := range size {
		change(t, d.file(1), flip(at))
		if _, damaged := damagedIn(t, d); len(damaged) == 0 {
			t.Errorf("byte %d of %d is wrong, and nobody notices", at, size)
		}
		change(t, d.file(1), flip(at))
	}
	if items, damaged := damagedIn(t, d); items != 3 || len(damaged) > 0 {
		t.Errorf("%d items, damaged %v", items, damaged)
	}
}

func TestOnlyTheDamagedItemIsTold(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, dir)
	place := mustAppend(t, d, []byte("sound"), []byte("damaged"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, d.file(1), flip(place.Offset+place.Length-1))
	items, _ := itemsOf(BlobKind, []byte("sound"), []byte("damaged"))
	if _, damaged := damagedIn(t, d); len(damaged) != 1 || !errors.Is(damaged[items[1]], ErrWrongID) {
		t.Errorf("%v", damaged)
	}
	if _, err := d.Frame(t.Context(), place); !errors.Is(err, ErrWrongID) {
		t.Error(err)
	}
}

// TestATornTailIsCut cuts a pack without a trailer at every byte.
func TestATornTailIsCut(t *testing.T) {
	contents := [][]byte{[]byte("first"), []byte("second"), []byte("third")}
	dir, places := tornPack(t, contents...)
	whole, err := os.ReadFile(filepath.Join(dir, nameOf(1)))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(filepath.Join(dir, nameOf(1)), whole[:cut], packMode); err != nil {
			t.Fatal(err)
		}
		var want []Place
		for _, place := range places {
			if place.Offset+place.Length <= int64(cut) {
				want = append(want, place)
			}
		}
		outside, err := OpenDirReadOnly(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, placesIn(t, outside)); diff != "" {
			t.Fatalf("cut at %d, from outside: %s", cut, diff)
		}
		d := openTest(t, dir)
		if diff := cmp.Diff(want, placesIn(t, d)); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		verifySound(t, dir)
		if packs, _, err := d.Size(); err != nil || packs != min(1, len(want)) {
			t.Fatalf("cut at %d: %d packs, %v", cut, packs, err)
		}
	}
}

// TestFramesBehindADamagedOneAreKept: only where framing itself is lost is the rest of the pack lost.
func TestFramesBehindADamagedOneAreKept(t *testing.T) {
	dir, places := tornPack(t, []byte("first"), []byte("second"), []byte("third"))
	change(t, filepath.Join(dir, nameOf(1)), flip(places[1].Offset+places[1].Length-1))
	want := []Place{places[0], places[2]}
	for range 3 {
		d := openTest(t, dir)
		if diff := cmp.Diff(want, placesIn(t, d)); diff != "" {
			t.Fatal(diff)
		}
		want = append(want, mustAppend(t, d, []byte(fmt.Sprint(len(want)))))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	verifySound(t, dir)
}

// TestAnOldPackWithoutTrailer is what a failed sync or a failed seal leaves behind the newer ones.
func TestAnOldPackWithoutTrailer(t *testing.T) {
	dir, places := tornPack(t, []byte("first"), []byte("second"))
	if err := os.Rename(filepath.Join(dir, nameOf(1)), filepath.Join(dir, nameOf(7))); err != nil {
		t.Fatal(err)
	}
	d := openTest(t, dir)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, nameOf(7)), filepath.Join(dir, nameOf(1))); err != nil {
		t.Fatal(err)
	}
	last := places[1]
	change(t, filepath.Join(dir, nameOf(1)), func(b []byte) []byte { return append(b[:last.Offset+last.Length], "torn"...) })
	if err := os.WriteFile(filepath.Join(dir, nameOf(2)), []byte(packMagic), packMode); err != nil {
		t.Fatal(err)
	}
	d = openTest(t, dir)
	third := mustAppend(t, d, []byte("third"))
	if diff := cmp.Diff([]Place{places[0], places[1], third}, placesIn(t, d)); diff != "" {
		t.Error(diff)
	}
	if items, damaged := damagedIn(t, d); items != 4 || damaged[Item{}] == nil {
		t.Errorf("%d items, damaged %v", items, damaged)
	}
}

func TestFilesThatAreNoPacks(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    error
	}{
		"foreign":        {"this is somebody's poem", ErrDamaged},
		"of the future":  {"hayloft-pack 2\nwhatever", cas.ErrNewerFormat},
		"unborn":         {"hayloft-pa", nil},
		"empty":          {"", nil},
		"zeros":          {string(make([]byte, 5000)), nil},
		"only the magic": {packMagic, nil},
		"torn trailer":   {packMagic + "\x00\x01" + trailerMagic, nil},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, nameOf(1)), []byte(test.content), packMode); err != nil {
			t.Fatal(err)
		}
		outside, err := OpenDirReadOnly(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := outside.Scan(t.Context(), Place{}, nil); !errors.Is(err, test.want) {
			t.Errorf("%s, scanned: %v, want %v", name, err, test.want)
		}
		if _, damaged := damagedIn(t, outside); test.want != nil && !errors.Is(damaged[Item{}], test.want) {
			t.Errorf("%s, verified: %v", name, damaged)
		}
		d, err := OpenDir(dir, Place{})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil {
			mustAppend(t, d, []byte("content"))
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestForeignNamesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"notes.txt", "1.pack", "000000000000000A.pack", nameOf(0), "zzzzzzzzzzzzzzzz.pack"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), packMode); err != nil {
			t.Fatal(err)
		}
	}
	d := openTest(t, dir)
	if packs, size, err := d.Size(); packs != 0 || size != 0 || err != nil {
		t.Errorf("%d packs of %d bytes: %v", packs, size, err)
	}
	if got := placesIn(t, d); got != nil {
		t.Error(got)
	}
}

func TestPlacesThatHoldNothing(t *testing.T) {
	d := openTest(t, t.TempDir())
	place := mustAppend(t, d, []byte("content"))
	for _, wrong := range []Place{
		{}, {Pack: 9, Offset: 15, Length: 10}, {Pack: 1}, {Pack: 1, Offset: place.Offset, Length: -1},
		{Pack: 1, Offset: place.Offset, Length: place.Length - 1}, {Pack: 1, Offset: place.Offset + 1, Length: place.Length - 1},
		{Pack: 1, Offset: place.Offset, Length: place.Length + 1}, {Pack: 1, Offset: place.Offset, Length: MaxEncoded + 1},
	} {
		if _, err := d.Frame(t.Context(), wrong); !errors.Is(err, ErrBadFrame) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

func TestNothingIsAppendedAfterTheEnd(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, dir)
	frame := frameOf(BlobKind, []byte("content"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Append(ended, [][]byte{frame}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := d.Append(t.Context(), [][]byte{frame, frame[:5]}); !errors.Is(err, ErrBadFrame) {
		t.Error(err)
	}
	if _, err := d.Append(t.Context(), [][]byte{append(frame, 1)}); !errors.Is(err, ErrBadFrame) {
		t.Error(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Append(t.Context(), [][]byte{frame}); !errors.Is(err, cas.ErrClosed) {
		t.Error(err)
	}
	outside, err := OpenDirReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outside.Append(t.Context(), [][]byte{frame}); !errors.Is(err, cas.ErrClosed) {
		t.Error(err)
	}
	if err := outside.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenDirReadOnly(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestVisitorsEndWithTheirError(t *testing.T) {
	d := openTest(t, t.TempDir())
	mustAppend(t, d, []byte("one"))
	mustAppend(t, d, []byte("two"))
	enough := errors.New("enough")
	if err := d.Scan(t.Context(), Place{}, func(Place, Kind, []Item) error { return enough }); err != enough {
		t.Error(err)
	}
	if err := d.Verify(t.Context(), func(Place, Item, error) error { return enough }); err != enough {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Scan(ended, Place{}, func(Place, Kind, []Item) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestGoldenPack(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, dir)
	for i, kind := range []Kind{BlobKind, ChunkKind, RecipeKind} {
		if _, err := d.Append(t.Context(), [][]byte{frameOf(kind, goldenContents()[i]...)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(d.file(1))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "pack.golden", got)
}

// FuzzPack opens anything as the newest pack.
func FuzzPack(f *testing.F) {
	whole := listing{end: int64(len(packMagic))}
	frame := frameOf(BlobKind, []byte("content"))
	h, err := parseHeader(frame)
	if err != nil {
		f.Fatal(err)
	}
	whole.add(0, int64(len(frame)), h)
	f.Add(append([]byte(packMagic), frame...))
	f.Add(slices.Concat([]byte(packMagic), frame, whole.trailer()))
	f.Add(slices.Concat([]byte(packMagic), frame, binary.AppendUvarint([]byte{0}, 7)))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, nameOf(1)), content, packMode); err != nil {
			t.Fatal(err)
		}
		d, err := OpenDir(dir, Place{})
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, cas.ErrNewerFormat) {
				t.Fatal(err)
			}
			return
		}
		defer d.Close()
		before := placesIn(t, d)
		added := mustAppend(t, d, []byte("one more"))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append(before, added), placesIn(t, d)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// BenchmarkSmallFiles stores files of 4 KiB durably, 1,000 to a call, from four callers.
func BenchmarkSmallFiles(b *testing.B) {
	d := openTest(b, b.TempDir())
	items, data := itemsOf(BlobKind, slices.Collect(slices.Chunk(random(1, 250*4096), 4096))...)
	frame := Append(nil, BlobKind, items, data)
	frames := [][]byte{frame, frame, frame, frame}
	b.SetBytes(int64(4 * len(data)))
	b.SetParallelism(2)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := d.Append(b.Context(), frames); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "files/s")
}

// A bit that flips in an acknowledged frame costs that item, whether its pack was sealed or not: the rest is not cut off
// as a crash's torn tail.
func TestDamageBeforeTheAcknowledgedPlaceIsNotATornTail(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDir(dir, Place{})
	if err != nil {
		t.Fatal(err)
	}
	contents := [][]byte{[]byte("sound"), []byte("flips"), []byte("sound too")}
	var items []Item
	for _, content := range contents {
		items = append(items, Item{ID: sha256.Sum256(content), Length: len(content)})
	}
	places, err := d.Append(t.Context(), [][]byte{Append(nil, BlobKind, items, bytes.Join(contents, nil))})
	if err != nil {
		t.Fatal(err)
	}
	path := d.file(places[0].Pack)
	unsealed, err := os.ReadFile(path)
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	unsealed[bytes.Index(unsealed, []byte("flips"))]++
	if err := os.WriteFile(path, unsealed, 0o644); err != nil {
		t.Fatal(err)
	}
	if d, err = OpenDir(dir, places[0]); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, content := range contents {
		got, err := d.Item(t.Context(), places[0], i)
		if i == 1 {
			if !errors.Is(err, ErrWrongID) {
				t.Errorf("the damaged item: %q, %v; want ErrWrongID", got, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("item %d: %q, %v; want %q", i, got, err, content)
		}
	}
	damaged := 0
	if err := d.Verify(t.Context(), func(_ Place, _ Item, wrong error) error {
		if wrong != nil {
			damaged++
		}
		return nil
	}); err != nil || damaged != 1 {
		t.Errorf("verify found %d damaged items, %v; want 1", damaged, err)
	}
}
