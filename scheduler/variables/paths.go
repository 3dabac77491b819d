package variables

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// prefix is the beginning of paths that one two-way variable stands for.
type prefix struct {
	name string
	// text has no separators at its end. It is empty for the root of a POSIX file system.
	text string
	// windows says that both slashes separate, and that case does not matter.
	windows bool
}

func newPrefix(name, text, platform string) prefix {
	trimmed := strings.TrimRight(text, `/\`)
	return prefix{name: name, text: trimmed, windows: platform == "windows" || isWindowsPath(trimmed)}
}

// isWindowsPath says whether an absolute path can only be one of Windows: it begins with a drive or a UNC server.
func isWindowsPath(path string) bool {
	if strings.HasPrefix(path, `\\`) {
		return true
	}
	return len(path) >= 2 && isDrive(path[:2]) && (len(path) == 2 || path[2] == '/' || path[2] == '\\')
}

// isDrive says whether a text is a letter and a colon.
func isDrive(text string) bool {
	return len(text) == 2 && text[1] == ':' && ('a' <= text[0]|0x20 && text[0]|0x20 <= 'z')
}

func (p prefix) isSeparator(c rune) bool { return c == '/' || p.windows && c == '\\' }

// closeness is how well a path begins with a prefix.
type closeness int

const (
	not closeness = iota
	// butForCase: upper and lower case differ somewhere.
	butForCase
	exactly
)

// cut takes the prefix off a path. The rest is empty or begins with a separator: /mnt/farm2 is not below /mnt/farm.
func (p prefix) cut(path string) (rest string, how closeness) {
	rest, how = path, exactly
	for _, want := range p.text {
		got, size := utf8.DecodeRuneInString(rest)
		switch {
		case got == utf8.RuneError && size <= 1:
			return "", not
		case got == want, p.isSeparator(got) && p.isSeparator(want):
		case sameLetter(got, want):
			how = butForCase
		default:
			return "", not
		}
		rest = rest[size:]
	}
	switch {
	case rest == "" && p.text != "":
		return "", how
	case rest == "" || !p.isSeparator(rune(rest[0])):
		return "", not
	case p.text == "" && len(rest) > 1 && p.isSeparator(rune(rest[1])):
		// Two slashes open a path of a server, or one that is relative to a .blend file.
		return "", not
	}
	return rest, how
}

// openings marks the bytes with which a path below the prefix can begin.
func (p prefix) openings(marked *[256]bool) {
	first := '/'
	if p.text != "" {
		first, _ = utf8.DecodeRuneInString(p.text)
	}
	mark := func(letter rune) {
		var text [utf8.UTFMax]byte
		utf8.EncodeRune(text[:], letter)
		marked[text[0]] = true
	}
	mark(first)
	for folded := unicode.SimpleFold(first); folded != first; folded = unicode.SimpleFold(folded) {
		mark(folded)
	}
	if p.windows && p.isSeparator(first) {
		mark('/')
		mark('\\')
	}
}

// sameLetter says whether two letters differ in case only.
func sameLetter(a, b rune) bool {
	for folded := unicode.SimpleFold(a); folded != a; folded = unicode.SimpleFold(folded) {
		if folded == b {
			return true
		}
	}
	return false
}

// prefixes are sorted: the longest first, then by name.
type prefixes []prefix

func (ps prefixes) sort() {
	slices.SortFunc(ps, func(a, b prefix) int {
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), strings.Compare(a.name, b.name))
	})
}

// match finds the prefix that a path begins with: the longest one. Where case matters, one that matches exactly comes
// before a longer one that does not.
func (ps prefixes) match(path string) (found prefix, rest string, ok bool) {
	for _, p := range ps {
		after, how := p.cut(path)
		if how == exactly && (!ok || !found.windows || len(found.text) == len(p.text)) {
			return p, after, true
		}
		if how == butForCase && !ok {
			found, rest, ok = p, after, true
		}
	}
	return found, rest, ok
}

// native writes a path with the separators of its platform. A bare drive would mean its current directory, so it gets a
// backslash; the root of a POSIX file system is written out.
func native(path string, windows bool) string {
	switch {
	case !windows && path == "":
		return "/"
	case !windows:
		return strings.ReplaceAll(path, `\`, "/")
	case path == "" || isDrive(path):
		return path + `\`
	}
	return strings.ReplaceAll(path, "/", `\`)
}

// logical writes what follows a prefix with forward slashes. The slash of a drive or root that stands alone is left
// out, since it is no part of what the variable is on other platforms.
func (p prefix) logical(rest string) string {
	if len(rest) == 1 && (p.text == "" || isDrive(p.text)) {
		return ""
	}
	if p.windows {
		return strings.ReplaceAll(rest, `\`, "/")
	}
	return rest
}
