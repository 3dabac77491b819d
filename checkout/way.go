package checkout

import (
	"errors"
	"fmt"
	"slices"
)

// Way is how a file of a manifest gets into a directory. Its text is for flags, JSON and people.
type Way string

// The ways. [Options] takes all but Fetch; the empty Way stands for Auto.
const (
	// Auto is Reflink where the file system can, else Copy. Either gives files that are the owner's to edit, which is
	// why Auto never makes links.
	Auto Way = "auto"
	// Reflink shares the store's blocks until one side is written to (Btrfs, XFS and others, on one file system).
	Reflink Way = "reflink"
	// Hardlink gives the store's own file a second name: no space, no time, but read-only, and whoever forces a write
	// damages the blob for everybody. Only on one file system.
	Hardlink Way = "hardlink"
	// Symlink points to the store's file, by its absolute path: read-only, and gone when the store is.
	Symlink Way = "symlink"
	// Copy copies the bytes, in the kernel where it can.
	Copy Way = "copy"
	// Fetch is what [Result] says of files whose bytes came through an opener or a [Fetcher].
	Fetch Way = "fetch"
)

// ErrCannotLink: a file cannot be laid out in the one way that was asked for.
var ErrCannotLink = errors.New("the files cannot be laid out in that way")

// choices are the ways that can be asked for.
var choices = []Way{Auto, Reflink, Hardlink, Symlink, Copy}

// ParseWay reads the name of a way that [Options] takes; the error lists them.
func ParseWay(text string) (Way, error) {
	if w := Way(text); slices.Contains(choices, w) {
		return w, nil
	}
	return "", fmt.Errorf("%w: %q is none of %v", ErrCannotLink, text, choices)
}
