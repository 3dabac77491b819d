package frame

import (
	"fmt"
	"image"
)

const (
	// pinkShare is the share of magenta pixels, in per cent, above which a frame is suspicious.
	pinkShare = 20
	// pinkSamples is the number of pixels looked at in each direction.
	pinkSamples = 256
)

// suspicion says in a sentence what looks wrong with whole pixels, or nothing. Blender paints a missing texture magenta
// and ends with exit code 0 (measured on 3.4.1), and a scene without a camera or with hidden collections can come out
// empty; neither is an error with certainty.
func suspicion(img image.Image) string {
	if share := magenta(img); share > pinkShare {
		return fmt.Sprintf("%d %% of the pixels are magenta, which is how Blender paints a missing texture", share)
	}
	if transparent(img) {
		return "every pixel is fully transparent: the frame is blank"
	}
	return ""
}

// magenta gives the share of magenta pixels in per cent. A shaded missing texture is darker than pure magenta, and the
// view transform lets some green in, so the hue decides and not the exact value.
func magenta(img image.Image) int {
	b := img.Bounds()
	dx, dy := max(1, b.Dx()/pinkSamples), max(1, b.Dy()/pinkSamples)
	seen, pink := 0, 0
	for y := b.Min.Y; y < b.Max.Y; y += dy {
		for x := b.Min.X; x < b.Max.X; x += dx {
			r, g, bl, _ := img.At(x, y).RGBA()
			seen++
			low, high := min(r, bl), max(r, bl)
			if high > 0x4000 && low*10 >= high*8 && g*4 <= low {
				pink++
			}
		}
	}
	if seen == 0 {
		return 0
	}
	return pink * 100 / seen
}

// transparent reports whether every pixel has zero alpha. It looks at all of them, but most images tell at the first.
func transparent(img image.Image) bool {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if _, _, _, a := img.At(x, y).RGBA(); a != 0 {
				return false
			}
		}
	}
	return !b.Empty()
}
