package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// TestMadeUpContentIsTheSameHoweverItIsRead and depends on its name.
func TestMadeUpContentIsTheSameHoweverItIsRead(t *testing.T) {
	const size = 150_001
	whole, err := io.ReadAll(newMadeUp("a", volume, size))
	if err != nil || len(whole) != size {
		t.Fatalf("read %d bytes, want %d: %v", len(whole), size, err)
	}
	if err := iotest.TestReader(newMadeUp("a", volume, size), whole); err != nil {
		t.Error(err)
	}
	other, err := io.ReadAll(newMadeUp("b", volume, size))
	if err != nil || bytes.Equal(whole, other) {
		t.Errorf("two names have the same content (%v)", err)
	}
}

// TestMatterCompressesAsItSays measures what a general compressor makes of each kind.
func TestMatterCompressesAsItSays(t *testing.T) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for name, test := range map[string]struct {
		of        matter
		low, high float64
	}{
		"texture": {texture, 0.99, 1.01}, "geometry": {geometry, 0.65, 0.85}, "volume": {volume, 0.2, 0.55}, "text": {text, 0.1, 0.5},
	} {
		content, err := io.ReadAll(newMadeUp("sample", test.of, miB))
		if err != nil {
			t.Fatal(err)
		}
		if share := float64(len(encoder.EncodeAll(content, nil))) / miB; share < test.low || share > test.high {
			t.Errorf("%s is compressed to %.2f of its size, want %.2f to %.2f", name, share, test.low, test.high)
		}
	}
}

// TestEdit compares the scene before and after.
func TestEdit(t *testing.T) {
	dir := t.TempDir()
	const size = 9*miB + 5
	before, err := io.ReadAll(newMadeUp("scene", geometry, size))
	if err != nil {
		t.Fatal(err)
	}
	from, to := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	if err := os.WriteFile(from, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := edit(from, to, size); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != size+insertedBytes {
		t.Fatalf("the scene has %d bytes, want %d", len(after), size+insertedBytes)
	}
	first, second := size/3+1, 2*size/3+1
	if !bytes.Equal(after[:first], before[:first]) || !bytes.Equal(after[first+insertedBytes:second+insertedBytes], before[first:second]) {
		t.Error("more than an insertion before the place that is overwritten")
	}
	if !bytes.Equal(after[second+insertedBytes+overwrittenBytes:], before[second+overwrittenBytes:]) {
		t.Error("the end is another one")
	}
	if bytes.Equal(after[second+insertedBytes:second+insertedBytes+overwrittenBytes], before[second:second+overwrittenBytes]) {
		t.Error("nothing was overwritten")
	}
}

// TestFootprintCountsAFileOnce where it has two names.
func TestFootprintCountsAFileOnce(t *testing.T) {
	dir := t.TempDir()
	empty, err := footprint(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeMadeUp(dir, "sub/a", texture, miB); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "sub", "a"), filepath.Join(dir, "sub", "b")); err != nil {
		t.Fatal(err)
	}
	got, err := footprint(dir)
	if err != nil || got-empty < miB || got-empty > miB+64*kiB {
		t.Errorf("a file of 1 MiB with two names takes %d bytes (%v)", got-empty, err)
	}
}

func TestDisguiseIsTheFirstByteAlone(t *testing.T) {
	plain := []byte("BLENDER")
	hidden, err := io.ReadAll(io.NewSectionReader(disguised{bytes.NewReader(plain)}, 0, int64(len(plain))))
	if err != nil || hidden[0] == plain[0] || string(hidden[1:]) != "LENDER" {
		t.Errorf("disguised as %q (%v)", hidden, err)
	}
}

func TestLastLineIsTheResult(t *testing.T) {
	var got told
	if err := lastLine([]byte("{\"file\":\"a\"}\n{\"bytes_sent\":7,\"other\":1}\n"), &got); err != nil || got.Sent != 7 {
		t.Errorf("read %+v: %v", got, err)
	}
	if err := lastLine([]byte("no result\n"), &got); err == nil {
		t.Error("text was taken for a result")
	}
}
