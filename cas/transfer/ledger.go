package transfer

import (
	"sync"

	"hayloft/cas"
)

// ledger counts what a [Sender] does, and tells whoever wants to know.
type ledger struct {
	stored   func([]cas.Blob)
	progress func(arrived, lacking int64)

	mu     sync.Mutex
	report Report

	telling          sync.Mutex // makes the calls of the two functions one at a time
	arrived, lacking int64
}

// offer counts a blob that was not offered before.
func (l *ledger) offer(blob cas.Blob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Blobs++
	l.report.Bytes += blob.Size
}

// travel counts bytes that are sent to the store.
func (l *ledger) travel(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.BytesTravelled += int64(n)
}

// fresh counts bytes that the store had in no file.
func (l *ledger) fresh(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.BytesNew += n
}

// send counts blobs that were lacking and are stored, in so many bytes.
func (l *ledger) send(blobs []cas.Blob, stored int64) {
	l.mu.Lock()
	l.report.BytesStored += stored
	for _, blob := range blobs {
		l.report.BlobsSent++
		l.report.BytesSent += blob.Size
	}
	l.mu.Unlock()
	l.have(blobs)
}

func (l *ledger) sum() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.report
}

// have tells of blobs that the store has.
func (l *ledger) have(blobs []cas.Blob) {
	l.telling.Lock()
	defer l.telling.Unlock()
	if l.stored != nil && len(blobs) > 0 {
		l.stored(blobs)
	}
}

// move tells that so many more bytes of blobs are known to be lacking, and that so many more have arrived.
func (l *ledger) move(arrived, lacking int64) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.arrived += arrived
	l.lacking += lacking
	if l.progress != nil {
		l.progress(l.arrived, l.lacking)
	}
}
