package disk

import (
	"io"
	"sync/atomic"
)

// lateWriter copies what it is given and writes it in a goroutine of its own, so that the caller goes on with the bytes
// while the system takes them. It holds at most lateBuffers buffers. It is for one goroutine, which must call end.
type lateWriter struct {
	full   chan piece
	free   chan *buffer
	failed atomic.Pointer[error] // of the first write that failed; what comes after it is dropped
}

const lateBuffers = 16

func newLateWriter(to io.Writer) *lateWriter {
	w := &lateWriter{full: make(chan piece, lateBuffers), free: make(chan *buffer, lateBuffers)}
	for range lateBuffers {
		w.free <- nil
	}
	go func() {
		defer close(w.free)
		for p := range w.full {
			if w.failed.Load() == nil {
				w.write(to, p)
			}
			w.free <- p.buffer
		}
	}()
	return w
}

func (w *lateWriter) write(to io.Writer, p piece) {
	n, err := to.Write(p.buffer[:p.filled])
	if err == nil && n < p.filled {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.failed.Store(&err)
	}
}

// Write takes p. An error is that of an earlier part.
func (w *lateWriter) Write(p []byte) (taken int, err error) {
	for len(p) > 0 {
		if failed := w.failed.Load(); failed != nil {
			return taken, *failed
		}
		b := <-w.free
		if b == nil {
			b = buffers.Get().(*buffer)
		}
		n := copy(b[:], p)
		w.full <- piece{b, n}
		p, taken = p[n:], taken+n
	}
	return taken, nil
}

// end waits until everything is written and ends the goroutine. It gives the first error.
func (w *lateWriter) end() error {
	close(w.full)
	for b := range w.free {
		if b != nil {
			buffers.Put(b)
		}
	}
	if failed := w.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}
