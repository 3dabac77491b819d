package blend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MarshalJSON writes bytes that are no UTF-8 as Python does when it reads names of files (PEP 383): "\udc80" to "\udcff"
// for the bytes 80 to ff, so that a program can open a file whatever its name is. Go reads them as U+FFFD.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	p := plain(r)
	p.Files, p.Missing, p.Warnings = marked(r.Files), marked(r.Missing), marked(r.Warnings)
	p.Dependencies = slices.Clone(r.Dependencies)
	for i := range p.Dependencies {
		d := &p.Dependencies[i]
		for _, text := range []*string{&d.Blend, &d.Datablock, &d.Kind, &d.Field, &d.Written, &d.Resolved, &d.Base, &d.Note} {
			*text = mark(*text)
		}
		d.Files, d.Missing = marked(d.Files), marked(d.Missing)
	}
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false) // Whoever asked decides that.
	if err := encoder.Encode(p); err != nil {
		return nil, err
	}
	return unmark(data.Bytes()), nil
}

// Two of the characters that Unicode keeps free for use inside of programs stand for the halves of a byte.
const (
	highHalf = '\uFDD0'
	lowHalf  = '\uFDE0'
)

func marked(list []string) []string {
	if !slices.ContainsFunc(list, func(text string) bool { return !utf8.ValidString(text) }) {
		return list
	}
	list = slices.Clone(list)
	for i, text := range list {
		list[i] = mark(text)
	}
	return list
}

func mark(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			b.WriteRune(highHalf + rune(text[0]>>4))
			b.WriteRune(lowHalf + rune(text[0]&15))
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// unmark turns each pair of marks into the escape of its byte.
func unmark(data []byte) []byte {
	const width = 3 // bytes of each mark
	first := []byte(string(highHalf))[:2]
	var out []byte
	for {
		at := bytes.Index(data, first)
		if at < 0 || at+2*width > len(data) {
			return append(out, data...)
		}
		high, _ := utf8.DecodeRune(data[at:])
		low, _ := utf8.DecodeRune(data[at+width:])
		if high < highHalf+8 || high > highHalf+15 || low < lowHalf || low > lowHalf+15 {
			out, data = append(out, data[:at+1]...), data[at+1:]
			continue
		}
		out = fmt.Appendf(append(out, data[:at]...), `\udc%02x`, byte(high-highHalf)<<4|byte(low-lowHalf))
		data = data[at+2*width:]
	}
}
