package addon

import (
	"archive/zip"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"time"
)

// files is the add-on. Patterns name the kinds of files, so that what Python leaves behind is never packed.
//
//go:embed hayloft/*.py hayloft/*.toml LICENSE
var files embed.FS

var (
	number = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?`)
	// In bl_info Blender reads a tuple of numbers; in the manifest a text in the form of Semantic Versioning 2.0.
	inInfo     = regexp.MustCompile(`(?m)^    "version": \(.*\),$`)
	inManifest = regexp.MustCompile(`(?m)^version = ".*"$`)
)

// packed is the time of all files in the archive: the earliest that the format can tell.
var packed = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Zip writes the add-on as a zip archive. Of version it takes the numbers at the beginning, as in v1.2.3 or 1.2-45-gabcdef;
// a version without any, such as one of a build outside of a release, leaves the number that is in the source.
func Zip(w io.Writer, version string) error {
	numbers := parseVersion(version)
	archive := zip.NewWriter(w)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if text, err = withVersion(path.Base(name), text, numbers); err != nil {
			return err
		}
		return add(archive, path.Join("hayloft", path.Base(name)), text)
	})
	if err := errors.Join(err, archive.Close()); err != nil {
		return fmt.Errorf("pack the Blender add-on: %w", err)
	}
	return nil
}

func add(archive *zip.Writer, name string, text []byte) error {
	file, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: packed})
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return err
}

// parseVersion returns major, minor and patch as texts; nil if there are none.
func parseVersion(version string) []string {
	found := number.FindStringSubmatch(version)
	if found == nil {
		return nil
	}
	return []string{found[1], found[2], cmp.Or(found[3], "0")}
}

// withVersion puts a version into the two files that tell it.
func withVersion(name string, text []byte, numbers []string) ([]byte, error) {
	var line *regexp.Regexp
	var form string
	switch name {
	case "__init__.py":
		line, form = inInfo, `    "version": (%s, %s, %s),`
	case "blender_manifest.toml":
		line, form = inManifest, `version = "%s.%s.%s"`
	default:
		return text, nil
	}
	if found := line.FindAll(text, -1); len(found) != 1 {
		return nil, fmt.Errorf("%s tells its version %d times, not once", name, len(found))
	}
	if numbers == nil {
		return text, nil
	}
	return line.ReplaceAll(text, fmt.Appendf(nil, form, numbers[0], numbers[1], numbers[2])), nil
}
