package jobtype

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplitShell(t *testing.T) {
	for text, want := range map[string][]string{
		"":                        {},
		"  \t\n":                  {},
		"-b -y":                   {"-b", "-y"},
		" a  b ":                  {"a", "b"},
		`'a b' "c d"`:             {"a b", "c d"},
		`a'b'"c"d`:                {"abcd"},
		`''`:                      {""},
		`"" x`:                    {"", "x"},
		`a\ b`:                    {"a b"},
		`'\n'`:                    {`\n`},
		`"\n\"\\\$"`:              {`\n"\$`},
		"a\\\nb":                  {"ab"},
		"\"a\\\nb\"":              {"ab"},
		`--color #fff`:            {"--color", "#fff"},
		`--expr "print('x # y')"`: {"--expr", "print('x # y')"},
	} {
		got, err := splitShell(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{`'a`, `"a`, `a\`, `"a\"`} {
		if got, err := splitShell(text); err == nil {
			t.Errorf("%q gave %q and no error", text, got)
		}
	}
}

func TestSplitShellReadsQuotedWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "words")
		quoted := make([]string, len(words))
		for i, word := range words {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		got, err := splitShell(strings.Join(quoted, " "))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(words, got); diff != "" && len(words) > 0 {
			t.Fatalf("words (-want +got):\n%s", diff)
		}
	})
}

func FuzzSplitShell(f *testing.F) {
	for _, seed := range []string{"-b -y", `'a b' "c\"d" e\ f`, `"`, `\`, "''"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := splitShell(text)
		if total := len(strings.Join(words, "")); err == nil && total > len(text) {
			t.Fatalf("%q became longer: %q", text, words)
		}
	})
}

func TestPaths(t *testing.T) {
	type row struct{ base, dir, stem string }
	for p, want := range map[string]row{
		"/a/b/c.tar.gz":          {"c.tar.gz", "/a/b", "c.tar"},
		`C:\a\b.blend`:           {"b.blend", "C:/a", "b"},
		"//server/share/x.blend": {"x.blend", "//server/share", "x"},
		`\\server\share\x`:       {"x", "//server/share", "x"},
		"{jobs}/x/y.blend":       {"y.blend", "{jobs}/x", "y"},
		"y.blend":                {"y.blend", ".", "y"},
		"/a/.hidden":             {".hidden", "/a", ".hidden"},
		"/":                      {"/", "/", "/"},
	} {
		if diff := cmp.Diff(want, row{pathBase(p), pathDir(p), pathStem(p)}, cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", p, diff)
		}
	}
	for _, test := range []struct {
		parts []string
		want  string
	}{
		{[]string{"/a", "b", "c"}, "/a/b/c"},
		{[]string{"/", "a"}, "/a"},
		{[]string{"", "a", "", "b"}, "a/b"},
		{[]string{`\\srv\x`, `b\c`}, "//srv/x/b/c"},
		{[]string{"{jobs}", "a", "../b"}, "{jobs}/b"},
		{[]string{"a/", "/b"}, "a/b"},
		{nil, ""},
	} {
		if got := pathJoin(test.parts...); got != test.want {
			t.Errorf("pathJoin(%q) = %q, want %q", test.parts, got, test.want)
		}
	}
}

func FuzzPaths(f *testing.F) {
	for _, seed := range []string{"/a/b.c", `C:\a\..\b`, `\\server\share`, "//server//share/", "{jobs}/../x", "", ".", "..", "///a", ".blend"} {
		f.Add(seed, "below")
	}
	f.Fuzz(func(t *testing.T, p, below string) {
		base, dir, stem, joined := pathBase(p), pathDir(p), pathStem(p), pathJoin(p, below)
		if all := base + dir + stem + joined; strings.Contains(all, `\`) {
			t.Fatalf("%q with %q leaves a backslash: %q", p, below, all)
		}
		if !strings.HasPrefix(base, stem) || base != "/" && strings.Contains(base, "/") {
			t.Fatalf("%q has the base %q and the stem %q", p, base, stem)
		}
		if pathJoin(dir) != dir || pathJoin(joined) != joined {
			t.Fatalf("%q: %q or %q are not clean", p, dir, joined)
		}
		// What is the last component only leads back when there is one.
		if clean := pathJoin(p); clean != "" && pathBase(clean) != ".." && pathJoin(pathDir(clean), pathBase(clean)) != clean {
			t.Fatalf("%q is %q and %q", clean, pathDir(clean), pathBase(clean))
		}
	})
}
