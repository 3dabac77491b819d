package checkout

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePath(t *testing.T) {
	good := []string{
		"a", "scene.blend", "textures/wood/oak.png", "with space/x y.png", ".hidden", "a..b", "..a", "a/.b",
		"take 1: final?.png", `"quoted" <name> |*.png`, "é/ü/ß.png", "console.txt", "com0", "COM10", "nul_.txt", "a\u2028b",
		"c:x", "ab:/x", strings.Repeat("x", MaxComponentBytes), strings.Repeat("a/", MaxPathDepth-1) + "a",
	}
	for _, text := range good {
		p, err := ParsePath(text)
		if err != nil || p.String() != text {
			t.Errorf("ParsePath(%q) = %q, %v", text, p, err)
		}
	}
	bad := map[string]string{ // text: part of the reason
		"":                                       "empty",
		"/etc/passwd":                            "absolute",
		"//host/share":                           "absolute",
		"C:/Users/x":                             "drive",
		"z:":                                     "drive",
		"..":                                     `".."`,
		"a/../b":                                 `".."`,
		"../x":                                   `".."`,
		"a/..":                                   `".."`,
		"./a":                                    `"."`,
		"a/./b":                                  `"."`,
		"a//b":                                   "empty component",
		"a/":                                     "empty component",
		`a\b`:                                    "backslash",
		`..\b`:                                   "backslash",
		"a\x00b":                                 "U+0000",
		"a\nb":                                   "U+000A",
		"a\x7fb":                                 "U+007F",
		"a\u0085b":                               "U+0085",
		"a\xffb":                                 "UTF-8",
		"CON":                                    "device",
		"a/nul":                                  "device",
		"x/Aux.txt":                              "device",
		"PRN .tar.gz":                            "device",
		"com1":                                   "device",
		"LPT9.png":                               "device",
		"COM¹":                                   "device",
		"lpt³.x":                                 "device",
		"conin$":                                 "device",
		"CONOUT$.log":                            "device",
		"a./b":                                   "ends in a dot",
		"a ":                                     "ends in a dot or a space",
		strings.Repeat("x", 256):                 "256 bytes",
		strings.Repeat("a/", MaxPathDepth) + "a": "deep",
		strings.Repeat("x", MaxPathBytes+1):      "4097 bytes",
	}
	for text, reason := range bad {
		_, err := ParsePath(text)
		if !errors.Is(err, ErrBadPath) {
			t.Errorf("ParsePath(%q): %v, want ErrBadPath", text, err)
			continue
		}
		if message := err.Error(); !strings.Contains(message, reason) || !strings.Contains(message, quoteShort(text)) {
			t.Errorf("ParsePath(%q): %q names not both the path and %q", text, message, reason)
		}
	}
}

func TestParseShamanPath(t *testing.T) {
	for text, want := range map[string]string{"/scene.blend": "scene.blend", "//a/b": "a/b", "a/b": "a/b"} {
		if p, err := ParseShamanPath(text); err != nil || p.String() != want {
			t.Errorf("ParseShamanPath(%q) = %q, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "/", "/../x", "/C:/x", "a//b"} {
		if _, err := ParseShamanPath(text); !errors.Is(err, ErrBadPath) {
			t.Errorf("ParseShamanPath(%q): %v", text, err)
		}
	}
}

func TestPathParts(t *testing.T) {
	for text, want := range map[string][2]string{"a": {"", "a"}, "a/b": {"a", "b"}, "a/b/c": {"a/b", "c"}} {
		p := mustPath(t, text)
		if got := [2]string{p.Dir(), p.Base()}; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestPathJSON(t *testing.T) {
	var p Path
	if err := json.Unmarshal([]byte(`"a/b"`), &p); err != nil || p.String() != "a/b" {
		t.Errorf("got %q, %v", p, err)
	}
	if err := json.Unmarshal([]byte(`"a/../b"`), &p); !errors.Is(err, ErrBadPath) || p.String() != "a/b" {
		t.Errorf("a refused text left %q, %v", p, err)
	}
}

// Folding must agree with strings.EqualFold, which implements simple folding in another way.
func TestFoldPathAgreesWithEqualFold(t *testing.T) {
	letters := []rune("aAkKſsSKåÅÅßẞσςΣiİıIǅǆ/Ωωé")
	rapid.Check(t, func(t *rapid.T) {
		a := string(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 3).Draw(t, "a"))
		b := string(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 3).Draw(t, "b"))
		if got, want := foldPath(a) == foldPath(b), strings.EqualFold(a, b); got != want {
			t.Fatalf("%q and %q: same key %v, EqualFold %v", a, b, got, want)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, text := range []string{"a/b.png", "a/../b", "C:/x", "nul.txt", "a\\b", "x:y?"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePath(text)
		if err != nil {
			if !p.IsZero() {
				t.Fatalf("an error and the path %q", p)
			}
			return
		}
		if p.String() != text || strings.HasPrefix(text, "/") || strings.ContainsAny(text, "\x00\n\\") {
			t.Fatalf("accepted %q as %q", text, p)
		}
		for component := range strings.SplitSeq(text, "/") {
			if component == "" || component == "." || component == ".." {
				t.Fatalf("accepted %q", text)
			}
		}
	})
}
