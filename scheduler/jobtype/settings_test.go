package jobtype_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/scheduler/jobtype"
)

const withSettings = `
const JOB_TYPE = { label: "S", settings: [
	{ key: "need", type: "string", required: true },
	{ key: "preset", type: "int32", required: true, default: 5 },
	{ key: "count", type: "int32", default: 3, propargs: { min: 1, max: 9 } },
	{ key: "ratio", type: "float", propargs: { min: 0.5 }, eval: "C.x", default: 0.75 },
	{ key: "mode", type: "string", choices: ["fast", "slow"] },
	{ key: "on", type: "bool", default: false, visible: "hidden" },
] };
function compileJob(job) {
	if (job.settings.explode) throw new Error("the script ran");
}`

func TestSettingsAreCheckedBeforeTheScriptRuns(t *testing.T) {
	library := load(t, map[string]string{"s.js": withSettings})
	for name, test := range map[string]struct {
		change map[string]any
		says   string
	}{
		"required, missing":       {map[string]any{"need": nil}, `"need" is required, but the job does not have it`},
		"required, empty":         {map[string]any{"need": ""}, `"need" is required`},
		"required has no default": {map[string]any{"preset": nil}, `"preset" is required`},
		"text for number":         {map[string]any{"count": "3"}, `"count" is "3"; it must be a whole number`},
		"fraction":                {map[string]any{"count": 2.5}, `"count" is 2.5; it must be a whole number`},
		"too large for 32 bits":   {map[string]any{"preset": 3e9}, `it must be a whole number of 32 bits`},
		"below minimum":           {map[string]any{"count": 0}, `"count" is 0; it must be at least 1`},
		"above maximum":           {map[string]any{"count": 10}, `"count" is 10; it must be at most 9`},
		"float below minimum":     {map[string]any{"ratio": 0.25}, `"ratio" is 0.25; it must be at least 0.5`},
		"not a number":            {map[string]any{"ratio": math.NaN()}, `"ratio" is of the type float64; it must be a number`},
		"no choice":               {map[string]any{"mode": "medium"}, `"mode" is "medium"; it must be one of ["fast" "slow"]`},
		"number for text":         {map[string]any{"need": 3}, `"need" is 3; it must be a text`},
		"list for text":           {map[string]any{"need": []any{"a"}}, `"need" is ["a"]; it must be a text`},
		"number for truth":        {map[string]any{"on": 1}, `"on" is 1; it must be true or false`},
	} {
		t.Run(name, func(t *testing.T) {
			settings := map[string]any{"need": "x", "preset": 1, "explode": true}
			maps.Copy(settings, test.change)
			_, err := library.Compile(t.Context(), jobtype.Request{Type: "s", Settings: settings})
			if !errors.Is(err, jobtype.ErrBadSetting) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want a sentence with %q", err, test.says)
			}
		})
	}
}

func TestEdgesOfSettings(t *testing.T) {
	library := load(t, map[string]string{"e.js": declaring(`
		{ key: "int", type: "int32" }, { key: "percent", type: "float", propargs: { min: 0, max: 100, soft_max: 1000 } },
		{ key: "text", type: "string", propargs: { min: "a", max: 3 } }, { key: "must", type: "bool", required: true },
		{ key: "choice", type: "string", choices: ["", "a"] }`)})
	for name, test := range map[string]struct {
		key   string
		value any
		fits  bool
	}{
		"largest int":             {"int", 2147483647.0, true},
		"above the largest":       {"int", 2147483648.0, false},
		"smallest int":            {"int", -2147483648.0, true},
		"below the smallest":      {"int", -2147483649.0, false},
		"whole as a float":        {"int", json.Number("1e3"), true},
		"almost whole":            {"int", 1.0000000001, false},
		"number out of range":     {"int", json.Number("1e400"), false},
		"no number at all":        {"int", json.Number("x"), false},
		"truth for int":           {"int", true, false},
		"int for float":           {"percent", 3, true},
		"lower bound":             {"percent", 0.0, true},
		"upper bound":             {"percent", 100.0, true},
		"just above":              {"percent", math.Nextafter(100, 101), false},
		"infinite":                {"percent", math.Inf(1), false},
		"text for float":          {"percent", "3", false},
		"bounds are not of texts": {"text", "zzzz", true},
		"empty text":              {"text", "", true},
		"required and false":      {"must", false, true},
		"required and null":       {"must", nil, false},
		"empty choice":            {"choice", "", true},
		"choice in another case":  {"choice", "A", false},
	} {
		t.Run(name, func(t *testing.T) {
			settings := map[string]any{"must": true}
			settings[test.key] = test.value
			_, err := library.Compile(t.Context(), jobtype.Request{Type: "e", Settings: settings})
			if fits := err == nil; fits != test.fits || !fits && !errors.Is(err, jobtype.ErrBadSetting) {
				t.Errorf("%s = %v gave %v", test.key, test.value, err)
			}
		})
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	library := load(t, map[string]string{"s.js": withSettings})
	for name, test := range map[string]struct{ given, want map[string]any }{
		"absent": {
			map[string]any{"need": "x", "preset": 1},
			map[string]any{"need": "x", "preset": 1.0, "count": 3.0, "ratio": 0.75, "on": false},
		},
		"left out on purpose": {
			map[string]any{"need": "x", "preset": 1, "count": nil, "ratio": nil, "on": nil, "mode": nil},
			map[string]any{"need": "x", "preset": 1.0},
		},
		"all given": {
			map[string]any{"need": "x", "preset": json.Number("2"), "count": int64(9), "ratio": float32(2), "on": true,
				"mode": "slow", "other": map[string]any{"a": nil}},
			map[string]any{"need": "x", "preset": 2.0, "count": 9.0, "ratio": 2.0, "on": true,
				"mode": "slow", "other": map[string]any{"a": nil}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := maps.Clone(test.given)
			compiled, err := library.Compile(t.Context(), jobtype.Request{Type: "s", Settings: test.given})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, compiled.Settings); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.given); diff != "" {
				t.Errorf("the caller's map changed:\n%s", diff)
			}
		})
	}
}

// TestSettingsSurviveTheScript sends any JSON through a script that leaves it alone.
func TestSettingsSurviveTheScript(t *testing.T) {
	ctx := t.Context()
	library := load(t, map[string]string{"t.js": minimal})
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"__proto__", "constructor", "toString", "length"}))
		value := rapid.OneOf(
			rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Map(rapid.Int32(), func(n int32) any { return float64(n) }),
			rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { return f + 0 }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.SliceOfN(rapid.String(), 0, 3), func(l []string) any {
				list := []any{}
				for _, s := range l {
					list = append(list, s)
				}
				return list
			}),
		)
		settings := rapid.MapOf(key, value).Draw(t, "settings")
		compiled, err := library.Compile(ctx, jobtype.Request{Type: "t", Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(settings, compiled.Settings); diff != "" {
			t.Fatalf("settings (-want +got):\n%s", diff)
		}
	})
}

func FuzzDeclaration(f *testing.F) {
	for _, seed := range []string{
		`{ label: "x" }`, `{ label: "x", settings: [{ key: "a", type: "int32", default: 1, propargs: { min: 0 } }] }`,
		`{ label: 3 }`, `null`, `[{}]`, `{ label: "x", settings: [null] }`, `{ label: "x", settings: [{ key: "k", type: "string", choices: [] }] }`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, declaration string) {
		var value any
		if json.Unmarshal([]byte(declaration), &value) != nil {
			// Only data is of interest here; what a program can do is bounded by the time limit.
			return
		}
		library := load(t, map[string]string{"t.js": "const JOB_TYPE = " + declaration + "; function compileJob(job) {}"})
		found, err := library.Get("t")
		if err != nil {
			if !errors.Is(err, jobtype.ErrBrokenJobType) {
				t.Fatalf("%s: error without meaning: %v", declaration, err)
			}
			return
		}
		if _, err := json.Marshal(found); err != nil {
			t.Fatalf("%s: %v", declaration, err)
		}
		_, err = library.Compile(t.Context(), jobtype.Request{Type: "t", Etag: found.Etag})
		if err != nil && !errors.Is(err, jobtype.ErrBadSetting) {
			t.Fatalf("%s: %v", declaration, err)
		}
	})
}

// FuzzSettings sends settings that a client may send. What is accepted must be accepted again, with the same result.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		`{"need":"x","preset":1}`, `{"need":"x","preset":2147483648}`, `{"need":"x","preset":1,"count":null,"mode":"slow","more":{"a":[1]}}`,
		`{"need":["x"],"preset":"1"}`, `{"need":"x","preset":-0,"ratio":5e-1,"on":true,"__proto__":{}}`,
	} {
		f.Add(seed)
	}
	library := load(f, map[string]string{"s.js": strings.Replace(withSettings, "job.settings.explode", "false", 1)})
	f.Fuzz(func(t *testing.T, text string) {
		var settings map[string]any
		if json.Unmarshal([]byte(text), &settings) != nil {
			return
		}
		first, err := library.Compile(t.Context(), jobtype.Request{Type: "s", Settings: settings})
		if err != nil {
			if !errors.Is(err, jobtype.ErrBadSetting) {
				t.Fatalf("%s: error without meaning: %v", text, err)
			}
			return
		}
		second, err := library.Compile(t.Context(), jobtype.Request{Type: "s", Settings: first.Settings})
		if err != nil {
			t.Fatalf("%s was accepted and came out as %v, which is not: %v", text, first.Settings, err)
		}
		for key, value := range first.Settings {
			if diff := cmp.Diff(value, second.Settings[key]); diff != "" {
				t.Fatalf("%s: %q (-first +second):\n%s", text, key, diff)
			}
		}
	})
}
