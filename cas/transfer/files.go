package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"hayloft/cas"
	"hayloft/cas/pack"
)

const (
	// maxSmall is the size of the largest blob that travels whole: one frame.
	maxSmall = pack.MaxData
	// filesBody bounds the bytes of one request with small files.
	filesBody = 8 << 20
	// filesInBody bounds the number of files in it: each costs the store something, however small it is.
	filesInBody = 8 * pack.MaxItems
	// itemSize bounds what an item takes in a frame beside its bytes: its name, its length, and the frame's head.
	itemSize = 48
)

// framed are buffers for the raw bytes of one frame, bodies those for the frames of one request.
var (
	framed = sync.Pool{New: func() any { b := make([]byte, 0, pack.MaxData); return &b }}
	bodies = sync.Pool{New: func() any { return new(body) }}
)

// fillBodies groups small files into bodies by their sizes alone. A body goes when somebody is free to send it, so that
// bodies are full while the store is busy, and nothing waits while it is not.
func (s *Sender) fillBodies() error {
	defer close(s.bodies)
	var waiting []*offer
	for in := s.small; in != nil || len(waiting) > 0; {
		body := firstBody(waiting)
		var out chan<- []*offer
		if len(body) > 0 {
			out = s.bodies
		}
		select {
		case more, ok := <-in:
			if !ok {
				in = nil
			}
			waiting = append(waiting, more...)
		case out <- body:
			waiting = waiting[len(body):]
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	return nil
}

// firstBody is as many of the files as fit into one body.
func firstBody(files []*offer) []*offer {
	var size int64
	for i, o := range files {
		if size += o.Blob.Size + itemSize; size > filesBody || i == filesInBody {
			return files[:i]
		}
	}
	return files
}

func (s *Sender) sendBodies() error {
	for files := range s.bodies {
		if err := s.sendBody(files); err != nil {
			return err
		}
	}
	return nil
}

// sendBody sends some small files in one request.
func (s *Sender) sendBody(files []*offer) error {
	blobs := make([]cas.Blob, len(files))
	var size int64
	for i, o := range files {
		blobs[i] = o.Blob
		size += o.Blob.Size
	}
	body, err := s.takeBody(s.ctx, size+int64(itemSize*len(files)))
	if err != nil {
		return err
	}
	defer s.giveBody(body)
	if body.bytes, err = appendFiles(body.bytes, files); err != nil {
		return err
	}
	err = s.retry(s.ctx, func() error {
		s.ledger.travel(len(body.bytes))
		return body.note(s.to.SendFiles(s.ctx, body.bytes))
	})
	if err != nil {
		return s.refused(files, err)
	}
	s.ledger.move(size, 0)
	s.ledger.fresh(size)
	s.ledger.send(blobs, int64(len(body.bytes)))
	for _, o := range files {
		s.room.Release(o.weight)
	}
	return nil
}

// body is what one request carries. Its room is set aside before it is filled.
type body struct {
	bytes  []byte
	room   int64
	failed bool // a request with it failed
}

// note remembers whether a request with the body failed, and gives its error back.
func (b *body) note(err error) error {
	b.failed = b.failed || err != nil
	return err
}

// takeBody waits until that many bytes may be in flight on top of those that are, and gives an empty body for them.
func (s *Sender) takeBody(ctx context.Context, room int64) (*body, error) {
	if err := s.inFlight.Acquire(ctx, room); err != nil {
		return nil, context.Cause(ctx)
	}
	b := bodies.Get().(*body)
	const step = 1 << 20 // full bodies differ by less, so that one that was used before has room for the next
	b.bytes, b.room = slices.Grow(b.bytes[:0], int(room+step-1)/step*step), room
	return b, nil
}

// giveBody ends the use of a body. One with which a request failed is not used again, since a transport may go on reading
// it for a while.
func (s *Sender) giveBody(b *body) {
	s.inFlight.Release(b.room)
	if !b.failed {
		bodies.Put(b)
	}
}

// appendFiles reads files and appends frames of them.
func appendFiles(b []byte, files []*offer) ([]byte, error) {
	f := newFramer(b, pack.BlobKind)
	defer f.free()
	for _, o := range files {
		item := pack.Item{ID: o.Blob.Digest.Bytes(), Length: int(o.Blob.Size)}
		if err := f.add(item, func(data []byte) error { return readSmall(o, data) }); err != nil {
			return b, fmt.Errorf("send %s: %w", o.Name, err)
		}
	}
	return f.finish(), nil
}

func readSmall(o *offer, data []byte) error {
	file, err := o.Open()
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	return readAt(file, data, 0)
}

// readAt fills data; a file that ends before is [ErrChanged].
func readAt(file io.ReaderAt, data []byte, offset int64) error {
	n, err := file.ReadAt(data, offset)
	switch {
	case n == len(data):
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it ends after %d bytes; send it again", ErrChanged, offset+int64(n))
	default:
		return fmt.Errorf("read at byte %d: %w", offset+int64(n), err)
	}
}

// refused finds out why the store did not take a body. It checks every byte, so the sender does not hash what it sends;
// only when the store says no, the sender looks whether a file is not what it was any more.
func (s *Sender) refused(files []*offer, err error) error {
	for _, o := range files {
		if passes(err) || s.ctx.Err() != nil {
			break
		}
		data := make([]byte, o.Blob.Size)
		if readErr := readSmall(o, data); readErr != nil {
			return fmt.Errorf("send %s: %w", o.Name, readErr)
		}
		if cas.SumBytes(data) != o.Blob.Digest {
			return fmt.Errorf("send %s: %w; send it again (%w)", o.Name, ErrChanged, err)
		}
	}
	return fmt.Errorf("send %d files, the first of them %s: %w", len(files), files[0].Name, err)
}

// framer puts items together into frames.
type framer struct {
	body  []byte
	kind  pack.Kind
	data  *[]byte
	items []pack.Item
}

func newFramer(body []byte, kind pack.Kind) *framer {
	return &framer{body: body, kind: kind, data: framed.Get().(*[]byte)}
}

// add takes one item, whose bytes are read straight to their place.
func (f *framer) add(item pack.Item, read func([]byte) error) error {
	data := *f.data
	if len(data)+item.Length > pack.MaxData || len(f.items) == pack.MaxItems {
		f.flush()
		data = *f.data
	}
	end := len(data) + item.Length
	if err := read(data[len(data):end]); err != nil {
		return err
	}
	*f.data, f.items = data[:end], append(f.items, item)
	return nil
}

func (f *framer) flush() {
	if len(f.items) > 0 {
		f.body = pack.Append(f.body, f.kind, f.items, *f.data)
	}
	*f.data, f.items = (*f.data)[:0], f.items[:0]
}

// finish gives the body with everything in it.
func (f *framer) finish() []byte {
	f.flush()
	return f.body
}

func (f *framer) free() {
	*f.data = (*f.data)[:0]
	framed.Put(f.data)
}
