package checkout

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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
// up to the end of the line. The path stands as it is: a Path has no control characters, so that it cannot end the line,
// and quoting would tie the digest to some version's idea of what is printable. The number of files lets a reader tell
// a list that was cut off from a shorter one. There is exactly one encoding of each manifest.
const (
	formatName    = "hayloft-manifest "
	formatVersion = 1
	// maxLine is the longest entry: mode, digest, 19 digits, three spaces, path and line feed.
	maxLine = 1 + 2*cas.Size + 19 + 3 + MaxPathBytes + 1
)

// Encode writes the encoded form. Errors are those of w.
func (m Manifest) Encode(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	line := fmt.Appendf(nil, "%s%d\nfiles %d\n", formatName, formatVersion, len(m.entries))
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

func (e Entry) appendLine(line []byte) []byte {
	mode := byte('-')
	if e.Mode == Executable {
		mode = 'x'
	}
	line = append(line, mode, ' ')
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
	count, err := d.header(limits.Files)
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

// header reads the first two lines and gives the number of files.
func (d *decoder) header(most int) (int, error) {
	line, err := d.next()
	if err != nil {
		return 0, err
	}
	text, found := strings.CutPrefix(string(line), formatName)
	version, ok := parseDecimal(text)
	switch {
	case !found || !ok:
		return 0, d.bad(errors.New("this is not a manifest"))
	case version > formatVersion:
		return 0, fmt.Errorf("%w: version %d, this program reads version %d; update it", ErrNewerManifest, version, formatVersion)
	case version != formatVersion:
		return 0, d.bad(fmt.Errorf("there is no format version %d", version))
	}
	if line, err = d.next(); err != nil {
		return 0, err
	}
	text, found = strings.CutPrefix(string(line), "files ")
	count, ok := parseDecimal(text)
	switch {
	case !found || !ok:
		return 0, d.bad(errors.New("the number of files is missing"))
	case count > int64(most):
		return 0, fmt.Errorf("%w: %d files, at most %d are allowed", ErrTooLarge, count, most)
	}
	return int(count), nil
}

func parseEntry(line []byte) (Entry, error) {
	var e Entry
	mode, rest, _ := bytes.Cut(line, []byte(" "))
	digest, rest, _ := bytes.Cut(rest, []byte(" "))
	size, path, complete := bytes.Cut(rest, []byte(" "))
	if !complete {
		return e, errors.New("an entry is mode, SHA-256, size and path")
	}
	switch string(mode) {
	case "-":
	case "x":
		e.Mode = Executable
	default:
		return e, fmt.Errorf("unknown mode %q", mode)
	}
	var err error
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

// parseDecimal reads a number of at least 0 in its only spelling: no sign, no leading zeros.
func parseDecimal(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == text
}
