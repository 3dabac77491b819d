package intake_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"hayloft/cas"
	"hayloft/cas/intake"
	"hayloft/cas/pack"
)

func TestLackingAnswersInOrder(t *testing.T) {
	f := newFarm(t, intake.Config{})
	have, other := []byte("have"), []byte("other")
	if _, err := f.TakeFiles(t.Context(), bytes.NewReader(blobFrame(have))); err != nil {
		t.Fatal(err)
	}
	wrongSize := blobOf(have)
	wrongSize.Size++
	got, err := f.Lacking(t.Context(), []cas.Blob{blobOf(other), blobOf(have), wrongSize, blobOf(have), blobOf(other)})
	if want := []bool{true, false, true, false, true}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("lacking %v: %v", got, err)
	}
}

func TestAskingTakesALease(t *testing.T) {
	f := newFarm(t, intake.Config{})
	blob := blobOf([]byte("x"))
	if f.Leased(blob) {
		t.Fatal("a lease that nobody took")
	}
	if _, err := f.Lacking(t.Context(), []cas.Blob{blob}); err != nil {
		t.Fatal(err)
	}
	if !f.Leased(blob) {
		t.Fatal("no lease after the question")
	}
}

func TestFilesThatCameWholeAreDurable(t *testing.T) {
	small := [][]byte{[]byte("one"), {}, noise(2, 200<<10)}
	more := [][]byte{[]byte("two"), noise(3, 700<<10)}
	body := append(blobFrame(small...), blobFrame(more...)...)
	first := len(blobFrame(small...))
	for _, at := range []int{0, 1, first - 1, first, first + 1, len(body) - 1, len(body)} {
		for _, how := range []error{nil, errBroken} {
			f := newFarm(t, intake.Config{})
			var source io.Reader = bytes.NewReader(body[:at])
			if how != nil {
				source = io.MultiReader(source, iotest.ErrReader(how))
			}
			taken, err := f.TakeFiles(t.Context(), source)
			want := 0
			if at >= first {
				want = len(small)
				for _, content := range small {
					f.holds(t, content)
				}
			}
			if at == len(body) {
				want += len(more)
			}
			wantErr := how
			if how == nil && at != 0 && at != first && at != len(body) {
				wantErr = io.ErrUnexpectedEOF
			}
			if taken != want || !errors.Is(err, wantErr) {
				t.Errorf("cut at %d by %v: took %d of %d: %v", at, how, taken, want, err)
			}
		}
	}
}

var errBroken = errors.New("the cable was pulled")

// bomb is a frame that announces n bytes and unpacks to others, of the length of a recipe's frame at most.
func bomb(t testing.TB, kind pack.Kind, n, unpacked int) []byte {
	t.Helper()
	header, _ := takeApart(t, pack.Append(nil, kind, []pack.Item{{Length: n}}, make([]byte, n)))
	_, payload := takeApart(t, pack.Append(nil, pack.RecipeKind, []pack.Item{{Length: unpacked}}, make([]byte, unpacked)))
	return append(appendUvarint(bytes.Clone(header), len(payload)), payload...)
}

// takeApart gives a compressed frame up to the length of its payload, and the payload.
func takeApart(t testing.TB, frame []byte) (header, payload []byte) {
	t.Helper()
	at := bytes.Index(frame, []byte{0x28, 0xb5, 0x2f, 0xfd}) // with which zstd begins, RFC 8878 section 3.1.1
	if at < 0 {
		t.Fatal("a frame of zeros is not compressed")
	}
	return frame[:at-len(appendUvarint(nil, len(frame)-at))], frame[at:]
}

func appendUvarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func TestBadFilesAreRefusedByName(t *testing.T) {
	wrong := blobFrame([]byte("twelve bytes"))
	wrong[len(wrong)-1] ^= 1
	f := someFile(t)
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"wrong id":           {wrong, pack.ErrWrongID},
		"a chunk":            {f.frame(0), pack.ErrBadFrame},
		"not a frame":        {[]byte("GET / HTTP/1.1\r\n\r\n"), pack.ErrBadFrame},
		"zstd bomb":          {bomb(t, pack.BlobKind, 1<<20, 64<<20), pack.ErrBadFrame},
		"shorter than it is": {bomb(t, pack.BlobKind, 1<<20, 1<<19), pack.ErrBadFrame},
	} {
		t.Run(name, func(t *testing.T) {
			farm := newFarm(t, intake.Config{})
			good := []byte("good")
			taken, err := farm.TakeFiles(t.Context(), bytes.NewReader(append(blobFrame(good), c.body...)))
			if taken != 1 || !errors.Is(err, c.want) {
				t.Fatalf("took %d: %v", taken, err)
			}
			farm.holds(t, good)
		})
	}
}

func TestLeasesEndAndAreBounded(t *testing.T) {
	f := newFarm(t, intake.Config{LeaseTime: 10})
	blob := blobOf([]byte("x"))
	ask := func() {
		if _, err := f.Lacking(t.Context(), []cas.Blob{blob}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	f.clock.set(10)
	if !f.Leased(blob) {
		t.Fatal("the lease ended early")
	}
	ask() // which renews it
	f.clock.set(10)
	if !f.Leased(blob) {
		t.Fatal("the lease was not renewed")
	}
	f.clock.set(20)
	if f.Leased(blob) {
		t.Fatal("the lease never ends")
	}
}
