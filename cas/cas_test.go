package cas_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"hayloft/cas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// emptyHex is the SHA-256 of no bytes (FIPS 180-4 test vectors, NIST CAVP SHA256ShortMsg, Len = 0).
const emptyHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestDigestOfNothingIsTheKnownOne(t *testing.T) {
	want, err := cas.ParseDigest(emptyHex)
	if err != nil {
		t.Fatal(err)
	}
	if got := cas.SumBytes(nil); got != want {
		t.Errorf("SumBytes(nil) = %v, want %v", got, want)
	}
	if got := cas.SumHash(sha256.New()); got != want {
		t.Errorf("SumHash(empty) = %v, want %v", got, want)
	}
	if got := (cas.Blob{Digest: want}).String(); got != emptyHex+"/0" {
		t.Errorf("Blob.String() = %q", got)
	}
}

func TestSumHashRefusesAnotherHash(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("SumHash of MD5 did not panic")
		}
	}()
	cas.SumHash(md5.New())
}

func TestParseDigestRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":      "",
		"short":      emptyHex[1:],
		"long":       emptyHex + "0",
		"upper case": strings.ToUpper(emptyHex),
		"not hex":    "g" + emptyHex[1:],
		"path":       "../" + emptyHex[3:],
		"NUL":        "\x00" + emptyHex[1:],
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := cas.ParseDigest(text); !errors.Is(err, cas.ErrBadDigest) || !d.IsZero() {
				t.Errorf("ParseDigest(%q) = %v, %v; want the zero digest and ErrBadDigest", text, d, err)
			}
		})
	}
}

func TestDigestOrderIsTheOrderOfItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := cas.SumBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "a"))
		b := cas.SumBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "b"))
		if got, want := sign(a.Compare(b)), strings.Compare(a.String(), b.String()); got != want {
			t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
		}
	})
}

func sign(n int) int { return min(1, max(-1, n)) }

func TestBlobJSON(t *testing.T) {
	blob := cas.Blob{Digest: cas.SumBytes([]byte("hay")), Size: 3}
	text, err := json.Marshal(blob)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"sha256":"` + blob.Digest.String() + `","size":3}`; string(text) != want {
		t.Errorf("JSON is %s, want %s", text, want)
	}
	var back cas.Blob
	if err := json.Unmarshal(text, &back); err != nil || back != blob {
		t.Errorf("read back %v, %v; want %v", back, err, blob)
	}
	bad := `{"sha256":"` + strings.ToUpper(emptyHex) + `","size":0}`
	if err := json.Unmarshal([]byte(bad), &back); !errors.Is(err, cas.ErrBadDigest) {
		t.Errorf("upper-case digest in JSON: %v, want ErrBadDigest", err)
	}
}

func TestParseRefName(t *testing.T) {
	for _, text := range []string{"a", "7", "shot_010@v2", "Sprite-Fright.2+lighting", strings.Repeat("x", cas.MaxRefName)} {
		name, err := cas.ParseRefName(text)
		if err != nil || name.String() != text || name.IsZero() {
			t.Errorf("ParseRefName(%q) = %q, %v", text, name, err)
		}
	}
	for _, text := range []string{"", ".", "..", ".a", "-a", "a/b", `a\b`, "a b", "a\x00", "ä", "a:b", strings.Repeat("x", cas.MaxRefName+1)} {
		if name, err := cas.ParseRefName(text); !errors.Is(err, cas.ErrBadRefName) || !name.IsZero() {
			t.Errorf("ParseRefName(%q) = %q, %v; want ErrBadRefName", text, name, err)
		}
	}
}

func TestRefNameJSON(t *testing.T) {
	type tree struct{ Name cas.RefName }
	var got tree
	if err := json.Unmarshal([]byte(`{"Name":"shot_010"}`), &got); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"Name":"shot_010"}`, string(text)); diff != "" {
		t.Errorf("JSON round trip (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"Name":"../x"}`), &got); !errors.Is(err, cas.ErrBadRefName) {
		t.Errorf("a path as a name in JSON: %v, want ErrBadRefName", err)
	}
}

func TestInflightCountsOverlappingUploads(t *testing.T) {
	var inflight cas.Inflight
	blob := cas.Blob{Digest: cas.SumBytes([]byte("hay")), Size: 3}
	sameDigestOtherSize := cas.Blob{Digest: blob.Digest, Size: 4}
	if inflight.Has(blob) {
		t.Error("a new registry has an upload")
	}
	end1, end2 := inflight.Begin(blob), inflight.Begin(blob)
	end1()
	end1()
	if !inflight.Has(blob) {
		t.Error("the second upload was forgotten when the first ended twice")
	}
	if inflight.Has(sameDigestOtherSize) {
		t.Error("an upload of another size is reported")
	}
	end2()
	if inflight.Has(blob) {
		t.Error("an upload is reported after both ended")
	}
}

func TestInflightFromManyGoroutines(t *testing.T) {
	var inflight cas.Inflight
	blob := cas.Blob{Digest: cas.SumBytes(nil)}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				end := inflight.Begin(blob)
				if !inflight.Has(blob) {
					t.Error("an upload under way is not reported")
				}
				end()
			}
		})
	}
	all.Wait()
	if inflight.Has(blob) {
		t.Error("an upload is reported after all ended")
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add(emptyHex)
	f.Add(strings.ToUpper(emptyHex))
	f.Add(emptyHex[:63])
	f.Fuzz(func(t *testing.T, text string) {
		d, err := cas.ParseDigest(text)
		switch {
		case err == nil && d.String() != text:
			t.Errorf("%q was parsed as %v", text, d)
		case err != nil && !errors.Is(err, cas.ErrBadDigest):
			t.Errorf("%q: error %v is not ErrBadDigest", text, err)
		}
	})
}

func FuzzParseRefName(f *testing.F) {
	f.Add("shot_010@v2")
	f.Add("../up")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := cas.ParseRefName(text)
		switch {
		case err == nil && (name.String() != text || strings.ContainsAny(text, "/\\\x00") || text[0] == '.'):
			t.Errorf("%q was taken as a name", text)
		case err != nil && !errors.Is(err, cas.ErrBadRefName):
			t.Errorf("%q: error %v is not ErrBadRefName", text, err)
		}
	})
}
