package dropfolder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// kind is what a drop is, by its name and its place in the file system.
type kind uint8

const (
	notDropped kind = iota // not for us
	zipFile
	blendFile
	folder
	otherArchive
	link
)

// drop is one entry of the watched folder as it looked at one moment.
type drop struct {
	name string
	kind kind
	// stamp is a digest of names, sizes and times of change: equal stamps, same version. Empty: not looked at.
	stamp string
	empty bool  // a folder without files
	links bool  // a folder with links in it
	bytes int64 // of all files
}

// kindOf tells what an entry is.
func kindOf(name string, mode fs.FileMode) kind {
	extension := strings.ToLower(filepath.Ext(name))
	known := extension == ".zip" || extension == ".blend"
	switch {
	case !mayDrop(name):
		return notDropped
	case mode.IsDir():
		return folder
	case mode&fs.ModeSymlink != 0 && (known || extension == ""):
		return link
	case !mode.IsRegular():
		return notDropped
	case extension == ".zip":
		return zipFile
	case extension == ".blend":
		return blendFile
	case archives.MatchString(name):
		return otherArchive
	}
	return notDropped
}

// scan lists the drops in dir. The content of a folder is looked at only if deep tells so of its name; otherwise it has
// no stamp.
func scan(dir string, limits Limits, deep func(name string) bool) ([]drop, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the watched folder: %w", err)
	}
	var drops []drop
	for _, entry := range entries {
		d := drop{name: entry.Name(), kind: kindOf(entry.Name(), entry.Type())}
		if d.kind == notDropped {
			continue
		}
		if d.kind != folder || deep(d.name) {
			d, err = stampDrop(dir, d, limits)
			if errors.Is(err, fs.ErrNotExist) {
				continue // It was taken away meanwhile.
			}
			if err != nil {
				return nil, err
			}
		}
		drops = append(drops, d)
	}
	return drops, nil
}

// stampDrop looks at a drop. What is in the way of looking, but for its absence, is part of the look: whoever reads the
// drop meets the reason.
func stampDrop(dir string, d drop, limits Limits) (drop, error) {
	look := sha256.New()
	fmt.Fprintf(look, "%d\n", d.kind)
	source := filepath.Join(dir, d.name)
	info, err := os.Lstat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d, fmt.Errorf("look at %s: %w", d.name, err)
	case err != nil:
		fmt.Fprintln(look, err)
	case d.kind == folder:
		d.empty, d.links, d.bytes = stampFolder(look, source, limits)
	default:
		d.bytes = info.Size()
		stampFile(look, "", info)
	}
	d.stamp = hex.EncodeToString(look.Sum(nil)[:16])
	return d, nil
}

// stampFolder looks at all files of a folder, up to one more than are allowed.
func stampFolder(look hash.Hash, dir string, limits Limits) (empty, links bool, bytes int64) {
	files := 0
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		inside := strings.TrimPrefix(path, dir)
		if err != nil {
			files++ // There may be some.
			fmt.Fprintf(look, "%q unreadable\n", inside)
			return nil //nolint:nilerr // That it cannot be read is a part of the look.
		}
		if path != dir && litter(entry.Name()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		if files++; files > limits.Files {
			return fs.SkipAll
		}
		info, err := entry.Info()
		if err != nil {
			fmt.Fprintf(look, "%q gone\n", inside)
			return nil //nolint:nilerr // That it is gone is a part of the look.
		}
		links = links || info.Mode()&fs.ModeSymlink != 0
		bytes += info.Size()
		stampFile(look, inside, info)
		return nil
	})
	return files == 0, links, bytes
}

func stampFile(to io.Writer, name string, info fs.FileInfo) {
	fmt.Fprintf(to, "%q %d %d %o\n", name, info.Size(), info.ModTime().UnixNano(), info.Mode().Type())
}

// settling knows since when drops look as they do. It belongs to one goroutine.
type settling struct {
	quiet time.Duration
	seen  map[string]sight
}

type sight struct {
	stamp string
	since time.Time
}

// look tells whether a drop has looked like this for the quiet time.
func (s *settling) look(name, stamp string, now time.Time) bool {
	before, known := s.seen[name]
	if !known || before.stamp != stamp || now.Before(before.since) {
		s.seen[name] = sight{stamp, now}
		return false
	}
	return now.Sub(before.since) >= s.quiet
}

// forget starts the quiet time of a drop anew.
func (s *settling) forget(name string) { delete(s.seen, name) }

// keep forgets all drops but the named ones.
func (s *settling) keep(names map[string]bool) {
	for name := range s.seen {
		if !names[name] {
			delete(s.seen, name)
		}
	}
}
