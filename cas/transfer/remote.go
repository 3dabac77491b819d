package transfer

import (
	"context"
	"errors"
	"io"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// Errors by meaning, as a [Remote] gives them, wrapped with what was attempted on what.
var (
	// ErrUnavailable: the store did not answer, or said that it cannot do so at this moment. The request may have had its
	// effect. It may be made again after a pause.
	ErrUnavailable = errors.New("the store is not available")
	// ErrUnknownBase: the store does not have the recipe that a delta was made against.
	ErrUnknownBase = errors.New("the store does not have the base of the delta")
	// ErrNoSession: the upload session ended, or nobody began it.
	ErrNoSession = errors.New("no such upload session")
	// ErrLaneBusy: another request writes to the lane, or the end of one was not noticed yet.
	ErrLaneBusy = errors.New("the lane is being written to")
	// ErrOffset: the lane does not stand at the given offset.
	ErrOffset = errors.New("the lane stands at another offset")
)

// ErrChanged: a file is not any more what it was announced as.
var ErrChanged = errors.New("the file was changed after it was read")

// MaxAsked is the greatest number of blobs in one question.
const MaxAsked = 10_000

// Asker tells what a store lacks.
type Asker interface {
	// Lacking tells for each of at most [MaxAsked] blobs whether the store lacks it. What it does not lack stays for as
	// long as an upload may take.
	Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error)
}

// Questions are how small blobs reach a store.
type Questions interface {
	Asker
	// SendFiles stores the blobs of the given frames (see package pack), durably when it returns nil. Sending them twice
	// is fine. frames is not changed, and after an error it may be read for a while yet.
	SendFiles(ctx context.Context, frames []byte) error
}

// Sessions are how large blobs reach a store. Each is one blob's; its chunks travel in lanes, each of which is a stream
// of frames with one writer.
type Sessions interface {
	// Begin opens the session of a recipe, or goes on with it: the same recipe has the same session for everybody.
	// encoded is the recipe, or a delta; [ErrUnknownBase] asks for the recipe in full.
	Begin(ctx context.Context, encoded []byte) (Session, error)
	// Append adds to a lane at an offset in bytes, and tells where the lane stands then. Any error may have come after a
	// part was taken: [Sessions.Session] tells how much. [ErrLaneBusy], [ErrOffset] and [ErrNoSession] mean themselves.
	// frames is not changed, and after an error it may be read for a while yet.
	Append(ctx context.Context, id string, lane string, offset int64, frames []byte) (next int64, err error)
	// Session tells how far a session is, or that it is [ErrNoSession].
	Session(ctx context.Context, id string) (Session, error)
	// Commit stores the blob, durably when it returns nil twice. lacking that is not nil, for each chunk in the order of
	// the recipe's Chunks: these have to be sent before. Committing twice is fine.
	Commit(ctx context.Context, id string) (lacking []bool, err error)
}

// Remote is a store as a sender sees it. It is used by many goroutines.
type Remote interface {
	Questions
	Sessions
}

// Session is how far the upload of one blob is.
type Session struct {
	ID   string
	Blob cas.Blob
	// Stored: the store has the blob, and there is nothing to send.
	Stored bool
	// Lacking tells of each chunk in the order of the recipe's Chunks whether it has to be sent.
	Lacking []bool
	// Lanes are the bytes that each lane took. One that is not named took none.
	Lanes map[string]int64
}

// File gives the bytes of a source.
type File interface {
	io.ReaderAt
	io.Closer
}

// Source is a blob and where its bytes are.
type Source struct {
	Blob cas.Blob
	Name string // for messages
	// Open may be called more than once, and not at all if the store has the blob.
	Open func() (File, error)
	// Recipe says how the blob is cut. The zero value: the sender cuts it, if that is needed.
	Recipe chunk.Recipe
	// Base is the recipe of an earlier version that the store has; the zero value: none is known.
	Base chunk.Recipe
	// Known: the caller knows that the store has the blob. It is neither asked for nor sent.
	Known bool
}

// Report says what was done.
type Report struct {
	Blobs          int   // different blobs in all
	Bytes          int64 // of these
	BlobsSent      int   // that the store lacked, and has now
	BytesSent      int64 // of these, as they are in files
	BytesNew       int64 // of these, what the store had in no file: what has to travel, before it is compressed
	BytesTravelled int64 // questions, recipes and frames as they were encoded; what surrounds them is not counted
	BytesStored    int64 // that the store grew by: small blobs as they are packed, large ones whole
}
