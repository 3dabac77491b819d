package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plainCut says the rule of the format as plainly as possible: the hash of each place is made anew from the 64 bytes
// before it.
func plainCut(data []byte) int {
	for p := 1; p < len(data); p++ {
		if p < MinSize {
			continue
		}
		if p == MaxSize {
			return p
		}
		var hash uint64
		for j := range window {
			hash += gear[data[p-1-j]] << j
		}
		zeros := 14
		if p < NormalSize {
			zeros = 18
		}
		if hash<<1>>(64-zeros) == 0 {
			return p
		}
	}
	return len(data)
}

// generated gives reproducible bytes: the ChaCha8 stream of the standard library from a seed of zeros that starts with
// the given number.
func generated(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(data) // never fails
	return data
}

func lengths(data []byte) (all []int) {
	for len(data) > 0 {
		n := cut(data)
		all, data = append(all, n), data[n:]
	}
	return all
}

// TestCutPointsAreGolden pins the cuts of a mebibyte. If they move, every store has to keep all its data twice.
func TestCutPointsAreGolden(t *testing.T) {
	data := slices.Concat(generated(1, 600<<10), make([]byte, 300<<10), []byte("an odd tail"), generated(2, 200<<10))
	want := []int{
		68314, 75577, 74536, 92614, 44119, 74366, 69258, 67594, 262144, 144276, 85625, 67988,
	}
	if diff := cmp.Diff(want, lengths(data)); diff != "" {
		t.Errorf("the cuts have moved (-want +got):\n%s", diff)
	}
}

func TestGearTableIsGolden(t *testing.T) {
	hash := sha256.New()
	for _, entry := range gear {
		hash.Write(binary.BigEndian.AppendUint64(nil, entry))
	}
	const want = "12865fc8d335b9b5508d0a043cab6f09174bbd9fd0e7474bcdbe37baf88ef3a5"
	if got := hex.EncodeToString(hash.Sum(nil)); got != want || gear[0] != 0x6683ed9a9d2c89f9 || gear[255] != 0x3c4b3caa23bdc039 {
		t.Errorf("the table of the rolling hash is another one: %s, from %#x to %#x", got, gear[0], gear[255])
	}
}

// TestRunsOfOneByteAreNotCut: in a run of a byte b the hash stands at -gear[b]. Were that a cut, an empty canvas would
// fall into the shortest chunks.
func TestRunsOfOneByteAreNotCut(t *testing.T) {
	for b := range 256 {
		if n := cut(bytes.Repeat([]byte{byte(b)}, MaxSize+1)); n != MaxSize {
			t.Errorf("a run of byte %d is cut at %d", b, n)
		}
	}
}

func TestCutFollowsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		longs := rapid.OneOf(rapid.IntRange(0, 10), rapid.IntRange(MinSize-2, MinSize+70), rapid.IntRange(NormalSize-2, MaxSize+2))
		data := generated(rapid.Uint64().Draw(t, "seed"), longs.Draw(t, "length"))
		// A few values only make cuts far more often equal to one another and to nothing.
		if few := rapid.IntRange(0, 3).Draw(t, "few"); few > 0 {
			for i := range data {
				data[i] &= 1<<few - 1
			}
		}
		if got, want := cut(data), plainCut(data); got != want {
			t.Fatalf("cut at %d, the rule says %d", got, want)
		}
	})
}

// TestScanFollowsTheRule drives the two-byte step with masks of few bits, so that cuts come at every distance.
func TestScanFollowsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "data")
		mask := uint64(1)<<rapid.IntRange(0, 5).Draw(t, "bits") - 1
		mask <<= 57
		want, wantFound, hash := len(data), false, uint64(7)
		for i, b := range data {
			hash = 2*hash + gear[b]
			if hash&mask == 0 {
				want, wantFound = i+1, true
				break
			}
		}
		if got, _, found := scan(7, data, mask); got != want || found != wantFound {
			t.Fatalf("scan gives %d, %v; the rule says %d, %v", got, found, want, wantFound)
		}
	})
}

func BenchmarkCut(b *testing.B) {
	data := generated(3, 64<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := data; len(rest) > 0; {
			rest = rest[cut(rest):]
		}
	}
}
