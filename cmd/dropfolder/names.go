package dropfolder

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"hayloft/checkout/gather"
)

// Names in the watched folder that are Hayloft's own.
const (
	ownFolder    = ".hayloft"
	framesSuffix = ".frames"
	errorSuffix  = ".error.txt"
)

var (
	// ownNames are of what Hayloft puts beside drops.
	ownNames = regexp.MustCompile(`(\.frames(\.[0-9]+)?|\.error\.txt)$`)
	// unfinished are the names of files that some other program is still making.
	unfinished = regexp.MustCompile(`(?i)(\.(part|partial|filepart|crdownload|opdownload|download|aria2|unfinished|tmp|temp)|~)$`)
	// archives of kinds that cannot be taken.
	archives = regexp.MustCompile(`(?i)\.(rar|7z|zipx|tar|tgz|tbz2?|txz|tzst|(tar|blend)\.(gz|bz2|xz|zst)|(zip|7z)\.[0-9]{3})$`)
)

// litterPatterns are names, in the manner of [path.Match], of what systems and programs leave beside people's files,
// besides those that never belong to a project anyway: macOS, Windows, file servers, editors.
var litterPatterns = []string{
	"._*", "__MACOSX", "Icon\r", ".AppleDouble", ".DocumentRevisions-V100", ".fseventsd", ".Spotlight-V100", ".TemporaryItems", ".Trashes",
	"[dD]esktop.ini", "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "~$*",
	".Trash-*", ".directory", ".fuse_hidden*", ".nfs[0-9a-f]*", "lost+found", "@eaDir", "@Recycle", "#recycle",
	"*~", ".#*", "#*#", ".*.sw[a-p]",
}

// litter tells by a name whether something is never part of a drop: it is neither sent nor a change of the drop.
func litter(name string) bool {
	if gather.Ignored(name) {
		return true
	}
	for _, pattern := range litterPatterns {
		if is, err := path.Match(pattern, name); is && err == nil {
			return true
		}
	}
	return false
}

// mayDrop tells by a name whether it can be one of a drop.
func mayDrop(name string) bool {
	return !strings.HasPrefix(name, ".") && !ownNames.MatchString(name) && !unfinished.MatchString(name) && !litter(name)
}

// stemOf is the name of a drop without what tells its kind.
func stemOf(name string, k kind) string {
	if k == folder {
		return name
	}
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// What file systems allow for a name, and how much of it the name of a drop may take, so that there is room for what is
// put behind it.
const (
	maxNameBytes = 255
	maxStemBytes = maxNameBytes - len(errorSuffix) - 6
)

// beside is the name of what lies beside a drop. A name that leaves no room for the suffix is cut, and tells itself from
// others that begin alike by a digest.
func beside(name, suffix string) string {
	if len(name) <= maxStemBytes {
		return name + suffix
	}
	sum := sha256.Sum256([]byte(name))
	digest := "~" + hex.EncodeToString(sum[:4])
	cut := name[:maxStemBytes-len(digest)]
	for cut != "" && !utf8.ValidString(cut) && utf8.ValidString(name) {
		cut = cut[:len(cut)-1]
	}
	return cut + digest + suffix
}

// lettersOf437 are the letters of code page 437 from 0x80 on, a space where there is none that other code pages of DOS
// have in the same place. It is what an archive's names are in that do not tell: APPNOTE.TXT 6.3.10, appendix D.
const lettersOf437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ     áíóúñÑ"

const sharpS = 0xe1 // the one letter behind them

// unicodePath is the extra field that holds a member's name in UTF-8: APPNOTE.TXT 6.3.10, 4.6.9.
const unicodePath = 0x7075

// memberName is the path of a member with forward slashes; ok is false if its encoding is unknown.
func memberName(file *zip.File) (name string, ok bool) {
	name = file.Name
	if better, found := unicodeName(file); found {
		name = better
	}
	if !utf8.ValidString(name) {
		if file.Flags&flagUTF8 != 0 {
			return "", false
		}
		if name, ok = from437(name); !ok {
			return "", false
		}
	}
	// Some programs of Windows write its own separators.
	name = strings.ReplaceAll(name, `\`, "/")
	for strings.HasPrefix(name, "./") {
		name = name[len("./"):]
	}
	return name, true
}

// unicodeName reads the extra field, which counts only while the name that it was made for is still the member's.
func unicodeName(file *zip.File) (name string, ok bool) {
	for rest := file.Extra; len(rest) >= 4; {
		id, size := binary.LittleEndian.Uint16(rest), int(binary.LittleEndian.Uint16(rest[2:]))
		rest = rest[4:]
		if size > len(rest) {
			return "", false
		}
		if field := rest[:size]; id == unicodePath && size > 5 && field[0] == 1 &&
			binary.LittleEndian.Uint32(field[1:]) == crc32.ChecksumIEEE([]byte(file.Name)) {
			return string(bytes.Clone(field[5:])), true
		}
		rest = rest[size:]
	}
	return "", false
}

// from437 decodes a name that is in code page 437, or one that has the same letters in the same places.
func from437(name string) (decoded string, ok bool) {
	letters := []rune(lettersOf437)
	var out strings.Builder
	for i := range len(name) {
		switch b := name[i]; {
		case b < utf8.RuneSelf:
			out.WriteByte(b)
		case b == sharpS:
			out.WriteRune('ß')
		case int(b-utf8.RuneSelf) < len(letters) && letters[b-utf8.RuneSelf] != ' ':
			out.WriteRune(letters[b-utf8.RuneSelf])
		default:
			return "", false
		}
	}
	return out.String(), true
}
