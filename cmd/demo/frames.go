package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// frame is one rendered picture that was read back from disk.
type frame struct {
	number  int
	path    string
	picture image.Image
}

// leastSpread is the standard deviation of brightness, 0 to 255, below which a frame counts as blank. Every frame of
// the project is far above it; one colour all over is 0.
const leastSpread = 4.0

var frameName = regexp.MustCompile(`^(\d+)\.png$`)

// checkFrames reads the frames 1 to frameCount that lie anywhere below dir. Each must be there once, decode and not be
// blank. The error names all that are wrong.
func checkFrames(dir string) ([]frame, error) {
	paths, err := findFrames(dir)
	if err != nil {
		return nil, err
	}
	var frames []frame
	var wrong []error
	for number := 1; number <= frameCount; number++ {
		path, ok := paths[number]
		if !ok {
			wrong = append(wrong, fmt.Errorf("frame %d is missing in %s", number, dir))
			continue
		}
		picture, err := readPicture(path)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("frame %d: %w", number, err))
			continue
		}
		if spread := brightnessSpread(picture); spread < leastSpread {
			wrong = append(wrong, fmt.Errorf("frame %d is blank: brightness spreads by %.1f, less than %.0f: %s", number, spread, leastSpread, path))
		}
		frames = append(frames, frame{number: number, path: path, picture: picture})
	}
	return frames, errors.Join(wrong...)
}

// findFrames maps frame numbers to the PNG files below dir that are named after them.
func findFrames(dir string) (map[int]string, error) {
	paths := map[int]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		match := frameName.FindStringSubmatch(entry.Name())
		if match == nil || entry.IsDir() {
			return nil
		}
		number, err := strconv.Atoi(match[1])
		if err != nil {
			return err
		}
		if other, twice := paths[number]; twice {
			return fmt.Errorf("frame %d is there twice: %s and %s", number, other, path)
		}
		paths[number] = path
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for frames: %w", err)
	}
	return paths, nil
}

func readPicture(path string) (image.Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a frame: %w", err)
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	return picture, nil
}

// brightnessSpread is the standard deviation of a picture's brightness on a scale of 0 to 255. A picture without
// pixels has none.
func brightnessSpread(picture image.Image) float64 {
	bounds := picture.Bounds()
	var sum, squares, count float64
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, _ := picture.At(x, y).RGBA()
			brightness := (0.299*float64(r) + 0.587*float64(g) + 0.114*float64(b)) / 257
			sum += brightness
			squares += brightness * brightness
			count++
		}
	}
	if count == 0 {
		return 0
	}
	mean := sum / count
	return math.Sqrt(max(0, squares/count-mean*mean))
}

// mostDifference is how far a farm's frame may be from Blender's own, on a scale of 0 to 1. Cycles gives equal pixels
// on one machine; the room is for builds that round otherwise. Neighbouring frames of the project are further apart.
const mostDifference = 0.005

// compareFrames holds the frames against those of the same numbers in dir. It returns how many are equal in every
// pixel, and an error if one shows another picture.
func compareFrames(frames []frame, dir string) (equal int, err error) {
	paths, err := findFrames(dir)
	if err != nil {
		return 0, err
	}
	for _, f := range frames {
		picture, err := readPicture(paths[f.number])
		if err != nil {
			return equal, err
		}
		switch difference := pictureDifference(f.picture, picture); {
		case difference == 0:
			equal++
		case difference > mostDifference:
			return equal, fmt.Errorf("frame %d of the farm is not the picture that Blender makes of it alone: %s, %s",
				f.number, f.path, paths[f.number])
		}
	}
	return equal, nil
}

// pictureDifference is the mean absolute difference over all pixels and the colours red, green and blue, from 0 for
// equal to 1. Pictures of different sizes differ by 1.
func pictureDifference(a, b image.Image) float64 {
	if a.Bounds().Size() != b.Bounds().Size() || a.Bounds().Empty() {
		return 1
	}
	size, from, to := a.Bounds().Size(), a.Bounds().Min, b.Bounds().Min
	var sum float64
	for y := range size.Y {
		for x := range size.X {
			ar, ag, ab, _ := a.At(from.X+x, from.Y+y).RGBA()
			br, bg, bb, _ := b.At(to.X+x, to.Y+y).RGBA()
			sum += distance(ar, br) + distance(ag, bg) + distance(ab, bb)
		}
	}
	return sum / (3 * 0xffff * float64(size.X) * float64(size.Y))
}

func distance(a, b uint32) float64 { return math.Abs(float64(a) - float64(b)) }

// checkVideo finds the one preview video below dir and has ffprobe decode it: it must hold every frame.
func checkVideo(ctx context.Context, dir string) (string, error) {
	var videos []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".mp4" {
			videos = append(videos, path)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("looking for the preview video: %w", err)
	}
	if len(videos) != 1 {
		return "", fmt.Errorf("expected one preview video in %s, found %d", dir, len(videos))
	}
	output, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", videos[0]).Output()
	if err != nil {
		return "", fmt.Errorf("decoding the preview video %s with ffprobe: %w", videos[0], err)
	}
	if count := strings.Trim(string(output), ", \r\n"); count != strconv.Itoa(frameCount) {
		return "", fmt.Errorf("the preview video %s holds %s frames, not %d", videos[0], count, frameCount)
	}
	return videos[0], nil
}
