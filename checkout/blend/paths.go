package blend

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// resolve turns a path as a .blend file stores it into a path of this machine (fact sheet, section 8). base is the
// folder of the .blend file that stores it, here the working directory. note says what is unusual about it; usable is
// false for a path that means nothing on this platform.
func resolve(written, base, here string) (path, note string, usable bool) {
	if runtime.GOOS != "windows" {
		switch {
		case strings.HasPrefix(written, `\\`):
			return written, "a path of a Windows network share; make it relative, or map it to this machine", false
		case len(written) >= 3 && isLetter(written[0]) && written[1] == ':' && (written[2] == '\\' || written[2] == '/'):
			return written, "a path with a Windows drive letter; make it relative, or map it to this machine", false
		}
		written = strings.ReplaceAll(written, `\`, "/")
	}
	if rest, ok := strings.CutPrefix(written, "//"); ok {
		return filepath.Join(base, filepath.FromSlash(rest)), "", true
	}
	native := filepath.FromSlash(written)
	if filepath.IsAbs(native) {
		return filepath.Clean(native), "", true
	}
	return filepath.Join(here, native), "relative to the folder that Blender is started in; make it relative to the .blend file", true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// folders answers what lies on disk, and reads each folder once.
type folders struct {
	listings map[string]map[string]bool // names of a folder's entries; true for files
	trees    map[string][]string        // all files below a folder
	walked   int                        // entries of trees
}

// list is empty for a folder that cannot be read.
func (f *folders) list(dir string) map[string]bool {
	if names, ok := f.listings[dir]; ok {
		return names
	}
	entries, _ := os.ReadDir(dir) //nolint:errcheck // A file in a folder that cannot be read is missing to Blender too.
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		isFile := e.Type().IsRegular()
		if e.Type()&fs.ModeSymlink != 0 {
			isFile = isRegular(filepath.Join(dir, e.Name()))
		}
		names[e.Name()] = isFile
	}
	f.listings[dir] = names
	return names
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (f *folders) hasFile(path string) bool { return isRegular(path) }

// otherCase is the name of an entry beside path that differs from it in upper and lower case only, or empty.
func (f *folders) otherCase(path string) string {
	wanted := filepath.Base(path)
	for name := range f.list(filepath.Dir(path)) {
		if name != wanted && strings.EqualFold(name, wanted) {
			return name
		}
	}
	return ""
}

// matching lists the files beside path whose names differ from c in the number only, by their numbers.
func (f *folders) matching(dir string, c counted) map[int64]string {
	found := map[int64]string{}
	for name, isFile := range f.list(dir) {
		if number, ok := c.match(name); ok && isFile {
			found[number] = filepath.Join(dir, name)
		}
	}
	return found
}

// mostBelow bounds the files of all cache folders of one trace.
const mostBelow = 1_000_000

// below lists all files under a folder, in their order. Links inside it are not followed. A whole disk is no cache.
func (f *folders) below(dir string) []string {
	if filepath.Dir(dir) == dir {
		return nil
	}
	if files, ok := f.trees[dir]; ok {
		return files
	}
	var files []string
	//nolint:errcheck // What cannot be read is missing to Blender too.
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if f.walked >= mostBelow {
			return fs.SkipAll
		}
		f.walked++
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	slices.Sort(files)
	f.trees[dir] = files
	return files
}
