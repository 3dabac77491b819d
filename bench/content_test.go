package main

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"hayloft/cas"
)

// TestContentIsTheSameHoweverItIsRead reads across the end of the block, in pieces of several sizes.
func TestContentIsTheSameHoweverItIsRead(t *testing.T) {
	const size = blockSize + 100
	whole, err := io.ReadAll(newContent(7, size))
	if err != nil || len(whole) != size {
		t.Fatalf("read %d bytes, want %d: %v", len(whole), size, err)
	}
	if err := iotest.TestReader(newContent(7, size), whole); err != nil {
		t.Error(err)
	}
	halves, err := io.ReadAll(iotest.HalfReader(newContent(7, 1000)))
	if err != nil || !bytes.Equal(halves, whole[:1000]) {
		t.Errorf("read in halves, the content is another one (%v)", err)
	}
	if got, want := newContent(7, size).blob(), (cas.Blob{Digest: cas.SumBytes(whole), Size: size}); got != want {
		t.Errorf("the content names itself %v, want %v", got, want)
	}
}

func TestContentsDiffer(t *testing.T) {
	seen := map[cas.Blob]uint64{}
	for _, seed := range []uint64{0, 1, 255, 256, smallSeedStart, smallSeedStart + 1, 1 << 63} {
		blob := newContent(seed, 100).blob()
		if other, twice := seen[blob]; twice {
			t.Errorf("contents %d and %d are the same", seed, other)
		}
		seen[blob] = seed
	}
}
