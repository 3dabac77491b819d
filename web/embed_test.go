package web_test

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/web"
)

const base = "/app/"

var (
	// htmlReference finds what index.html makes the browser fetch.
	htmlReference = regexp.MustCompile(`\b(?:src|href)\s*=\s*["']([^"']*)["']`)
	// cssReference finds what a style sheet makes the browser fetch.
	cssReference = regexp.MustCompile(`url\(\s*["']?([^"')]+)|@import\s*["']([^"']+)`)
	// scriptReference finds the parts that a script loads, before or while it runs. Browsers load bare names from nowhere.
	scriptReference = regexp.MustCompile(`\b(?:from|import)\s*\(?\s*["'](\.{0,2}/[^"']+)["']`)
	// absolute finds every address with a host, also one without a scheme in quotes.
	absolute = regexp.MustCompile(`(?i)\b(?:https?|wss?):/+[^\s"'` + "`" + `)<>]*|["'(]//[a-z0-9][^"')\s]*`)
)

// namespaces are names that look like addresses and are never fetched.
var namespaces = []string{
	"http://www.w3.org/1998/Math/MathML",
	"http://www.w3.org/1999/xhtml",
	"http://www.w3.org/1999/xlink",
	"http://www.w3.org/2000/svg",
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := fs.ReadFile(web.Files(), name)
	if err != nil {
		t.Fatalf("read %s of the built page: %v", name, err)
	}
	if len(content) == 0 {
		t.Fatalf("%s of the built page is empty: run npm ci && npm run build in web", name)
	}
	return string(content)
}

// references returns what a file makes the browser fetch, as paths below /app/.
func references(t *testing.T, name, content string) []string {
	t.Helper()
	finder := map[string]*regexp.Regexp{".html": htmlReference, ".css": cssReference, ".js": scriptReference}[path.Ext(name)]
	if finder == nil {
		return nil
	}
	var found []string
	for _, groups := range finder.FindAllStringSubmatch(content, -1) {
		address := strings.Join(groups[1:], "")
		if strings.HasPrefix(address, "data:") || strings.HasPrefix(address, "#") {
			continue
		}
		if !strings.HasPrefix(address, "/") {
			address = path.Join(base, path.Dir(name), address)
		}
		below, ok := strings.CutPrefix(address, base)
		if !ok {
			t.Errorf("%s refers to %q, which is not below %s", name, address, base)
			continue
		}
		found = append(found, below)
	}
	return found
}

func TestIndexReachesEveryFile(t *testing.T) {
	reached := map[string]bool{}
	queue := []string{"index.html"}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if reached[name] {
			continue
		}
		reached[name] = true
		queue = append(queue, references(t, name, read(t, name))...)
	}

	var stored []string
	err := fs.WalkDir(web.Files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			stored = append(stored, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var followed []string
	for name := range reached {
		followed = append(followed, name)
	}
	slices.Sort(followed)
	slices.Sort(stored)
	if diff := cmp.Diff(stored, followed); diff != "" {
		t.Errorf("files stored (-) and files that index.html leads to (+) differ:\n%s", diff)
	}
	for _, extension := range []string{".js", ".css", ".svg"} {
		if !slices.ContainsFunc(followed, func(name string) bool { return path.Ext(name) == extension }) {
			t.Errorf("index.html leads to no %s file", extension)
		}
	}
}

func TestNothingPointsOutside(t *testing.T) {
	err := fs.WalkDir(web.Files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, address := range absolute.FindAllString(read(t, name), -1) {
			if !slices.Contains(namespaces, address) {
				t.Errorf("%s names an outside address: %s", name, address)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFinderOfOutsideAddresses(t *testing.T) {
	for _, outside := range []string{
		`<script src="https://cdn.example/x.js">`, `fetch("http://h.example")`, `url(//fonts.example/a.woff2)`,
		`new WebSocket("ws://h.example")`, "`https://h.example/${x}`", `<img src='//h.example/p.png'>`,
	} {
		if !absolute.MatchString(outside) {
			t.Errorf("%s is not seen as an outside address", outside)
		}
	}
	if found := absolute.FindString(`a="/app/x.js";b=c//d` + "\n" + `url(/app/y.woff2)`); found != "" {
		t.Errorf("%q was taken for an outside address", found)
	}
}

func TestPolicyKeepsThePageAtHome(t *testing.T) {
	if index := read(t, "index.html"); !strings.Contains(index, "Content-Security-Policy") {
		t.Error("index.html carries no Content-Security-Policy: the page was not built with vite.config.ts")
	}
}

func TestAssetsAreNamedByContent(t *testing.T) {
	hashed := regexp.MustCompile(`^[a-z]+-[A-Za-z0-9_-]{8}\.(js|css)$`)
	entries, err := fs.ReadDir(web.Files(), "assets")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("assets is empty")
	}
	for _, entry := range entries {
		if !hashed.MatchString(entry.Name()) {
			t.Errorf("assets/%s has no hash in its name, so it may not be cached for ever", entry.Name())
		}
	}
}
