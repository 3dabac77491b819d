package jobtype

import (
	"errors"
	"strings"
)

// errOpenQuote is what splitShell returns for a text whose last quote is not closed.
var errOpenQuote = errors.New("the text ends inside a quoted part; close the quote")

// splitShell cuts text into words as a POSIX shell does (IEEE 1003.1, "Shell Command Language", 2.2 Quoting), without
// any expansion, operators or comments.
func splitShell(text string) ([]string, error) {
	words := []string{}
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return nil, errOpenQuote
			}
			word.WriteString(text[i+1 : i+1+end])
			i += 1 + end
			inWord = true
		case '"':
			length, ok := readDoubleQuoted(&word, text[i+1:])
			if !ok {
				return nil, errOpenQuote
			}
			i += length
			inWord = true
		case '\\':
			if i++; i == len(text) {
				return nil, errors.New("the text ends with a backslash; write two to mean one")
			}
			if text[i] != '\n' {
				word.WriteByte(text[i])
				inWord = true
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// readDoubleQuoted appends what stands before the closing quote and returns how many bytes it read, quote included.
func readDoubleQuoted(word *strings.Builder, text string) (length int, ok bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return i + 1, true
		case text[i] == '\\' && i+1 < len(text) && strings.IndexByte("$`\"\\\n", text[i+1]) >= 0:
			if i++; text[i] != '\n' {
				word.WriteByte(text[i])
			}
		default:
			word.WriteByte(text[i])
		}
	}
	return 0, false
}
