package checkout

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a checkout's name. They leave room for a suffix, for the paths inside and for where workers mount the
// storage, also on Windows.
const (
	maxNameComponent = 100 // bytes
	maxNameDepth     = 8   // components
)

// cleanName makes the name of a directory from a job's name, which may hold anything. Slashes separate folders; all
// that some platform cannot hold in a file name, and the braces and semicolons by which Flamenco's variables and paths
// are recognised, become underscores. Cleaning a clean name changes nothing.
func cleanName(wanted string) string {
	var components []string
	for component := range strings.SplitSeq(strings.ToValidUTF8(wanted, "_"), "/") {
		if clean := cleanComponent(component); clean != "" {
			components = append(components, clean)
		}
	}
	if len(components) == 0 {
		return "job"
	}
	if len(components) > maxNameDepth {
		// The last component tells jobs apart best.
		components = append(components[:maxNameDepth-1], components[len(components)-1])
	}
	return strings.Join(components, "/")
}

func cleanComponent(name string) string {
	// What is cut may end in a dot or a space, so that it is cleaned once more.
	return safeComponent(cutUTF8(safeComponent(name), maxNameComponent))
}

// safeComponent gives a component that every platform can hold, or nothing for one of spaces only.
func safeComponent(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`<>:"|?*\;{}`, r) {
			return '_'
		}
		return r
	}, strings.TrimSpace(name))
	if strings.HasPrefix(name, ".") {
		// A leading dot marks what is ours: buildingDir and levelMark.
		name = "_" + name[1:]
	}
	if isDeviceName(name) {
		name = "_" + name
	}
	kept := strings.TrimRight(name, ". ")
	return kept + strings.Repeat("_", len(name)-len(kept))
}

// cutUTF8 gives the longest prefix of at most n bytes that does not cut a character.
func cutUTF8(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// parseName splits a name that [Checkouts.Create] gave, and refuses every other text: components are as safeComponent
// leaves them, and longer than cleanComponent's only by a suffix.
func parseName(name string) ([]string, error) {
	components := strings.Split(name, "/")
	ok := utf8.ValidString(name) && len(components) <= maxNameDepth
	for _, c := range components {
		ok = ok && c != "" && c == safeComponent(c) && len(c) <= maxNameComponent+suffixBytes
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrBadName, quoteShort(name))
	}
	return components, nil
}

// suffixBytes is the length of what [nameSuffix] gives.
const suffixBytes = 5

// nameSuffix gives "-" and four random characters of a-z and 0-9.
func nameSuffix(random io.Reader) (string, error) {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	suffix := []byte("-....")
	for i := 1; i < len(suffix); {
		var b [1]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("read random bytes: %w", err)
		}
		// 252 is the largest multiple of 36 in a byte; what lies above would favour some characters.
		if b[0] < 252 {
			suffix[i] = alphabet[b[0]%36]
			i++
		}
	}
	return string(suffix), nil
}
