package hayloft

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// openEnds are the marks of work that was left undone. They are put together here so that this file passes its own rule.
var openEnds = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

// homePaths are folders of one person on one machine.
var homePaths = regexp.MustCompile(`(/ho` + `me/\w+/|/ro` + `ot/|/Us` + `ers/\w+/|[A-Z]:\\+Us` + `ers\\+\w+)`)

// othersText is not ours to word: licences, locks and corpora of fuzzers.
var othersText = regexp.MustCompile(`(^|/)(LICENSE|go\.sum|package-lock\.json)$|/testdata/fuzz/`)

func TestNothingIsLeftOpenInTheText(t *testing.T) {
	refuse(t, openEnds, "do it now, or write an issue")
}

func TestNoPathOfOneMachine(t *testing.T) {
	refuse(t, homePaths, "name no folder of one machine")
}

// refuse reports every line of the repository's text that matches.
func refuse(t *testing.T, pattern *regexp.Regexp, advice string) {
	t.Helper()
	read := 0
	for _, file := range textFiles(t) {
		if othersText.MatchString(file.path) {
			continue
		}
		read++
		number := 0
		for line := range strings.Lines(string(file.text)) {
			number++
			if found := pattern.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: %s", file.path, number, found, advice)
			}
		}
	}
	if read == 0 {
		t.Error("no file was read: this rule looks in the wrong place")
	}
}

// TestNothingSleeps refuses time.Sleep everywhere. A test waits for the event; code waits on a timer that its context
// can end.
func TestNothingSleeps(t *testing.T) {
	for _, file := range goFiles(t) {
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok && selector.Sel.Name == "Sleep" {
				if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "time" {
					t.Errorf("%s: time.Sleep: wait for the event instead", positions.Position(node.Pos()))
				}
			}
			return true
		})
	}
}

var switches = regexp.MustCompile(`HAYLOFT_[A-Z_]+`)

// TestSkipsNameTheirSwitch lets a test be skipped only where its message names the variable that turns it on, and
// holds the Makefile to turning it on. So nothing is skipped in silence where it counts.
func TestSkipsNameTheirSwitch(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range goFiles(t) {
		for _, call := range skips(file) {
			var name string
			if len(call.Args) > 0 {
				if text, ok := call.Args[0].(*ast.BasicLit); ok {
					name = switches.FindString(text.Value)
				}
			}
			if name == "" || !strings.Contains(string(makefile), name+"=1") {
				t.Errorf("%s: a skip must name a variable HAYLOFT_… that the Makefile sets to 1", positions.Position(call.Pos()))
			}
		}
	}
}

// skips finds the calls that skip a test. Property tests call a method of the same name on a *rapid.T to draw again, and
// benchmarks only run when somebody asks for them: both are something else.
func skips(file goFile) []*ast.CallExpr {
	var calls []*ast.CallExpr
	var inside func(node ast.Node, tests []string)
	inside = func(root ast.Node, tests []string) {
		ast.Inspect(root, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				if node.Body != nil {
					inside(node.Body, testParameters(tests, node.Type))
				}
				return false
			case *ast.FuncLit:
				inside(node.Body, testParameters(tests, node.Type))
				return false
			case *ast.CallExpr:
				method, ok := node.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, method.Sel.Name) {
					break
				}
				if receiver, ok := method.X.(*ast.Ident); ok && slices.Contains(tests, receiver.Name) {
					calls = append(calls, node)
				}
			}
			return true
		})
	}
	inside(file.syntax, nil)
	return calls
}

// testParameters adds a function's parameters that are tests to those it sees from outside, and takes away those
// that it hides.
func testParameters(outer []string, function *ast.FuncType) []string {
	names := slices.Clone(outer)
	for _, field := range function.Params.List {
		isTest := false
		kind := field.Type
		if pointer, ok := kind.(*ast.StarExpr); ok {
			kind = pointer.X
		}
		if selector, ok := kind.(*ast.SelectorExpr); ok {
			pkg, ok := selector.X.(*ast.Ident)
			isTest = ok && pkg.Name == "testing" && selector.Sel.Name != "B"
		}
		for _, name := range field.Names {
			names = slices.DeleteFunc(names, func(other string) bool { return other == name.Name })
			if isTest {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func TestSkipsAreFound(t *testing.T) {
	const source = `package x
func TestA(t *testing.T) {
	t.Skip("one")
	rapid.Check(t, func(t *rapid.T) { t.Skip("drawn again") })
	t.Run("", func(sub *testing.T) { sub.SkipNow(); t.Skipf("three") })
}
func BenchmarkA(b *testing.B) { b.Skip("asked for") }
func open(tb testing.TB) { tb.Skip("four") }`
	syntax, err := parser.ParseFile(token.NewFileSet(), "x_test.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(skips(goFile{syntax: syntax})); got != 4 {
		t.Errorf("found %d skips, want 4", got)
	}
}

// TestForeignFoldersAreIgnored makes sure that what the rules do not look into is not in git either, save the built page.
func TestForeignFoldersAreIgnored(t *testing.T) {
	var ignored []string
	for _, file := range textFiles(t) {
		if path.Base(file.path) != ".gitignore" {
			continue
		}
		for line := range strings.Lines(string(file.text)) {
			ignored = append(ignored, strings.Trim(strings.TrimSpace(line), "/"))
		}
	}
	for _, folder := range foreignFolders {
		if folder != ".git" && folder != "dist" && !slices.Contains(ignored, folder) {
			t.Errorf("the rules do not look into %s, so git must not hold it: name it in .gitignore", folder)
		}
	}
}
