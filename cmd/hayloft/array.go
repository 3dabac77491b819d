package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"hayloft/checkout"
	"hayloft/checkout/gather"
	"hayloft/cmd/cli"
)

// arrayType is the job type of submissions with --script.
const arrayType = "blender-script-array"

// array is a script that is run once for each of many data files.
type array struct {
	script string
	each   []string // patterns
}

func (r *array) flags(f *pflag.FlagSet) {
	f.StringVar(&r.script, "script", "", "Python `file` that Blender runs for each file of --each; --whole-folder sends its modules along")
	f.StringArrayVar(&r.each, "each", nil, "make a task for each file that matches this `pattern`; repeatable")
}

// asked tells whether the submission is an array.
func (r array) asked() bool { return r.script != "" || len(r.each) > 0 }

// lieIn takes paths that are not absolute for such in a folder that came from elsewhere, if the script is there.
func (r *array) lieIn(dir string) {
	if script := filepath.Join(dir, r.script); r.script != "" && filepath.IsLocal(r.script) {
		if _, err := regular(script); err != nil {
			return
		}
		r.script = script
		for i, pattern := range r.each {
			if filepath.IsLocal(pattern) {
				r.each[i] = filepath.Join(escapePattern(dir), pattern)
			}
		}
	}
}

// escapePattern gives a pattern that matches a path alone. Where the backslash separates folders, [filepath.Match] has no way
// to escape anything, and folders for temporary files have no such names.
func escapePattern(path string) string {
	if filepath.Separator == '\\' {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// check refuses half an array, and says what the settings will be as far as they must be known before files are.
func (r array) check(settings map[string]any) error {
	if r.script == "" {
		return cli.Usage("--each needs --script, the Python file to run for each file")
	}
	if len(r.each) == 0 {
		return cli.Usage("--script needs --each, the files to run it for, such as --each 'data/*.txt'")
	}
	settings["script"], settings["data"] = "{jobs}/to-be-sent.py", "to-be-sent"
	return nil
}

// files finds the script and the data files, absolutely; the data files in ascending order, each once.
func (r array) files() (script string, data []string, err error) {
	if script, err = regular(r.script); err != nil {
		return "", nil, cli.Usage("--script: %w", err)
	}
	for _, pattern := range r.each {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", nil, cli.Usage("--each %s: %w", pattern, err)
		}
		before := len(data)
		for _, match := range matches {
			path, err := regular(match)
			if errors.Is(err, errNoFile) {
				continue
			}
			if err != nil {
				return "", nil, cli.Usage("--each %s: %w", pattern, err)
			}
			data = append(data, path)
		}
		if len(data) == before {
			return "", nil, cli.Usage("--each %s: no file matches; put the pattern into quotes, so that the shell leaves it alone", pattern)
		}
	}
	slices.Sort(data)
	return script, slices.Compact(data), nil
}

// errNoFile: a path leads to a folder or to something else that is no file.
var errNoFile = errors.New("it is no file")

func regular(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no such file: %s", path)
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: %w", path, errNoFile)
	}
	return filepath.Abs(path)
}

// gatherArray adds the script and the data files to what the .blend needs, if there is one. All of them lie in the project.
func (a *app) gatherArray(ctx context.Context, s submission, target string, settings map[string]any) (g gathered, err error) {
	script, data, err := s.array.files()
	if err != nil {
		return g, err
	}
	files := append([]string{script}, data...)
	if target == "" {
		g, err = s.array.gatherAlone(ctx, s, files)
	} else {
		plain := s
		plain.array = array{}
		g, err = a.gather(ctx, plain, target, settings)
	}
	if err != nil {
		return g, err
	}
	root := g.shot.Root
	for i, file := range files {
		path, err := g.add(ctx, root, file)
		if err != nil {
			return g, err
		}
		if i == 0 {
			g.array.script = path
		} else {
			g.array.data = append(g.array.data, path)
		}
	}
	slices.SortFunc(g.tree.Files, func(a, b gather.File) int { return a.Path.Compare(b.Path) })
	return g, nil
}

// gatherAlone begins the project of an array without a .blend: with nothing or, if that was asked for, with the whole folder,
// which may have modules that the script imports.
func (r array) gatherAlone(ctx context.Context, s submission, files []string) (g gathered, err error) {
	root, err := arrayRoot(s.project, files)
	if err != nil {
		return g, err
	}
	if s.wholeFolder {
		if g.tree, err = gather.Walk(ctx, root, gather.Options{Exclude: s.exclude}); err != nil {
			return g, err
		}
	}
	g.tree.Root, g.shot.Root, g.array.alone = root, root, true
	return g, nil
}

// arrayRoot is the project of an array without a .blend: as it was given, or the deepest folder that holds all files.
func arrayRoot(project string, files []string) (string, error) {
	if project != "" {
		return filepath.Abs(project)
	}
	root := filepath.Dir(files[0])
	for _, file := range files[1:] {
		for !below(root, file) && filepath.Dir(root) != root {
			root = filepath.Dir(root)
		}
	}
	return root, nil
}

func below(root, file string) bool {
	inside, err := filepath.Rel(root, file)
	return err == nil && filepath.IsLocal(inside)
}

// add puts a file of the project into the tree, unless it is there, and gives its place.
func (g *gathered) add(ctx context.Context, root, file string) (string, error) {
	if !below(root, file) {
		return "", cli.Usage("%s lies outside the project %s; say --project with a folder that holds both", file, root)
	}
	inside, err := filepath.Rel(root, file)
	if err != nil {
		return "", err
	}
	path, err := checkout.ParsePath(filepath.ToSlash(inside))
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(inside, "\r\n") {
		return "", cli.Usage("%q has a line break in its name; rename it", file)
	}
	if slices.ContainsFunc(g.tree.Files, func(f gather.File) bool { return f.Path == path }) {
		return path.String(), nil
	}
	one, err := gather.Walk(ctx, file, gather.Options{})
	if err != nil {
		return "", err
	}
	for _, f := range one.Files {
		f.Path = path
		g.tree.Files = append(g.tree.Files, f)
	}
	if len(g.tree.Roots) > 0 {
		g.tree.Roots = append(g.tree.Roots, file)
	}
	return path.String(), nil
}

// arrayPaths are the places of an array's files in the tree.
type arrayPaths struct {
	script string
	data   []string
	alone  bool // there is no .blend
}

// place says in the settings where the files of a checkout are.
func (g gathered) place(settings map[string]any, checkoutID string) {
	root := "{jobs}/" + checkoutID
	if !g.array.alone {
		settings["blendfile"] = root + "/" + g.inside
	}
	if g.array.script != "" {
		settings["script"], settings["data"], settings["data_root"] = root+"/"+g.array.script, strings.Join(g.array.data, "\n"), root
	}
}
