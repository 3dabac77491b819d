package dropfolder

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"hayloft/checkout"
)

// What people can do about an archive, said in more than one place.
const (
	packAgain = "pack the project as an ordinary zip and put that here"
	copyAgain = "copy it here again, or pack it again if that does not help"
)

// directoryBytes is how many bytes of an archive's list of members are read for each member that is allowed, and
// directoryFloor how many in any case. The list is held in memory.
const (
	directoryBytes = 320
	directoryFloor = 1 << 20
)

// General purpose flags of members: APPNOTE.TXT 6.3.10, 4.4.4.
const (
	flagEncrypted       = 1 << 0
	flagPatched         = 1 << 5
	flagStrongEncrypted = 1 << 6
	flagUTF8            = 1 << 11
	flagMasked          = 1 << 13
)

// localHeaderBytes is the least size of what stands before the content of a member: APPNOTE.TXT 6.3.10, 4.3.7.
const localHeaderBytes = 30

// member is one file of an archive that was found to be harmless.
type member struct {
	path checkout.Path
	file *zip.File
}

// inspect reads the list of members of a zip archive of size bytes, and gives those that belong to a project. No content
// is read. The error is a refusal unless r fails.
func inspect(r io.ReaderAt, size int64, limits Limits) ([]member, error) {
	if size == 0 {
		return nil, refuse(copyAgain, "the file is empty")
	}
	archive, err := readList(r, size, limits)
	if err != nil {
		return nil, err
	}
	var members []member
	seen := make(map[string]string, len(archive.File))
	var total uint64
	for _, file := range archive.File {
		m, ok, err := inspectMember(file)
		if err != nil {
			return nil, err
		}
		// The sum cannot overflow: it ends when it is above a limit, and the limit is a signed number.
		if file.UncompressedSize64 > math.MaxInt64 {
			total = math.MaxUint64
		} else {
			total += file.UncompressedSize64
		}
		if err := checkSize(total, size, limits); err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		folded := strings.ToLower(m.path.String())
		if other, taken := seen[folded]; taken {
			return nil, duplicate(other, m.path.String())
		}
		seen[folded] = m.path.String()
		members = append(members, m)
	}
	if err := checkFolders(members, seen); err != nil {
		return nil, err
	}
	return members, checkOverlaps(members)
}

// readList reads the list of members.
func readList(r io.ReaderAt, size int64, limits Limits) (*zip.Reader, error) {
	budget := &budgetReader{from: r, left: directoryFloor + directoryBytes*int64(limits.Files)}
	archive, err := zip.NewReader(budget, size)
	switch {
	case budget.failed != nil:
		return nil, fmt.Errorf("read the archive: %w", budget.failed)
	case budget.left < 0:
		return nil, tooManyFiles(limits)
	case err != nil && !errors.Is(err, zip.ErrInsecurePath):
		return nil, notAnArchive(r, size)
	case len(archive.File) > limits.Files:
		return nil, tooManyFiles(limits)
	}
	budget.listed = true
	return archive, nil
}

// checkOverlaps refuses an archive in which several members share bytes: a small archive of that kind can be very large
// unpacked, without any one member being suspicious.
func checkOverlaps(members []member) error {
	type span struct {
		member
		start, end uint64 // of the content in the archive
	}
	spans := make([]span, len(members))
	for i, m := range members {
		start, err := m.file.DataOffset()
		if err != nil {
			return refuse(copyAgain, "%s in the archive is damaged", shown(m.path.String()))
		}
		spans[i] = span{m, uint64(start), uint64(start) + m.file.CompressedSize64}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(spans); i++ {
		// What lies between two contents is at least the header of the second.
		if before, next := spans[i-1], spans[i]; before.end < before.start || before.end+localHeaderBytes > next.start {
			return refuse(packAgain, "%s and %s in the archive share bytes, as in archives that are made to fill disks",
				shown(before.path.String()), shown(next.path.String()))
		}
	}
	return nil
}

func tooManyFiles(limits Limits) error {
	return refuse("leave out what the scene does not need", "the archive holds more than %d files", limits.Files)
}

func duplicate(a, b string) error {
	if a == b {
		return refuse(packAgain, "the archive holds %s twice", shown(a))
	}
	return refuse("rename one of them", "the archive holds %s and %s, which are one name on many computers", shown(a), shown(b))
}

// checkFolders refuses an archive in which one name is both a file and a folder.
func checkFolders(members []member, seen map[string]string) error {
	for _, m := range members {
		for dir := m.path.Dir(); dir != ""; dir = parent(dir) {
			if other, taken := seen[strings.ToLower(dir)]; taken {
				return refuse(packAgain, "the archive holds %s both as a file and as a folder", shown(other))
			}
		}
	}
	return nil
}

func parent(dir string) string { return dir[:max(0, strings.LastIndexByte(dir, '/'))] }

// checkSize refuses what would be too large unpacked, by what the archive itself says. Unpacking holds it to that.
func checkSize(unpacked uint64, packed int64, limits Limits) error {
	if unpacked > uint64(limits.Unpacked) {
		return refuse("leave out what the scene does not need", "the archive has more than %d GiB unpacked", limits.Unpacked>>30)
	}
	if unpacked > uint64(limits.RatioFrom) && int64(unpacked)/limits.Ratio > packed {
		return refuse("put the project here as a folder if it is right", "the archive has more than %d times its size unpacked, as "+
			"those do that are made to fill disks", limits.Ratio)
	}
	return nil
}

// inspectMember checks one entry of the list; ok is false for folders and for what is never part of a project.
func inspectMember(file *zip.File) (m member, ok bool, err error) {
	name, ok := memberName(file)
	if !ok {
		return m, false, refuse("pack it again with UTF-8 names", "the name %s in the archive is in an unknown encoding", shown(file.Name))
	}
	folder := name == "" || strings.HasSuffix(name, "/")
	if name == "" || litter(path.Base(name)) {
		return m, false, nil
	}
	m = member{file: file}
	if m.path, err = checkout.ParsePath(strings.TrimSuffix(name, "/")); err != nil {
		return m, false, refuse(packAgain, "the archive holds a file with the unusable path %s", shown(file.Name))
	}
	if file.Flags&(flagEncrypted|flagStrongEncrypted|flagMasked) != 0 {
		return m, false, refuse("pack it again without a password", "the archive is encrypted")
	}
	mode := file.Mode()
	switch {
	case ignoredPath(m.path.String()):
		return m, false, nil
	case mode&fs.ModeSymlink != 0:
		return m, false, refuse("pack it again with the files that links lead to", "%s in the archive is a link", shown(name))
	case !folder && !mode.IsRegular():
		return m, false, refuse(packAgain, "%s in the archive is not a file", shown(name))
	case folder && file.UncompressedSize64 != 0:
		return m, false, refuse(packAgain, "the folder %s in the archive has a content", shown(name))
	case folder:
		return m, false, nil
	case file.Flags&flagPatched != 0, file.Method != zip.Store && file.Method != zip.Deflate:
		return m, false, refuse("pack it again with the method Deflate", "%s in the archive is compressed by method %d, which only few programs "+
			"know", shown(name), file.Method)
	}
	return m, true, nil
}

// ignoredPath tells whether a path is, or lies in, something that never belongs to a project.
func ignoredPath(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if litter(part) {
			return true
		}
	}
	return false
}

// shown is a name as a message shows it.
func shown(name string) string {
	const most = 120
	if len(name) > most {
		name = name[:most] + "…"
	}
	return fmt.Sprintf("%q", name)
}

// notAnArchive says what a file is whose list of members cannot be read.
func notAnArchive(r io.ReaderAt, size int64) error {
	head := make([]byte, min(size, 8))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return fmt.Errorf("read the archive: %w", err)
	}
	for _, known := range []struct{ magic, what, todo string }{
		{"PK\x03\x04", "the archive was cut short or is damaged", copyAgain},
		{"PK\x05\x06", "the archive is damaged", copyAgain},
		{"PK\x07\x08", "the archive is one part of several", packAgain},
		{"Rar!", "it is a RAR archive", packAgain},
		{"7z\xbc\xaf", "it is a 7z archive", packAgain},
		{"\x1f\x8b", "it is a gzip file", packAgain},
		{"\x28\xb5\x2f\xfd", "it is a zstd file", packAgain},
		{"BLENDER", "it is a .blend file", "give it the ending .blend"},
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) {
			return refuse(known.todo, "%s", known.what)
		}
	}
	return refuse(packAgain, "it is not a zip archive, whatever its name says")
}

// unpack writes the members into the empty folder dir. The error is a refusal if the archive is damaged.
func unpack(ctx context.Context, members []member, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack the archive: %w", err)
	}
	defer root.Close() //nolint:errcheck // Only a folder is open.
	for _, m := range members {
		if err := unpackMember(ctx, m, root); err != nil {
			return err
		}
	}
	return nil
}

func unpackMember(ctx context.Context, m member, root *os.Root) (err error) {
	name := m.path.String()
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("unpack %s: %w", shown(name), err)
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", shown(name), err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	damaged := refuse(copyAgain, "%s in the archive is damaged", shown(name))
	from, err := m.file.Open()
	if err != nil {
		return damaged
	}
	defer from.Close() //nolint:errcheck // It was only read.
	to := &contextWriter{ctx: ctx, to: file}
	wrote, err := io.Copy(to, io.LimitReader(from, int64(m.file.UncompressedSize64)+1))
	switch {
	case to.err != nil:
		return fmt.Errorf("unpack %s: %w", shown(name), to.err)
	case err != nil || wrote != int64(m.file.UncompressedSize64):
		return damaged
	}
	return nil
}

// contextWriter writes until ctx ends, and keeps its own error apart from those of the reader.
type contextWriter struct {
	ctx context.Context
	to  io.Writer
	err error
}

func (w *contextWriter) Write(p []byte) (n int, err error) {
	if w.err = w.ctx.Err(); w.err != nil {
		return 0, w.err
	}
	n, w.err = w.to.Write(p)
	return n, w.err
}

// errBudget: more was read than allowed.
var errBudget = errors.New("the list of members is too long")

// budgetReader lets only so many bytes be read until the list is there, and keeps the errors of what it reads from.
type budgetReader struct {
	from   io.ReaderAt
	left   int64
	listed bool // what is read now is content, which is bounded by what the list says of it
	failed error
}

func (r *budgetReader) ReadAt(p []byte, at int64) (int, error) {
	if r.listed {
		return r.from.ReadAt(p, at)
	}
	if r.left -= int64(len(p)); r.left < 0 {
		return 0, errBudget
	}
	n, err := r.from.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return n, err
}
