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

// The crash order. A blob that is kept whole comes into being in these steps, and the process or the machine may stop
// between any two:
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
//
// An assembly goes the same way, except that its file lies in assembling beside its recipe from 1 to 5, where the next Open
// leaves it, since what is there need not travel again. It is not believed: 3 is done by whoever takes it up, chunk by
// chunk, and again for the whole. After 6 comes the recipe, as below, and then the file beside the part is removed; a
// crash in between leaves a blob without a recipe, and a file that the next Open removes.
//
// A small blob, and a recipe, come into being in these steps, for all who come at the same time at once:
//
//	step                                        a crash after it leaves
//	1  compare size and digest                  nothing
//	2  append to a pack, fsync it               a frame that the index does not know; the next Open adds it
//	3  add to the index, and commit             the blob; or after a power cut, the state after 2
//	4  Commit returns nil                       the blob
//
// The frame is durable (2) before anybody can find it (3). The index hears of frames in the order of their places and knows
// the last of them, so the next Open has only to look at what follows. A frame that could not be added to the index (3)
// was not acknowledged, and its blob is stored again by whoever tries again.
//
// The whole file of a small blob is written and renamed without any sync, long after 4. A power cut may leave anything
// in its place; so it counts only during the boot in which it was written or compared with its pack (epoch).

// writer takes the bytes of one blob; see [cas.Writer]. They are in memory until they turn out to be more than a small
// blob has, or memory is short; from then on they are in a temporary file.
type writer struct {
	store *Store
	hint  int64 // announced size in bytes, or -1
	small smallBody
	temp  tempFile  // nil as long as the bytes are in memory, and when it was published or discarded
	hash  hash.Hash // of what is in temp
	size  int64     // bytes written
	err   error     // of the write that failed; nothing works after it
	ended bool      // by Commit or Abort
	whole bool      // the file is kept as it is, even if it is small
}

// newWriter makes a writer on a temporary file, or, without one, in memory.
func newWriter(store *Store, temp tempFile, hint int64) *writer {
	w := &writer{store: store, temp: temp, hint: hint}
	if temp != nil {
		w.hash = sha256.New()
	}
	return w
}

// Write appends to the blob. After an error every further Write and Commit returns the same one, and what was written
// is removed at once, so that a full disk is not kept full.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.append(p)
	if w.hash != nil {
		w.hash.Write(p[:n])
	}
	return n, err
}

// append writes without hashing what goes to the file.
func (w *writer) append(p []byte) (int, error) {
	if w.ended {
		return 0, fmt.Errorf("write blob: the writer is %w", cas.ErrClosed)
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.temp == nil {
		if w.small.append(&w.store.memory, p, w.hint) {
			w.size += int64(len(p))
			return len(p), nil
		}
		if err := w.spill(); err != nil {
			return 0, err
		}
	}
	n, err := w.temp.Write(p)
	w.size += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.fail(err)
	}
	return n, w.err
}

func (w *writer) fail(err error) {
	w.err = fmt.Errorf("write blob: %w", w.store.explain(err))
	w.drop()
}

// spill moves the bytes from memory to a temporary file. After an error the writer has failed.
func (w *writer) spill() error {
	temp, err := w.store.createTemp(w.hint)
	if err != nil {
		w.fail(err)
		return w.err
	}
	w.temp, w.hash = temp, sha256.New()
	if _, err := w.temp.Write(w.small.bytes); err != nil {
		w.fail(err)
		return w.err
	}
	w.hash.Write(w.small.bytes)
	w.small.drop(&w.store.memory)
	return nil
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
		if w.temp == nil && w.err == nil && !w.ended {
			if err := w.spill(); err != nil {
				buffers.Put(first)
				return 0, err
			}
		}
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
			if p.filled > 0 {
				w.hash.Write(p.buffer[:p.filled])
			}
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
	w.small.drop(&w.store.memory)
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
	got := cas.SumBytes(w.small.bytes)
	if w.temp != nil {
		got = cas.SumHash(w.hash)
	}
	if got != expected.Digest {
		return fmt.Errorf("%w: the bytes that came have %v", cas.ErrDigestMismatch, got)
	}
	if w.size <= SmallSize && !w.whole {
		return w.commitSmall(ctx, expected)
	}
	kept, err := w.store.install(ctx, w.temp, expected)
	if kept {
		w.temp = nil
	}
	return err
}

// commitSmall is commit for a blob that goes into a pack.
func (w *writer) commitSmall(ctx context.Context, blob cas.Blob) error {
	alone, err := w.store.keptWhole(blob)
	if alone || err != nil {
		return err
	}
	data := w.small.bytes
	if w.temp != nil {
		spilled, free, err := w.store.readBack(ctx, w.temp, w.size)
		if err != nil {
			return err
		}
		defer free()
		data = spilled
	}
	_, err = w.store.putSmall(ctx, blob, data)
	return err
}

// install runs steps 4 to 6 of the crash order for a file whose content is known to be the blob. kept tells whether the
// file now has the blob's name; if not, it is still the caller's. This is the one way in which a file becomes a blob.
func (s *Store) install(ctx context.Context, temp tempFile, blob cas.Blob) (kept bool, err error) {
	release, err := s.ledger.acquire(ctx, blob.Digest)
	if err != nil {
		return false, err
	}
	defer release()
	held, err := s.keptWhole(blob)
	if held || err != nil {
		return false, err
	}
	if err := temp.seal(blob.Size, blobMode); err != nil {
		return false, err
	}
	return s.publish(temp, blob)
}

// publish runs steps 5 and 6 of the crash order. A rename that failed may still have happened on a network mount; so
// the name counts as unsettled from before the rename until the folder has been synced.
func (s *Store) publish(temp tempFile, blob cas.Blob) (kept bool, err error) {
	path := s.layout.object(blob.Digest)
	wasSettled := s.ledger.unsettle(blob.Digest)
	err = s.volume.publish(temp.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		var whole bool
		if whole, err = s.lies(blob); err != nil {
			return false, err
		}
		if whole && wasSettled {
			// Another process that does not heed the lock was faster; its file stays, and ours goes with the caller.
			return false, s.settle(blob.Digest, path)
		}
		// What lies there is not the blob, or was left by a sync that failed. These bytes are known to be right.
		err = s.volume.replace(temp.Name(), path)
	}
	if err != nil {
		return false, err
	}
	return true, s.settle(blob.Digest, path)
}

func (s *Store) settle(digest cas.Digest, path string) error {
	if err := s.volume.syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	s.ledger.settle(digest)
	return nil
}
