package main

import (
	"path/filepath"
	"regexp"
	"strings"

	"hayloft/api/wire"
	"hayloft/cmd/cli"
)

// blendFileKey is the key of a job's metadata that tells which .blend file it was made of, as [logicalName] writes it. The
// Blender add-on finds the jobs of the open file by it.
const blendFileKey = "blend-file"

// addMetadata reads KEY=VALUE.
func addMetadata(metadata wire.JobMetadata, pairs []string) error {
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return cli.Usage("--metadata %s: it looks like KEY=VALUE", pair)
		}
		metadata[key] = value
	}
	return nil
}

// copyMark is what the Blender add-on puts into the name of the copy that it submits.
var copyMark = regexp.MustCompile(`\.hayloft-[0-9a-f]{8}(\.blend)$`)

// logicalName names a file by its last two folders and its own name, with forward slashes: what is alike on all machines
// that see the same project, wherever they have mounted it.
func logicalName(file string) string {
	const most = 3
	inside := filepath.ToSlash(strings.TrimPrefix(file, filepath.VolumeName(file)))
	parts := strings.Split(strings.TrimLeft(inside, "/"), "/")
	return copyMark.ReplaceAllString(strings.Join(parts[max(len(parts)-most, 0):], "/"), "$1")
}
