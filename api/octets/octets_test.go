package octets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hayloft/cas"
)

func TestFormatsStayAsTheyAre(t *testing.T) {
	empty := cas.Blob{Digest: cas.SumBytes(nil), Size: 258}
	const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := hex.EncodeToString(AppendQuestions(nil, []cas.Blob{empty})); got != sum+"0000000000000102" {
		t.Errorf("question %s", got)
	}
	if got := hex.EncodeToString(AppendDigests(nil, []cas.Digest{empty.Digest})); got != sum {
		t.Errorf("digest %s", got)
	}
	if got := Bitmap([]bool{true, false, false, false, false, false, false, false, true, true}); !bytes.Equal(got, []byte{1, 3}) {
		t.Errorf("bitmap %x", got)
	}
}

func TestBitmapsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOf(rapid.Bool()).Draw(t, "bits")
		got, err := ParseBitmap(Bitmap(bits), len(bits))
		if err != nil || !slices.Equal(got, bits) {
			t.Fatalf("%v: %v", got, err)
		}
	})
}

func TestMalformedBodiesAreRefused(t *testing.T) {
	huge := AppendQuestions(nil, []cas.Blob{{Size: -1}})
	for name, parse := range map[string]func() error{
		"39 bytes":            func() error { _, err := ParseQuestions(make([]byte, 39)); return err },
		"a negative size":     func() error { _, err := ParseQuestions(huge); return err },
		"10,001 questions":    func() error { _, err := ParseQuestions(make([]byte, 10_001*QuestionSize)); return err },
		"33 bytes of digests": func() error { _, err := ParseDigests(make([]byte, 33)); return err },
		"10,001 digests":      func() error { _, err := ParseDigests(make([]byte, 10_001*cas.Size)); return err },
		"a short bitmap":      func() error { _, err := ParseBitmap(make([]byte, 1), 9); return err },
		"a long bitmap":       func() error { _, err := ParseBitmap(make([]byte, 3), 9); return err },
		"a bit too many":      func() error { _, err := ParseBitmap([]byte{0, 2}, 9); return err },
	} {
		if err := parse(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzBodies wants that what parses is written the same again.
func FuzzBodies(f *testing.F) {
	f.Add(make([]byte, QuestionSize), 320)
	f.Add(make([]byte, 2*cas.Size), 511)
	f.Add([]byte{1, 3}, 10)
	f.Fuzz(func(t *testing.T, body []byte, bits int) {
		if blobs, err := ParseQuestions(body); err == nil && !bytes.Equal(AppendQuestions(nil, blobs), body) {
			t.Errorf("questions %x came back as %x", body, AppendQuestions(nil, blobs))
		}
		if digests, err := ParseDigests(body); err == nil && !bytes.Equal(AppendDigests(nil, digests), body) {
			t.Errorf("digests %x came back as %x", body, AppendDigests(nil, digests))
		}
		if set, err := ParseBitmap(body, bits); err == nil && !bytes.Equal(Bitmap(set), body) {
			t.Errorf("bitmap %x came back as %x", body, Bitmap(set))
		}
	})
}
