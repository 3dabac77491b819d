package frame

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// extensions maps the values of --render-format that write one file a frame to the extensions Blender recognises. The
// first is the one that it appends. Movie formats are left out: they write one file for the whole range.
var extensions = map[string][]string{
	"PNG": {".png"}, "JPEG": {".jpg", ".jpeg"}, "OPEN_EXR": {".exr"}, "OPEN_EXR_MULTILAYER": {".exr"}, "TIFF": {".tif", ".tiff"},
	"BMP": {".bmp"}, "TGA": {".tga"}, "RAWTGA": {".tga"}, "IRIS": {".rgb"}, "HDR": {".hdr"}, "DPX": {".dpx"}, "CINEON": {".cin"},
	"JP2": {".jp2", ".j2c"}, "WEBP": {".webp"},
}

// Pattern is an output path with a place for the frame number: Dir, then Prefix, Width digits, and Suffix, which ends
// in the extension.
type Pattern struct {
	Dir    string // absolute
	Prefix string
	Width  int // least number of digits; longer numbers take more
	Suffix string
	Spare  string // what Suffix is instead if the scene asks for another kind of the same format; mostly empty
}

// ParsePattern reads the values of --render-output and --render-format. The output must be absolute. The number goes where
// the last run of '#' in its last component is; without one Blender appends four. Everything else gives ErrUnmanaged.
func ParsePattern(output, format string) (Pattern, error) {
	known, ok := extensions[strings.ToUpper(format)]
	if !ok {
		return Pattern{}, fmt.Errorf("format %q: %w", format, ErrUnmanaged)
	}
	if !filepath.IsAbs(output) || strings.HasPrefix(output, "//") {
		return Pattern{}, fmt.Errorf("output path %q is not absolute: %w", output, ErrUnmanaged)
	}
	dir, base := filepath.Split(output)
	prefix, suffix, width := base, "", 4
	if end := strings.LastIndexByte(base, '#') + 1; end > 0 {
		prefix = strings.TrimRight(base[:end], "#")
		suffix, width = base[end:], end-len(prefix)
	}
	p := Pattern{Dir: filepath.Clean(dir), Prefix: prefix, Width: width, Suffix: suffix}
	if !hasExtension(suffix, known) {
		p.Suffix += known[0]
		if strings.EqualFold(format, "JP2") {
			p.Spare = suffix + known[1]
		}
	}
	return p, nil
}

func hasExtension(name string, known []string) bool {
	for _, ext := range known {
		if strings.HasSuffix(strings.ToLower(name), ext) {
			return true
		}
	}
	return false
}

// Name is the file name of a frame.
func (p Pattern) Name(frame int) string {
	return fmt.Sprintf("%s%0*d%s", p.Prefix, p.Width, frame, p.Suffix)
}

// Names are those that the file of a frame may have, the likeliest first.
func (p Pattern) Names(frame int) []string {
	names := []string{p.Name(frame)}
	if p.Spare != "" {
		names = append(names, strings.TrimSuffix(names[0], p.Suffix)+p.Spare)
	}
	return names
}

// Path is the full path of a frame's file.
func (p Pattern) Path(frame int) string { return filepath.Join(p.Dir, p.Name(frame)) }

// Output is the value of --render-output that writes the same names into another directory.
func (p Pattern) Output(dir string) string {
	suffix := p.Suffix
	if p.Spare != "" {
		suffix = strings.TrimSuffix(suffix, filepath.Ext(suffix)) // Blender knows which of them.
	}
	return filepath.Join(dir, p.Prefix+strings.Repeat("#", p.Width)+suffix)
}

// Frame tells which frame a file name stands for, and whether it is one view of it: stereo renders write 000001_L.png
// and 000001_R.png. Files beside the frames, such as the JPEG preview of an EXR, stand for none.
func (p Pattern) Frame(name string) (frame int, view, ok bool) {
	rest, ok := strings.CutPrefix(name, p.Prefix)
	if !ok {
		return 0, false, false
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	if digits < p.Width || (digits > p.Width && rest[0] == '0') {
		return 0, false, false
	}
	n, err := strconv.Atoi(rest[:digits])
	if err != nil {
		return 0, false, false
	}
	rest = rest[digits:]
	if p.Spare != "" && strings.HasSuffix(rest, filepath.Ext(p.Spare)) {
		p.Suffix = p.Spare
	}
	if rest == p.Suffix {
		return n, false, true
	}
	ext := filepath.Ext(p.Suffix)
	middle := strings.TrimSuffix(p.Suffix, ext)
	view = strings.HasPrefix(rest, middle+"_") && strings.HasSuffix(rest, ext) && len(rest) > len(p.Suffix)+1
	return n, view, view
}
