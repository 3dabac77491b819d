package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hayloft/cas"
)

const (
	formatVersion = 2
	oldestFormat  = 1
	formatPrefix  = "hayloft-blobs "
	formatLimit   = 4096 // bytes; a newer format may say more on further lines

	formatName    = "format"
	formatNewName = "format.new"
	lockName      = "lock"
	objectsName   = "objects"
	incomingName  = "incoming"
	refsName      = "refs"
	assembleName  = "assembling"

	fanOuts   = 256
	dirMode   = 0o755
	blobMode  = 0o444
	refMode   = 0o644
	stampMode = 0o644
)

// layout knows where things lie in the directory of a store. Its text is the absolute path of that directory.
type layout string

func (l layout) join(name string) string { return filepath.Join(string(l), name) }

func (l layout) fanOut(i int) string {
	return filepath.Join(string(l), objectsName, fmt.Sprintf("%02x", i))
}

func (l layout) object(digest cas.Digest) string {
	name := digest.String()
	return filepath.Join(string(l), objectsName, name[:2], name[2:])
}

func (l layout) ref(name cas.RefName) string {
	return filepath.Join(string(l), refsName, name.String())
}

// digestOf reads the digest back from the two parts of an object's path.
func digestOf(fanOut, name string) (cas.Digest, error) { return cas.ParseDigest(fanOut + name) }

// parseFormat reads the text of a format file and returns the version, 1 or more. A version that this package cannot
// read is cas.ErrNewerFormat; a text that no version would write is errDamagedFormat.
func parseFormat(text []byte) (int, error) {
	line, rest, ended := strings.Cut(string(text), "\n")
	digits, ours := strings.CutPrefix(line, formatPrefix)
	if !ours || !ended || strings.HasPrefix(digits, "0") || strings.HasPrefix(digits, "+") {
		return 0, errDamagedFormat
	}
	version, err := strconv.Atoi(digits)
	if err != nil || version < 1 {
		return 0, errDamagedFormat
	}
	if version > formatVersion {
		return version, fmt.Errorf("%w: it is format %d, and this version reads up to format %d; use the version "+
			"that wrote it, or a later one", cas.ErrNewerFormat, version, formatVersion)
	}
	if rest != "" {
		return 0, errDamagedFormat
	}
	return version, nil
}

// inspect gives the format of the store in the directory, or 0 when one is yet to be made there. A directory with
// anything else in it is ErrNotAStore. It changes nothing.
func (l layout) inspect() (version int, err error) {
	file, err := os.Open(l.join(formatName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, l.checkEmpty()
	}
	if err != nil {
		return 0, err
	}
	text, readErr := io.ReadAll(io.LimitReader(file, formatLimit))
	if err := errors.Join(readErr, file.Close()); err != nil {
		return 0, err
	}
	return parseFormat(text)
}

// checkEmpty refuses a directory with anything in it but what an interrupted creation leaves: the lock, and the format
// file under its first name.
func (l layout) checkEmpty() error {
	entries, err := os.ReadDir(string(l))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.Name() == lockName && info.Mode().IsRegular() && info.Size() == 0:
		case entry.Name() == formatNewName && info.Mode().IsRegular() && info.Size() <= int64(len(stamp())):
		default:
			return fmt.Errorf("%w: it has no file %q but contains %q, and a store is only made in an empty directory; "+
				"choose another one", ErrNotAStore, formatName, entry.Name())
		}
	}
	return nil
}

func stamp() string { return fmt.Sprintf("%s%d\n", formatPrefix, formatVersion) }

// stampFormat makes the directory a store of the current format, be it empty or a store of an earlier one: that had
// nothing which the current format reads in another way. The stamp comes before the folders: folders without a stamp
// would look like somebody else's, while folders that are missing are made by every Open. And no program that knows the
// earlier format alone can come between and write beside packs of which it knows nothing.
func (l layout) stampFormat(names namespace) error {
	return l.replaceDurably(names, formatName, stamp())
}

func writeSynced(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, stampMode)
	if err != nil {
		return err
	}
	_, writeErr := file.WriteString(text)
	syncErr := file.Sync()
	return errors.Join(writeErr, syncErr, file.Close())
}

// makeFolders makes those folders of a store that are missing, durably.
func (l layout) makeFolders(names namespace) error {
	madeAny, made := false, false
	for _, name := range []string{objectsName, incomingName, refsName, packsName, assembleName} {
		if err := makeFolder(l.join(name), &madeAny); err != nil {
			return err
		}
	}
	for i := range fanOuts {
		if err := makeFolder(l.fanOut(i), &made); err != nil {
			return err
		}
	}
	if made {
		if err := names.syncDir(l.join(objectsName)); err != nil {
			return err
		}
	}
	if madeAny || made {
		return names.syncDir(string(l))
	}
	return nil
}

func makeFolder(path string, made *bool) error {
	err := os.Mkdir(path, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	*made = *made || err == nil
	return err
}

// clearIncoming removes files that were half written when their process died. They were never acknowledged.
func (l layout) clearIncoming(names namespace) error {
	incoming := l.join(incomingName)
	entries, err := os.ReadDir(incoming)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), tempSuffix) {
			continue
		}
		if err := names.remove(filepath.Join(incoming, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// syncFanOuts makes the names of blobs durable that became visible just before a crash.
func (l layout) syncFanOuts(names namespace) error {
	for i := range fanOuts {
		if err := names.syncDir(l.fanOut(i)); err != nil {
			return err
		}
	}
	return nil
}

// makeRoot makes the directory and those above it that are missing, durably.
func makeRoot(names namespace, dir string) error {
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		if err := makeRoot(names, parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return names.syncDir(filepath.Dir(dir))
}
