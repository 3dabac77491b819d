package checkout

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"hayloft/cas"
)

// Mode is all that a manifest says of a file besides its content.
type Mode uint8

// The modes. The zero value is a regular file.
const (
	Regular    Mode = iota // rw-rw-rw- before umask
	Executable             // rwxrwxrwx before umask
)

// String gives "regular" or "executable".
func (m Mode) String() string {
	switch m {
	case Regular:
		return "regular"
	case Executable:
		return "executable"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Origin says what a file was on the disk from which it was gathered, where that is not what the manifest keeps. It does
// not change what a checkout holds: that is always Blob, byte by byte.
type Origin uint8

// The origins. The zero value is a file that is kept as it was.
const (
	Plain    Origin = iota // the file was these bytes
	FromZstd               // the file was a zstd stream of these bytes, as Blender 3.0 and later compress
	FromGzip               // the file was a gzip stream of these bytes, as Blender before 3.0 compresses
)

// String gives "plain", "zstd" or "gzip".
func (o Origin) String() string {
	switch o {
	case Plain:
		return "plain"
	case FromZstd:
		return "zstd"
	case FromGzip:
		return "gzip"
	}
	return fmt.Sprintf("Origin(%d)", uint8(o))
}

// Entry is one file of a manifest.
type Entry struct {
	Path   Path
	Mode   Mode
	Blob   cas.Blob
	Origin Origin
}

// summary is an entry without its path, for messages.
func (e Entry) summary() string {
	if e.Origin == Plain {
		return fmt.Sprintf("%s %s", e.Mode, e.Blob)
	}
	return fmt.Sprintf("%s %s from %s", e.Mode, e.Blob, e.Origin)
}

// Manifest is a tree of files: entries sorted by the bytes of their paths, of which no two are in each other's way on
// any platform. It is immutable. The zero value is the empty tree.
type Manifest struct{ entries []Entry }

// NewManifest sorts and checks entries, which it neither changes nor keeps. The same entry given twice counts once.
// Errors: [ErrBadEntry] for an incomplete entry; [ErrConflict], naming both paths, if one path has two contents, modes
// or origins, or if [CheckPaths] refuses the paths.
func NewManifest(entries []Entry) (Manifest, error) {
	for _, e := range entries {
		if err := e.check(); err != nil {
			return Manifest{}, err
		}
	}
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b Entry) int { return a.Path.Compare(b.Path) })
	sorted = slices.Compact(sorted)
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; a.Path == b.Path {
			return Manifest{}, fmt.Errorf("%w: %q is given twice, as %s and as %s",
				ErrConflict, a.Path, a.summary(), b.summary())
		}
	}
	m := Manifest{entries: slices.Clip(sorted)}
	if err := CheckPaths(m.Paths()); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

func (e Entry) check() error {
	switch {
	case e.Path.IsZero():
		return fmt.Errorf("%w: no path for %s", ErrBadEntry, e.Blob)
	case e.Mode != Regular && e.Mode != Executable:
		return fmt.Errorf("%w: %q has the unknown mode %d", ErrBadEntry, e.Path, uint8(e.Mode))
	case e.Origin > FromGzip:
		return fmt.Errorf("%w: %q has the unknown origin %d", ErrBadEntry, e.Path, uint8(e.Origin))
	case e.Blob.Digest.IsZero():
		return fmt.Errorf("%w: %q has no digest", ErrBadEntry, e.Path)
	case e.Blob.Size < 0:
		return fmt.Errorf("%w: %q has the size %d", ErrBadEntry, e.Path, e.Blob.Size)
	}
	return nil
}

// CheckPaths tells whether all paths can be in one directory on every platform: no two that differ only in case
// (Unicode simple folding), and no file that is also a folder. The error is [ErrConflict] and names both. Equal paths
// are no conflict. Folders that differ only in case are none either: where case does not count they become one folder,
// and it holds the files of both.
func CheckPaths(paths iter.Seq[Path]) error {
	type folded struct {
		key  string
		path Path
	}
	var all []folded
	for p := range paths {
		all = append(all, folded{key: foldPath(p.text), path: p})
	}
	// foldPath sorts a file and whatever lies below a folder of its name next to each other.
	slices.SortFunc(all, func(a, b folded) int {
		return cmp.Or(cmp.Compare(a.key, b.key), a.path.Compare(b.path))
	})
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		switch {
		case a.path == b.path:
		case a.key == b.key:
			return fmt.Errorf("%w: %q and %q differ only in case, which is one file on Windows and macOS; rename one",
				ErrConflict, a.path, b.path)
		case strings.HasPrefix(b.key, a.key+"\x00"):
			return fmt.Errorf("%w: %q is a file, but %q needs a folder of that name; rename one",
				ErrConflict, a.path, b.path)
		}
	}
	return nil
}

// Len is the number of files.
func (m Manifest) Len() int { return len(m.entries) }

// Entries gives all files in ascending order of paths.
func (m Manifest) Entries() iter.Seq[Entry] { return slices.Values(m.entries) }

// Paths gives the paths of all files in ascending order.
func (m Manifest) Paths() iter.Seq[Path] {
	return func(yield func(Path) bool) {
		for _, e := range m.entries {
			if !yield(e.Path) {
				return
			}
		}
	}
}

// Blobs gives every blob once, in the order in which the paths first name it.
func (m Manifest) Blobs() []cas.Blob {
	seen := make(map[cas.Blob]struct{}, len(m.entries))
	blobs := make([]cas.Blob, 0, len(m.entries))
	for _, e := range m.entries {
		if _, again := seen[e.Blob]; !again {
			seen[e.Blob] = struct{}{}
			blobs = append(blobs, e.Blob)
		}
	}
	return blobs
}

// Size is the sum of all files' sizes in bytes; a blob under two paths counts twice.
func (m Manifest) Size() int64 {
	var sum int64
	for _, e := range m.entries {
		sum += e.Blob.Size
	}
	return sum
}
