package worker

import (
	"errors"
	"strings"
)

var errUnclosed = errors.New("a quote or a backslash at the end has no counterpart")

// splitWords splits a text into words as a POSIX shell does (POSIX.1-2017, Shell Command Language, 2.2 and 2.3), without
// expanding anything.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
			continue
		case '\\':
			if i++; i == len(text) {
				return nil, errUnclosed
			}
			word.WriteByte(text[i])
		case '\'', '"':
			n, err := quoted(&word, text[i+1:], c)
			if err != nil {
				return nil, err
			}
			i += n
		default:
			word.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// quoted writes what stands between quotes and gives its length with the closing quote.
func quoted(word *strings.Builder, text string, quote byte) (int, error) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return i + 1, nil
		case c == '\\' && quote == '"' && i+1 < len(text) && strings.IndexByte("$`\"\\", text[i+1]) >= 0:
			i++
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
	}
	return 0, errUnclosed
}

// quoteWords writes words so that a shell, and splitWords, read them back.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w != "" && strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%") == "" {
			quoted[i] = w
		} else {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
