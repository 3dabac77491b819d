package checkout

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a [Path]. The byte limits are those of Linux (PATH_MAX, NAME_MAX).
const (
	MaxPathBytes      = 4096
	MaxComponentBytes = 255
	// MaxPathDepth is the largest number of components. Every level costs a directory that is made and synced, so that
	// a short hostile list must not be able to ask for thousands a file.
	MaxPathDepth = 128
)

// Path is the logical path of a file inside a project: components joined by single forward slashes, relative to the
// project's top. Every Path but the zero value came through [ParsePath]; two are equal if they are spelled alike, byte
// by byte, without Unicode normalisation.
//
// A Path may hold characters that Windows cannot have in a file name (such as ':' and '?'), since projects on Linux
// do have them and render well on Linux. Who lays a Path out as a real file on Windows refuses it there.
type Path struct{ text string }

// ParsePath reads a relative path with forward slashes; what is wrong with any other text is told by an error that is
// [ErrBadPath]. Refused are: empty paths and components, "." and "..", absolute paths (also "C:/..."), backslashes,
// control characters, invalid UTF-8, components that end in a dot or a space or that Windows reserves for devices, and
// anything beyond [MaxPathBytes], [MaxComponentBytes] and [MaxPathDepth].
func ParsePath(text string) (Path, error) {
	if reason := pathFault(text); reason != "" {
		return Path{}, fmt.Errorf("%w %s: %s", ErrBadPath, quoteShort(text), reason)
	}
	return Path{text: text}, nil
}

// ParseShamanPath is [ParsePath] for paths from Flamenco clients, which write paths relative to the checkout with a
// leading slash: slashes at the start are dropped.
func ParseShamanPath(text string) (Path, error) {
	if reason := pathFault(strings.TrimLeft(text, "/")); reason != "" {
		return Path{}, fmt.Errorf("%w %s: %s", ErrBadPath, quoteShort(text), reason)
	}
	return Path{text: strings.TrimLeft(text, "/")}, nil
}

// String gives the path as it was parsed.
func (p Path) String() string { return p.text }

// IsZero tells whether p is the zero value, which is no path.
func (p Path) IsZero() bool { return p.text == "" }

// Dir is everything before the last slash; empty for a file at the top.
func (p Path) Dir() string { return p.text[:max(0, strings.LastIndexByte(p.text, '/'))] }

// Base is the last component.
func (p Path) Base() string { return p.text[strings.LastIndexByte(p.text, '/')+1:] }

// Compare orders paths bytewise.
func (p Path) Compare(q Path) int { return cmp.Compare(p.text, q.text) }

// MarshalText gives the path as text, for JSON and YAML.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText parses with [ParsePath].
func (p *Path) UnmarshalText(text []byte) error {
	parsed, err := ParsePath(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// pathFault says why text cannot be a Path; empty if it can.
func pathFault(text string) string {
	switch {
	case text == "":
		return "it is empty"
	case len(text) > MaxPathBytes:
		return fmt.Sprintf("it has %d bytes, at most %d are allowed", len(text), MaxPathBytes)
	case !utf8.ValidString(text):
		return "it is not valid UTF-8; rename the file"
	case text[0] == '/':
		return "it is absolute; paths are relative to the project"
	case strings.Count(text, "/") >= MaxPathDepth:
		return fmt.Sprintf("it is more than %d folders deep", MaxPathDepth)
	}
	for component := range strings.SplitSeq(text, "/") {
		if reason := componentFault(component); reason != "" {
			return reason
		}
	}
	if drive, _, _ := strings.Cut(text, "/"); len(drive) == 2 && drive[1] == ':' && isASCIILetter(drive[0]) {
		return "it starts with a Windows drive, which makes it absolute; paths are relative to the project"
	}
	return ""
}

// componentFault says why a valid UTF-8 text without slashes cannot be one component of a Path; empty if it can.
func componentFault(name string) string {
	switch name {
	case "":
		return "it has an empty component (a slash too many)"
	case ".", "..":
		return fmt.Sprintf("%q is not allowed in it", name)
	}
	if len(name) > MaxComponentBytes {
		return fmt.Sprintf("the component %s has %d bytes, at most %d are allowed", quoteShort(name), len(name), MaxComponentBytes)
	}
	for _, r := range name {
		if r == '\\' {
			return "it contains a backslash, which separates folders on Windows; use forward slashes"
		}
		if unicode.IsControl(r) {
			return fmt.Sprintf("it contains the control character %U; rename the file", r)
		}
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return fmt.Sprintf("the component %q ends in a dot or a space, which Windows drops; rename it", name)
	}
	if isDeviceName(name) {
		return fmt.Sprintf("%q is the name of a device on Windows; rename it", name)
	}
	return ""
}

// isDeviceName tells whether Windows opens a device instead of a file of that name: what stands before the first dot
// counts, spaces at its end and the case do not (Microsoft, "Naming Files, Paths, and Namespaces").
func isDeviceName(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		switch unit, found := strings.CutPrefix(base, port); {
		case !found:
		case len(unit) == 1 && unit[0] >= '1' && unit[0] <= '9':
			return true
		case unit == "¹", unit == "²", unit == "³":
			return true
		}
	}
	return false
}

func isASCIILetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// quoteShort quotes a text from outside for a message that people read; a long one is cut.
func quoteShort(text string) string {
	const most = 200
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q...", text[:most])
}

// foldPath gives texts that are equal exactly for paths that differ at most in case, by Unicode simple folding. The
// slash is mapped to the lowest byte, so that sorting puts everything below a folder right behind its name.
func foldPath(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return 0
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case r < utf8.RuneSelf:
			return r
		}
		return foldRune(r)
	}, text)
}

// foldRune chooses one representative of all runes that differ from r only in case. ASCII letters stand for
// themselves in lower case; the Kelvin sign and the long s fold to them.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if 'A' <= least && least <= 'Z' {
		return least + 'a' - 'A'
	}
	return least
}
