package checkout

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
)

// clearTheWay deletes, if Delete allows, what is extra and in the place of a folder or of a lacking file.
func (l *layer) clearTheWay(ctx context.Context, m Manifest, lacking []finding) error {
	if !l.Delete {
		return nil
	}
	for at := range l.doomed {
		if l.spared(at, false) {
			return occupied(Path{text: at}, "is no folder, and is to be spared")
		}
		if err := l.remove(at); err != nil {
			return err
		}
	}
	for _, f := range lacking {
		if info, err := l.top.Lstat(f.entry.Path.text); err != nil || !info.IsDir() {
			continue
		}
		if l.spared(f.entry.Path.text, true) {
			return occupied(f.entry.Path, "is a folder, and is to be spared")
		}
		if err := l.deleteExtras(ctx, m, f.entry.Path.text); err != nil {
			return err
		}
		if err := l.top.Remove(f.entry.Path.text); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return occupied(f.entry.Path, "is a folder that is not empty")
		}
	}
	return nil
}

// deleteExtras deletes, if Delete allows, what below start m does not name. Names are compared without regard to case:
// where case does not count, a file of the manifest may have been there under another spelling.
func (l *layer) deleteExtras(ctx context.Context, m Manifest, start string) error {
	if !l.Delete {
		return nil
	}
	named := make(map[string]struct{}, m.Len())
	for p := range m.Paths() {
		named[foldPath(p.text)] = struct{}{}
	}
	var emptied []string
	err := fs.WalkDir(l.top.FS(), start, func(at string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil || at == "." {
			return err
		}
		if isOurs(at) || l.Spare(at, d.IsDir()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if _, ok := named[foldPath(at)]; ok || d.IsDir() {
			return nil
		}
		emptied = append(emptied, path.Dir(at))
		return l.remove(at)
	})
	if err != nil {
		return err
	}
	for _, folder := range emptied {
		l.removeEmpty(folder)
	}
	return nil
}

// spared tells whether a path, or a folder above it, is to be left alone.
func (l *layer) spared(at string, folder bool) bool {
	if l.Spare(at, folder) {
		return true
	}
	for at = path.Dir(at); at != "."; at = path.Dir(at) {
		if l.Spare(at, true) {
			return true
		}
	}
	return false
}

// isOurs tells whether a path is, or lies in, what a run of Materialise has of its own.
func isOurs(at string) bool { return strings.HasPrefix(at, StagePrefix) }

func (l *layer) remove(at string) error {
	err := l.top.Remove(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		l.result.FilesDeleted++
	}
	return err
}

// removeEmpty removes a folder and those above it up to the first that is not empty, which the system refuses to remove.
func (l *layer) removeEmpty(folder string) {
	for folder != "." && l.top.Remove(folder) == nil {
		folder = path.Dir(folder)
	}
}
