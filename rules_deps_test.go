package hayloft

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	mostDirectModules    = 25
	leastWordsOfReason   = 4
	dependencyTableOpens = "<!-- deps -->"
	dependencyTableEnds  = "<!-- /deps -->"
	everywhere           = "everywhere"
	testsOnly            = "tests"
)

// dependency is one row of the table in ARCHITECTURE.md: a module of others that go.mod names directly.
type dependency struct {
	module string
	users  []string // patterns of folders, or everywhere, or testsOnly
	reason string
}

var quoted = regexp.MustCompile("`([^`]+)`")

// dependencies reads the table between the two markers: | `module` | `folder`, `folder/...` | reason |
func dependencies(t *testing.T) []dependency {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, opened := strings.Cut(string(text), dependencyTableOpens)
	table, _, ended := strings.Cut(rest, dependencyTableEnds)
	if !opened || !ended {
		t.Fatalf("ARCHITECTURE.md has no table between %s and %s", dependencyTableOpens, dependencyTableEnds)
	}
	var rows []dependency
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := quoted.FindStringSubmatch(cells[0])
		if len(cells) != 3 || name == nil {
			continue
		}
		row := dependency{module: name[1], reason: strings.TrimSpace(cells[2])}
		for _, user := range quoted.FindAllStringSubmatch(cells[1], -1) {
			row.users = append(row.users, user[1])
		}
		if word := strings.TrimSpace(cells[1]); word == everywhere || word == testsOnly {
			row.users = []string{word}
		}
		rows = append(rows, row)
	}
	return rows
}

// directModules lists what go.mod requires directly.
func directModules(t *testing.T) []string {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("reading go.mod: %v", err)
	}
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("reading go.mod: %v", err)
	}
	var modules []string
	for _, require := range file.Require {
		if !require.Indirect {
			modules = append(modules, require.Path)
		}
	}
	return modules
}

func TestDirectDependenciesAreTheTable(t *testing.T) {
	listed := map[string]bool{}
	for _, row := range dependencies(t) {
		if listed[row.module] {
			t.Errorf("%s stands twice in the table", row.module)
		}
		listed[row.module] = true
		if len(strings.Fields(row.reason)) < leastWordsOfReason || len(row.users) == 0 {
			t.Errorf("%s: the table must say who may use it (folders, %q or %q) and why", row.module, everywhere, testsOnly)
		}
	}
	direct := directModules(t)
	for _, module := range direct {
		if !listed[module] {
			t.Errorf("go.mod requires %s, which is not in the table of ARCHITECTURE.md: add it with its reason, or do without", module)
		}
		delete(listed, module)
	}
	for _, module := range slices.Sorted(maps.Keys(listed)) {
		t.Errorf("the table of ARCHITECTURE.md lists %s, which go.mod does not require directly", module)
	}
	if len(direct) > mostDirectModules {
		t.Errorf("there are %d direct dependencies, more than %d", len(direct), mostDirectModules)
	}
}

func TestModulesStayWithTheirUsers(t *testing.T) {
	for _, row := range dependencies(t) {
		used := map[string]bool{}
		for _, file := range goFiles(t) {
			if !slices.ContainsFunc(file.imports(), func(imported string) bool { return covers(row.module+"/...", imported) }) {
				continue
			}
			user, ok := row.userOf(file)
			used[user] = true
			if !ok {
				t.Errorf("%s imports %s, which is kept in %v", file.path, row.module, row.users)
			}
		}
		for _, user := range row.users {
			if !used[user] {
				t.Errorf("%s: %s does not import it: take the name off the table", row.module, user)
			}
		}
	}
}

// userOf finds the entry of a row that lets a file use its module.
func (d dependency) userOf(file goFile) (user string, ok bool) {
	for _, user := range d.users {
		if user == everywhere || user == testsOnly && file.forTests() || covers(user, file.folder()) {
			return user, true
		}
	}
	return "", false
}
