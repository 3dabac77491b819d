package checkout

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"hayloft/cas"
)

// Errors by meaning. They come wrapped with the path, name or blob they are about; test with [errors.Is].
var (
	// ErrBadPath: a text cannot be the path of a file in a checkout.
	ErrBadPath = errors.New("bad path")
	// ErrConflict: two entries of one manifest cannot be in one directory on every platform.
	ErrConflict = errors.New("paths conflict")
	// ErrBadEntry: an entry has no path, no blob, a negative size or an unknown mode.
	ErrBadEntry = errors.New("bad manifest entry")
	// ErrBadManifest: an encoded manifest is not what [Manifest.Encode] writes.
	ErrBadManifest = errors.New("bad manifest")
	// ErrNewerManifest: a manifest was encoded by a version with a newer format than this one reads.
	ErrNewerManifest = errors.New("the manifest has a newer format")
	// ErrTooLarge: a manifest exceeds the limits of the one who decodes it.
	ErrTooLarge = errors.New("the manifest is too large")
	// ErrMissingBlobs: the store lacks blobs of the manifest. The error is a [*MissingBlobsError].
	ErrMissingBlobs = errors.New("blobs are missing from the store")
	// ErrNameTaken: neither the wanted name nor any of its random variants was free.
	ErrNameTaken = errors.New("name is taken")
	// ErrBadName: a text is not a name that [Checkouts.Create] gives.
	ErrBadName = errors.New("not the name of a checkout")
	// ErrNotCheckout: there is something under the name, but no checkout made by Create.
	ErrNotCheckout = errors.New("not a checkout")
	// ErrOccupied: something else lies where a file is to be laid out.
	ErrOccupied = errors.New("something else is in the way")
)

// shown is how many offenders an error lists; the rest is counted.
const shown = 10

// MissingBlobsError says which blobs of a manifest the store lacks.
type MissingBlobsError struct {
	First []Entry // the first ten entries without a blob, in the manifest's order
	Total int     // how many entries have no blob
}

// Error lists path and blob of each of First, one a line.
func (e *MissingBlobsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v (%d files); upload them and try again:", ErrMissingBlobs, e.Total)
	for _, entry := range e.First {
		fmt.Fprintf(&b, "\n  %q %s", entry.Path, entry.Blob)
	}
	if more := e.Total - len(e.First); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// Unwrap makes errors.Is find [ErrMissingBlobs].
func (e *MissingBlobsError) Unwrap() error { return ErrMissingBlobs }

// spaceError adds [cas.ErrNoSpace] to an error that comes from a full disk or an exhausted quota, so that callers need
// not know the numbers of the operating system.
func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", cas.ErrNoSpace, err)
	}
	return err
}
