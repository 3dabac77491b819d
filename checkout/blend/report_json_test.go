package blend

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// TestReportKeepsBytesThatAreNoText reads the JSON as Python does: lone low surrogates are bytes of names.
func TestReportKeepsBytesThatAreNoText(t *testing.T) {
	list := []string{"/a/la\xe9t.png", "/a/\xff", "/a/\u00fc\ufffd\ufdd8<UDIM>.png"}
	data, err := json.Marshal(Report{Files: list, Missing: []string{}, Dependencies: []Dependency{{Written: "//la\xe9t.png"}}, Features: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"files":["/a/la\udce9t.png","/a/\udcff","/a/ü` + "\ufffd\ufdd8" + `\u003cUDIM\u003e.png"],"missing":[],"dependencies":[` +
		`{"blend":"","datablock":"","kind":"","field":"","written":"//la\udce9t.png","resolved":"","required":false}],"features":[]}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	if list[0] != "/a/la\xe9t.png" {
		t.Errorf("the report itself changed to %q", list)
	}
}

func TestReportOfAnyBytesIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := string(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
		data, err := json.Marshal(Report{Files: []string{path}})
		if err != nil || !json.Valid(data) {
			t.Fatalf("%v: %s", err, data)
		}
	})
}
