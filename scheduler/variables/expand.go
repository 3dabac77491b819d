package variables

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Expand replaces each {name} in text that values has. Everything else stays, unknown names and stray braces included.
func Expand(text string, values map[string]string) string {
	if len(values) == 0 {
		return text
	}
	var b strings.Builder
	done := 0
	for open := strings.IndexByte(text, '{'); open >= 0; {
		// Neither an opening nor a closing brace can be part of a name, so the next one ends it.
		next := strings.IndexAny(text[open+1:], "{}")
		if next < 0 {
			break
		}
		next += open + 1
		if text[next] == '{' {
			open = next
			continue
		}
		if value, known := values[text[open+1:next]]; known {
			b.WriteString(text[done:open])
			b.WriteString(value)
			done = next + 1
		}
		rest := strings.IndexByte(text[next:], '{')
		if rest < 0 {
			break
		}
		open = next + rest
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// ExpandParameters expands the text values in the parameters of commands: those of parameters themselves, in lists and
// in nested objects, at any depth. The names of commands and of parameters stay. commands is the JSON text
// [{"name":"…","parameters":{…},…},…]; what is not valid JSON, or holds no known variable, is returned as the same slice.
func ExpandParameters(commands json.RawMessage, values map[string]string) json.RawMessage {
	if len(values) == 0 {
		return commands
	}
	return rewriteParameters(commands, func(text string) string { return Expand(text, values) }, hasBrace)
}

func hasBrace(text []byte) bool { return bytes.IndexByte(text, '{') >= 0 }

// rewriteParameters runs the text values in the parameters of commands through a function. A text without escapes that
// does not concern it is passed over without a copy.
func rewriteParameters(commands json.RawMessage, rewrite func(string) string, concerns func([]byte) bool) json.RawMessage {
	if !json.Valid(commands) {
		return commands
	}
	s := scanner{text: commands, rewrite: rewrite, concerns: concerns}
	s.commands()
	if s.out == nil {
		return commands
	}
	return append(s.out, commands[s.done:]...)
}

// scanner walks over valid JSON, byte by byte, and copies only once something changes.
type scanner struct {
	text     []byte
	rewrite  func(string) string
	concerns func(text []byte) bool
	at       int
	// done is how much of text is in out. out is nil until the first change.
	done int
	out  []byte
}

// commands walks over the list of commands and rewrites what is below a member named parameters.
func (s *scanner) commands() {
	if s.peek() != '[' {
		return
	}
	s.list(func() {
		if s.peek() != '{' {
			s.value(false)
			return
		}
		s.object(func(member []byte) { s.value(decode(member) == "parameters") })
	})
}

// peek skips white space and returns the next byte. Valid JSON has one wherever a value is looked for.
func (s *scanner) peek() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// value walks over one value of any kind; if change is set, texts in it are rewritten.
func (s *scanner) value(change bool) {
	switch s.peek() {
	case '[':
		s.list(func() { s.value(change) })
	case '{':
		s.object(func([]byte) { s.value(change) })
	case '"':
		from := s.at
		s.skipText()
		if change {
			s.change(from, s.at)
		}
	default:
		for s.at < len(s.text) && bytes.IndexByte([]byte(",]} \t\r\n"), s.text[s.at]) < 0 {
			s.at++
		}
	}
}

func (s *scanner) list(item func()) {
	s.at++
	for s.peek() != ']' {
		item()
		if s.peek() == ',' {
			s.at++
		}
	}
	s.at++
}

// object hands the quoted name of each member to a function that walks over its value.
func (s *scanner) object(member func(name []byte)) {
	s.at++
	for s.peek() != '}' {
		from := s.at
		s.skipText()
		name := s.text[from:s.at]
		s.peek()
		s.at++ // the colon
		member(name)
		if s.peek() == ',' {
			s.at++
		}
	}
	s.at++
}

// skipText moves over a quoted text, whose opening quote is next.
func (s *scanner) skipText() {
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// change rewrites the quoted text between two offsets.
func (s *scanner) change(from, to int) {
	quoted := s.text[from:to]
	if bytes.IndexByte(quoted, '\\') < 0 && !s.concerns(quoted[1:len(quoted)-1]) {
		return
	}
	text := decode(quoted)
	rewritten := s.rewrite(text)
	if rewritten == text {
		return
	}
	s.out = append(s.out, s.text[s.done:from]...)
	s.out = append(s.out, encode(rewritten)...)
	s.done = to
}

// decode reads a quoted text that is known to be valid JSON.
func decode(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var text string
	// The whole document was found valid before.
	_ = json.Unmarshal(quoted, &text)
	return text
}

// encode is JSON without the escapes that make it safe inside HTML.
func encode(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// A string always has a JSON form.
	_ = enc.Encode(text)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
