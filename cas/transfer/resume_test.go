package transfer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hayloft/cas/chunk"
	"hayloft/cas/pack"
	"hayloft/cas/transfer"
)

// TestWhateverIsCutWhatArrivesIsWhole draws a tree, some of it edited from what the store has, and faults for its
// requests, among them restarts of the store and the end of the sender. In the end every blob is there, whole.
func TestWhateverIsCutWhatArrivesIsWhole(t *testing.T) {
	s, round := openSite(t), uint64(1<<12)
	rapid.Check(t, func(r *rapid.T) {
		round++
		var before, after []transfer.Source
		for i := range rapid.IntRange(1, 3).Draw(r, "files") {
			size := rapid.SampledFrom([]int{10, 40_000, 100_000, 1<<20 + 5, 5 << 20}).Draw(r, "size")
			old := noise(round<<4|uint64(i), size)
			source := content(fmt.Sprint("file ", i), old)
			if rapid.Bool().Draw(r, "edited") {
				before = append(before, source)
				at := rapid.IntRange(0, size).Draw(r, "at")
				source = content(source.Name, slices.Concat(old[:at], []byte("edited"), old[at:]))
				if size > 1<<20 {
					source.Base = recipeOf(r, old)
				}
			}
			after = append(after, source)
		}
		mustSend(r, &wire{site: s}, before, transfer.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		left := rapid.IntRange(0, 8).Draw(r, "faults")
		w := &wire{site: s, next: func(size int) (fault, int) {
			if left == 0 {
				return none, size
			}
			left--
			return fault(rapid.IntRange(int(none), int(restarts)).Draw(r, "fault")), rapid.IntRange(0, size).Draw(r, "arrives")
		}}
		kill := rapid.IntRange(0, 30).Draw(r, "kill after requests")
		drawn, requests := w.next, 0
		w.next = func(size int) (fault, int) {
			if requests++; requests == kill {
				cancel()
			}
			return drawn(size)
		}
		o := transfer.Options{Wait: impatient, Parallel: rapid.IntRange(1, 4).Draw(r, "parallel")}
		_, err := transfer.Send(ctx, w, after, o)
		if err != nil && !errors.Is(err, context.Canceled) {
			r.Fatal(err)
		}
		if err != nil {
			mustSend(r, w, after, o)
		}
		checkStored(r, s, after)
	})
}

const (
	megabyte = 1 << 20
	// framing bounds what names of chunks and recipes add to each byte that travels: two names for each chunk.
	framing = 2 * 2 * chunk.IDSize
)

// overhead is what the recipe and the names of chunks take for so many bytes of random data, with twice the room.
func overhead(size int) int64 { return int64(2*size/chunk.NormalSize+10) * framing }

// TestLittleIsSentAgain breaks the upload of a file in the middle, in each of the ways in which that happens, and holds
// what travelled in all to the size of the file and the frames that were under way.
func TestLittleIsSentAgain(t *testing.T) {
	t.Parallel()
	const size = 24 * megabyte
	const frames = transfer.DefaultParallel * pack.MaxData // each lane's last may have come in part
	data := noise(5, size)
	for _, test := range []struct {
		name  string
		fault fault
		kill  bool
		again int64 // bytes that may travel twice
	}{
		{"the network", cut, false, 0},
		{"an answer", lost, false, 0},
		{"a store that is busy", refused, false, 0},
		{"the store", restarts, false, frames},
		{"the sender", cut, true, frames},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := openSite(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w, begun, done := &wire{site: s}, 0, false
			w.next = func(bytes int) (fault, int) {
				if begun += bytes; done || begun < size/2 {
					return none, bytes
				}
				done = true
				return test.fault, bytes/2 + 1
			}
			if test.kill {
				w.after = cancel
			}
			sources := []transfer.Source{content("scene.blend", data)}
			_, err := transfer.Send(ctx, w, sources, transfer.Options{Wait: impatient})
			if test.kill {
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v after the end of the sender", err)
				}
				_, err = transfer.Send(t.Context(), w, sources, transfer.Options{Wait: impatient})
			}
			if err != nil {
				t.Fatal(err)
			}
			checkStored(t, s, sources)
			travelled := w.travelled.Load()
			if again := travelled - size - overhead(size); !done || again > test.again || travelled < size {
				t.Errorf("%d bytes travelled for %d: %d again, at most %d may", travelled, size, max(again, 0), test.again)
			}
			t.Logf("%d bytes travelled beyond the file's %d", travelled-size, size)
		})
	}
}

// TestOnlyWhatChangedTravels sends the next version of a file: its chunks that are new, and a delta of its recipe. A
// store that does not know the base gets the recipe in full.
func TestOnlyWhatChangedTravels(t *testing.T) {
	t.Parallel()
	const size = 24 * megabyte
	old := noise(6, size)
	data := slices.Concat(old[:size/3], []byte("one more line"), old[size/3:])
	source := content("volume.vdb", data)
	source.Recipe, source.Base = recipeOf(t, data), recipeOf(t, old)

	s := openSite(t)
	mustSend(t, &wire{site: s}, []transfer.Source{content("volume.vdb", old)}, transfer.Options{})
	w := &wire{site: s}
	report := mustSend(t, w, []transfer.Source{source}, transfer.Options{})
	if report.BytesSent != source.Blob.Size || report.BytesTravelled > 3*chunk.MaxSize || w.begun.Load() != 1 {
		t.Errorf("%+v in %d sessions", report, w.begun.Load())
	}
	if travelled := w.travelled.Load() + 40; report.BytesTravelled != travelled {
		t.Errorf("%d bytes were reported and %d travelled", report.BytesTravelled, travelled)
	}
	encoded, err := source.Recipe.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if chunks := chunk.MaxSize * 2; report.BytesTravelled > int64(chunks+len(encoded)/4) {
		t.Errorf("%d bytes travelled: the recipe of %d did not go as a delta", report.BytesTravelled, len(encoded))
	}
	checkStored(t, s, []transfer.Source{source})

	fresh := openSite(t)
	w = &wire{site: fresh}
	report = mustSend(t, w, []transfer.Source{source}, transfer.Options{})
	if report.BytesTravelled < source.Blob.Size || w.begun.Load() != 2 {
		t.Errorf("to a store without the base: %+v in %d sessions", report, w.begun.Load())
	}
	checkStored(t, fresh, []transfer.Source{source})
}

// TestTwoSendersOfOneFile shares a session: both end well, whoever is the first.
func TestTwoSendersOfOneFile(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	sources := []transfer.Source{content("scene.blend", noise(8, 12*megabyte))}
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := transfer.Send(t.Context(), &wire{site: s}, sources, transfer.Options{Wait: impatient})
			ended <- err
		}()
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	checkStored(t, s, sources)
}

// TestChunksThatRepeatTravelOnce sends a file that is the same megabytes over and over.
func TestChunksThatRepeatTravelOnce(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	w := &wire{site: s}
	sources := []transfer.Source{content("cache.abc", slices.Repeat(noise(9, 2*megabyte), 10))}
	var arrived int64
	mustSend(t, w, sources, transfer.Options{Progress: func(now, _ int64) { arrived = now }})
	if travelled := w.travelled.Load(); travelled > 3*megabyte {
		t.Errorf("%d bytes travelled", travelled)
	}
	if arrived != 20*megabyte {
		t.Errorf("progress ended at %d", arrived)
	}
	checkStored(t, s, sources)
}

// scene is a .blend file of many meshes, each a head, a small block with addresses, and a payload that has none. Saved
// anew, all addresses differ.
func scene(seed uint64, address func() uint64) []byte {
	file := []byte("BLENDER-v404")
	block := func(code string, payload []byte) {
		file = append(file, code...)
		file = binary.LittleEndian.AppendUint32(file, uint32(len(payload)))
		file = binary.LittleEndian.AppendUint64(file, address())
		file = append(file, make([]byte, 8)...)
		file = append(file, payload...)
	}
	for i := range uint64(300) {
		block("ME\x00\x00", binary.LittleEndian.AppendUint64(nil, address()))
		block("DATA", noise(seed+i, 20_000))
	}
	return append(file, "ENDB"...)
}

// TestGeometryIsFoundAgain sends a scene and then the same scene with every address changed: the heads travel, which are
// pieces of a few bytes all over the file, and no payload does.
func TestGeometryIsFoundAgain(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	addresses := rand.New(rand.NewPCG(1, 2))
	old, data := scene(1<<20, addresses.Uint64), scene(1<<20, addresses.Uint64)
	first := content("scene.blend", old)
	mustSend(t, &wire{site: s}, []transfer.Source{first}, transfer.Options{})
	next := content("scene.blend", data)
	next.Base = recipeOf(t, old)
	report := mustSend(t, &wire{site: s}, []transfer.Source{next}, transfer.Options{})
	if report.BytesSent != next.Blob.Size || report.BytesTravelled > next.Blob.Size/200 {
		t.Errorf("%+v", report)
	}
	checkStored(t, s, []transfer.Source{first, next})
}
