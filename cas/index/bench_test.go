package index

import (
	"testing"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

const (
	chunksPerGiB = 14_000
	smallFiles   = 10_000
)

// BenchmarkAddChunks adds the recipe of a GiB that has nothing in common with what is there.
func BenchmarkAddChunks(b *testing.B) {
	x := openTest(b)
	frame := 0
	for b.Loop() {
		b.StopTimer()
		recipe := gib(b, frame)
		b.StartTimer()
		mustAdd(b, x, recipeAddition(frame, recipe))
		frame++
	}
}

func gib(b *testing.B, blob int) chunk.Recipe {
	b.Helper()
	numbers := make([]int, chunksPerGiB)
	for i := range numbers {
		numbers[i] = blob*chunksPerGiB + i
	}
	return recipeFor(b, blob, numbers...)
}

// BenchmarkFindChunks looks for all chunks of a GiB, half of which are there.
func BenchmarkFindChunks(b *testing.B) {
	x := openTest(b)
	mustAdd(b, x, recipeAddition(0, gib(b, 0)))
	var ids []chunk.ID
	for i := range chunksPerGiB {
		ids = append(ids, idFor(2*i))
	}
	for b.Loop() {
		if _, err := x.FindChunks(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
	}
}

func filesAt(frame int) Addition {
	a := Addition{Place: placeAt(frame), Kind: pack.BlobKind}
	for i := range smallFiles {
		a.Items = append(a.Items, itemFor(frame*smallFiles+i, i))
	}
	return a
}

// BenchmarkAddBlobs adds 10,000 small files.
func BenchmarkAddBlobs(b *testing.B) {
	x := openTest(b)
	for frame := 0; b.Loop(); frame++ {
		mustAdd(b, x, filesAt(frame))
	}
}

// BenchmarkBlobs asks for 10,000 small files that are all there.
func BenchmarkBlobs(b *testing.B) {
	x := openTest(b)
	mustAdd(b, x, filesAt(0))
	var digests []cas.Digest
	for i := range smallFiles {
		digests = append(digests, digestFor(i))
	}
	for b.Loop() {
		if _, err := x.Blobs(b.Context(), digests); err != nil {
			b.Fatal(err)
		}
	}
}
