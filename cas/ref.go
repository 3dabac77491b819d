package cas

import (
	"errors"
	"fmt"
)

// MaxRefName is the length limit of a [RefName] in bytes.
const MaxRefName = 128

var (
	// ErrBadRefName: a text cannot name a tree; see [ParseRefName].
	ErrBadRefName = errors.New("not a name for a tree")
	// ErrRefNotFound: the store has no tree of that name.
	ErrRefNotFound = errors.New("no tree of that name")
)

// RefName is the name under which a store keeps a tree, that is, the blob of a manifest. Its only field is private, so
// that every RefName but the zero value was parsed. It never needs escaping in a path or a URL segment.
type RefName struct{ text string }

// ParseRefName reads 1 to [MaxRefName] ASCII letters, digits and "._@+-", the first of them a letter or a digit;
// anything else is [ErrBadRefName].
func ParseRefName(text string) (RefName, error) {
	if text == "" {
		return RefName{}, fmt.Errorf("%w: it is empty", ErrBadRefName)
	}
	if len(text) > MaxRefName {
		return RefName{}, fmt.Errorf("%w: %d characters, and at most %d are allowed", ErrBadRefName, len(text), MaxRefName)
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '@' || c == '+' || c == '-'):
		default:
			return RefName{}, fmt.Errorf("%w: %q has character %q at %d; allowed are letters, digits and, "+
				"after the first, \"._@+-\"", ErrBadRefName, text, c, i)
		}
	}
	return RefName{text: text}, nil
}

// String gives the name as it was parsed.
func (n RefName) String() string { return n.text }

// IsZero tells whether n names nothing.
func (n RefName) IsZero() bool { return n.text == "" }

// MarshalText gives the name, for JSON and YAML.
func (n RefName) MarshalText() ([]byte, error) { return []byte(n.text), nil }

// UnmarshalText parses the name; see [ParseRefName].
func (n *RefName) UnmarshalText(text []byte) error {
	parsed, err := ParseRefName(string(text))
	if err != nil {
		return err
	}
	*n = parsed
	return nil
}
