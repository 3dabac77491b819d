package jobtype_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"hayloft/scheduler/jobtype"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load builds a library with scripts by file name.
func load(t testing.TB, scripts map[string]string) *jobtype.Library {
	t.Helper()
	return loadWith(t, jobtype.Options{Scripts: folder(scripts)})
}

func loadWith(t testing.TB, options jobtype.Options) *jobtype.Library {
	t.Helper()
	library, err := jobtype.Load(options)
	if err != nil {
		t.Fatal(err)
	}
	return library
}

func folder(scripts map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range scripts {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func names(library *jobtype.Library) []string {
	var list []string
	for _, t := range library.List() {
		list = append(list, t.Name)
	}
	return list
}

const minimal = `const JOB_TYPE = { label: "Mine" }; function compileJob(job) {}`

func TestBuiltinJobTypes(t *testing.T) {
	library := loadWith(t, jobtype.Options{})
	if diff := cmp.Diff([]string{"blender-script-array", "echo-sleep-test", "simple-blender-render"}, names(library)); diff != "" {
		t.Fatalf("job types (-want +got):\n%s", diff)
	}
	render, err := library.Get("simple-blender-render")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, s := range render.Settings {
		keys = append(keys, s.Key)
	}
	want := []string{"frames", "chunk_size", "render_output_root", "add_path_components", "render_output_path", "blendfile",
		"scene", "fps", "format", "image_file_extension", "has_previews", "separate_views"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestJobTypeJSON(t *testing.T) {
	library := load(t, map[string]string{"my_type.js": `
		const JOB_TYPE = {
			label: "Mine", description: "Does it",
			settings: [
				{ key: "a", type: "int32", default: 0, propargs: { min: 0, max: 5 }, editable: false, required: true },
				{ key: "b", type: "string", choices: ["x", "y"], eval: "1 < 2", visible: "hidden",
				  evalInfo: { showLinkButton: true, description: "E" }, subtype: "file_path" },
				{ key: "c", type: "bool", default: false, editable: true },
			],
		};
		function compileJob(job) {}`})
	mine, err := library.Get("my-type")
	if err != nil {
		t.Fatal(err)
	}
	if len(mine.Etag) != 64 {
		t.Errorf("etag is %q", mine.Etag)
	}
	mine.Etag = "E"
	text, err := json.Marshal(mine)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"my-type","label":"Mine","description":"Does it","etag":"E","settings":[` +
		`{"key":"a","type":"int32","propargs":{"max":5,"min":0},"default":0,"required":true,"editable":false},` +
		`{"key":"b","type":"string","subtype":"file_path","choices":["x","y"],"eval":"1 \u003c 2",` +
		`"evalInfo":{"showLinkButton":true,"description":"E"},"visible":"hidden"},` +
		`{"key":"c","type":"bool","default":false,"editable":true}]}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestEtagFollowsTheDeclarationOnly(t *testing.T) {
	etag := func(script string) string {
		found, err := load(t, map[string]string{"a.js": script}).Get("a")
		if err != nil {
			t.Fatal(err)
		}
		return found.Etag
	}
	first := etag(minimal)
	if other := etag(minimal + "// a comment"); other != first {
		t.Error("a comment changed the etag")
	}
	if other := etag(strings.Replace(minimal, "Mine", "Yours", 1)); other == first {
		t.Error("another label did not change the etag")
	}
}

func TestGetUnknown(t *testing.T) {
	_, err := loadWith(t, jobtype.Options{}).Get("simple")
	if !errors.Is(err, jobtype.ErrUnknownJobType) || !strings.Contains(err.Error(), "echo-sleep-test, simple-blender-render") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenScriptSpoilsOnlyItself(t *testing.T) {
	for name, test := range map[string]struct{ script, says string }{
		"syntax":            {"const JOB_TYPE = {\n  label: ;\n}", "bad.js:2:10"},
		"throws":            {minimal + "\nthrow new TypeError('no')", "TypeError: no (bad.js:2:"},
		"not strict":        {"JOB_TYPE = { label: 'x' }", "bad.js:1:"},
		"no compileJob":     {"const JOB_TYPE = { label: 'x' }", "no function compileJob"},
		"no JOB_TYPE":       {"function compileJob(job) {}", "no JOB_TYPE"},
		"no label":          {"const JOB_TYPE = {}; function compileJob(job) {}", "no label"},
		"endless":           {"for (;;) {}", "did not end within 500ms"},
		"setting no key":    {declaring(`{ type: "bool" }`), "setting 1 of JOB_TYPE has no key"},
		"setting twice":     {declaring(`{ key: "k", type: "bool" }, { key: "k", type: "bool" }`), `"k" is declared twice`},
		"setting type":      {declaring(`{ key: "k", type: "integer" }`), `type is "integer"`},
		"setting subtype":   {declaring(`{ key: "k", type: "string", subtype: "url" }`), `subtype is "url"`},
		"setting visible":   {declaring(`{ key: "k", type: "string", visible: "no" }`), `visible is "no"`},
		"setting choices":   {declaring(`{ key: "k", type: "int32", choices: ["1"] }`), "choices need type string"},
		"setting default":   {declaring(`{ key: "k", type: "int32", default: "1" }`), `its default is "1"`},
		"default of choice": {declaring(`{ key: "k", type: "string", choices: ["a"], default: "b" }`), `its default is "b"`},
		"bounds":            {declaring(`{ key: "k", type: "int32", propargs: { min: "1" } }`), "propargs.min is not a number"},
		"bounds crossed":    {declaring(`{ key: "k", type: "float", propargs: { min: 2, max: 1 } }`), "so no value fits"},
		"default too large": {declaring(`{ key: "k", type: "int32", default: 2, propargs: { max: 1 } }`), "its default is 2; it must be at most 1"},
		"default not whole": {declaring(`{ key: "k", type: "int32", default: 1.5 }`), "its default is 1.5; it must be a whole number"},
		"settings no list":  {"const JOB_TYPE = { label: 'x', settings: 3 }; function compileJob() {}", "wrong type"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			options := jobtype.Options{
				Scripts: folder(map[string]string{"bad.js": test.script, "good.js": minimal}),
				Log:     slog.New(slog.NewTextHandler(&log, nil)),
			}
			if name == "endless" {
				options.TimeLimit = briefly
			}
			library := loadWith(t, options)
			if diff := cmp.Diff([]string{"blender-script-array", "echo-sleep-test", "good", "simple-blender-render"}, names(library)); diff != "" {
				t.Errorf("job types (-want +got):\n%s", diff)
			}
			for _, get := range []func() error{
				func() error { _, err := library.Get("bad"); return err },
				func() error { _, err := library.Compile(t.Context(), jobtype.Request{Type: "bad"}); return err },
			} {
				if err := get(); !errors.Is(err, jobtype.ErrBrokenJobType) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %v, want a sentence with %q", err, test.says)
				}
			}
			if !strings.Contains(log.String(), "script=bad.js") {
				t.Errorf("the log does not name the script: %s", log.String())
			}
		})
	}
}

func declaring(settings string) string {
	return "const JOB_TYPE = { label: 'x', settings: [" + settings + "] }; function compileJob(job) {}"
}

func TestFolderReplacesBuiltin(t *testing.T) {
	library := load(t, map[string]string{"simple-blender-render.js": minimal, "tiny.js": "0", "notes.txt": "not a script"})
	found, err := library.Get("simple-blender-render")
	if err != nil {
		t.Fatal(err)
	}
	if found.Label != "Mine" {
		t.Errorf("label is %q", found.Label)
	}
	if diff := cmp.Diff([]string{"blender-script-array", "echo-sleep-test", "simple-blender-render"}, names(library)); diff != "" {
		t.Errorf("job types (-want +got):\n%s", diff)
	}
}

func TestTwoScriptsWithOneName(t *testing.T) {
	library := load(t, map[string]string{"a_b.js": minimal, "a-b.js": minimal})
	if _, err := library.Get("a-b"); !errors.Is(err, jobtype.ErrBrokenJobType) || !strings.Contains(err.Error(), "rename one") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"blender-script-array", "echo-sleep-test", "simple-blender-render"}, names(library)); diff != "" {
		t.Errorf("job types (-want +got):\n%s", diff)
	}
}

func TestReload(t *testing.T) {
	scripts := folder(map[string]string{"mine.js": minimal})
	library := loadWith(t, jobtype.Options{Scripts: scripts})
	scripts["mine.js"] = &fstest.MapFile{Data: []byte(strings.Replace(minimal, "Mine", "Changed", 1))}
	if err := library.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := library.Get("mine"); err != nil || found.Label != "Changed" {
		t.Errorf("got %q, %v", found.Label, err)
	}
	delete(scripts, "mine.js")
	for i := range 1001 {
		scripts[fmt.Sprintf("lib/%d.js", i)] = &fstest.MapFile{Data: []byte("// nothing")}
	}
	if err := library.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 1000 scripts") {
		t.Errorf("got %v", err)
	}
	if _, err := library.Get("mine"); err != nil {
		t.Errorf("a reload that failed changed the library: %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := library.Reload(stopped); err == nil {
		t.Error("a reload whose context has ended succeeded")
	}
}

// faultyFS cannot open some of its files.
type faultyFS struct {
	files  fs.FS
	faults map[string]error
}

func (f faultyFS) Open(name string) (fs.File, error) {
	if err, faulty := f.faults[name]; faulty {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f.files.Open(name)
}

func TestUnreadableFilesSpoilOnlyThemselves(t *testing.T) {
	using := `require("lib/secret"); ` + minimal
	scripts := faultyFS{
		folder(map[string]string{
			"good.js": minimal, "secret.js": minimal, "gone.js": minimal, "uses.js": using, "lib/secret.js": minimal,
			"locked/inner.js": minimal, "large.js": strings.Repeat("//", 1<<18) + minimal,
		}),
		map[string]error{
			"secret.js": fs.ErrPermission, "lib/secret.js": fs.ErrPermission, "gone.js": fs.ErrNotExist, "locked": fs.ErrPermission,
		},
	}
	library := loadWith(t, jobtype.Options{Scripts: scripts})
	if diff := cmp.Diff([]string{"blender-script-array", "echo-sleep-test", "good", "simple-blender-render"}, names(library)); diff != "" {
		t.Errorf("job types (-want +got):\n%s", diff)
	}
	for name, want := range map[string]struct {
		err  error
		says string
	}{
		"secret": {jobtype.ErrBrokenJobType, "cannot be opened: open secret.js: permission denied (secret.js)"},
		"uses":   {jobtype.ErrBrokenJobType, "(lib/secret.js)"},
		"large":  {jobtype.ErrBrokenJobType, "larger than 512 KiB; split it and use require (large.js)"},
		"gone":   {jobtype.ErrUnknownJobType, `"gone"`},
	} {
		if _, err := library.Get(name); !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: got %v, want a sentence with %q", name, err, want.says)
		}
	}
	scripts.faults["."] = fs.ErrPermission
	if err := library.Reload(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a folder that cannot be read gave %v", err)
	}
}

func TestChangedTellsOfEachReading(t *testing.T) {
	library := loadWith(t, jobtype.Options{})
	changed := library.Changed()
	select {
	case <-changed:
		t.Fatal("there was no change yet")
	default:
	}
	if err := library.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changed
	if library.Changed() == changed {
		t.Error("the next change has no channel of its own")
	}
}

func TestReservedNamesAreFree(t *testing.T) {
	if _, err := loadWith(t, jobtype.Options{}).Get("single-image-render"); !errors.Is(err, jobtype.ErrUnknownJobType) {
		t.Errorf("there is a built-in single-image-render: %v", err)
	}
	library := load(t, map[string]string{"single_image_render.js": minimal})
	if found, err := library.Get("single-image-render"); err != nil || found.Label != "Mine" {
		t.Errorf("got %q, %v", found.Label, err)
	}
}

func TestLoadRefusesAnEndlessFolder(t *testing.T) {
	scripts := fstest.MapFS{}
	for i := range 1001 {
		scripts["lib/"+strings.Repeat("x", i+1)+".js"] = &fstest.MapFile{Data: []byte("// nothing")}
	}
	if _, err := jobtype.Load(jobtype.Options{Scripts: scripts}); err == nil || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("got %v", err)
	}
}
