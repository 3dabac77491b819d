package blend

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	mostWorkers    = 8         // frames that are decoded at the same time
	runBeforeAhead = 2         // frames that were asked for in turn before more of them are decoded ahead
	maxAhead       = 16 << 20  // bytes of frames that are decoded ahead
	leastAhead     = 1 << 20   // bytes of a file of which frames are decoded ahead: another thread costs time, too
	leastStreamed  = 256 << 10 // bytes of a frame of which less than the whole may be decoded
	maxStreamed    = 8 << 20   // bytes of the window of such a frame
)

// ahead decodes frames before they are asked for, on the processors that are free, while the frames before them were
// asked for one after the other. What it finds, errors included, shows only when the frame is asked for.
type ahead struct {
	frames  *frames
	workers int
	next    []*decoded    // consecutive frames, the first one asked for next
	turns   chan struct{} // one for each that decodes
	stopped chan struct{} // closed when next is given up
	running sync.WaitGroup
}

func newAhead(f *frames, workers int) ahead {
	return ahead{frames: f, workers: workers, turns: make(chan struct{}, workers), stopped: make(chan struct{})}
}

// start begins with the frames from one on that have not begun, as far as bounds allow.
func (a *ahead) start(from int) {
	if a.workers == 1 {
		return
	}
	bytes := int64(0)
	for _, d := range a.next {
		bytes += a.frames.list[d.index].plainSize
		from = max(from, d.index+1)
	}
	stopped := a.stopped
	for index := from; index < len(a.frames.list) && len(a.next) < 2*a.workers; index++ {
		if bytes += a.frames.list[index].plainSize; bytes > maxAhead {
			return
		}
		if !a.frames.has(index) {
			d := &decoded{index: index, room: a.frames.newRoom(index), end: make(chan struct{})}
			a.next = append(a.next, d)
			a.running.Go(func() { a.decode(d, stopped) })
		}
	}
}

func (a *ahead) decode(d *decoded, stopped <-chan struct{}) {
	defer close(d.end)
	a.turns <- struct{}{}
	defer func() { <-a.turns }()
	select {
	case <-stopped:
	default:
		a.frames.decode(d)
	}
}

// take gives a frame that was begun, or nil.
func (a *ahead) take(index int) *decoded {
	for len(a.next) > 0 && a.next[0].index <= index {
		d := a.next[0]
		a.next = slices.Delete(a.next, 0, 1)
		if d.index == index {
			return d
		}
	}
	return nil
}

// stop gives up what was begun. Frames that are being decoded right now go on to their end, unheeded.
func (a *ahead) stop() {
	if len(a.next) > 0 {
		close(a.stopped)
		a.stopped = make(chan struct{})
		a.next = nil
	}
}

func (a *ahead) close() {
	a.stop()
	a.running.Wait()
}

// stream decodes one frame from its begin, block by block, only as far as is needed.
type stream struct {
	decoder *zstd.Decoder
	of      *decoded
}

// open begins a frame.
func (s *stream) open(d *decoded) (err error) {
	if s.of = nil; s.decoder == nil {
		s.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxStreamed))
		if err != nil {
			return err
		}
	}
	if err := s.decoder.Reset(bytes.NewReader(d.packed)); err != nil {
		return err
	}
	s.of = d
	return nil
}

// read goes on until there are need bytes of the size that the frame has. The last one comes only after the frame's
// checksum, if it has one, was found right.
func (s *stream) read(need, size int64) error {
	d := s.of
	s.of = nil
	for int64(len(d.plain)) < need {
		n, err := s.decoder.Read(d.plain[len(d.plain):need])
		if d.plain = d.plain[:len(d.plain)+n]; err != nil && (int64(len(d.plain)) < size || !errors.Is(err, io.EOF)) {
			return err
		}
	}
	if int64(len(d.plain)) < size {
		s.of = d
		return nil
	}
	if n, err := s.decoder.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return errors.Join(err, io.ErrShortWrite)
	}
	return nil
}

func (s *stream) close() {
	if s.decoder != nil {
		s.decoder.Close()
	}
}
