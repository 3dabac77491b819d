package chunk

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSumIsBLAKE3 checks two of BLAKE3's published test vectors: no input, and the bytes 0, 1, 2.
func TestSumIsBLAKE3(t *testing.T) {
	for input, want := range map[string]string{
		"":             "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"\x00\x01\x02": "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f",
	} {
		if got := Sum([]byte(input)).String(); got != want {
			t.Errorf("Sum(%q) = %s, want %s", input, got, want)
		}
	}
}

func TestIDComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := IDFromBytes([IDSize]byte(rapid.SliceOfN(rapid.Byte(), IDSize, IDSize).Draw(t, "id")))
		parsed, err := ParseID(id.String())
		if err != nil || parsed != id || parsed.Compare(id) != 0 {
			t.Fatalf("%s comes back as %s (%v)", id, parsed, err)
		}
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		var back ID
		if err := json.Unmarshal(text, &back); err != nil || back.Bytes() != id.Bytes() {
			t.Fatalf("%s comes back as %s (%v)", text, back, err)
		}
	})
}

func TestParseIDRefuses(t *testing.T) {
	good := Sum(nil).String()
	for _, text := range []string{"", good[1:], good + "0", strings.ToUpper(good), "g" + good[1:], " " + good[1:]} {
		if _, err := ParseID(text); !errors.Is(err, ErrBadID) {
			t.Errorf("ParseID(%q): %v", text, err)
		}
		var id ID
		if err := id.UnmarshalText([]byte(text)); !errors.Is(err, ErrBadID) {
			t.Errorf("UnmarshalText(%q): %v", text, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(Sum(nil).String())
	f.Add("00")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			return
		}
		raw := id.Bytes()
		if hex.EncodeToString(raw[:]) != text {
			t.Errorf("%q was read as %s", text, id)
		}
	})
}
