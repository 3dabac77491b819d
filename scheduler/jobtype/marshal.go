package jobtype

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/dop251/goja"
)

// maxFastDepth is the nesting up to which appendJSON does the work; deeper objects may be circular.
const maxFastDepth = 8

// marshalObject is JSON.stringify. Plain objects, arrays, texts and numbers, which is what commands are made of, are
// written here at several times the engine's speed; for all else the engine is asked.
func (e *engine) marshalObject(object *goja.Object) (json.RawMessage, error) {
	text, ok := appendObject(e.scratch[:0], object, 0)
	e.scratch = text[:0]
	if ok {
		return slices.Clone(text), nil
	}
	return object.MarshalJSON()
}

// quote appends a text as a JSON string.
func quote(b []byte, text string) []byte {
	if quoted, ok := appendQuoted(b, text); ok {
		return quoted
	}
	// A string always has a JSON form.
	quoted, _ := marshalPlain(text)
	return append(b, quoted...)
}

// appendJSON appends a value. It gives up, with ok false, where JSON.stringify has a rule of its own.
func appendJSON(b []byte, v goja.Value, depth int) (_ []byte, ok bool) {
	object, isObject := v.(*goja.Object)
	if isObject {
		return appendObject(b, object, depth)
	}
	if goja.IsNull(v) {
		return append(b, "null"...), true
	}
	if text, isText := v.(goja.String); isText {
		return appendQuoted(b, text.String())
	}
	switch scalar := v.Export().(type) {
	case int64:
		return strconv.AppendInt(b, scalar, 10), true
	case bool:
		return strconv.AppendBool(b, scalar), true
	}
	return b, false
}

func appendObject(b []byte, object *goja.Object, depth int) (_ []byte, ok bool) {
	if depth == maxFastDepth || object.Get("toJSON") != nil {
		return b, false
	}
	switch object.ClassName() {
	case "Array":
		return appendArray(b, object, depth)
	case "Object":
		return appendMembers(b, object, depth)
	}
	return b, false
}

func appendArray(b []byte, array *goja.Object, depth int) (_ []byte, ok bool) {
	b = append(b, '[')
	for i := range int(array.Get("length").ToInteger()) {
		if i > 0 {
			b = append(b, ',')
		}
		item := array.Get(strconv.Itoa(i))
		if item == nil {
			return b, false
		}
		if b, ok = appendJSON(b, item, depth+1); !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

func appendMembers(b []byte, object *goja.Object, depth int) (_ []byte, ok bool) {
	b = append(b, '{')
	for i, key := range object.Keys() {
		if i > 0 {
			b = append(b, ',')
		}
		member := object.Get(key)
		if member == nil {
			return b, false
		}
		if b, ok = appendQuoted(b, key); !ok {
			return b, false
		}
		if b, ok = appendJSON(append(b, ':'), member, depth+1); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

// appendQuoted appends a text that needs no escapes but those of quotes and backslashes.
func appendQuoted(b []byte, text string) (_ []byte, ok bool) {
	b = append(b, '"')
	plain := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < 0x20 || c >= 0x7f:
			return b, false
		case c == '"' || c == '\\':
			b = append(append(b, text[plain:i]...), '\\')
			plain = i
		}
	}
	return append(append(b, text[plain:]...), '"'), true
}
