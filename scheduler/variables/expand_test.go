package variables_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/scheduler/variables"
)

var farm = map[string]string{"blender": "/opt/blender", "jobs": `S:\jobs`, "a b": "c", "loop": "{loop}{blender}", "none": ""}

var expansions = []struct{ text, want string }{
	{"", ""},
	{"plain", "plain"},
	{"{blender}", "/opt/blender"},
	{"{jobs}/shot", `S:\jobs/shot`},
	{"a{none}b", "ab"},
	{"{blender}{blender}", "/opt/blender/opt/blender"},
	{"{a b}", "c"},
	{"{unknown}/{blender}", "{unknown}//opt/blender"},
	{"{", "{"},
	{"}", "}"},
	{"{}", "{}"},
	{"{blender", "{blender"},
	{"{{blender}}", "{/opt/blender}"},
	{"{un{blender}known}", "{un/opt/blenderknown}"},
	{"{loop}", "{loop}{blender}"},
}

func TestExpand(t *testing.T) {
	for _, test := range expansions {
		if got := variables.Expand(test.text, farm); got != test.want {
			t.Errorf("Expand(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

func TestExpandParameters(t *testing.T) {
	for _, test := range []struct{ name, commands, want string }{
		{
			"texts, lists and nested objects",
			`[{"name":"x","parameters":{"exe":"{blender}","args":["{jobs}/a",1,true,null,["{blender}"]],"o":{"p":{"q":"{blender}"}}},"total_step_count":3}]`,
			`[{"name":"x","parameters":{"exe":"/opt/blender","args":["S:\\jobs/a",1,true,null,["/opt/blender"]],"o":{"p":{"q":"/opt/blender"}}},"total_step_count":3}]`,
		},
		{
			"only parameter values",
			`[{"name":"{blender}","parameters":{"{blender}":"{blender}"},"note":"{blender}"}]`,
			`[{"name":"{blender}","parameters":{"{blender}":"/opt/blender"},"note":"{blender}"}]`,
		},
		{
			"escapes and white space",
			" [ { \"par\\u0061meters\" : { \"a\" : \"\\u007bblender}\\n<&>\" , \"b\" : -1.5e3 } } ] ",
			" [ { \"par\\u0061meters\" : { \"a\" : \"/opt/blender\\n<&>\" , \"b\" : -1.5e3 } } ] ",
		},
		{"several commands", `[{"parameters":{"a":"{none}x"}},{"parameters":{"a":"{blender}"}}]`, `[{"parameters":{"a":"x"}},{"parameters":{"a":"/opt/blender"}}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := variables.ExpandParameters(json.RawMessage(test.commands), farm)
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpandParametersReturnsTheSameSlice(t *testing.T) {
	for _, commands := range []string{
		``, `not JSON {blender}`, `{"parameters":{"a":"{blender}"}}`, `"{blender}"`, `["{blender}", 1, null]`, `[]`,
		`[{"name":"x","parameters":{"a":{},"b":"{unknown} {","c":"}"}}]`, `[{"parameters":{}}]`,
	} {
		raw := json.RawMessage(commands)
		got := variables.ExpandParameters(raw, farm)
		if string(got) != commands || len(raw) > 0 && &got[0] != &raw[0] {
			t.Errorf("%s came out as %s", commands, got)
		}
	}
}

// expandTree is the plain way to do it: on decoded values.
func expandTree(v any, values map[string]string) any {
	switch v := v.(type) {
	case string:
		return variables.Expand(v, values)
	case []any:
		for i := range v {
			v[i] = expandTree(v[i], values)
		}
	case map[string]any:
		for k := range v {
			v[k] = expandTree(v[k], values)
		}
	}
	return v
}

// checkExpansion compares ExpandParameters with expansion of the decoded commands.
func checkExpansion(t interface{ Fatalf(string, ...any) }, text string, values map[string]string) {
	got := variables.ExpandParameters(json.RawMessage(text), values)
	var commands []map[string]any
	if json.Unmarshal([]byte(text), &commands) != nil {
		if !json.Valid([]byte(text)) && string(got) != text {
			t.Fatalf("%q is no JSON and came out as %q", text, got)
		}
		return
	}
	for _, command := range commands {
		if parameters, ok := command["parameters"]; ok {
			command["parameters"] = expandTree(parameters, values)
		}
	}
	var decoded []map[string]any
	if err := json.Unmarshal(got, &decoded); err != nil {
		t.Fatalf("%q came out as %q, which is no JSON: %v", text, got, err)
	}
	if diff := cmp.Diff(commands, decoded); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", text, diff)
	}
}

func TestExpandParametersMatchesDecodedExpansion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune(`{}abn\"<é ,:[]`)))
		scalar := rapid.OneOf(rapid.Map(text, func(s string) any { return s }), rapid.Just[any](nil),
			rapid.Map(rapid.Float64Range(-1e6, 1e6), func(f float64) any { return f }))
		var value func(depth int) *rapid.Generator[any]
		value = func(depth int) *rapid.Generator[any] {
			if depth == 0 {
				return scalar
			}
			return rapid.OneOf(scalar,
				rapid.Map(rapid.SliceOfN(value(depth-1), 0, 4), func(l []any) any { return l }),
				rapid.Map(rapid.MapOfN(text, value(depth-1), 0, 4), func(m map[string]any) any { return m }))
		}
		commands := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
			return map[string]any{"name": text.Draw(t, "name"), "parameters": value(3).Draw(t, "parameters")}
		}), 0, 3).Draw(t, "commands")
		raw, err := json.MarshalIndent(commands, "", rapid.SampledFrom([]string{"", " "}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		values := rapid.MapOf(rapid.StringMatching(`[abn\\"<é ]{1,2}`), text).Draw(t, "values")
		checkExpansion(t, string(raw), values)
	})
}

func TestExpandNeverTouchesUnknownNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"{known}", "{unknown}", "{", "}", "x", "{}"})).Draw(t, "parts")
		got := variables.Expand(strings.Join(parts, ""), map[string]string{"known": "K"})
		// Taking the known variable away as plain text is all that may happen.
		if want := strings.ReplaceAll(strings.Join(parts, ""), "{known}", "K"); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzExpandParameters(f *testing.F) {
	f.Add(`[{"name":"x","parameters":{"exe":"{blender}","args":["{jobs}/a",1,["{a b}"]]},"total_step_count":3}]`)
	f.Add(`[{"par\u0061meters":{"a":"\u007bblender} \ud800 {unknown}"}}]`)
	f.Add(`[ { "parameters" : "{loop}" } , 1 ]`)
	f.Fuzz(func(t *testing.T, text string) { checkExpansion(t, text, farm) })
}

func BenchmarkExpandParameters(b *testing.B) {
	commands := json.RawMessage(`[{"name":"blender-render","parameters":{"exe":"{blender}","exeArgs":"{blenderArgs}",` +
		`"argsBefore":[],"blendfile":"{jobs}/shot/scene.blend","args":["--scene","Scene","--render-output",` +
		`"{output}/shot/2026-01-01_000000/######","--render-format","PNG","--render-frame","1..10"]},"total_step_count":10}]`)
	values := map[string]string{"blender": "blender", "blenderArgs": "-b -y", "jobs": "/srv/jobs", "output": "/srv/output"}
	b.ReportAllocs()
	for b.Loop() {
		if len(variables.ExpandParameters(commands, values)) == len(commands) {
			b.Fatal("nothing was expanded")
		}
	}
}
