package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"hayloft/cas"
)

// The crash order. A blob comes into being in these steps, and the process or the machine may stop between any two:
//
//	step                                        a crash after it leaves
//	1  create incoming/X.part                   an empty file in incoming; the next Open removes it
//	2  reserve space, write, hash               half a file in incoming; the next Open removes it
//	3  compare size and digest                  the same
//	4  cut, chmod 0444, fsync the file, close   a whole file in incoming; the next Open removes it
//	5  rename it to objects/ab/cdef…            the whole blob, or after a power cut the state after 4; the next Open
//	                                            syncs the folder before anybody hears of the blob (endedInOrder)
//	6  fsync objects/ab                         the whole blob
//	7  Commit returns nil                       the whole blob
//
// The bytes are durable (4) before the name exists (5), so a name never shows less than the whole blob. The name is
// durable (6) before anybody in this process sees it: between 5 and 6 the ledger hides it. Whoever commits the same
// blob meanwhile waits for 6, and whoever lost to another process in 5 runs 6 before 7. When 6 fails, nobody knows what
// is durable; the name stays hidden, and the next commit of that blob makes it anew.
//
// Refs go the same way, except that 5 replaces what had the name, and that readers may see it from then on.

// writer takes the bytes of one blob; see [cas.Writer].
type writer struct {
	store *Store
	temp  tempFile // nil when it was published or discarded
	hash  hash.Hash
	size  int64 // bytes written
	err   error // of the write that failed; nothing works after it
	ended bool  // by Commit or Abort
}

func newWriter(store *Store, temp tempFile) *writer {
	return &writer{store: store, temp: temp, hash: sha256.New()}
}

// Write appends to the blob. After an error every further Write and Commit returns the same one, and what was written
// is removed at once, so that a full disk is not kept full.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.append(p)
	w.hash.Write(p[:n])
	return n, err
}

// append writes without hashing.
func (w *writer) append(p []byte) (int, error) {
	if w.ended {
		return 0, fmt.Errorf("write blob: the writer is %w", cas.ErrClosed)
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.temp.Write(p)
	w.size += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write blob: %w", w.store.explain(err))
		w.drop()
	}
	return n, w.err
}

const (
	bufferSize = 256 << 10 // bytes; big enough that neither system calls nor hand-overs count
	readAhead  = 3         // buffers: one is read or written, one is hashed, one waits in between
)

type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// piece is the filled part of a buffer.
type piece struct {
	buffer *buffer
	filled int
}

// ReadFrom appends everything src gives until io.EOF; see [io.ReaderFrom]. A body of more than one buffer is hashed in
// a goroutine of its own, which ends before ReadFrom does. It uses at most readAhead buffers.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	first := buffers.Get().(*buffer)
	n, end, readErr := fill(src, first[:])
	if !end && readErr == nil {
		return w.readOn(src, piece{first, n})
	}
	defer buffers.Put(first)
	stored, err := w.Write(first[:n])
	if err == nil {
		err = readErr
	}
	return int64(stored), err
}

// readOn is ReadFrom after the first buffer has been filled. Whatever returns or panics here, the hashing goroutine has
// ended and the hash stands for exactly the bytes that were appended.
func (w *writer) readOn(src io.Reader, next piece) (total int64, err error) {
	written := make(chan piece, readAhead)
	hashed := make(chan *buffer, readAhead)
	go func() {
		defer close(hashed)
		for p := range written {
			w.hash.Write(p.buffer[:p.filled])
			hashed <- p.buffer
		}
	}()
	defer func() {
		close(written)
		for b := range hashed {
			buffers.Put(b)
		}
	}()

	var end bool
	var readErr error
	for taken := 1; ; {
		n, err := w.append(next.buffer[:next.filled])
		total += int64(n)
		written <- piece{next.buffer, n}
		if err != nil {
			return total, err
		}
		if end || readErr != nil {
			return total, readErr
		}
		if taken < readAhead {
			next.buffer = buffers.Get().(*buffer)
			taken++
		} else {
			next.buffer = <-hashed
		}
		next.filled, end, readErr = fill(src, next.buffer[:])
	}
}

// maxEmptyReads is how often in a row a source may give neither a byte nor an error.
const maxEmptyReads = 100

// fill reads until buf is full or src ends. Unlike io.ReadFull it passes on src's own error, so that a body that was
// cut off, which is io.ErrUnexpectedEOF in net/http, is not taken for one that ended.
func fill(src io.Reader, buf []byte) (filled int, end bool, err error) {
	for empty := 0; filled < len(buf); {
		n, err := src.Read(buf[filled:])
		filled += n
		if err == io.EOF { // a reader ends with this very value; an error that wraps it is a failure
			return filled, true, nil
		}
		if err != nil {
			return filled, false, err
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty >= maxEmptyReads {
			return filled, false, io.ErrNoProgress
		}
	}
	return filled, false, nil
}

// Commit ends the writer; see [cas.Writer]. ctx is heeded until the steps that make the blob durable begin.
func (w *writer) Commit(ctx context.Context, expected cas.Blob) error {
	if w.ended {
		return fmt.Errorf("commit blob %v: the writer is %w", expected, cas.ErrClosed)
	}
	defer w.Abort()
	if err := w.commit(ctx, expected); err != nil {
		return fmt.Errorf("commit blob %v: %w", expected, w.store.explain(err))
	}
	return nil
}

// Abort removes what was written; see [cas.Writer].
func (w *writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	w.drop()
	w.store.leave()
}

func (w *writer) drop() {
	if w.temp != nil {
		w.store.discard(w.temp)
		w.temp = nil
	}
}

func (w *writer) commit(ctx context.Context, expected cas.Blob) error {
	if w.err != nil {
		return w.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.size != expected.Size {
		return fmt.Errorf("%w: %d bytes came", cas.ErrSizeMismatch, w.size)
	}
	if got := cas.SumHash(w.hash); got != expected.Digest {
		return fmt.Errorf("%w: the bytes that came have %v", cas.ErrDigestMismatch, got)
	}
	release, err := w.store.ledger.acquire(ctx, expected.Digest)
	if err != nil {
		return err
	}
	defer release()
	held, err := w.store.holds(expected)
	if held || err != nil {
		return err
	}
	if err := w.temp.seal(w.size, blobMode); err != nil {
		return err
	}
	return w.publish(expected)
}

// publish runs steps 5 and 6 of the crash order. A rename that failed may still have happened on a network mount; so
// the name counts as unsettled from before the rename until the folder has been synced.
func (w *writer) publish(blob cas.Blob) error {
	store, path := w.store, w.store.layout.object(blob.Digest)
	wasSettled := store.ledger.unsettle(blob.Digest)
	err := store.volume.publish(w.temp.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		var whole bool
		if whole, err = store.lies(blob); err != nil {
			return err
		}
		if whole && wasSettled {
			// Another process that does not heed the lock was faster; its file stays, and ours goes with Abort.
			return w.settle(blob.Digest, path)
		}
		// What lies there is not the blob, or was left by a sync that failed. These bytes are known to be right.
		err = store.volume.replace(w.temp.Name(), path)
	}
	if err != nil {
		return err
	}
	w.temp = nil
	return w.settle(blob.Digest, path)
}

func (w *writer) settle(digest cas.Digest, path string) error {
	if err := w.store.volume.syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	w.store.ledger.settle(digest)
	return nil
}
