package store

import (
	"bytes"
	"testing"
)

func FuzzShare(f *testing.F) {
	f.Add([]byte(`[{"frame":1,"again":1}]`), []byte(`[{"frame":12,"again":12}]`))
	f.Add([]byte("aaaa"), []byte("aa"))
	f.Add([]byte("aa"), []byte("aaaa"))
	f.Add([]byte(nil), []byte("x"))
	f.Add([]byte("x"), []byte(nil))
	f.Fuzz(func(t *testing.T, template, commands []byte) {
		own := share(template, commands)
		if got := own.join(template); !bytes.Equal(got, commands) {
			t.Errorf("%q shared with %q comes back as %q", commands, template, got)
		}
		if bytes.Equal(template, commands) && len(own.middle) != 0 {
			t.Errorf("of equal commands %q is kept", own.middle)
		}
	})
}
