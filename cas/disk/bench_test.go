package disk

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"hayloft/cas"
	"hayloft/cas/castest"
)

var putSize = flag.Int64("put-size", 64<<20, "`bytes` of the blob in BenchmarkPut")

// BenchmarkPut stores one big blob in the way of an upload. To compare with the disk alone, see BenchmarkDiskAlone.
func BenchmarkPut(b *testing.B) {
	body := castest.Content(1, int(*putSize))
	store := openNew(b)
	b.SetBytes(*putSize)
	b.ReportAllocs()
	n := byte(0)
	for b.Loop() {
		b.StopTimer()
		n++
		body[0] = n
		blob := castest.BlobOf(body)
		b.StartTimer()
		copyIn(b, store, body, blob)
		b.StopTimer()
		if err := os.Remove(store.Path(blob.Digest)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func copyIn(b *testing.B, store *Store, body []byte, blob cas.Blob) {
	w, err := store.Create(b.Context(), blob.Size)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(body)}); err != nil {
		b.Fatal(err)
	}
	if err := w.Commit(b.Context(), blob); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDiskAlone writes and syncs the same bytes to one plain file: what the disk allows.
func BenchmarkDiskAlone(b *testing.B) {
	body := castest.Content(1, int(*putSize))
	path := filepath.Join(b.TempDir(), "plain")
	b.SetBytes(*putSize)
	for b.Loop() {
		file, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		for rest := body; len(rest) > 0; rest = rest[min(len(rest), bufferSize):] {
			if _, err := file.Write(rest[:min(len(rest), bufferSize)]); err != nil {
				b.Fatal(err)
			}
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := file.Close(); err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHashAlone is SHA-256 of the same bytes: what the processor allows.
func BenchmarkHashAlone(b *testing.B) {
	body := castest.Content(1, int(*putSize))
	b.SetBytes(*putSize)
	for b.Loop() {
		cas.SumBytes(body)
	}
}

// BenchmarkPutSmallParallel stores durable blobs of 12 KiB from 16 goroutines for each processor.
func BenchmarkPutSmallParallel(b *testing.B) {
	const size = 12 << 10
	store := openNew(b)
	var seed atomic.Uint64
	b.SetBytes(size)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := castest.Put(context.Background(), store, castest.Content(seed.Add(1), size)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
}

// BenchmarkStat asks for 1,000 blobs, one half of them stored.
func BenchmarkStat(b *testing.B) {
	store := openNew(b)
	var ask []cas.Blob
	for i := range 1000 {
		content := castest.Content(uint64(i), 100)
		ask = append(ask, castest.BlobOf(content))
		if i%2 == 0 {
			put(b, store, content)
		}
	}
	for b.Loop() {
		found := 0
		err := store.Stat(b.Context(), ask, func(cas.Blob) error { found++; return nil })
		if err != nil || found != 500 {
			b.Fatalf("%d found, %v", found, err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
}

// BenchmarkOpen opens a store after an orderly end and after a crash.
func BenchmarkOpen(b *testing.B) {
	for name, end := range map[string]func(*Store) error{
		"closed":  (*Store).Close,
		"crashed": func(s *Store) error { die(s); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			root := b.TempDir()
			for b.Loop() {
				store, err := Open(root)
				if err != nil {
					b.Fatal(err)
				}
				if err := end(store); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIngest stores one big file as gather does: cut, hashed and written in one reading.
func BenchmarkIngest(b *testing.B) {
	body := castest.Content(1, int(*putSize))
	store := openNew(b)
	b.SetBytes(*putSize)
	b.ReportAllocs()
	n := byte(0)
	for b.Loop() {
		n++
		body[0] = n
		done, err := store.Ingest(b.Context(), bytes.NewReader(body), *putSize)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := os.Remove(store.Path(done.Blob.Digest)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPutSmall stores durable blobs of 12 KiB, 1,000 at once.
func BenchmarkPutSmall(b *testing.B) {
	const size, many = 12 << 10, 1000
	store := openNew(b)
	content := castest.Content(1, size*many)
	b.SetBytes(size * many)
	for b.Loop() {
		b.StopTimer()
		blobs := make([][]byte, many)
		for i := range blobs {
			blobs[i] = content[i*size:][:size]
			blobs[i][0]++
			blobs[i][1] = byte(b.N)
		}
		b.StartTimer()
		if _, err := store.PutSmall(b.Context(), blobs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(many*float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
}

// BenchmarkShape makes whole files of blobs of 4 KiB.
func BenchmarkShape(b *testing.B) {
	const many = 1000
	store := openNew(b)
	var contents [][]byte
	for i := range many {
		contents = append(contents, castest.Content(uint64(i), 4<<10))
	}
	blobs, err := store.PutSmall(b.Context(), contents)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := store.Shape(b.Context(), blobs); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for _, blob := range blobs {
			if err := os.Remove(store.Path(blob.Digest)); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(many*float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
}

// BenchmarkAssembleFromSeed commits a new version of a file of which the store has all but a few bytes.
func BenchmarkAssembleFromSeed(b *testing.B) {
	store := openNew(b)
	old := castest.Content(1, int(*putSize))
	if _, err := store.Ingest(b.Context(), bytes.NewReader(old), *putSize); err != nil {
		b.Fatal(err)
	}
	content := append([]byte("a few bytes"), old...)
	recipe, frames, err := cutUp(b.Context(), content)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		a, err := store.Assemble(b.Context(), recipe)
		if err != nil {
			b.Fatal(err)
		}
		for i, lacks := range a.Lacking() {
			if lacks {
				if err := a.Put(b.Context(), frames[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := a.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := os.Remove(store.Path(recipe.Blob().Digest)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
