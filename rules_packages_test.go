package hayloft

import (
	"bytes"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	leastWordsOfDoc = 25 // fewer cannot say purpose, promise and forbidden imports
	mostFileLines   = 800
	mostFuncLines   = 60
)

// forbiddenNames say nothing about what they name.
var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "manager2"}

var saysWhatItImports = regexp.MustCompile(`(?i)\bimports?\b`)

// TestEveryPackageIsDocumented asks each folder for one package comment, in doc.go, that says what the package may or
// must not import. Generated files bring comments of their own, which do not count.
func TestEveryPackageIsDocumented(t *testing.T) {
	for folder, files := range packages(t) {
		var documented []string
		for _, file := range files {
			if file.syntax.Doc == nil || file.generated() {
				continue
			}
			documented = append(documented, file.path)
			checkPackageComment(t, file)
		}
		if want := path.Join(folder, "doc.go"); !slices.Equal(documented, []string{want}) {
			t.Errorf("folder %s: the package comment stands in %v; want exactly one, in %s", folder, documented, want)
		}
	}
}

func checkPackageComment(t *testing.T, file goFile) {
	t.Helper()
	text := file.syntax.Doc.Text()
	opening := "Package " + file.syntax.Name.Name + " "
	if file.syntax.Name.Name == "main" {
		opening = "Command " + path.Base(file.folder()) + " "
	}
	if !strings.HasPrefix(text, opening) {
		t.Errorf("%s: the package comment must begin with %q", file.path, opening)
	}
	if words := len(strings.Fields(text)); words < leastWordsOfDoc {
		t.Errorf("%s: the package comment has %d words, fewer than %d: say purpose, promise and forbidden imports", file.path, words, leastWordsOfDoc)
	}
	if !saysWhatItImports.MatchString(text) {
		t.Errorf("%s: the package comment does not say what the package may or must not import", file.path)
	}
}

func TestNamesSayWhatTheyName(t *testing.T) {
	for _, file := range textFiles(t) {
		for _, part := range strings.Split(file.path, "/") {
			stem, _, _ := strings.Cut(part, ".")
			stem = strings.TrimSuffix(stem, "_test")
			if slices.Contains(forbiddenNames, strings.ToLower(stem)) {
				t.Errorf("%s: %q says nothing; name it after what it holds", file.path, part)
			}
		}
	}
}

func TestGeneratedFilesSaySo(t *testing.T) {
	seen := 0
	for _, file := range goFiles(t) {
		named := strings.HasSuffix(file.path, ".gen.go")
		if named {
			seen++
		}
		if named != file.generated() {
			t.Errorf("%s: a file is named *.gen.go if, and only if, it says `Code generated … DO NOT EDIT.`", file.path)
		}
	}
	if seen == 0 {
		t.Error("no generated file was found: this rule looks in the wrong place")
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, file := range goFiles(t) {
		if file.generated() {
			continue
		}
		if lines := bytes.Count(file.text, []byte("\n")); lines > mostFileLines {
			t.Errorf("%s has %d lines, more than %d: split it by topic", file.path, lines, mostFileLines)
		}
		for _, declaration := range file.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := positions.Position(function.Pos()), positions.Position(function.End())
			if lines := last.Line - first.Line + 1; lines > mostFuncLines {
				t.Errorf("%s: function %s has %d lines, more than %d", first, function.Name.Name, lines, mostFuncLines)
			}
		}
	}
}
