package shot

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// variables translate the beginnings of paths; the longest comes first.
type variables []variable

type variable struct{ foreign, local string }

func parseVariables(given map[string]string) variables {
	var list variables
	for _, foreign := range slices.Sorted(maps.Keys(given)) {
		if trimmed := strings.TrimRight(slashes(foreign), "/"); trimmed != "" {
			list = append(list, variable{trimmed, given[foreign]})
		}
	}
	slices.SortStableFunc(list, func(a, b variable) int { return len(b.foreign) - len(a.foreign) })
	return list
}

func slashes(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// apply gives the path of this machine for one of another.
func (v variables) apply(written string) (path string, ok bool) {
	if isRelative(written) {
		return "", false
	}
	wanted := slashes(written)
	for _, one := range v {
		if len(wanted) < len(one.foreign) {
			continue
		}
		begin, rest := wanted[:len(one.foreign)], wanted[len(one.foreign):]
		same := begin == one.foreign || isForeign(written) && strings.EqualFold(begin, one.foreign)
		if same && (rest == "" || rest[0] == '/') {
			path, err := filepath.Abs(filepath.Join(one.local, filepath.FromSlash(rest)))
			return path, err == nil
		}
	}
	return "", false
}

// isRelative tells whether a path starts from the .blend file that stores it. A network share of Windows begins with
// backslashes.
func isRelative(written string) bool { return strings.HasPrefix(written, "//") }

// isForeign tells whether a path is one of Windows, and this is another system.
func isForeign(written string) bool {
	if runtime.GOOS == "windows" {
		return false
	}
	return strings.HasPrefix(written, `\\`) ||
		len(written) >= 3 && isLetter(written[0]) && written[1] == ':' && (written[2] == '\\' || written[2] == '/')
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
