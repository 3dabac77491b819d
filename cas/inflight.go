package cas

import "sync"

// Inflight knows which announced blobs are being uploaded at this moment, so that a second client can be told to come
// back later. It lives in memory alone: after a crash no blob is "uploading". The zero value is empty and ready; it may
// be used by many goroutines. It holds one entry for each blob under way.
type Inflight struct {
	mu      sync.Mutex
	uploads map[Blob]int
}

// Begin notes one upload of the blob. The caller calls end when the upload is over, whatever became of it; calling end
// again does nothing. Several uploads of one blob may overlap.
func (f *Inflight) Begin(blob Blob) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uploads == nil {
		f.uploads = make(map[Blob]int)
	}
	f.uploads[blob]++
	return sync.OnceFunc(func() { f.end(blob) })
}

func (f *Inflight) end(blob Blob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uploads[blob]--; f.uploads[blob] == 0 {
		delete(f.uploads, blob)
	}
}

// Has tells whether at least one upload of the blob is under way.
func (f *Inflight) Has(blob Blob) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uploads[blob] > 0
}
