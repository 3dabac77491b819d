package hayloft

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// room is a part of the repository and what of ours it may import. A pattern that ends in "/..." covers all below.
type room struct {
	folders string   // the first room that covers a folder rules it
	may     []string // what its code may import
	tests   []string // what its tests may import on top of that
	never   []string // packages of others that its code must not import, whole module trees included
}

// rooms draws the arrows cmd -> api -> {scheduler, checkout} -> cas and worker -> {api/client, checkout, cas}.
var rooms = []room{
	{folders: "."},
	{folders: "cas/...", may: []string{"cas/..."}, never: []string{"net/http"}},
	{folders: "checkout/...", may: []string{"cas/...", "checkout/..."}, never: []string{"net/http"}},
	{folders: "scheduler", tests: []string{"scheduler/..."}, never: []string{"net/http", "database/sql", "os/exec"}},
	{folders: "scheduler/...", may: []string{"scheduler/..."}, never: []string{"net/http", "os/exec"}},
	{folders: "api/wire"},
	{folders: "api/gen", may: []string{"api/wire"}},
	{folders: "api/discovery"},
	{folders: "api/mqtt"},
	{folders: "api/octets", may: []string{"cas/..."}},
	{folders: "api/client", may: []string{"api/wire", "api/octets", "cas/...", "checkout"}, tests: []string{"..."}},
	{folders: "api/tasklog"},
	{folders: "api/flamencotest"},
	{folders: "api/...", may: []string{"api/...", "scheduler/...", "checkout/...", "cas/..."}, tests: []string{"web"}},
	{folders: "worker/...", may: []string{"worker/...", "api/wire", "api/client", "api/discovery", "api/tasklog", "checkout/...", "cas/..."}},
	{folders: "web"},
	{folders: "addon", tests: []string{"..."}},
	{folders: "bench/...", may: []string{"..."}},
	{folders: "cmd/demo"},
	{folders: "cmd/cas", may: []string{"cmd/...", "api/client", "api/wire", "checkout/...", "cas/..."}, tests: []string{"..."}},
	{folders: "cmd/...", may: []string{"..."}},
}

func roomOf(folder string) (room, bool) {
	at := slices.IndexFunc(rooms, func(r room) bool { return covers(r.folders, folder) })
	if at < 0 {
		return room{}, false
	}
	return rooms[at], true
}

func coveredByAny(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return covers(pattern, folder) })
}

func TestArrowsPointOneWay(t *testing.T) {
	for _, file := range goFiles(t) {
		home, ok := roomOf(file.folder())
		if !ok {
			t.Errorf("%s lies in no room: give its folder a row in the table of rooms", file.path)
			continue
		}
		for _, imported := range file.imports() {
			if problem := checkImport(file, home, imported); problem != "" {
				t.Errorf("%s: %s", file.path, problem)
			}
		}
	}
}

// checkImport says what is wrong with one import of a file, or nothing.
func checkImport(file goFile, home room, imported string) string {
	if ours, ok := strings.CutPrefix(imported, modulePath+"/"); ok {
		switch {
		case coveredByAny(home.may, ours) || file.forTests() && coveredByAny(home.tests, ours):
			return ""
		case file.isTest() && ours == file.folder():
			return "" // an outside test of its own package
		default:
			return fmt.Sprintf("the room %s must not import %s; it may import %v", home.folders, ours, home.may)
		}
	}
	if file.isTest() {
		return ""
	}
	for _, never := range home.never {
		if covers(never+"/...", imported) {
			return fmt.Sprintf("the room %s must not import %s", home.folders, imported)
		}
	}
	return ""
}

// TestRoomsExist keeps the table of rooms honest: each row rules at least one folder, and each pattern in it names one.
func TestRoomsExist(t *testing.T) {
	folders := packages(t)
	for i, r := range rooms {
		rules, known := false, map[string]bool{}
		for folder := range folders {
			at := slices.IndexFunc(rooms, func(r room) bool { return covers(r.folders, folder) })
			rules = rules || at == i
			for _, pattern := range slices.Concat(r.may, r.tests) {
				known[pattern] = known[pattern] || covers(pattern, folder)
			}
		}
		if !rules {
			t.Errorf("the room %s rules no folder: it is gone, or an earlier row hides it", r.folders)
		}
		for pattern, exists := range known {
			if !exists {
				t.Errorf("the room %s may import %s, which does not exist", r.folders, pattern)
			}
		}
	}
}

// programs are what people run. What measures lies in bench and may use package testing.
var programs = []string{"cmd/cas", "cmd/demo", "cmd/hayloft"}

// testLibraries must never be part of a program.
var testLibraries = []string{
	"testing", "net/http/httptest", "github.com/google/go-cmp/cmp", "github.com/rogpeppe/go-internal/testscript",
	"go.uber.org/goleak", "pgregory.net/rapid",
}

func TestNoTestLibraryInPrograms(t *testing.T) {
	for _, library := range testLibraries {
		if !importedByTests(t, library) {
			t.Errorf("no test imports %s: take it off the list", library)
		}
	}
	for _, program := range programs {
		linked, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+program).Output()
		if err != nil {
			t.Errorf("listing what %s links: %v", program, err)
			continue
		}
		for _, imported := range strings.Fields(string(linked)) {
			ours := strings.HasPrefix(imported, modulePath+"/") && strings.HasSuffix(imported, "test")
			if ours || slices.Contains(testLibraries, imported) {
				t.Errorf("%s links %s, which is for tests only", program, imported)
			}
		}
	}
}

func importedByTests(t *testing.T, library string) bool {
	t.Helper()
	return slices.ContainsFunc(goFiles(t), func(file goFile) bool {
		return file.forTests() && slices.Contains(file.imports(), library)
	})
}

func TestProgramsAreListed(t *testing.T) {
	var found []string
	for folder, files := range packages(t) {
		if files[0].syntax.Name.Name == "main" && !covers("bench/...", folder) {
			found = append(found, folder)
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, programs) {
		t.Errorf("the programs are %v, the rules look at %v", found, programs)
	}
}

func TestWrongImportsAreFound(t *testing.T) {
	for _, test := range []struct {
		file, imported string
		allowed        bool
	}{
		{"cas/disk/store.go", "hayloft/cas", true},
		{"cas/disk/store.go", "hayloft/checkout", false},
		{"cas/disk/store_test.go", "hayloft/checkout", false},
		{"scheduler/claim.go", "net/http", false},
		{"scheduler/claim.go", "net/http/httputil", false},
		{"scheduler/claim_test.go", "net/http", true},
		{"scheduler/claim.go", "hayloft/scheduler/store", false},
		{"scheduler/claim_test.go", "hayloft/scheduler/store", true},
		{"worker/loop.go", "hayloft/api/client", true},
		{"worker/loop.go", "hayloft/api", false},
		{"worker/loop.go", "hayloft/scheduler", false},
		{"api/client/client.go", "hayloft/api", false},
		{"web/embed.go", "hayloft/api", false},
		{"web/embed_test.go", "hayloft/web", true},
		{"cmd/hayloft/up.go", "hayloft/worker", true},
		{"cmd/cas/main.go", "hayloft/scheduler", false},
	} {
		file := goFile{textFile: textFile{path: test.file}}
		home, _ := roomOf(file.folder())
		if problem := checkImport(file, home, test.imported); (problem == "") != test.allowed {
			t.Errorf("%s imports %s: allowed should be %v, got %q", test.file, test.imported, test.allowed, problem)
		}
	}
}
