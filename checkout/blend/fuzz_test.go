package blend

import (
	"bytes"
	"path/filepath"
	"testing"
)

// seeds are valid files in every layout and envelope; testdata/fuzz holds what fuzzing found beside them.
func seeds(f *testing.F) {
	f.Helper()
	for _, l := range layouts {
		f.Add(sample(l))
	}
	plain := sample(layouts["8 bytes, little"])
	f.Add(gzipped(f, plain))
	f.Add(zstdStream(f, plain))
	f.Add(zstdFrames(f, plain, 300, true))
}

// FuzzParse reads everything that a file offers.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if file != nil {
				t.Fatal("a file beside an error")
			}
			return
		}
		for b := range file.Blocks() {
			if b.Size() > int64(len(data)) && file.Compression() == Plain {
				t.Fatalf("block %q has %d bytes, the file %d", b.Code(), b.Size(), len(data))
			}
			structs := int64(0)
			for s, err := range b.Structs() {
				if err != nil {
					break
				}
				readAll(s)
				if structs++; structs > b.Count() {
					t.Fatalf("block %q has more than %d structs", b.Code(), b.Count())
				}
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func readAll(s Struct) {
	for name := range s.Fields() {
		v, ok := s.Field(name)
		if !ok {
			continue
		}
		_, _, _, _ = v.Int(), v.Float(), v.Text(), v.Bytes()
		v.At(v.Len() - 1)
		v.Follow()
		if v.Kind() == "ListBase" {
			for element, err := range s.List(name) {
				if err != nil {
					break
				}
				element.Text("name")
			}
		}
	}
}

// FuzzRewrite gives all paths of a file the same text. The copy can be read, and has nothing more to change.
func FuzzRewrite(f *testing.F) {
	seeds(f)
	for name := range fixtures {
		f.Add(read(f, filepath.Join("testdata", name+".blend")))
	}
	const path = "/film/shot.blend"
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		rewrite := func(data []byte) (changed int, ok bool) {
			file, err := Parse(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				return 0, false
			}
			defer file.Close() //nolint:errcheck // It lies in memory.
			rw := &rewriter{file: file, replace: to("//x")}
			if err := rw.ask(t.Context(), path); err != nil {
				return 0, false
			}
			out.Reset()
			if len(rw.edits) > 0 {
				if err := rw.write(t.Context(), path, &out); err != nil {
					return 0, false // A frame that no block begins in can be damaged.
				}
			}
			return rw.changed, true
		}
		changed, ok := rewrite(data)
		if !ok || changed == 0 {
			return
		}
		if again, ok := rewrite(bytes.Clone(out.Bytes())); !ok || again != 0 {
			t.Errorf("%d fields changed, then %d more, %v", changed, again, ok)
		}
	})
}

// FuzzTrace walks all datablocks of a file for what they need, without looking at the disk.
func FuzzTrace(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		tr := newTracer(t.Context(), "/here", Options{})
		root := tr.find("/film/shot.blend")
		root.all = true
		if err := newReach(tr, root, file).run(); err != nil {
			tr.findings = nil // A damaged block ends the walk.
		}
		for _, found := range tr.findings {
			if found.Written == "" || found.Datablock == "" && found.Blend == "" {
				t.Errorf("an empty finding: %+v", found.Dependency)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
