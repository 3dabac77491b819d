package checkout

import (
	"context"
	"io/fs"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// Options say how [Materialise] lays out files. The zero value takes every file from the opener, and overwrites nothing.
type Options struct {
	// Links is the way for files that Local knows. All but Auto and Copy are strict: where it cannot be done, the error
	// is [ErrCannotLink]. Executable files are never hardlinked or symlinked, but copied, as the mode is the store's.
	Links Way
	// Local gives the path of the blob's whole file in a store on this machine, if there is one. Such a file is taken
	// for what the store says it is: only its size is checked. Nil: there is no such store.
	Local func(cas.Blob) (path string, ok bool)
	// Fetch brings files from a store across the network: small ones many at a time, large ones by their chunks. What
	// it cannot give by chunks comes from the opener, as everything does if it is nil.
	Fetch Fetcher
	// Known spares reading files that are there, and learns what was found out and written. Nil: everything is read.
	Known Known
	// Replace puts files in the place of files (and symbolic links) that differ. Without it they are [ErrOccupied].
	Replace bool
	// Delete removes every file that the manifest does not name, and the folders that this empties, after all else has
	// been done; files for which Spare is true stay. What it removes is not looked at.
	Delete bool
	// Spare tells for the path of a file or folder below the directory, with forward slashes, that Delete must leave it
	// and all below it alone. Nil: nothing is spared.
	Spare func(path string, folder bool) bool
	// Progress is told how many of the manifest's bytes are in place. Calls come one at a time, done never falls, and
	// the last call of a success has done == total. Nil: nobody wants to know.
	Progress func(done, total int64)
}

// Fetcher is a store across the network. All methods may be called at the same time. Every byte that it hands over is
// checked again before it is given its name.
type Fetcher interface {
	// Recipe gives the recipe of a blob; it may travel as a delta against base, which may be the zero Recipe. The error
	// is [cas.ErrNotFound] if the store has none for that blob.
	Recipe(ctx context.Context, digest cas.Digest, base chunk.Recipe) (chunk.Recipe, error)
	// Chunks hands over the chunks of r for which wanted is true, which counts as [chunk.Recipe.Chunks] does. The bytes
	// are valid until each returns; an error from each ends the call and is returned.
	Chunks(ctx context.Context, r chunk.Recipe, wanted []bool, each func(chunk.Chunk, []byte) error) error
	// Files hands over whole blobs of at most [FileBlob] bytes, in the order of digests. The rest is as in Chunks; one
	// that the store does not hold is [cas.ErrNotFound].
	Files(ctx context.Context, digests []cas.Digest, each func(cas.Blob, []byte) error) error
}

// FileBlob is the size in bytes up to which blobs are fetched whole, many in one answer. Larger ones come by chunks.
const FileBlob = 1 << 20

// Known remembers what the files on this machine are. It must forget what it cannot be sure of: a wrong answer leaves a
// wrong file in place. All methods may be called at the same time; paths are absolute.
type Known interface {
	// Content tells what the file is of which stat gave info just now; ok is false if that is not certain. A compressed
	// file that is kept plain counts as its plain bytes.
	Content(path string, info fs.FileInfo) (blob cas.Blob, ok bool)
	// Recipe gives how the bytes of that same file were cut; ok is false if that is not certain, or was never done. A wrong
	// answer costs only the bytes that are then fetched.
	Recipe(path string, info fs.FileInfo) (recipe chunk.Recipe, ok bool)
	// Learn tells that the file at the path has these bytes, and what stat said of it. recipe is the zero Recipe if the file
	// was not cut.
	Learn(path string, info fs.FileInfo, blob cas.Blob, recipe chunk.Recipe)
}

// Result says what [Materialise] did, as far as it came.
type Result struct {
	FilesKept    int         `json:"files_kept"`    // were there already
	FilesWritten int         `json:"files_written"` // new ones and replaced ones
	FilesDeleted int         `json:"files_deleted"`
	BytesWritten int64       `json:"bytes_written"` // sizes of the files written, however they came
	BytesFetched int64       `json:"bytes_fetched"` // raw bytes of blobs and chunks that came through the opener or Fetch
	How          map[Way]int `json:"how"`           // how many of the files written came which way
}
