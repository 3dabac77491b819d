package disk

import (
	"context"
	"sync"

	"hayloft/cas"
)

// ledger knows what the directory does not show: which digests are being committed, and which visible names may not be
// durable yet. Both lie in memory only: after a crash, Open makes every name durable before it answers.
//
// The zero value is ready. Its lock is never held across input or output.
type ledger struct {
	mu sync.Mutex
	// committing has an entry for each digest that somebody commits now; the channel is closed when that is over.
	committing map[cas.Digest]chan struct{}
	// unsettled has the digests whose name was made but whose folder was not synced since. A digest stays here when
	// the sync failed, until a later commit of the same blob succeeds.
	unsettled map[cas.Digest]struct{}
}

// acquire makes the caller the only one who commits this digest, until it calls release. Others of the same digest wait
// here, and usually find the blob there when it is their turn.
func (l *ledger) acquire(ctx context.Context, digest cas.Digest) (release func(), err error) {
	mine := make(chan struct{})
	for {
		l.mu.Lock()
		theirs, taken := l.committing[digest]
		if !taken {
			if l.committing == nil {
				l.committing = make(map[cas.Digest]chan struct{})
			}
			l.committing[digest] = mine
		}
		l.mu.Unlock()
		if !taken {
			return func() { l.release(digest, mine) }, nil
		}
		select {
		case <-theirs:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *ledger) release(digest cas.Digest, mine chan struct{}) {
	l.mu.Lock()
	delete(l.committing, digest)
	l.mu.Unlock()
	close(mine)
}

// unsettle notes that the name of the digest is about to be made, and tells whether it was settled before.
func (l *ledger) unsettle(digest cas.Digest) (before bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unsettled == nil {
		l.unsettled = make(map[cas.Digest]struct{})
	}
	_, was := l.unsettled[digest]
	l.unsettled[digest] = struct{}{}
	return !was
}

// settle notes that the name of the digest is durable.
func (l *ledger) settle(digest cas.Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unsettled, digest)
}

// settled tells whether a visible name of this digest is durable. A store that is open for reading only has no ledger
// and takes the directory as it is.
func (l *ledger) settled(digest cas.Digest) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, open := l.unsettled[digest]
	return !open
}

// allSettled tells whether every visible name is durable, provided that nobody commits now.
func (l *ledger) allSettled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unsettled) == 0
}
