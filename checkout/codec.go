package checkout

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"hayloft/cas"
)

// The encoded form of a manifest, version 1, is UTF-8 text. Every line ends in one line feed:
//
//	hayloft-manifest 1
//	files 2
//	- 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 3 scene.blend
//	x fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9 3 tools/bake.sh
//
// An entry is its mode ('-' regular, 'x' executable), the SHA-256, the size in bytes without leading zeros, and the path
// up to the end of the line.
//
// Version 2 differs in that the mode may be followed by an origin ('z' zstd, 'g' gzip; nothing for a plain file):
//
//	hayloft-manifest 2
//	files 1
//	-z 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 3 scene.blend
//
// It is written exactly if at least one entry has an origin. So there is one encoding of each manifest, and the digest of
// a tree that version 1 can say is the same for every program.
//
// The path stands as it is: a Path has no control characters, so that it cannot end the line,
// and quoting would tie the digest to some version's idea of what is printable. The number of files lets a reader tell
// a list that was cut off from a shorter one.
const (
	formatName    = "hayloft-manifest "
	plainVersion  = 1 // of a manifest without origins
	newestVersion = 2
	// maxLine is the longest entry: mode and origin, digest, 19 digits, three spaces, path and line feed.
	maxLine = 2 + 2*cas.Size + 19 + 3 + MaxPathBytes + 1
)

// Encode writes the encoded form. Errors are those of w.
func (m Manifest) Encode(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	line := fmt.Appendf(nil, "%s%d\nfiles %d\n", formatName, m.version(), len(m.entries))
	for _, e := range m.entries {
		if _, err := b.Write(line); err != nil {
			return err
		}
		line = e.appendLine(line[:0])
	}
	if _, err := b.Write(line); err != nil {
		return err
	}
	return b.Flush()
}

// version is that of the encoded form.
func (m Manifest) version() int64 {
	if slices.ContainsFunc(m.entries, func(e Entry) bool { return e.Origin != Plain }) {
		return newestVersion
	}
	return plainVersion
}

// kinds spells every mode with every origin that an entry can have.
var kinds = [...][3]string{
	Regular:    {Plain: "-", FromZstd: "-z", FromGzip: "-g"},
	Executable: {Plain: "x", FromZstd: "xz", FromGzip: "xg"},
}

func (e Entry) appendLine(line []byte) []byte {
	line = append(line, kinds[e.Mode][e.Origin]...)
	line = append(line, ' ')
	line = append(line, e.Blob.Digest.String()...)
	line = append(line, ' ')
	line = strconv.AppendInt(line, e.Blob.Size, 10)
	line = append(line, ' ')
	line = append(line, e.Path.text...)
	return append(line, '\n')
}

// Digest names the whole tree: the SHA-256 of the encoded form. Equal trees have equal digests.
func (m Manifest) Digest() cas.Digest {
	h := sha256.New()
	if err := m.Encode(h); err != nil {
		panic("checkout: a hash refused bytes: " + err.Error()) // hash.Hash promises never to
	}
	return cas.SumHash(h)
}

// Limits bound what [Decode] takes.
type Limits struct {
	Files int   // at most so many entries
	Bytes int64 // at most so many encoded bytes
}

// DefaultLimits allow a million files at a typical 128 bytes a line: far more than a project has, and little enough for
// a manager's memory.
var DefaultLimits = Limits{Files: 1_000_000, Bytes: 128_000_000}

// Decode reads a whole encoded manifest up to the end of r, and takes no other form than the one that Encode writes.
// Errors: [ErrBadManifest] with the number of the line, further [ErrBadPath], [cas.ErrBadDigest] or [ErrConflict] where
// that is the reason; [ErrNewerManifest]; [ErrTooLarge]; errors of r as they are.
func Decode(r io.Reader, limits Limits) (Manifest, error) {
	d := decoder{in: bufio.NewReaderSize(io.LimitReader(r, limits.Bytes+1), max(maxLine, 4096)), left: limits.Bytes}
	version, count, err := d.header(limits.Files)
	if err != nil {
		return Manifest{}, err
	}
	// The count is a claim until the lines have come, so that it reserves only a little memory.
	entries := make([]Entry, 0, min(count, 4096))
	for range count {
		line, err := d.next()
		if err != nil {
			return Manifest{}, err
		}
		entry, err := parseEntry(line)
		if err != nil {
			return Manifest{}, d.bad(err)
		}
		if n := len(entries); n > 0 && entries[n-1].Path.Compare(entry.Path) >= 0 {
			return Manifest{}, d.bad(fmt.Errorf("%q does not sort after %q", entry.Path, entries[n-1].Path))
		}
		entries = append(entries, entry)
	}
	if _, err := d.in.ReadByte(); err == nil {
		return Manifest{}, fmt.Errorf("%w: there is more after the last of its %d files", ErrBadManifest, count)
	} else if !errors.Is(err, io.EOF) {
		return Manifest{}, err
	}
	m := Manifest{entries: entries}
	if version != m.version() {
		return Manifest{}, fmt.Errorf("%w: it says version %d, but its entries make version %d", ErrBadManifest, version, m.version())
	}
	if err := CheckPaths(m.Paths()); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrBadManifest, err)
	}
	return m, nil
}

type decoder struct {
	in     *bufio.Reader
	left   int64 // bytes that may still come
	number int   // of the line read last, from 1
}

func (d *decoder) bad(reason error) error {
	return fmt.Errorf("%w, line %d: %w", ErrBadManifest, d.number, reason)
}

// next gives a line without its line feed; it is valid until the next call.
func (d *decoder) next() ([]byte, error) {
	line, err := d.in.ReadSlice('\n')
	d.number++
	d.left -= int64(len(line))
	switch {
	case d.left < 0:
		return nil, fmt.Errorf("%w: it has more bytes than this reader takes", ErrTooLarge)
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, d.bad(errors.New("the line is too long"))
	case errors.Is(err, io.EOF):
		return nil, d.bad(errors.New("the text ends early"))
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

// header reads the first two lines.
func (d *decoder) header(most int) (version int64, files int, err error) {
	line, err := d.next()
	if err != nil {
		return 0, 0, err
	}
	text, found := strings.CutPrefix(string(line), formatName)
	version, ok := parseDecimal(text)
	switch {
	case !found || !ok:
		return 0, 0, d.bad(errors.New("this is not a manifest"))
	case version > newestVersion:
		return 0, 0, fmt.Errorf("%w: version %d, this program reads up to version %d; update it", ErrNewerManifest, version, newestVersion)
	case version < plainVersion:
		return 0, 0, d.bad(fmt.Errorf("there is no format version %d", version))
	}
	if line, err = d.next(); err != nil {
		return 0, 0, err
	}
	text, found = strings.CutPrefix(string(line), "files ")
	count, ok := parseDecimal(text)
	switch {
	case !found || !ok:
		return 0, 0, d.bad(errors.New("the number of files is missing"))
	case count > int64(most):
		return 0, 0, fmt.Errorf("%w: %d files, at most %d are allowed", ErrTooLarge, count, most)
	}
	return version, int(count), nil
}

func parseEntry(line []byte) (Entry, error) {
	var e Entry
	kind, rest, _ := bytes.Cut(line, []byte(" "))
	digest, rest, _ := bytes.Cut(rest, []byte(" "))
	size, path, complete := bytes.Cut(rest, []byte(" "))
	if !complete {
		return e, errors.New("an entry is mode, SHA-256, size and path")
	}
	var err error
	if e.Mode, e.Origin, err = parseKind(string(kind)); err != nil {
		return e, err
	}
	if e.Blob.Digest, err = cas.ParseDigest(string(digest)); err != nil {
		return e, err
	}
	if e.Blob.Digest.IsZero() {
		return e, fmt.Errorf("%w: all zero", cas.ErrBadDigest)
	}
	var ok bool
	if e.Blob.Size, ok = parseDecimal(string(size)); !ok {
		return e, fmt.Errorf("bad size %q", size)
	}
	e.Path, err = ParsePath(string(path))
	return e, err
}

func parseKind(text string) (Mode, Origin, error) {
	for mode, origins := range kinds {
		if origin := slices.Index(origins[:], text); origin >= 0 {
			return Mode(mode), Origin(origin), nil
		}
	}
	return 0, 0, fmt.Errorf("unknown mode %q", text)
}

// parseDecimal reads a number of at least 0 in its only spelling: no sign, no leading zeros.
func parseDecimal(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == text
}
