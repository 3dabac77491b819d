package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hayloft/scheduler/jobtype"
	"hayloft/worker/frame"
)

// imageFormats are the formats of frames as the add-on names them. Cineon is the last: it changes the depth for those after it.
var imageFormats = []string{"BMP", "IRIS", "PNG", "JPEG", "JPEG2000", "TARGA", "TARGA_RAW", "DPX", "OPEN_EXR_MULTILAYER", "OPEN_EXR", "HDR", "TIFF", "WEBP", "CINEON"}

// TestEveryFormatIsRenderedAndPlayed compiles a job for each format, has one Blender render them all, looks for the frames
// under the names that a worker expects, and has ffmpeg make the videos of the jobs that have one. The folders have names
// that mean something else to Blender and to ffmpeg, and beside the frames lies the frame of an eye.
func TestEveryFormatIsRenderedAndPlayed(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "out #1 [a]")
	library, err := jobtype.Load(jobtype.Options{Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	line := []string{"-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", "import bpy; s = bpy.context.scene; " +
		"s.render.engine = 'CYCLES'; s.cycles.samples = 1; s.cycles.use_denoising = False; s.render.resolution_percentage = 100; " +
		"s.render.resolution_x = 65; s.render.resolution_y = 37; s.render.image_settings.use_preview = True"}
	wanted, videos := map[string]frame.Request{}, map[string]compiledCommand{}
	for _, format := range imageFormats {
		render, video := compileRender(t, library, map[string]any{"frames": "1,2", "chunk_size": 2, "scene": "Scene", "blendfile": "/shot.blend",
			"format": format, "has_previews": format == "OPEN_EXR", "render_output_path": filepath.Join(root, format, "######")})
		if wanted[format], err = frame.ParseArgs(render.list()); err != nil {
			t.Fatalf("a worker cannot follow the frames of %s: %v", format, err)
		}
		if video.Name != "" {
			videos[format] = video
		}
		// Blender makes no folder for the frames of a Cineon.
		if err := os.MkdirAll(filepath.Join(root, format), 0o755); err != nil {
			t.Fatal(err)
		}
		line = append(line, render.list()...)
	}
	blender := exec.CommandContext(t.Context(), "blender", line...)
	blender.Dir = t.TempDir()
	if out, err := blender.CombinedOutput(); err != nil {
		t.Fatalf("blender: %v\n%s", err, out)
	}
	for format, request := range wanted {
		for _, n := range request.Frames {
			if _, err := frame.Check(request.Pattern.Path(n)); err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
	}
	if len(videos) != 9 {
		t.Errorf("there are %d videos", len(videos))
	}
	for format, video := range videos {
		left := filepath.Join(root, format, "000001_L"+filepath.Ext(wanted[format].Pattern.Suffix))
		if err := os.WriteFile(left, []byte("no frame of the video"), 0o644); err != nil {
			t.Fatal(err)
		}
		if frames := video.play(t); frames != 2 {
			t.Errorf("the video of %s has %d frames, want 2", format, frames)
		}
	}
}

// compiledCommand is a command of a task as a worker gets it.
type compiledCommand struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
}

func (c compiledCommand) list() []string {
	var list []string
	for _, arg := range c.Parameters["args"].([]any) {
		list = append(list, arg.(string))
	}
	return list
}

// play makes the video as workers do, and counts its frames.
func (c compiledCommand) play(t *testing.T) (frames int) {
	t.Helper()
	line := append([]string{"-v", "error", "-r", "24", "-pattern_type", "glob", "-i", c.Parameters["inputGlob"].(string)}, c.list()...)
	output := c.Parameters["outputFile"].(string)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(line, "-r", "24", output)...).CombinedOutput(); err != nil {
		t.Errorf("ffmpeg %q: %v\n%s", line, err, out)
		return 0
	}
	text, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "json", output).Output()
	var told struct {
		Streams []struct {
			Packets int `json:"nb_read_packets,string"`
		} `json:"streams"`
	}
	if err = errors.Join(err, json.Unmarshal(text, &told)); err != nil || len(told.Streams) != 1 {
		t.Fatalf("ffprobe %s: %v\n%s", output, err, text)
	}
	return told.Streams[0].Packets
}

// compileRender gives the commands of a job's one rendering task and of its video, if it has one.
func compileRender(t *testing.T, library *jobtype.Library, settings map[string]any) (render, video compiledCommand) {
	t.Helper()
	compiled, err := library.Compile(t.Context(), jobtype.Request{Type: "simple-blender-render", Name: "shot", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range compiled.Tasks {
		var commands []compiledCommand
		if err := json.Unmarshal(task.Commands, &commands); err != nil || len(commands) != 1 {
			t.Fatalf("%s: %v", task.Commands, err)
		}
		if strings.HasPrefix(task.Name, "render-") {
			render = commands[0]
		} else {
			video = commands[0]
		}
	}
	return render, video
}
