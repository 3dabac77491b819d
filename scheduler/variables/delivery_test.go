package variables_test

import (
	"bytes"
	stdcmp "cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/scheduler/variables"
)

// place declares a two-way variable with a value on each platform; an empty one is left out.
func place(linux, darwin, windows string) variables.Variable {
	variable := variables.Variable{IsTwoWay: true}
	for platform, value := range map[string]string{"linux": linux, "darwin": darwin, "windows": windows} {
		if value != "" {
			variable.Values = append(variable.Values, variables.Value{Platforms: []string{platform}, Value: value})
		}
	}
	return variable
}

func everywhere(value string) variables.Variable {
	return variables.Variable{Values: []variables.Value{{Value: value}}}
}

var studio = variables.Set{
	"farm":    place("/mnt/farm/", "/Volumes/farm", `S:\`),
	"assets":  place("/mnt/farm/assets", "/Volumes/Assets", `\\nas\assets\`),
	"scratch": place("/mnt/farm/scratch", "", ""),
	"local":   place("/mnt/local", "/mnt/farm", `D:/local`),
	"blender": {Values: []variables.Value{{Value: "blender"}, {Platforms: []string{"darwin"}, Value: "/mnt/farm/blender"}}},
	"tools":   everywhere("/mnt/farm/tools"),
	"args":    everywhere("-b -y"),
	"jobs":    everywhere("/mnt/farm/jobs"),
	"alone":   everywhere("/srv/alone"),
}

func TestToLogical(t *testing.T) {
	for _, test := range []struct{ platform, path, want string }{
		{"linux", "/mnt/farm/a/b.blend", "{farm}/a/b.blend"},
		{"linux", "/mnt/farm", "{farm}"},
		{"linux", "/mnt/farm/", "{farm}/"},
		{"linux", "/mnt/farm2/a", "/mnt/farm2/a"},
		{"linux", "/mnt/far", "/mnt/far"},
		{"linux", "/mnt/farm/assets/a", "{assets}/a"},
		{"linux", "/mnt/farm/assets2/a", "{farm}/assets2/a"},
		{"linux", "/MNT/Farm/A", "{farm}/A"},
		{"linux", `/mnt\farm\a`, `/mnt\farm\a`},
		{"linux", `/mnt/farm/a\b`, `{farm}/a\b`},
		{"linux", "text with /mnt/farm/a", "text with /mnt/farm/a"},
		{"linux", "{farm}/a", "{farm}/a"},
		{"linux", `S:\a`, `S:\a`},
		{"linux", "", ""},
		{"linux", "/mnt/far\xff", "/mnt/far\xff"},
		{"windows", `S:\a\b.blend`, "{farm}/a/b.blend"},
		{"windows", `s:/a\b.blend`, "{farm}/a/b.blend"},
		{"windows", `S:`, "{farm}"},
		{"windows", `S:\`, "{farm}"},
		{"windows", `S:relative`, `S:relative`},
		{"windows", `T:\a`, `T:\a`},
		{"windows", `\\NAS\Assets\x`, "{assets}/x"},
		{"windows", `//nas/assets/x`, "{assets}/x"},
		{"windows", `\\nas\assets2\x`, `\\nas\assets2\x`},
		{"windows", `d:\LOCAL\x`, "{local}/x"},
		{"darwin", "/mnt/farm/x", "{local}/x"},
		{"darwin", "/Volumes/farm/blender", "{farm}/blender"},
		{"plan9", "/mnt/farm/x", "/mnt/farm/x"},
	} {
		if got := studio.For(variables.ForWorkers, test.platform, nil).ToLogical(test.path); got != test.want {
			t.Errorf("on %s %q is %q, want %q", test.platform, test.path, got, test.want)
		}
	}
}

func TestToLogicalPrefersTheSameCase(t *testing.T) {
	set := variables.Set{
		"lower": place("/mnt/farm", "", `S:\farm`), "upper": place("/mnt/FARM/x", "", `S:\FARM\x`), "twin": place("/mnt/farm", "", ""),
	}
	for _, test := range []struct{ platform, path, want string }{
		{"linux", "/mnt/farm/x/y", "{lower}/x/y"},
		{"linux", "/mnt/FARM/x/y", "{upper}/y"},
		{"linux", "/mnt/Farm/x/y", "{upper}/y"},
		{"windows", `S:\farm\x\y`, "{upper}/y"},
		{"windows", `S:\Farm\y`, "{lower}/y"},
	} {
		if got := set.For(variables.ForWorkers, test.platform, nil).ToLogical(test.path); got != test.want {
			t.Errorf("on %s %q is %q, want %q", test.platform, test.path, got, test.want)
		}
	}
}

func TestToLogicalOfRoots(t *testing.T) {
	set := variables.Set{"root": place("/", "", `Z:\`), "unset": {IsTwoWay: true, Values: []variables.Value{{Value: ""}}}}
	for _, test := range []struct{ platform, path, want string }{
		{"linux", "/a/b", "{root}/a/b"},
		{"linux", "/", "{root}"},
		{"linux", "//relative/to/blend", "//relative/to/blend"},
		{"linux", "a/b", "a/b"},
		{"linux", "", ""},
		{"windows", `Z:\a`, "{root}/a"},
	} {
		if got := set.For(variables.ForWorkers, test.platform, nil).ToLogical(test.path); got != test.want {
			t.Errorf("on %s %q is %q, want %q", test.platform, test.path, got, test.want)
		}
	}
	for platform, want := range map[string]string{"linux": "/", "windows": `Z:\`} {
		delivery := variables.NewDelivery(set.For(variables.ForWorkers, "linux", nil), set.For(variables.ForWorkers, platform, nil))
		if got := delivery.Text("{root}"); got != want {
			t.Errorf("the root is %q on %s, want %q", got, platform, want)
		}
	}
}

func TestToLogicalOfSettings(t *testing.T) {
	settings := map[string]any{
		"blendfile": `S:\shot\a.blend`, "S:\\key": "kept", "n": 3.0, "none": nil, "on": true,
		"list": []any{`S:\a`, 1.0, map[string]any{"deep": []any{`\\nas\assets\b`}}},
	}
	metadata := map[string]string{"project": `S:\shot`, "user": "x"}
	before, beforeMetadata := deepCopy(t, settings), maps.Clone(metadata)
	gotSettings, gotMetadata := studio.ToLogical(settings, metadata, "windows")
	wantSettings := map[string]any{
		"blendfile": "{farm}/shot/a.blend", "S:\\key": "kept", "n": 3.0, "none": nil, "on": true,
		"list": []any{"{farm}/a", 1.0, map[string]any{"deep": []any{"{assets}/b"}}},
	}
	if diff := cmp.Diff(wantSettings, gotSettings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"project": "{farm}/shot", "user": "x"}, gotMetadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, settings) + cmp.Diff(beforeMetadata, metadata); diff != "" {
		t.Errorf("the caller's values changed:\n%s", diff)
	}
	for _, platform := range []string{"windows", "plan9"} {
		if settings, metadata := studio.ToLogical(nil, nil, platform); settings != nil || metadata != nil {
			t.Errorf("nothing became %v and %v", settings, metadata)
		}
	}
}

func deepCopy(t *testing.T, value map[string]any) (copied map[string]any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

// deliver prepares deliveries from a manager on Linux.
func deliver(set variables.Set, platform string, overrides map[string]string) *variables.Delivery {
	return variables.NewDelivery(
		set.For(variables.ForWorkers, "linux", nil), set.For(variables.ForWorkers, platform, overrides))
}

func TestDeliverText(t *testing.T) {
	for _, test := range []struct{ platform, text, want string }{
		{"linux", "{farm}/a/b", "/mnt/farm/a/b"},
		{"linux", `{farm}\a\b`, "/mnt/farm/a/b"},
		{"linux", `{farm}2\a`, `/mnt/farm2\a`},
		{"linux", "{jobs}/a", "/mnt/farm/jobs/a"},
		{"linux", "/mnt/farm/a", "/mnt/farm/a"},
		{"linux", "{scratch}/a", "/mnt/farm/scratch/a"},
		{"windows", "{farm}/a/b", `S:\a\b`},
		{"windows", "{farm}", `S:\`},
		{"windows", "{farm}/", `S:\`},
		{"windows", "{assets}/a/######", `\\nas\assets\a\######`},
		{"windows", "{local}/x", `D:\local\x`},
		{"windows", "{jobs}/shot/a.blend", `S:\jobs\shot\a.blend`},
		{"windows", "{jobs}", `S:\jobs`},
		{"windows", "--dir={jobs}", `--dir=S:\jobs`},
		{"windows", "{tools}/{args}", `S:\tools\-b -y`},
		{"windows", "{scratch}/a", `S:\scratch\a`},
		{"windows", "{alone}/a", "/srv/alone/a"},
		{"windows", "/mnt/farm/a", `S:\a`},
		{"windows", "/mnt/farm/assets/a", `\\nas\assets\a`},
		{"windows", "/mnt/farm2/a", "/mnt/farm2/a"},
		{"windows", "import bpy; bpy.data.filepath = '{farm}/a'", "import bpy; bpy.data.filepath = 'S:/a'"},
		{"windows", "'/mnt/farm/a'", "'/mnt/farm/a'"},
		{"windows", "a/b/{unknown}", "a/b/{unknown}"},
		{"windows", "{unknown}/a", "{unknown}/a"},
		{"windows", "{blender}", "blender"},
		{"darwin", "{farm}/a", "/Volumes/farm/a"},
		{"darwin", "{local}/a", "/mnt/farm/a"},
		{"darwin", "{blender}", "/mnt/farm/blender"},
		{"darwin", "{blender}/a", "/mnt/farm/blender/a"},
		{"darwin", "{tools}/ffmpeg", "/Volumes/farm/tools/ffmpeg"},
		{"darwin", "{jobs}/assets", "/Volumes/farm/jobs/assets"},
		{"plan9", "{farm}/a", "{farm}/a"},
		{"plan9", "{jobs}/a", "/mnt/farm/jobs/a"},
	} {
		if got := deliver(studio, test.platform, nil).Text(test.text); got != test.want {
			t.Errorf("on %s %q is %q, want %q", test.platform, test.text, got, test.want)
		}
	}
}

func TestDeliverBelowAPathThatStays(t *testing.T) {
	set := variables.Set{
		"farm": place("/mnt/farm", "/Volumes/farm", ""), "same": place("/mnt/farm/same", "/mnt/farm/same", ""),
		"jobs": everywhere("/mnt/farm/same/jobs"), "up": everywhere("/mnt"),
	}
	for text, want := range map[string]string{
		"/mnt/farm/same/x": "/mnt/farm/same/x", "{jobs}/x": "/mnt/farm/same/jobs/x", "/mnt/farm/x": "/Volumes/farm/x",
		"{up}/farm/x": "/Volumes/farm/x", "{up}/x": "/mnt/x",
	} {
		if got := deliver(set, "darwin", nil).Text(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestDeliverWithOverrides(t *testing.T) {
	overrides := map[string]string{"farm": `X:\farm\`, "blender": "/mnt/farm/mine", "gpu": "1"}
	delivery := deliver(studio, "windows", overrides)
	for text, want := range map[string]string{
		"{farm}/a": `X:\farm\a`, "{jobs}/a": `X:\farm\jobs\a`, "{assets}/a": `\\nas\assets\a`,
		"{blender}": "/mnt/farm/mine", "--gpu={gpu}": "--gpu=1",
	} {
		if got := delivery.Text(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	values := studio.For(variables.ForWorkers, "windows", overrides).Values()
	if values["farm"] != `X:\farm` || values["gpu"] != "1" || values["args"] != "-b -y" {
		t.Errorf("the values are %v", values)
	}
}

func TestDeliverCommands(t *testing.T) {
	raw := `[{"name":"x","parameters":{"exe":"{blender}","args":["{farm}/a",1,["/mnt/farm/b"]],` +
		`"o":{"p":{"{farm}":"{jobs}\/c","q":"\u002fmnt/farm"}}},"note":"/mnt/farm"}]`
	want := `[{"name":"x","parameters":{"exe":"blender","args":["S:\\a",1,["S:\\b"]],` +
		`"o":{"p":{"{farm}":"S:\\jobs\\c","q":"S:\\"}}},"note":"/mnt/farm"}]`
	if diff := cmp.Diff(want, string(deliver(studio, "windows", nil).Commands(json.RawMessage(raw)))); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	for _, unchanged := range []string{
		`[{"parameters":{"a":"/mnt/farm/x","b":"{unknown}","c":[1,"S:\\x"]}}]`, `not JSON`, ``, `[]`,
	} {
		raw := json.RawMessage(unchanged)
		if got := deliver(studio, "linux", nil).Commands(raw); string(got) != unchanged || len(raw) > 0 && &got[0] != &raw[0] {
			t.Errorf("%s came out as %s", unchanged, got)
		}
	}
}

func TestManagerIsAPlatform(t *testing.T) {
	set := variables.Set{"here": {IsTwoWay: true, Values: []variables.Value{{Value: "/here"}}}}
	if got, _ := set.ToLogical(map[string]any{"a": "/here/x"}, nil, variables.PlatformManager); got["a"] != "{here}/x" {
		t.Errorf("got %v", got)
	}
}

// TestPathsComeBackTheSame submits on one platform, delivers to another, submits there and delivers back. Places are
// folders of several storages, so that the variables overlap, and describe the same on all platforms.
func TestPathsComeBackTheSame(t *testing.T) {
	platforms := []string{"linux", "darwin", "windows"}
	mounts := []map[string]string{
		{"linux": "/mnt/farm", "darwin": "/Volumes/farm", "windows": `S:`},
		{"linux": "/mnt/farm2", "darwin": "/Volumes/farm/not below", "windows": `\\nas\share`},
		{"linux": "/srv", "darwin": "/srv", "windows": `\\nas\share2`},
		{"linux": "/data/été", "darwin": "/mnt/farm", "windows": `T:\Farm`},
	}
	// The second storage lies inside the first one on macOS only: what is below it must not be moved with the first.
	overlap := []map[string]string{mounts[0], mounts[2], mounts[3]}
	component := rapid.SampledFrom([]string{"a", "farm", "farm2", "été", "two words", "######", "x.blend", "S:", "*", "KELVIN"})
	components := rapid.SliceOfN(component, 0, 3)
	write := func(mount map[string]string, platform string, parts []string) string {
		separator := "/"
		if platform == "windows" {
			separator = `\`
		}
		path := strings.Join(append([]string{mount[platform]}, parts...), separator)
		return stdcmp.Or(path, "/")
	}
	rapid.Check(t, func(t *rapid.T) {
		storages := rapid.SampledFrom([][]map[string]string{overlap, {mounts[0], mounts[3]}, {mounts[1], mounts[2], mounts[3]},
			{{"linux": "", "darwin": "", "windows": `Z:`}}}).Draw(t, "storages")
		set := variables.Set{"blender": everywhere("blender")}
		for _, name := range []string{"a", "b", "c", "d"}[:rapid.IntRange(1, 4).Draw(t, "variables")] {
			mount, below := rapid.SampledFrom(storages).Draw(t, "mount"), components.Draw(t, "below")
			tail := func() string { return rapid.SampledFrom([]string{"", "/"}).Draw(t, "tail") }
			set[name] = place(write(mount, "linux", below)+tail(), write(mount, "darwin", below)+tail(),
				respell(t, write(mount, "windows", below)+tail()))
		}
		from, to, manager := rapid.SampledFrom(platforms).Draw(t, "from"), rapid.SampledFrom(platforms).Draw(t, "to"),
			rapid.SampledFrom(platforms).Draw(t, "manager")
		mount, below := rapid.SampledFrom(storages).Draw(t, "mount of the path"), components.Draw(t, "path")
		path := write(mount, from, below) + rapid.SampledFrom([]string{"", "/"}).Draw(t, "end")
		if from == "windows" {
			path = respell(t, path)
		}
		view := func(platform string) variables.View { return set.For(variables.ForWorkers, platform, nil) }
		logical := view(from).ToLogical(path)
		if !strings.HasPrefix(logical, "{") {
			t.Skip("the path lies below no variable")
		}
		there := variables.NewDelivery(view(manager), view(to)).Text(logical)
		if want := write(mount, to, below); !samePath(there, want) {
			t.Fatalf("%q is %q on %s, want %q", path, there, to, want)
		}
		back := variables.NewDelivery(view(manager), view(from)).Text(view(to).ToLogical(there))
		if !samePath(back, path) {
			t.Fatalf("%q went to %s as %q and came back as %q", path, to, there, back)
		}
	})
}

// respell writes a path of Windows in another way that means the same.
func respell(t *rapid.T, path string) string {
	switch rapid.IntRange(0, 3).Draw(t, "spelling") {
	case 1:
		return strings.ReplaceAll(path, `\`, "/")
	case 2:
		return strings.ToLower(path)
	case 3:
		return strings.ReplaceAll(strings.ToUpper(path), `\`, "/")
	}
	return path
}

// samePath compares paths as Windows does. The components that the test draws never differ in case alone.
func samePath(a, b string) bool {
	plain := func(path string) string { return strings.TrimRight(strings.ReplaceAll(path, `\`, "/"), "/") }
	return strings.EqualFold(plain(a), plain(b))
}

func TestTranslationIsTheSameEachTime(t *testing.T) {
	set := variables.Set{}
	for _, name := range []string{"e", "d", "c", "b", "a"} {
		set[name] = place("/mnt/farm", "/v/"+name, "")
	}
	for range 50 {
		if got := set.For(variables.ForWorkers, "linux", nil).ToLogical("/mnt/farm/x"); got != "{a}/x" {
			t.Fatalf("got %q", got)
		}
		if got := deliver(set, "darwin", nil).Text("/mnt/farm/x"); got != "/v/a/x" {
			t.Fatalf("got %q", got)
		}
	}
}

// deliverTree is the plain way to do it: on decoded values.
func deliverTree(value any, delivery *variables.Delivery) any {
	switch value := value.(type) {
	case string:
		return delivery.Text(value)
	case []any:
		for i := range value {
			value[i] = deliverTree(value[i], delivery)
		}
	case map[string]any:
		for _, name := range slices.Collect(maps.Keys(value)) {
			value[name] = deliverTree(value[name], delivery)
		}
	}
	return value
}

func FuzzDelivery(f *testing.F) {
	f.Add(`[{"name":"x","parameters":{"exe":"{blender}","args":["{jobs}/a",1,["/mnt/farm/b\\c"]]},"total_step_count":3}]`, uint8(0))
	f.Add(`[{"parameters":{"a":"\u007bfarm}\\a","b":"\/mnt/farm","c":"//","d":"{farm}{assets}"}}]`, uint8(1))
	f.Add(`[{"parameters":["{scratch}","S:","\\\\nas\\assets","{","}","\ud800"]}]`, uint8(2))
	f.Fuzz(func(t *testing.T, text string, to uint8) {
		platform := []string{"windows", "darwin", "linux", "plan9"}[to%4]
		delivery := deliver(studio, platform, map[string]string{"own": "{own}"})
		got := delivery.Commands(json.RawMessage(text))
		var commands, decoded []map[string]any
		if json.Unmarshal([]byte(text), &commands) != nil {
			return
		}
		for _, command := range commands {
			if parameters, ok := command["parameters"]; ok {
				command["parameters"] = deliverTree(parameters, delivery)
			}
		}
		if err := json.Unmarshal(got, &decoded); err != nil {
			t.Fatalf("%q came out as %q, which is no JSON: %v", text, got, err)
		}
		if diff := cmp.Diff(commands, decoded); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", text, diff)
		}
	})
}

func FuzzToLogical(f *testing.F) {
	for _, seed := range []string{"/mnt/farm/a", `s:\a`, "S:", `\\NAS\assets/x`, "/mnt/farm2", "/mnt/\u212aarm", "//", "{farm}", "/mnt/far\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, platform := range []string{"linux", "darwin", "windows"} {
			view := studio.For(variables.ForWorkers, platform, nil)
			logical := view.ToLogical(path)
			if logical == path {
				continue
			}
			name, rest, ok := strings.Cut(strings.TrimPrefix(logical, "{"), "}")
			if !ok || !studio[name].IsTwoWay || rest != "" && rest[0] != '/' {
				t.Fatalf("on %s %q became %q", platform, path, logical)
			}
			if again := view.ToLogical(logical); again != logical {
				t.Fatalf("on %s %q became %q and then %q", platform, path, logical, again)
			}
			// What follows may hold braces of its own, which delivery would read as variables.
			if back := deliver(studio, platform, nil).Text(logical); !strings.ContainsAny(path, "{}") && !samePath(back, path) {
				t.Fatalf("on %s %q became %q and came back as %q", platform, path, logical, back)
			}
		}
	})
}

func BenchmarkDelivery(b *testing.B) {
	commands := json.RawMessage(`[{"name":"blender-render","parameters":{"exe":"{blender}","exeArgs":"{args}",` +
		`"argsBefore":[],"blendfile":"{jobs}/shot/scene.blend","args":["--scene","Scene","--render-output",` +
		`"{farm}/shot/2026-01-01_000000/######","--render-format","PNG","--render-frame","1..10"]},"total_step_count":10}]`)
	b.Run("prepare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if deliver(studio, "windows", nil) == nil {
				b.Fatal("no delivery")
			}
		}
	})
	b.Run("commands", func(b *testing.B) {
		delivery := deliver(studio, "windows", nil)
		b.ReportAllocs()
		for b.Loop() {
			if bytes.Equal(delivery.Commands(commands), commands) {
				b.Fatal("nothing was delivered")
			}
		}
	})
}
