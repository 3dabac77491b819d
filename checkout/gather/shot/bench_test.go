package shot

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hayloft/checkout/fileindex"
	"hayloft/checkout/gather"
)

// BenchmarkUnchanged gathers and reads a shot of 2,000 files, half of them from outside, that a reading before this one
// has seen.
func BenchmarkUnchanged(b *testing.B) {
	top := b.TempDir()
	project := filepath.Join(top, "project")
	out, err := makeMany(b, top)
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	index, err := fileindex.Open(filepath.Join(top, "index.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer index.Close()
	later := func() time.Time { return time.Now().Add(time.Hour) }
	options := Options{Spool: filepath.Join(top, "spool"), Now: later}
	files := 0
	submit := func() {
		s, err := Gather(b.Context(), filepath.Join(project, "many.blend"), options)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := gather.Read(b.Context(), s.Tree, gather.Reading{Index: index, Now: later}); err != nil {
			b.Fatal(err)
		}
		files = len(s.Tree.Files)
	}
	submit()
	for b.Loop() {
		submit()
	}
	if files < 2000 {
		b.Fatalf("only %d files", files)
	}
}

// makeMany makes the scene project/many.blend of 2,000 images.
func makeMany(b *testing.B, top string) (out []byte, err error) {
	for i := range 2000 {
		folder := filepath.Join(top, []string{"project", "elsewhere"}[i%2], "tex", fmt.Sprint(i%40))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("image_%04d.png", i)), []byte(fmt.Sprint(i)), 0o600); err != nil {
			return nil, err
		}
	}
	return runBlender(b.Context(), "-b", "--factory-startup", "--python-exit-code", "1", "-P", "testdata/many.py", "--", top)
}
