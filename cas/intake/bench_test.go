package intake_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"hayloft/cas/disk"
	"hayloft/cas/intake"
)

// BenchmarkAppend is the way of a new blob of 64 MiB from its frames to the commit, on four lanes at once.
func BenchmarkAppend(b *testing.B) {
	store, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }() // what it would tell is no part of the measure
	in := intake.New(store, intake.Config{})
	const size = 64 << 20
	b.SetBytes(size)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		want := cut(b, noise(uint64(n), size))
		lanes := make([][]byte, 4)
		for at := 0; at < len(want.order); at += 8 {
			var places []int
			for place := at; place < min(at+8, len(want.order)); place++ {
				places = append(places, place)
			}
			lanes[at/8%4] = append(lanes[at/8%4], want.frame(places...)...)
		}
		b.StartTimer()
		s, err := in.Begin(b.Context(), want.encoded)
		if err != nil {
			b.Fatal(err)
		}
		var senders sync.WaitGroup
		for at, lane := range lanes {
			senders.Go(func() {
				if _, err := in.Append(b.Context(), s.ID, fmt.Sprint(at), 0, bytes.NewReader(lane)); err != nil {
					b.Error(err)
				}
			})
		}
		senders.Wait()
		if err := in.Commit(b.Context(), s.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTakeFiles takes 10,000 files of 4 KiB, in four bodies at once.
func BenchmarkTakeFiles(b *testing.B) {
	store, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }() // what it would tell is no part of the measure
	in := intake.New(store, intake.Config{})
	const files, size = 10_000, 4 << 10
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		data := noise(uint64(n), files*size)
		bodies := make([][]byte, 4)
		for at := 0; at < files; at += 200 {
			var contents [][]byte
			for file := at; file < at+200; file++ {
				contents = append(contents, data[file*size:(file+1)*size])
			}
			bodies[at/200%4] = append(bodies[at/200%4], blobFrame(contents...)...)
		}
		b.StartTimer()
		var senders sync.WaitGroup
		for _, body := range bodies {
			senders.Go(func() {
				if _, err := in.TakeFiles(b.Context(), bytes.NewReader(body)); err != nil {
					b.Error(err)
				}
			})
		}
		senders.Wait()
	}
	b.ReportMetric(files*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}
