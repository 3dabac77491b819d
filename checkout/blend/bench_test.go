package blend

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkTrace measures a synthetic scene of 256 MiB of geometry in blocks of 256 KiB, with a datablock before each.
func BenchmarkTrace(b *testing.B) {
	l := layouts["8 bytes, little"]
	built := build(l)
	noise := make([]byte, 256<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	for i := range 1024 {
		built.block("IM", kindImage, uint64(1000+2*i), 1, built.image("image", "//t.png", imageFile, 0)).block("DATA", 0, uint64(1001+2*i), 1, noise)
	}
	plain := built.end()
	for name, data := range map[string][]byte{"plain": plain, "zstd": zstdFrames(b, plain, 1<<20, false)} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "shot.blend")
			if err := os.WriteFile(path, data, 0o644); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Trace(b.Context(), []string{path}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
