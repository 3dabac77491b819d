package jobtype

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
)

const scriptSuffix = ".js"

// sources is the set of script files by path: the built-in ones, then the folder's, which replace them.
type sources struct {
	files map[string]*source
}

// source is one script file, compiled on first use. It never changes.
type source struct {
	// name is the path in its folder, with forward slashes.
	name string
	text string
	// script is the file as a job type runs it; module is the file as require runs it, inside of a function.
	script, module func() (*goja.Program, error)
}

// modulePrefix opens the function around a required file. It adds no line; columns of line 1 are put right in messages.
const modulePrefix = "(function(exports, require, module) {"

func newSource(name, text string) *source {
	return &source{
		name:   name,
		text:   text,
		script: sync.OnceValues(func() (*goja.Program, error) { return compileScript(name, "", text) }),
		module: sync.OnceValues(func() (*goja.Program, error) {
			return compileScript(name, modulePrefix, text+"\n})")
		}),
	}
}

// unusable is a file that could not be read. Who runs it gets the reason.
func unusable(name string, err error) *source {
	failure := &ScriptError{File: name, Message: err.Error(), cause: []error{ErrCompile}}
	fail := func() (*goja.Program, error) { return nil, failure }
	return &source{name: name, script: fail, module: fail}
}

// compileScript compiles in strict mode, as the Flamenco API does.
func compileScript(name, prefix, text string) (*goja.Program, error) {
	syntax, err := parser.ParseFile(nil, name, prefix+text, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, syntaxError(name, prefix, err)
	}
	program, err := goja.CompileAST(syntax, true)
	if err != nil {
		return nil, syntaxError(name, prefix, err)
	}
	return program, nil
}

func syntaxError(name, prefix string, err error) *ScriptError {
	failure := &ScriptError{File: name, Message: err.Error(), cause: []error{ErrCompile}}
	place := func(p file.Position, message string) {
		failure.Line, failure.Column, failure.Message = p.Line, p.Column, "SyntaxError: "+message
		if p.Line == 1 {
			failure.Column -= len(prefix)
		}
	}
	var list parser.ErrorList
	var compiler *goja.CompilerSyntaxError
	switch {
	case errors.As(err, &list) && len(list) > 0:
		place(list[0].Position, list[0].Message)
	case errors.As(err, &compiler) && compiler.File != nil:
		place(compiler.File.Position(compiler.Offset), compiler.Message)
	}
	return failure
}

// add reads all scripts of a folder, replacing those of the same path and, at the top, of the same job type name. Scripts
// that are in known with the same text are taken from there, compiled as they may be. It fails only when the folder
// itself cannot be read or is too large; what cannot be read in it spoils only itself.
func (s *sources) add(folder fs.FS, known *sources) error {
	added := map[string]*source{}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil && d.IsDir():
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != scriptSuffix:
			return nil
		case len(added) == maxScripts:
			return fmt.Errorf("the folder has more than %d scripts; remove some", maxScripts)
		}
		if file := known.read(folder, name); file != nil {
			added[name] = file
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.replace(added)
	return nil
}

// replace takes in scripts of another folder.
func (s *sources) replace(added map[string]*source) {
	replaced := map[string]bool{}
	for name := range added {
		if isTop(name) {
			replaced[typeName(name)] = true
		}
	}
	for name := range s.files {
		if isTop(name) && replaced[typeName(name)] {
			delete(s.files, name)
		}
	}
	maps.Copy(s.files, added)
}

// read reads one script. It returns nil for one that just went away, or that is too short to be one, and the script
// that is known already where the text is the same.
func (s *sources) read(folder fs.FS, name string) *source {
	text, err := readScript(folder, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unusable(name, err)
	case len(text) < minScriptSize:
		return nil
	}
	if file, ok := s.files[name]; ok && file.text == text {
		return file
	}
	return newSource(name, text)
}

// readScript reads a whole script, bounded in size whatever the folder says about it.
func readScript(folder fs.FS, name string) (_ string, err error) {
	f, err := folder.Open(name)
	if err != nil {
		return "", fmt.Errorf("the script cannot be opened: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, maxScriptSize+1))
	if err != nil {
		return "", fmt.Errorf("the script cannot be read: %w", err)
	}
	if len(text) > maxScriptSize {
		return "", fmt.Errorf("the script is larger than %d KiB; split it and use require", maxScriptSize>>10)
	}
	return string(text), nil
}

func isTop(name string) bool { return !strings.Contains(name, "/") }

// jobTypeFiles returns the files at the top, sorted by path. Clashes has, by path, another file of the same job type name.
func (s *sources) jobTypeFiles() (top []*source, clashes map[string]string) {
	for name, file := range s.files {
		if isTop(name) {
			top = append(top, file)
		}
	}
	slices.SortFunc(top, func(a, b *source) int { return strings.Compare(a.name, b.name) })
	first, clashes := map[string]string{}, map[string]string{}
	for _, file := range top {
		if other, taken := first[typeName(file.name)]; taken {
			clashes[file.name], clashes[other] = other, file.name
			continue
		}
		first[typeName(file.name)] = file.name
	}
	return top, clashes
}

// resolve finds the file that a require names, relative to the folder of the file that asks.
func (s *sources) resolve(from, wanted string) (*source, bool) {
	for _, name := range []string{path.Join(path.Dir(from), wanted), path.Clean(wanted)} {
		for _, candidate := range []string{name, name + scriptSuffix} {
			if file, ok := s.files[candidate]; ok {
				return file, true
			}
		}
	}
	return nil, false
}
