package hayloft

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// modulePath opens the import path of everything that is ours.
const modulePath = "hayloft"

// foreignFolders hold what a build, a package manager or a run made. No rule looks into them.
var foreignFolders = []string{".git", ".cache", ".demo", "bin", "dist", "node_modules", "playwright-report", "test-results"}

// textFile is one file of the repository that people read.
type textFile struct {
	path string // from the root, with forward slashes
	text []byte
}

// goFile is one parsed Go file of the repository.
type goFile struct {
	textFile
	syntax *ast.File
}

var (
	generatedMark = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.?$`)
	positions     = token.NewFileSet()
)

func (f goFile) folder() string  { return path.Dir(f.path) }
func (f goFile) isTest() bool    { return strings.HasSuffix(f.path, "_test.go") }
func (f goFile) generated() bool { return generatedMark.Match(f.text) }

// imports returns the paths that the file imports.
func (f goFile) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

// forTests says whether the file is linked into tests only: it is a test, or part of a suite that tests run.
func (f goFile) forTests() bool {
	return f.isTest() || strings.HasSuffix(f.folder(), "test")
}

// readFiles reads every text file of the repository once.
var readFiles = sync.OnceValues(func() ([]textFile, error) {
	var files []textFile
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(foreignFolders, entry.Name()):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if utf8.Valid(text) && !bytes.ContainsRune(text, 0) {
			files = append(files, textFile{path: filepath.ToSlash(name), text: text})
		}
		return nil
	})
	return files, err
})

// parseFiles parses every Go file of the repository once.
var parseFiles = sync.OnceValues(func() ([]goFile, error) {
	files, err := readFiles()
	if err != nil {
		return nil, err
	}
	var parsed []goFile
	for _, file := range files {
		if path.Ext(file.path) != ".go" || strings.Contains(file.path, "testdata/") {
			continue
		}
		syntax, err := parser.ParseFile(positions, file.path, file.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, goFile{textFile: file, syntax: syntax})
	}
	return parsed, nil
})

func textFiles(t *testing.T) []textFile {
	t.Helper()
	files, err := readFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	files, err := parseFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// packages groups the Go files by folder.
func packages(t *testing.T) map[string][]goFile {
	t.Helper()
	folders := map[string][]goFile{}
	for _, file := range goFiles(t) {
		folders[file.folder()] = append(folders[file.folder()], file)
	}
	return folders
}

// covers says whether a pattern names a folder: "api" names itself, "cas/..." also everything below it, "..." all.
func covers(pattern, folder string) bool {
	room, deep := strings.CutSuffix(pattern, "...")
	room = strings.TrimSuffix(room, "/")
	return folder == room || deep && (room == "" || strings.HasPrefix(folder, room+"/"))
}

func TestPatternsCoverWhatTheySay(t *testing.T) {
	for _, test := range []struct {
		pattern, folder string
		want            bool
	}{
		{"api", "api", true}, {"api", "api/client", false}, {"cas/...", "cas", true}, {"cas/...", "cas/disk", true},
		{"cas/...", "castle", false}, {"...", "cas/disk", true}, {"...", ".", true},
	} {
		if got := covers(test.pattern, test.folder); got != test.want {
			t.Errorf("%q covers %q: %v, want %v", test.pattern, test.folder, got, test.want)
		}
	}
}
