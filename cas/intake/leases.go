package intake

import (
	"sync"
	"time"

	"hayloft/cas"
)

// leases remembers the blobs that somebody relies on, each for one to two terms after it was last taken. It needs no
// goroutine: two sets take turns. When a set is full, everything counts as leased while that set is in use: to keep too
// much costs space for a day, to delete too much costs an upload that was acknowledged.
type leases struct {
	term time.Duration
	max  int // blobs in one set

	mu         sync.Mutex
	turned     time.Duration // when young began
	young, old leaseSet
}

type leaseSet struct {
	blobs map[cas.Digest]struct{}
	all   bool
}

func (s leaseSet) has(digest cas.Digest) bool {
	_, is := s.blobs[digest]
	return is || s.all
}

func (l *leases) take(now time.Duration, blobs []cas.Blob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	if l.young.blobs == nil {
		l.young.blobs = make(map[cas.Digest]struct{}, len(blobs))
	}
	for _, blob := range blobs {
		if l.young.has(blob.Digest) {
			continue
		}
		if len(l.young.blobs) >= l.max {
			l.young.all = true
			return
		}
		l.young.blobs[blob.Digest] = struct{}{}
	}
}

func (l *leases) has(now time.Duration, digest cas.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	return l.young.has(digest) || l.old.has(digest)
}

func (l *leases) turn(now time.Duration) {
	switch age := now - l.turned; {
	case age < l.term:
	case age < 2*l.term:
		l.old, l.young, l.turned = l.young, leaseSet{}, l.turned+l.term
	default:
		l.old, l.young, l.turned = leaseSet{}, leaseSet{}, now
	}
}
