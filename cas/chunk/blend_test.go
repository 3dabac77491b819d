package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// form is one of the ways in which .blend files are written.
type form struct {
	header string
	order  interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
}

var forms = []form{
	{"BLENDER_v248", binary.LittleEndian},
	{"BLENDER_V260", binary.BigEndian},
	{"BLENDER-v304", binary.LittleEndian},
	{"BLENDER-V279", binary.BigEndian},
	{"BLENDER17-01v0500", binary.LittleEndian},
}

// appendHead writes the head of a block at an address.
func (f form) appendHead(b []byte, code string, address uint64, length int) []byte {
	b = append(b, (code + "\x00\x00")[:4]...)
	switch {
	case len(f.header) == 17:
		b = f.order.AppendUint32(b, 0)
		b = f.order.AppendUint64(b, address)
		b = f.order.AppendUint64(b, uint64(length))
		return f.order.AppendUint64(b, 1)
	case f.header[7] == '-':
		b = f.order.AppendUint32(b, uint32(length))
		b = f.order.AppendUint64(b, address)
	default:
		b = f.order.AppendUint32(b, uint32(length))
		b = f.order.AppendUint32(b, uint32(address))
	}
	b = f.order.AppendUint32(b, 0)
	return f.order.AppendUint32(b, 1)
}

// file writes blocks of the given lengths, every one at another address from base on, and tells where the payloads lie.
func (f form) file(base uint64, payloads ...[]byte) (file []byte, places []Range) {
	file = []byte(f.header)
	for i, payload := range payloads {
		code := "DATA"
		if i%3 == 0 {
			code = "ME"
		}
		file = f.appendHead(file, code, base+uint64(i)*512, len(payload))
		places = append(places, Range{Offset: int64(len(file)), Length: int64(len(payload))})
		file = append(file, payload...)
	}
	return f.appendHead(file, "ENDB", 0, 0), places
}

// payloads gives a mesh-like scene: runs of small blocks and some that are cut alone.
func payloads(seed uint64) [][]byte {
	var all [][]byte
	for i := range 600 {
		all = append(all, generated(seed+uint64(i), 40+i%7*16))
		if i%60 == 0 {
			all = append(all, generated(seed+uint64(1000+i), SmallPayload+1+i*900))
		}
	}
	return all
}

func TestBlendSpansOfEveryForm(t *testing.T) {
	for _, f := range forms {
		file, places := f.file(1<<20, nil, make([]byte, SmallPayload), make([]byte, SmallPayload+1), []byte("odd"), make([]byte, 3*walkWindow))
		for _, shorter := range []int{0, 4} { // ENDB's head may be cut short
			spans, sure := BlendSpans(bytes.NewReader(file), int64(len(file)-shorter))
			if diff := cmp.Diff([]Range{places[2], places[4]}, spans); diff != "" || !sure {
				t.Errorf("%s: sure is %v (-want +got):\n%s", f.header, sure, diff)
			}
		}
	}
}

func TestBlendSpansDoubt(t *testing.T) {
	f := forms[2]
	good, places := f.file(1, make([]byte, 5000), make([]byte, 20000))
	change := func(offset int64, to string) []byte {
		changed := bytes.Clone(good)
		copy(changed[offset:], to)
		return changed
	}
	second := places[1].Offset - 24
	for name, file := range map[string][]byte{
		"empty":                   {},
		"only the magic":          []byte("BLENDER"),
		"gzip":                    change(0, "\x1f\x8b"),
		"pointer size":            change(7, "="),
		"byte order":              change(8, "w"),
		"version":                 change(9, "3x4"),
		"newer format":            []byte("BLENDER17-02v0600" + string(good[12:])),
		"longer header":           []byte("BLENDER18-01v0600!" + string(good[12:])),
		"header without version":  []byte("BLENDER17-01v05"),
		"other byte order":        change(8, "V"),
		"code with a blank":       change(second, "DA A"),
		"code with letters after": change(second, "D\x00TA"),
		"code of one letter":      change(second, "D\x00\x00\x00"),
		"negative length":         change(second+4, "\xff\xff\xff\xff"),
		"length beyond the end":   change(second+4, "\xff\xff\xff\x7f"),
		"no last block":           good[:len(good)-24],
		"ends in a head":          append(bytes.Clone(good[:len(good)-24]), "DATA1234"...),
		"bytes after the end":     append(bytes.Clone(good), 0),
	} {
		if spans, sure := BlendSpans(bytes.NewReader(file), int64(len(file))); sure || spans != nil {
			t.Errorf("%s: sure of %v", name, spans)
		}
		recipe, chunks := splitBytes(t, file)
		makes(t, recipe, chunks, file)
		if len(recipe.literals) > 0 {
			t.Errorf("%s: cut along a structure that is in doubt", name)
		}
	}
	if _, sure := BlendSpans(iotestErr{}, 1<<20); sure {
		t.Error("sure of a file that cannot be read")
	}
}

// iotestErr cannot be read.
type iotestErr struct{}

var errUnreadable = errors.New("unreadable")

func (iotestErr) ReadAt([]byte, int64) (int, error) { return 0, errUnreadable }

// counting tells how many bytes were asked for.
type counting struct {
	io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(b []byte, offset int64) (int, error) {
	c.bytes += len(b)
	return c.ReaderAt.ReadAt(b, offset)
}

// TestWalkReadsAtMostTheFile holds the walk to its promise where heads are as dense as they can be, and where each takes
// a read of its own.
func TestWalkReadsAtMostTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 5000, walkWindow - 24, walkWindow, 100_000}), 0, 60).Draw(t, "lengths")
		var all [][]byte
		for _, n := range lengths {
			all = append(all, make([]byte, n))
		}
		file, _ := forms[2].file(0, all...)
		reads := counting{ReaderAt: bytes.NewReader(file)}
		if _, sure := BlendSpans(&reads, int64(len(file))); !sure || reads.bytes > len(file)+24*(len(all)+1) {
			t.Fatalf("sure is %v after reading %d bytes of %d", sure, reads.bytes, len(file))
		}
	})
}

// TestMovedAddressesCostOnlyLiterals is what the structure is for: every address is another, one payload has grown, and
// only that payload and the literal stream are new.
func TestMovedAddressesCostOnlyLiterals(t *testing.T) {
	for _, f := range forms {
		before := payloads(1)
		after := append([][]byte{[]byte("a new block")}, before...)
		after[63] = append(bytes.Clone(after[63]), "grown"...)
		oldFile, _ := f.file(1<<20, before...)
		newFile, places := f.file(1<<30, after...)
		if places[63].Length <= SmallPayload {
			t.Fatal("the block that grows should be one that is cut alone")
		}
		_, have := splitBytes(t, oldFile)
		recipe, chunks := splitBytes(t, newFile)
		makes(t, recipe, chunks, newFile)
		lacking := int64(0)
		for c, ranges := range recipe.Chunks() {
			if _, known := have[c.ID]; known {
				continue
			}
			if len(ranges) == 1 && (ranges[0].Offset < places[63].Offset || ranges[0].End() > places[63].End()) {
				t.Errorf("%s: the chunk at %d was not changed, but is new", f.header, ranges[0].Offset)
			}
			lacking += int64(c.Length)
		}
		if limit := places[63].Length + 100_000; lacking == 0 || lacking > limit {
			t.Errorf("%s: %d bytes are new, the limit is %d", f.header, lacking, limit)
		}
	}
}

func FuzzBlendSpans(f *testing.F) {
	for _, form := range forms {
		file, _ := form.file(7, []byte("small"), make([]byte, SmallPayload+9), nil)
		f.Add(file)
		f.Add(file[:len(file)-9])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		spans, sure := BlendSpans(bytes.NewReader(file), int64(len(file)))
		if !sure && spans != nil {
			t.Error("spans of a structure that is in doubt")
		}
		end := int64(0)
		for _, span := range spans {
			if span.Length <= SmallPayload || span.Offset <= end || span.End() > int64(len(file)) {
				t.Errorf("impossible payload %v after %d, file of %d bytes", span, end, len(file))
			}
			end = span.End()
		}
		recipe, chunks := splitBytes(t, file)
		makes(t, recipe, chunks, file)
	})
}
