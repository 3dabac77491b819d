package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gradient is a picture that is not blank: brightness rises from left to right.
func gradient(width, height int) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			shade := uint8(255 * x / width)
			picture.SetRGBA(x, y, color.RGBA{R: shade, G: shade, B: shade / 2, A: 255})
		}
	}
	return picture
}

func filled(width, height int, c color.RGBA) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.SetRGBA(x, y, c)
		}
	}
	return picture
}

func writePicture(t *testing.T, path string, picture image.Image) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(file, picture), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// writeFrames fills a folder with all frames of a job.
func writeFrames(t *testing.T, dir string) {
	t.Helper()
	for number := 1; number <= frameCount; number++ {
		writePicture(t, filepath.Join(dir, fmt.Sprintf("%06d.png", number)), gradient(64, 36))
	}
}

func TestCheckFrames(t *testing.T) {
	dir := t.TempDir()
	writeFrames(t, dir)
	frames, err := checkFrames(dir)
	if err != nil || len(frames) != frameCount || frames[0].number != 1 {
		t.Fatalf("%d good frames: %v", len(frames), err)
	}
}

func TestCheckFramesNamesAllThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	writeFrames(t, dir)
	writePicture(t, filepath.Join(dir, "000003.png"), filled(64, 36, color.RGBA{R: 255, B: 255, A: 255}))
	if err := os.Remove(filepath.Join(dir, "000007.png")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "000011.png"), 80); err != nil {
		t.Fatal(err)
	}
	_, err := checkFrames(dir)
	if err == nil {
		t.Fatal("three wrong frames were taken")
	}
	for _, want := range []string{"frame 3 is blank", "frame 7 is missing", "frame 11: decoding"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestCheckFramesRefusesAFrameThatIsThereTwice(t *testing.T) {
	dir := t.TempDir()
	writeFrames(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "again"), 0o755); err != nil {
		t.Fatal(err)
	}
	writePicture(t, filepath.Join(dir, "again", "000004.png"), gradient(64, 36))
	if _, err := checkFrames(dir); err == nil || !strings.Contains(err.Error(), "frame 4 is there twice") {
		t.Errorf("got %v", err)
	}
}

func TestBrightnessSpread(t *testing.T) {
	for name, test := range map[string]struct {
		picture image.Image
		blank   bool
	}{
		"nothing":         {image.NewRGBA(image.Rectangle{}), true},
		"transparent":     {image.NewRGBA(image.Rect(0, 0, 32, 18)), true},
		"white":           {filled(32, 18, color.RGBA{R: 255, G: 255, B: 255, A: 255}), true},
		"missing texture": {filled(32, 18, color.RGBA{R: 255, B: 255, A: 255}), true},
		"gradient":        {gradient(32, 18), false},
	} {
		if got := brightnessSpread(test.picture) < leastSpread; got != test.blank {
			t.Errorf("%s: blank is %v, spread %.2f", name, got, brightnessSpread(test.picture))
		}
	}
}

func TestPictureDifference(t *testing.T) {
	black, white := filled(8, 8, color.RGBA{A: 255}), filled(8, 8, color.RGBA{R: 255, G: 255, B: 255, A: 255})
	if got := pictureDifference(black, white); got != 1 {
		t.Errorf("black and white differ by %v", got)
	}
	if got := pictureDifference(black, filled(9, 8, color.RGBA{A: 255})); got != 1 {
		t.Errorf("pictures of two sizes differ by %v", got)
	}
	if got := pictureDifference(gradient(8, 8), gradient(8, 8)); got != 0 {
		t.Errorf("equal pictures differ by %v", got)
	}
}

func TestCompareFramesFindsAFrameInTheWrongPlace(t *testing.T) {
	dir := t.TempDir()
	writeFrames(t, dir)
	frames, err := checkFrames(dir)
	if err != nil {
		t.Fatal(err)
	}
	if equal, err := compareFrames(frames, dir); err != nil || equal != frameCount {
		t.Errorf("%d equal frames, %v", equal, err)
	}
	writePicture(t, filepath.Join(dir, "000009.png"), filled(64, 36, color.RGBA{A: 255}))
	if _, err := compareFrames(frames, dir); err == nil || !strings.Contains(err.Error(), "frame 9 ") {
		t.Errorf("got %v", err)
	}
}

func TestCheckVideo(t *testing.T) {
	dir := t.TempDir()
	if _, err := checkVideo(t.Context(), dir); err == nil {
		t.Error("a video that is not there was found")
	}
	writeFrames(t, dir)
	encode := func(name string, frames string) {
		t.Helper()
		output, err := exec.Command("ffmpeg", "-v", "error", "-r", "24", "-i", filepath.Join(dir, "%06d.png"),
			"-frames:v", frames, "-pix_fmt", "yuv420p", "-y", filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("this test needs ffmpeg (.ci/setup test installs it): %v\n%s", err, output)
		}
	}
	encode("scene.mp4", "24")
	if video, err := checkVideo(t.Context(), dir); err != nil || filepath.Base(video) != "scene.mp4" {
		t.Errorf("got %q, %v", video, err)
	}
	encode("scene.mp4", "20")
	if _, err := checkVideo(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "holds 20 frames") {
		t.Errorf("a video with 20 frames: %v", err)
	}
	encode("other.mp4", "24")
	if _, err := checkVideo(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "found 2") {
		t.Errorf("two videos: %v", err)
	}
}

func TestContactSheet(t *testing.T) {
	var frames []frame
	for number := 1; number <= frameCount; number++ {
		frames = append(frames, frame{number: number, picture: filled(320, 180, color.RGBA{G: uint8(10 * number), A: 255})})
	}
	path := filepath.Join(t.TempDir(), "sheet.png")
	if err := writeSheet(path, frames); err != nil {
		t.Fatal(err)
	}
	sheet, err := readPicture(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sheet.Bounds().Size(), image.Pt(6*250+10, 4*161+10); got != want {
		t.Errorf("the sheet is %v, want %v", got, want)
	}
	for i := range frames {
		left, top := cellGap+i%6*250, cellGap+i/6*161
		if got, want := sheet.At(left+120, top+67), (color.RGBA{G: uint8(10 * (i + 1)), A: 255}); got != want {
			t.Errorf("cell %d shows %v, want %v", i+1, got, want)
		}
		if !hasInk(sheet, image.Rect(left, top+cellHeight, left+cellWidth, top+cellHeight+labelHeight)) {
			t.Errorf("cell %d has no label", i+1)
		}
	}
	if got := sheet.At(2, 2); got != sheetGround {
		t.Errorf("the ground is %v", got)
	}
}

func hasInk(picture image.Image, area image.Rectangle) bool {
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			if picture.At(x, y) == sheetInk {
				return true
			}
		}
	}
	return false
}

func TestFitKeepsTheShape(t *testing.T) {
	cell := image.Rect(10, 20, 250, 155)
	for size, want := range map[image.Point]image.Rectangle{
		image.Pt(320, 180): cell,
		image.Pt(100, 200): image.Rect(96, 20, 163, 155),
		image.Pt(200, 50):  image.Rect(10, 57, 250, 117),
	} {
		if got := fit(image.Rectangle{Max: size}, cell); got != want {
			t.Errorf("%v lands at %v, want %v", size, got, want)
		}
	}
}
