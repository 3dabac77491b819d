package checkout

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hayloft/cas"
)

// BenchmarkCreate compares a durable checkout with a plain loop of os.Symlink that makes the same links in directories
// that are there already, and syncs nothing. Both run in turns, since a disk is rarely as fast as a minute before, and
// nothing is deleted in between, since ext4 is slow to give out the inodes of files that were deleted just now.
// "ratio" is the plain loop's time divided by Create's: 1 is the kernel's rate.
func BenchmarkCreate(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("files=%d", size), func(b *testing.B) {
			f := newFarm(b)
			m := f.store.wideTree(b, size)
			var plain, create time.Duration
			for i := 0; b.Loop(); i++ {
				plain += plainLinks(b, f, m, filepath.Join(f.shared, fmt.Sprintf("plain%d", i)))
				started := time.Now()
				f.mustCreate(b, "job", m)
				create += time.Since(started)
			}
			b.ReportMetric(float64(b.N*size)/create.Seconds(), "files/s")
			b.ReportMetric(float64(b.N*size)/plain.Seconds(), "plain/s")
			b.ReportMetric(plain.Seconds()/create.Seconds(), "ratio")
		})
	}
}

// wideTree has size files with 100 blobs between them, 200 to a folder.
func (s folderStore) wideTree(b *testing.B, size int) Manifest {
	var entries []Entry
	for i := range size {
		blob := blobOf(fmt.Sprint(i % 100))
		if i < 100 {
			s.put(b, fmt.Sprint(i))
		}
		entries = append(entries, Entry{Path: mustPath(b, fmt.Sprintf("seq%03d/frame.%06d.png", i/200, i)), Blob: blob})
	}
	return mustManifest(b, entries)
}

func plainLinks(b *testing.B, f farm, m Manifest, dir string) time.Duration {
	type link struct{ target, path string }
	var links []link
	for e := range m.Entries() {
		links = append(links, link{"../../blobs/" + e.Blob.Digest.String(), filepath.Join(dir, e.Path.String())})
		if err := os.MkdirAll(filepath.Join(dir, e.Path.Dir()), 0o777); err != nil {
			b.Fatal(err)
		}
	}
	started := time.Now()
	for _, l := range links {
		if err := os.Symlink(l.target, l.path); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(started)
}

func BenchmarkManifest(b *testing.B) {
	s := newStore(b, b.TempDir())
	m := s.wideTree(b, 50_000)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mustManifest(b, m.entries)
		}
	})
	b.Run("digest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Digest()
		}
	})
}

// BenchmarkMaterialise compares laying out small files, in each way, with a plain loop of os.Symlink into directories
// that are there already.
func BenchmarkMaterialise(b *testing.B) {
	const size = 10_000
	for _, way := range []Way{Symlink, Hardlink, Copy} {
		b.Run(string(way), func(b *testing.B) {
			f := newFarm(b)
			m := f.store.wideTree(b, size)
			local := func(blob cas.Blob) (string, bool) { return f.store.Path(blob.Digest), true }
			var plain, laid time.Duration
			for i := 0; b.Loop(); i++ {
				plain += plainLinks(b, f, m, filepath.Join(f.shared, fmt.Sprintf("plain%d", i)))
				started := time.Now()
				_, err := Materialise(b.Context(), filepath.Join(f.shared, fmt.Sprintf("laid%d", i)), m, f.store, Options{Links: way, Local: local})
				if err != nil {
					b.Fatal(err)
				}
				laid += time.Since(started)
			}
			b.ReportMetric(float64(b.N*size)/laid.Seconds(), "files/s")
			b.ReportMetric(plain.Seconds()/laid.Seconds(), "ratio")
		})
	}
}
