package checkout

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCleanName(t *testing.T) {
	for wanted, want := range map[string]string{
		"shot 010":                     "shot 010",
		"film/shot":                    "film/shot",
		"take 1: really?":              "take 1_ really_",
		`a\b*c"d<e>f|g`:                "a_b_c_d_e_f_g",
		"{jobs};x":                     "_jobs__x",
		"":                             "job",
		" / /":                         "job",
		"/abs//x/":                     "abs/x",
		"../../etc/passwd":             "__/__/etc/passwd",
		".building":                    "_building",
		"a/.level":                     "a/_level",
		"con.blend":                    "_con.blend",
		"NUL":                          "_NUL",
		"a. ":                          "a_",
		"a\x00\nb":                     "a__b",
		"a\xffb":                       "a_b",
		"1/2/3/4/5/6/7/8/9":            "1/2/3/4/5/6/7/9",
		strings.Repeat("é", 60):        strings.Repeat("é", 50),
		strings.Repeat("x", 99) + ".y": strings.Repeat("x", 99) + "_",
	} {
		if got := cleanName(wanted); got != want {
			t.Errorf("cleanName(%q) = %q, want %q", wanted, got, want)
		}
	}
}

func TestCleanNameIsAlwaysSafe(t *testing.T) {
	piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"/", "..", ".", " ", "con", "NUL.", "{", "\\", "é", strings.Repeat("z", 99)}))
	rapid.Check(t, func(t *rapid.T) {
		name := cleanName(strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), ""))
		if again := cleanName(name); again != name {
			t.Fatalf("%q is cleaned to %q", name, again)
		}
		if _, err := ParsePath(name); err != nil {
			t.Fatal(err)
		}
		suffix, err := nameSuffix(sameBytes(7))
		if err != nil {
			t.Fatal(err)
		}
		for _, given := range []string{name, name + suffix} {
			if _, err := parseName(given); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestParseNameRefuses(t *testing.T) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".building", ".building/x", "a/.level", `a\b`, "a:b", "a\x00", "a\xff",
		"con", "a ", "a.", "C:/x", strings.Repeat("x", 106), "1/2/3/4/5/6/7/8/9",
	} {
		if _, err := parseName(name); !errors.Is(err, ErrBadName) {
			t.Errorf("parseName(%q): %v", name, err)
		}
	}
}

func TestNameSuffix(t *testing.T) {
	got, err := nameSuffix(bytes.NewReader([]byte{255, 0, 252, 25, 26, 251}))
	if err != nil || got != "-az09" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := nameSuffix(bytes.NewReader(nil)); err == nil {
		t.Error("no error without random bytes")
	}
}
