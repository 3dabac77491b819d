package process

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// drainLimit is how long a stream may stay open and silent after every member of the group is dead. Only a process that
	// left the group on purpose can hold it.
	drainLimit = 2 * time.Second
	// pipeSize is the most bytes that a pipe holds (pipe(7), pipe-max-size).
	pipeSize = 1 << 20
	// pieceSize is how many bytes are read at a time.
	pieceSize = 16 << 10
)

// pipes carry what a process writes.
type pipes struct{ stdout, stderr *pipe }

// pipe carries one stream.
type pipe struct {
	read, write *os.File
	lines       *Lines
	pieces      chan []byte   // what was read; closed at the end
	taken       chan struct{} // says that a piece was delivered, so that the next may be read
	waiting     atomic.Bool   // whether the reader waits for output
	bytes       atomic.Int64  // that were read
	cut         sync.Once
}

func openPipes() (p pipes, err error) {
	if p.stdout, err = openPipe(); err != nil {
		return p, err
	}
	if p.stderr, err = openPipe(); err != nil {
		return p, errors.Join(err, p.stdout.read.Close(), p.stdout.write.Close())
	}
	return p, nil
}

func openPipe() (*pipe, error) {
	r, w, err := os.Pipe()
	return &pipe{read: r, write: w, pieces: make(chan []byte), taken: make(chan struct{})}, err
}

// closeWriting leaves the writing ends to the process alone.
func (p pipes) closeWriting() {
	p.stdout.write.Close()
	p.stderr.write.Close()
}

func (p pipes) closeReading() {
	p.stdout.close()
	p.stderr.close()
}

func (p *pipe) close() { p.cut.Do(func() { p.read.Close() }) }

// follow reads the stream to its end and waits with each piece until it was taken.
func (p *pipe) follow(seen func()) {
	defer close(p.pieces)
	buf := make([]byte, pieceSize)
	for {
		p.waiting.Store(true)
		n, err := p.read.Read(buf)
		p.waiting.Store(false)
		if n > 0 {
			p.bytes.Add(int64(n))
			seen()
			p.pieces <- buf[:n]
			<-p.taken
		}
		if err != nil {
			return
		}
	}
}

// take delivers the lines of a piece and gives the channel that the next comes from, or nil after the last.
func (p *pipe) take(piece []byte, more bool) chan []byte {
	if !more {
		p.lines.Close()
		return nil
	}
	_, _ = p.lines.Write(piece) // it takes everything
	p.taken <- struct{}{}
	return p.pieces
}

// deliver cuts both streams into lines and hands them on, until both have ended. The last line of one that ends first is
// delivered then.
func (c *child) deliver(p pipes) {
	for stream, one := range map[Stream]*pipe{Stdout: p.stdout, Stderr: p.stderr} {
		one.lines = NewLines(func(text string, continued bool) {
			c.spec.Line(Line{PID: c.cmd.Process.Pid, Stream: stream, Text: text, Continued: continued})
		})
		go one.follow(func() { c.last.Store(int64(time.Since(c.begin))) })
	}
	for stdout, stderr := p.stdout.pieces, p.stderr.pieces; stdout != nil || stderr != nil; {
		select {
		case piece, more := <-stdout:
			stdout = p.stdout.take(piece, more)
		case piece, more := <-stderr:
			// Of what was written at the same time, errors are mostly about what standard output said before.
			runtime.Gosched()
			select {
			case piece, more := <-stdout:
				stdout = p.stdout.take(piece, more)
			default:
			}
			stderr = p.stderr.take(piece, more)
		}
	}
}

// drain waits until everything that was written is delivered. Delivery itself may take its time; only a pipe that
// somebody outside the group holds open is cut, once all that the group wrote was read from it.
func (p pipes) drain(delivered <-chan struct{}) {
	defer p.closeReading()
	both := []*pipe{p.stdout, p.stderr}
	begin, last := make([]int64, len(both)), make([]int64, len(both))
	for i, one := range both {
		begin[i] = one.bytes.Load()
		last[i] = begin[i]
	}
	limit := time.NewTicker(drainLimit)
	defer limit.Stop()
	for {
		select {
		case <-delivered:
			return
		case <-limit.C:
		}
		for i, one := range both {
			now := one.bytes.Load()
			if empty := now == last[i] && one.waiting.Load(); empty || now-begin[i] > pipeSize {
				one.close()
			}
			last[i] = now
		}
	}
}
