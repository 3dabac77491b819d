package api

import (
	"net/http"
	"testing"
	"time"

	"hayloft/api/wire"
)

func TestPreferredWait(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                        0,
		"wait=10":                 10 * time.Second,
		"WAIT = 10":               10 * time.Second,
		`wait="7"`:                7 * time.Second,
		"respond-async, wait=5":   5 * time.Second,
		"wait=5; foo=bar":         5 * time.Second,
		"wait=3600":               maxWait,
		"wait=-1":                 0,
		"wait=soon":               0,
		"wait=99999999999999":     0,
		"waiter=5":                0,
		"return=minimal;wait=200": 0,
	} {
		if got := preferredWait(&header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	if got := preferredWait(nil); got != 0 {
		t.Errorf("no header: %v", got)
	}
}

func TestApplyPreferenceJoinsHeaders(t *testing.T) {
	request, response := http.Header{"Prefer": {"respond-async", "wait=90"}}, http.Header{}
	applyPreference(request, response)
	if got := request["Prefer"]; len(got) != 1 || got[0] != "respond-async, wait=90" {
		t.Errorf("request has %q", got)
	}
	if got := response.Get(preferenceApplied); got != "wait=60" {
		t.Errorf("answer says %q", got)
	}
}

// TestHandCheckedBodiesKeepTheContract compares the check by hand with the generic validator.
func TestHandCheckedBodiesKeepTheContract(t *testing.T) {
	doc, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["TaskUpdate"].Value
	sha := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	output := func(changes ...func(map[string]any)) map[string]any {
		o := map[string]any{"root": "/r", "path": "a.png", "size": 1.0, "sha256": sha}
		for _, change := range changes {
			change(o)
		}
		return map[string]any{"outputs": []any{o}}
	}
	with := func(key string, value any) map[string]any {
		return output(func(o map[string]any) { o[key] = value })
	}
	long := string(make([]rune, maxActivity+1))
	for name, body := range map[string]map[string]any{
		"empty": {}, "status": {"taskStatus": "active"}, "bad status": {"taskStatus": "asleep"},
		"long activity": {"activity": long}, "activity of the longest": {"activity": long[1:]},
		"negative steps": {"steps_completed": -1.0}, "no steps": {"steps_completed": 0.0},
		"seq 0": {"seq": 0.0}, "seq 1": {"seq": 1.0}, "output": output(), "sha": with("sha256", "ABC"),
		"negative size": with("size", -1.0), "long root": with("root", long[:maxPathSize+1]), "long path": with("path", long[:maxPathSize+1]),
	} {
		text := marshal(t, body)
		var update wire.TaskUpdate
		if err := unmarshal(text, &update); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		byHand, generic := checkTaskUpdate(&update), schema.VisitJSON(body)
		if (byHand == nil) != (generic == nil) {
			t.Errorf("%s: by hand %v, by the contract %v", name, byHand, generic)
		}
	}
}
