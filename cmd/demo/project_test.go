package main

import (
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestProject makes the project with the real Blender, moves it, renders from its new place and checks that every part
// of it is needed for the picture.
func TestProject(t *testing.T) {
	requireBlender(t)
	made, moved := filepath.Join(t.TempDir(), "made"), filepath.Join(t.TempDir(), "moved")
	if err := makeProject(t.Context(), "blender", made); err != nil {
		t.Fatal(err)
	}
	if err := makeProject(t.Context(), "blender", made); err == nil {
		t.Error("a folder with content was written into")
	}
	if err := os.Rename(made, moved); err != nil {
		t.Fatal(err)
	}
	whole := renderFrames(t, moved, 1, 2)
	for number, picture := range whole {
		if spread := brightnessSpread(picture); spread < 4*leastSpread {
			t.Errorf("frame %d is nearly blank: spread %.1f", number, spread)
		}
	}
	if difference := pictureDifference(whole[1], whole[2]); difference <= mostDifference {
		t.Errorf("frames 1 and 2 differ by %.4f, too little to tell them apart", difference)
	}
	for _, part := range []string{"lib/shading/materials.blend", "lib/props.blend", "textures/straw.png",
		"textures/planks.png", "textures/dusk.png", "textures/lantern/0002.png"} {
		t.Run("without "+part, func(t *testing.T) {
			hideFile(t, filepath.Join(moved, part))
			if difference := pictureDifference(whole[2], renderFrames(t, moved, 2)[2]); difference == 0 {
				t.Errorf("the picture does not need %s", part)
			}
		})
	}
}

// TestFrameCountIsTheScripts holds the two places that know the number of frames against each other.
func TestFrameCountIsTheScripts(t *testing.T) {
	match := regexp.MustCompile(`(?m)^FRAMES = (\d+)$`).FindSubmatch(projectScript)
	if match == nil || string(match[1]) != strconv.Itoa(frameCount) {
		t.Errorf("project.py makes %q frames, the demo expects %d", match, frameCount)
	}
}

func TestMakeProjectWithoutBlenderSaysWhatToDo(t *testing.T) {
	err := makeProject(t.Context(), "no-such-blender", t.TempDir())
	if err == nil || !regexp.MustCompile(`no-such-blender was not found: install Blender`).MatchString(err.Error()) {
		t.Errorf("got %v", err)
	}
}

func requireBlender(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("blender"); err != nil {
		t.Fatalf("this test needs Blender (.ci/setup test installs it): %v", err)
	}
}

// renderFrames renders a few frames of a project and returns them by number.
func renderFrames(t *testing.T, project string, numbers ...int) map[int]image.Image {
	t.Helper()
	dir, list := t.TempDir(), ""
	for _, number := range numbers {
		list += fmt.Sprintf(",%d", number)
	}
	err := runBlender(t.Context(), "blender", "-b", filepath.Join(project, "scene.blend"),
		"-o", filepath.Join(dir, "######"), "-F", "PNG", "-f", list[1:])
	if err != nil {
		t.Fatal(err)
	}
	pictures := map[int]image.Image{}
	for _, number := range numbers {
		if pictures[number], err = readPicture(filepath.Join(dir, fmt.Sprintf("%06d.png", number))); err != nil {
			t.Fatal(err)
		}
	}
	return pictures
}

// hideFile takes a file away until the test ends.
func hideFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".hidden"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(path+".hidden", path); err != nil {
			t.Error(err)
		}
	})
}
