package jobtype_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hayloft/scheduler/jobtype"
)

// command is a stored command as a worker reads it.
type command struct {
	Name           string         `json:"name"`
	Parameters     map[string]any `json:"parameters"`
	TotalStepCount int            `json:"total_step_count"`
}

func commands(t *testing.T, task jobtype.Task) []command {
	t.Helper()
	var list []command
	if err := json.Unmarshal(task.Commands, &list); err != nil {
		t.Fatalf("task %s: %v", task.Name, err)
	}
	return list
}

func texts(words ...string) []any {
	list := make([]any, len(words))
	for i, word := range words {
		list[i] = word
	}
	return list
}

// render compiles a simple-blender-render job whose settings are those of the Blender add-on, with changes.
func render(t *testing.T, name string, change map[string]any) (jobtype.Compiled, error) {
	t.Helper()
	settings := map[string]any{
		"frames": "1-5,9", "chunk_size": 3, "render_output_root": "/render", "add_path_components": 0,
		"render_output_path": "/render/shot/{timestamp}/######", "blendfile": "{jobs}/shot/scene.flamenco.blend",
		"fps": 24.0, "format": "PNG", "image_file_extension": ".png", "has_previews": false, "scene": "Scene",
	}
	for key, value := range change {
		if settings[key] = value; value == absent {
			delete(settings, key)
		}
	}
	library := loadWith(t, jobtype.Options{Location: time.UTC})
	return library.Compile(t.Context(), jobtype.Request{
		Type: "simple-blender-render", Name: name, Created: created, Settings: settings,
	})
}

// absent takes a setting out of those of the add-on.
const absent = "\x00absent"

const renderSettingsScript = "import bpy; render = bpy.context.scene.render; render.use_file_extension = True; " +
	"render.use_overwrite = False; render.use_placeholder = False"

func TestSimpleBlenderRender(t *testing.T) {
	compiled, err := render(t, "shot", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(compiled.Tasks) != 3 {
		t.Fatalf("got %d tasks", len(compiled.Tasks))
	}
	for i, want := range []struct {
		name, frames string
		steps        int
	}{{"render-1-3", "1..3", 3}, {"render-4,5,9", "4,5,9", 3}} {
		task := compiled.Tasks[i]
		if task.Name != want.name || task.Type != "blender" || task.Priority != 50 || task.Steps != want.steps || task.DependsOn != nil {
			t.Errorf("task %d is %+v", i, task)
		}
		wantCommands := []command{{"blender-render", map[string]any{
			"exe": "{blender}", "exeArgs": "{blenderArgs}", "argsBefore": []any{}, "blendfile": "{jobs}/shot/scene.flamenco.blend",
			"args": texts("--scene", "Scene", "--python-expr", renderSettingsScript,
				"--render-output", "/render/shot/2026-05-04_030201/######", "--render-format", "PNG", "--render-frame", want.frames),
		}, want.steps}}
		if diff := cmp.Diff(wantCommands, commands(t, task)); diff != "" {
			t.Errorf("commands of %s (-want +got):\n%s", task.Name, diff)
		}
	}
	video := compiled.Tasks[2]
	if video.Name != "preview-video" || video.Type != "ffmpeg" || video.Steps != 1 || !slices.Equal(video.DependsOn, []int{0, 1}) {
		t.Errorf("last task is %+v", video)
	}
	wantCommands := []command{{"frames-to-video", map[string]any{
		"exe": "ffmpeg", "fps": 24.0, "inputGlob": "/render/shot/2026-05-04_030201/[0-9][0-9][0-9][0-9][0-9]?.png",
		"outputFile": "/render/shot/2026-05-04_030201/scene-1-5,9.mp4",
		"args":       texts("-c:v", "h264", "-crf", "20", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-y"),
	}, 0}}
	if diff := cmp.Diff(wantCommands, commands(t, video)); diff != "" {
		t.Errorf("commands of the video (-want +got):\n%s", diff)
	}
	if got := compiled.Settings["render_output_path"]; got != "/render/shot/2026-05-04_030201/######" {
		t.Errorf("the stored output path is %v", got)
	}
}

func TestSimpleBlenderRenderVideo(t *testing.T) {
	const folder, digits = "/render/shot/2026-05-04_030201/", "[0-9][0-9][0-9][0-9][0-9]?"
	for name, test := range map[string]struct {
		change map[string]any
		input  string // of the video; empty means no video
	}{
		"png":                   {nil, folder + digits + ".png"},
		"exr":                   {map[string]any{"format": "OPEN_EXR", "image_file_extension": ".exr"}, ""},
		"multilayer":            {map[string]any{"format": "OPEN_EXR_MULTILAYER", "image_file_extension": ".exr"}, ""},
		"exr with previews":     {map[string]any{"format": "OPEN_EXR", "image_file_extension": ".exr", "has_previews": true}, folder + digits + ".jpg"},
		"fps left out":          {map[string]any{"fps": nil}, ""},
		"fps 0":                 {map[string]any{"fps": 0}, ""},
		"fps absent":            {map[string]any{"fps": absent}, folder + digits + ".png"},
		"image type by default": {map[string]any{"format": absent, "image_file_extension": absent, "has_previews": absent}, folder + digits + ".png"},
		"extension of another":  {map[string]any{"format": "JPEG", "image_file_extension": ".png"}, folder + digits + ".jpg"},
		"the scene's format":    {map[string]any{"format": "", "image_file_extension": ".webp"}, folder + digits + ".webp"},
		"the scene's unplayed":  {map[string]any{"format": "", "image_file_extension": ".exr"}, ""},
		"unknown format":        {map[string]any{"format": "DDS", "image_file_extension": ".dds"}, ""},
		"each eye":              {map[string]any{"separate_views": true}, ""},
		"long numbers":          {map[string]any{"frames": "5,999999-1000001"}, folder + "*[0-9].png"},
		"name without a place":  {map[string]any{"render_output_path": "/o/f"}, "/o/f[0-9][0-9][0-9]?.png"},
		"last of two places":    {map[string]any{"render_output_path": "/o #1/a##_##_c"}, "/o #1/a##_[0-9]?_c.png"},
		"with an extension":     {map[string]any{"render_output_path": "/o/##.jpeg", "format": "JPEG"}, "/o/[0-9]?.jpeg"},
		"previews beside .exr":  {map[string]any{"render_output_path": "/o/##.exr", "format": "OPEN_EXR", "has_previews": true}, "/o/[0-9]?.jpg"},
		"patterns by chance":    {map[string]any{"render_output_path": "/o [a]/b*?##"}, "/o [[]a]/b[*][?][0-9]?.png"},
	} {
		t.Run(name, func(t *testing.T) {
			compiled, err := render(t, "shot", test.change)
			if err != nil {
				t.Fatal(err)
			}
			var input string
			for _, task := range compiled.Tasks {
				if task.Name == "preview-video" {
					input = commands(t, task)[0].Parameters["inputGlob"].(string)
				}
			}
			if input != test.input {
				t.Errorf("the video is made of %q, want %q", input, test.input)
			}
		})
	}
}

// TestSimpleBlenderRenderFormats gives each format under the name that Blender's Python has for it. The command line has
// others, and of some formats there is no video.
func TestSimpleBlenderRenderFormats(t *testing.T) {
	for format, want := range map[string]struct {
		option string
		video  bool
	}{
		"PNG": {"PNG", true}, "JPEG": {"JPEG", true}, "TIFF": {"TIFF", true}, "BMP": {"BMP", true}, "WEBP": {"WEBP", true}, "DPX": {"DPX", true},
		"TARGA": {"TGA", true}, "TARGA_RAW": {"RAWTGA", true}, "TGA": {"TGA", true}, "RAWTGA": {"RAWTGA", true},
		"JPEG2000": {"JP2", false}, "JP2": {"JP2", false}, "IRIS": {"IRIS", false}, "HDR": {"HDR", false}, "CINEON": {"CINEON", false},
		"OPEN_EXR": {"OPEN_EXR", false}, "OPEN_EXR_MULTILAYER": {"OPEN_EXR_MULTILAYER", false},
	} {
		compiled, err := render(t, "shot", map[string]any{"format": format})
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		args := commands(t, compiled.Tasks[0])[0].Parameters["args"].([]any)
		if at := slices.Index(args, any("--render-format")); args[at+1] != want.option {
			t.Errorf("%s is given to Blender as %v, want %s", format, args[at+1], want.option)
		}
		if video := len(compiled.Tasks) == 3; video != want.video {
			t.Errorf("%s: there is a video: %v, want %v", format, video, want.video)
		}
		if got := compiled.Settings["format"]; got != format {
			t.Errorf("%s is stored as %v", format, got)
		}
	}
	for _, format := range []string{"FFMPEG", "AVI_RAW", "AVI_JPEG", "AVIRAW", "AVIJPEG", "MPEG", "H264", "XVID", "THEORA", "AV1"} {
		if _, err := render(t, "shot", map[string]any{"format": format}); !errors.Is(err, jobtype.ErrCompile) || !strings.Contains(err.Error(), "set format to one") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// TestJobsOfOneSecondHaveFoldersOfTheirOwn compiles two jobs that differ by their ids alone.
func TestJobsOfOneSecondHaveFoldersOfTheirOwn(t *testing.T) {
	library := loadWith(t, jobtype.Options{Location: time.UTC})
	for jobType, settings := range map[string]map[string]any{
		"simple-blender-render": {"frames": "1", "blendfile": "a.blend", "render_output_root": "/render"},
		"blender-script-array":  {"script": "a.py", "data": "a", "render_output_root": "/render"},
	} {
		folders := map[any]bool{}
		for _, id := range []string{"0199b2c4-0000-7000-8000-0000000000aa", "0199b2c4-0000-7000-8000-0000000000bb"} {
			compiled, err := library.Compile(t.Context(), jobtype.Request{Type: jobType, Name: "shot", JobID: id, Created: created, Settings: settings})
			if err != nil {
				t.Fatal(err)
			}
			folder := compiled.Settings["render_output_path"].(string)
			if !strings.HasPrefix(folder, "/render/shot/2026-05-04_030201-"+id[len(id)-8:]) {
				t.Errorf("%s: the folder is %s", jobType, folder)
			}
			folders[folder] = true
		}
		if len(folders) != 2 {
			t.Errorf("%s: both jobs have the folder %v", jobType, folders)
		}
	}
}

func TestSimpleBlenderRenderWithoutBlender(t *testing.T) {
	for name, test := range map[string]struct {
		jobName string
		change  map[string]any
		want    string
	}{
		"plain":            {"shot 010", nil, "/render/shot 010/2026-05-04_030201/######"},
		"path components":  {"j", map[string]any{"add_path_components": 2, "blendfile": "{jobs}/a/b/c/x.blend"}, "/render/b/c/j/2026-05-04_030201/######"},
		"fewer components": {"j", map[string]any{"add_path_components": 9, "blendfile": "{jobs}/a/x.blend"}, "/render/a/j/2026-05-04_030201/######"},
		"windows":          {"j", map[string]any{"add_path_components": 3, "blendfile": `C:\p\q\x.blend`, "render_output_root": `S:\out\`}, "S:/out/p/q/j/2026-05-04_030201/######"},
		"default root":     {"j", map[string]any{"render_output_root": absent}, "{output}/j/2026-05-04_030201/######"},
		"hostile name":     {`../a:b?"<c>|*\` + "\n{jobs}", nil, "/render/.._a_b___c______jobs_/2026-05-04_030201/######"},
		"dots":             {"..", nil, "/render/job/2026-05-04_030201/######"},
		"reserved":         {"NUL.txt", nil, "/render/_NUL.txt/2026-05-04_030201/######"},
		"long":             {strings.Repeat("é", 200), nil, "/render/" + strings.Repeat("é", 60) + "/2026-05-04_030201/######"},
		"empty name":       {"", nil, "/render/job/2026-05-04_030201/######"},
	} {
		t.Run(name, func(t *testing.T) {
			change := map[string]any{"render_output_path": absent}
			maps.Copy(change, test.change)
			compiled, err := render(t, test.jobName, change)
			if err != nil {
				t.Fatal(err)
			}
			if got := compiled.Settings["render_output_path"]; got != test.want {
				t.Errorf("the frames go to %v, want %s", got, test.want)
			}
		})
	}
}

func TestSimpleBlenderRenderRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change map[string]any
		want   error
		says   string
	}{
		"backwards":  {map[string]any{"frames": "10-1"}, jobtype.ErrFrameRange, `"10-1" runs backwards`},
		"no frames":  {map[string]any{"frames": "abc"}, jobtype.ErrFrameRange, `"abc" is not a frame`},
		"missing":    {map[string]any{"frames": absent}, jobtype.ErrBadSetting, `"frames" is required`},
		"no file":    {map[string]any{"blendfile": ""}, jobtype.ErrBadSetting, `"blendfile" is required`},
		"chunk size": {map[string]any{"chunk_size": 0}, jobtype.ErrBadSetting, "at least 1"},
		"video":      {map[string]any{"format": "FFMPEG"}, jobtype.ErrCompile, "choose an image format"},
		"no output": {map[string]any{"render_output_path": absent, "render_output_root": ""}, jobtype.ErrCompile,
			"set render_output_root"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render(t, "j", test.change); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want a sentence with %q", err, test.says)
			}
		})
	}
}

func TestSimpleBlenderRenderShortensTheVideoName(t *testing.T) {
	frames := strings.TrimSuffix(strings.Repeat("1,3,5,7,", 40), ",")
	compiled, err := render(t, "j", map[string]any{"frames": frames, "scene": ""})
	if err != nil {
		t.Fatal(err)
	}
	video := commands(t, compiled.Tasks[len(compiled.Tasks)-1])[0]
	if got := video.Parameters["outputFile"]; got != "/render/shot/2026-05-04_030201/scene-4-frames.mp4" {
		t.Errorf("the video is %v", got)
	}
	if args := commands(t, compiled.Tasks[0])[0].Parameters["args"].([]any); args[0] != "--python-expr" {
		t.Errorf("arguments without a scene begin with %v", args[0])
	}
	compiled, err = render(t, "j", map[string]any{"frames": frames[:99], "blendfile": "/" + strings.Repeat("é", 124) + ".blend"})
	if err != nil {
		t.Fatal(err)
	}
	video = commands(t, compiled.Tasks[len(compiled.Tasks)-1])[0]
	if got, want := video.Parameters["outputFile"].(string), "/"+strings.Repeat("é", 60)+"-"+frames[:99]+".mp4"; !strings.HasSuffix(got, want) {
		t.Errorf("the video is %s, want it to end in %s", got, want)
	}
}

func TestEchoSleepTest(t *testing.T) {
	library := loadWith(t, jobtype.Options{})
	compiled, err := library.Compile(t.Context(), jobtype.Request{Type: "echo-sleep-test",
		Settings: map[string]any{"message": "hey", "sleep_duration_seconds": 2, "sleep_repeats": 2}})
	if err != nil {
		t.Fatal(err)
	}
	sleep := json.RawMessage(`[{"name":"sleep","parameters":{"duration_in_seconds":2},"total_step_count":0}]`)
	want := []jobtype.Task{
		{Name: "echo", Type: "misc", Priority: 50, Steps: 1,
			Commands: json.RawMessage(`[{"name":"echo","parameters":{"message":"hey"},"total_step_count":0}]`)},
		{Name: "sleep", Type: "misc", Priority: 50, Steps: 1, DependsOn: []int{0}, Commands: sleep},
		{Name: "sleep", Type: "misc", Priority: 50, Steps: 1, DependsOn: []int{0}, Commands: sleep},
	}
	for i := range compiled.Tasks {
		compiled.Tasks[i].UUID = ""
	}
	if diff := cmp.Diff(want, compiled.Tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if _, err := library.Compile(t.Context(), jobtype.Request{Type: "echo-sleep-test"}); !errors.Is(err, jobtype.ErrBadSetting) {
		t.Errorf("without a message: %v", err)
	}
}
