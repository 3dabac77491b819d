package transfer_test

import (
	"fmt"
	"os"
	"testing"

	"hayloft/cas/transfer"
)

// BenchmarkSendLarge sends a new file of 256 MiB that does not compress, which is cut before, into a store on disk.
func BenchmarkSendLarge(b *testing.B) {
	const size = 256 << 20
	data := noise(1, size)
	recipe := recipeOf(b, data)
	_, source := onDisk(b, "scene.blend", data)
	source.Recipe = recipe
	b.SetBytes(size)
	b.ReportAllocs()
	var report transfer.Report
	for b.Loop() {
		b.StopTimer()
		s := openSite(b)
		b.StartTimer()
		report = mustSend(b, &wire{site: s}, []transfer.Source{source}, transfer.Options{})
	}
	b.ReportMetric(float64(report.BytesTravelled)/size, "travelled/byte")
}

// BenchmarkSendSmall sends 10,000 new files of 12 KiB into a store on disk.
func BenchmarkSendSmall(b *testing.B) {
	const files, size = 10_000, 12 << 10
	dir := b.TempDir()
	sources := make([]transfer.Source, files)
	for i := range sources {
		path := fmt.Sprintf("%s/%d", dir, i)
		data := noise(uint64(i), size)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
		sources[i] = content(path, data)
		sources[i].Open = func() (transfer.File, error) { return os.Open(path) }
	}
	b.SetBytes(files * size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s := openSite(b)
		b.StartTimer()
		mustSend(b, &wire{site: s}, sources, transfer.Options{})
	}
	b.ReportMetric(files*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}
