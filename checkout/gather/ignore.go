package gather

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"hayloft/checkout"
)

// Ignored tells whether a file or folder of that name never belongs to a project: records of version control, caches,
// what desktops leave about, locks, and the earlier versions and half-written files that Blender keeps beside a .blend.
func Ignored(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", "__pycache__", ".DS_Store":
		return true
	}
	return strings.EqualFold(name, "Thumbs.db") ||
		strings.HasPrefix(name, ".~lock") ||
		strings.HasPrefix(name, checkout.StagePrefix) ||
		strings.HasSuffix(name, ".blend@") ||
		isBackup(name)
}

// maxBackups is the most "Save Versions" that Blender offers.
const maxBackups = 32

// isBackup tells whether name is an earlier version of a .blend: "x.blend1" to "x.blend32".
func isBackup(name string) bool {
	_, number, found := strings.Cut(path.Ext(name), ".blend")
	n, err := strconv.Atoi(number)
	return found && err == nil && 1 <= n && n <= maxBackups && strconv.Itoa(n) == number
}

// exclusions are the patterns of [Options.Exclude].
type exclusions []string

// parseExclusions refuses malformed patterns by name.
func parseExclusions(patterns []string) (exclusions, error) {
	parsed := make(exclusions, 0, len(patterns))
	for _, pattern := range patterns {
		trimmed := strings.TrimSuffix(pattern, "/")
		if _, err := path.Match(trimmed, ""); err != nil || trimmed == "" {
			return nil, fmt.Errorf("bad exclude pattern %q: write names with *, ? and [a-z], like \"*.psd\" or \"cache/*\"", pattern)
		}
		parsed = append(parsed, trimmed)
	}
	return parsed, nil
}

// match tells whether a path, relative to the project with forward slashes, is excluded.
func (x exclusions) match(relative string) bool {
	for _, pattern := range x {
		subject := relative
		if !strings.Contains(pattern, "/") {
			subject = path.Base(relative)
		}
		// Only a malformed pattern is an error, and parseExclusions took none.
		if ok, _ := path.Match(pattern, subject); ok {
			return true
		}
	}
	return false
}
