package intake

import (
	"errors"
	"fmt"
)

// Errors by meaning; callers test with [errors.Is].
var (
	// ErrNoSession: there is no such session. It may have ended, or the process may have started anew: begin again with
	// the recipe, and what has come already is not lacking.
	ErrNoSession = errors.New("no such upload session; begin it again with the recipe")
	// ErrUnknownBase: the recipe came as a delta against one that the store does not have. Send it in full.
	ErrUnknownBase = errors.New("the store does not have the recipe that this delta is against; send the recipe in full")
	// ErrOtherRecipe: the blob is coming by another recipe at this moment. That session gives way when nothing has come in
	// it for [Config.GiveWay]; until then wait, or upload the blob whole.
	ErrOtherRecipe = errors.New("the blob is being uploaded by another recipe; try again later")
	// ErrLaneBusy: somebody is sending: on this lane, or on all of them, or in the session that was to be cancelled.
	ErrLaneBusy = errors.New("somebody is sending here at this moment; wait, or use another lane")
	// ErrBadLane: the name of a lane is not 1 to 64 letters, digits, '-' and '_'.
	ErrBadLane = errors.New("the name of a lane must be 1 to 64 letters, digits, '-' or '_'")
	// ErrBadSessionID: the text is not 64 lower-case hex digits.
	ErrBadSessionID = errors.New("not the id of an upload session")
	// ErrTooMany: as many sessions are open as there may be, or their recipes are too long together. Try again later.
	ErrTooMany = errors.New("too many uploads are under way; try again later")
	// ErrTooLarge: the recipe, or the blob that it makes, is larger than the intake takes.
	ErrTooLarge = errors.New("larger than this store takes")
)

// OffsetError: the bytes do not follow those that came before on the lane.
type OffsetError struct {
	Lane string
	Want int64 // offset in bytes at which the lane goes on; 0 for a lane that is not known (any more)
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("lane %q goes on at byte %d", e.Lane, e.Want)
}

// IncompleteError: the session cannot be committed before the lacking chunks have come.
type IncompleteError struct {
	Lacking []bool // in the order of chunk.Recipe.Chunks
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%d of %d chunks are lacking", count(e.Lacking), len(e.Lacking))
}

func count(set []bool) (n int) {
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}
