package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Bounds of what a worker can do and of what a job requires.
const (
	MaxAbilities   = 256 // texts in one list
	MaxAbilitySize = 200 // bytes of one text
)

// cleanAbilities trims, sorts and folds a list of abilities or requirements; no list stays no list. [ErrInvalid] when a
// text is empty, too long or not printable, or when there are too many.
func cleanAbilities(what string, list []string) ([]string, error) {
	if list == nil {
		return nil, nil
	}
	if len(list) > MaxAbilities {
		return nil, fmt.Errorf("%w: %d %s, at most %d are kept", ErrInvalid, len(list), what, MaxAbilities)
	}
	clean := make([]string, len(list))
	for i, text := range list {
		text = strings.TrimSpace(text)
		unprintable := strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
		if text == "" || len(text) > MaxAbilitySize || unprintable {
			return nil, fmt.Errorf("%w: %s: %.60q must be a printable text of 1 to %d bytes, such as blender:4.2", ErrInvalid, what,
				text, MaxAbilitySize)
		}
		clean[i] = text
	}
	slices.Sort(clean)
	return slices.Compact(clean), nil
}

// CleanRequirements gives what a job requires as it is stored: trimmed, sorted, each once; nil for nothing. [ErrInvalid]
// for a text that is empty, too long or not printable, or for too many.
func CleanRequirements(list []string) ([]string, error) {
	clean, err := cleanAbilities("requirements", list)
	if len(clean) == 0 {
		clean = nil
	}
	return clean, err
}

// Lacking returns which requirements the abilities do not meet. A requirement is met by the equal text. One that ends in
// a version, as blender:3.4, is met by the same name with that version or a later one, as blender:4.2.0; a name alone is
// met by that name with any version. Nil abilities were never told, and meet everything.
func Lacking(abilities, requirements []string) []string {
	if abilities == nil {
		return nil
	}
	var lacking []string
	for _, r := range requirements {
		if !slices.ContainsFunc(abilities, func(a string) bool { return a == r || atLeast(a, r) }) {
			lacking = append(lacking, r)
		}
	}
	return lacking
}

// atLeast tells whether an ability has the name of a requirement and a version that is no earlier. No version is earlier
// than all.
func atLeast(ability, requirement string) bool {
	name, has, versioned := splitVersion(ability)
	if !versioned {
		return false
	}
	wantedName, wanted, _ := splitVersion(requirement)
	return name == wantedName && slices.Compare(has, wanted) >= 0
}

// splitVersion takes name:1.2.3 apart. Zeros at the end are dropped, so that 4.2 is 4.2.0. Without a version of that form
// the whole text is the name.
func splitVersion(text string) (name string, version []uint64, ok bool) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return text, nil, false
	}
	for part := range strings.SplitSeq(text[colon+1:], ".") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return text, nil, false
		}
		version = append(version, n)
	}
	for len(version) > 0 && version[len(version)-1] == 0 {
		version = version[:len(version)-1]
	}
	return text[:colon], version, true
}

// whyLacking is the sentence for requirements that a worker does not meet: what it has instead, where it has the name.
func whyLacking(abilities, lacking []string) string {
	reasons := make([]string, len(lacking))
	for i, r := range lacking {
		wanted, _, _ := splitVersion(r)
		reasons[i] = "no " + r
		for _, a := range abilities {
			if name, _, ok := splitVersion(a); ok && name == wanted {
				reasons[i] = fmt.Sprintf("%s instead of %s", a, r)
			}
		}
	}
	return "it has " + strings.Join(reasons, ", ")
}
