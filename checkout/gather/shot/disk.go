package shot

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// disk answers how things are really spelled, and reads each folder once.
type disk struct {
	listings map[string]*listing
	actuals  map[string]actual
	reals    map[string]string
}

// listing is what a folder holds.
type listing struct {
	names  map[string]bool
	folded map[string][]string // names by what they are without case and Unicode form
	order  []string            // ascending
}

// actual is how a path is spelled on disk.
type actual struct {
	path   string
	exists bool
}

func newDisk() *disk {
	return &disk{listings: map[string]*listing{}, actuals: map[string]actual{}, reals: map[string]string{}}
}

// list is empty for a folder that cannot be read.
func (d *disk) list(folder string) *listing {
	if l, ok := d.listings[folder]; ok {
		return l
	}
	entries, _ := os.ReadDir(folder) //nolint:errcheck // What cannot be listed can still be there; entry asks for it by name.
	l := &listing{names: make(map[string]bool, len(entries))}
	for _, e := range entries {
		l.names[e.Name()] = true
		l.order = append(l.order, e.Name())
	}
	d.listings[folder] = l
	return l
}

// fold gives equal texts for names that differ in case and Unicode form only.
func fold(name string) string {
	return strings.ToLower(strings.ToUpper(norm.NFC.String(name)))
}

// alike lists the names that differ from name in case and Unicode form only.
func (l *listing) alike(name string) []string {
	if l.folded == nil {
		l.folded = make(map[string][]string, len(l.order))
		for _, n := range l.order {
			l.folded[fold(n)] = append(l.folded[fold(n)], n)
		}
	}
	return l.folded[fold(name)]
}

// entry is the name in a folder that a wanted one stands for: itself, else the only one that differs in Unicode form, else
// the only one that differs in case too.
func (d *disk) entry(folder, wanted string) (name string, ok bool) {
	l := d.list(folder)
	if l.names[wanted] {
		return wanted, true
	}
	all := l.alike(wanted)
	var form []string
	for _, n := range all {
		if norm.NFC.String(n) == norm.NFC.String(wanted) {
			form = append(form, n)
		}
	}
	switch {
	case len(form) == 1:
		return form[0], true
	case len(all) == 1:
		return all[0], true
	}
	// A folder may let through what it does not list, such as a share that is mounted when it is asked for.
	_, err := os.Stat(filepath.Join(folder, wanted))
	return wanted, err == nil
}

// spelled is how an absolute path is spelled on disk, as far as it exists there.
func (d *disk) spelled(path string) (spelling string, exists bool) {
	if known, ok := d.actuals[path]; ok {
		return known.path, known.exists
	}
	found := actual{path: path}
	if parent := filepath.Dir(path); parent == path {
		found.exists = true
	} else if folder, ok := d.spelled(parent); ok {
		if name, ok := d.entry(folder, filepath.Base(path)); ok {
			found = actual{filepath.Join(folder, name), true}
		}
	}
	d.actuals[path] = found
	return found.path, found.exists
}

// ambiguous lists the files that path could stand for where there are too many to choose.
func (d *disk) ambiguous(path string) []string {
	folder, ok := d.spelled(filepath.Dir(path))
	if !ok {
		return nil
	}
	if all := d.list(folder).alike(filepath.Base(path)); len(all) > 1 {
		return all
	}
	return nil
}

// real is path without links; path itself where there is nothing.
func (d *disk) real(path string) string {
	if known, ok := d.reals[path]; ok {
		return known
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	d.reals[path] = real
	return real
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
