package disk

import (
	"context"
	"sync"

	"hayloft/cas"
	"hayloft/cas/index"
	"hayloft/cas/pack"
)

// appender makes frames durable; see [pack.Dir.Append].
type appender interface {
	Append(ctx context.Context, frames [][]byte) ([]pack.Place, error)
}

// recorder makes frames findable; see [index.Index].
type recorder interface {
	Add(ctx context.Context, additions []index.Addition) error
	Blobs(ctx context.Context, digests []cas.Digest) ([]index.Location, error)
}

// packer puts frames into packs and then into the index, for many callers at once: whoever comes while a round is under
// way waits, and the next round takes all who wait, with one sync and one transaction. There is no goroutine: one of the
// callers leads each round, and names the next leader at its end. The index hears of frames in the order of their places.
//
// Its lock is never held across input or output. What it holds in memory is what its callers brought.
type packer struct {
	packs appender
	index recorder

	mu      sync.Mutex
	waiting []*packing
	leading bool
}

// packing is what one caller wants packed.
type packing struct {
	frames    [][]byte         // encoded
	additions []index.Addition // one for each frame, yet without its place
	bytes     int              // of all frames
	stored    int              // bytes of the frames that were not left out
	err       error
	turn      chan bool // true: lead the next round; false: it is done
}

func (p *packing) add(frame []byte, addition index.Addition) {
	p.frames = append(p.frames, frame)
	p.additions = append(p.additions, addition)
	p.bytes += len(frame)
}

// Bounds of one round. A caller who brings more has a round alone.
const (
	roundFrames = 4096
	roundBytes  = 8 << 20 // what a pack takes with one sync
)

// put returns when the frames are durable and found. Frames whose blobs are all packed are left out; stored tells how
// many bytes were not. It cannot be given up half way: others may wait in the same round.
func (p *packer) put(ctx context.Context, job *packing) (stored int, err error) {
	if len(job.frames) == 0 {
		return 0, nil
	}
	ctx = context.WithoutCancel(ctx)
	job.turn = make(chan bool, 1)
	p.mu.Lock()
	p.waiting = append(p.waiting, job)
	lead := !p.leading
	p.leading = true
	p.mu.Unlock()
	if !lead {
		lead = <-job.turn
	}
	if lead {
		p.round(ctx)
	}
	return job.stored, job.err
}

// round does the work of those who wait first, the caller's own among it, and hands the lead on.
func (p *packer) round(ctx context.Context) {
	p.mu.Lock()
	n, frames, bytes := 0, 0, 0
	for n < len(p.waiting) && (n == 0 || frames+len(p.waiting[n].frames) <= roundFrames && bytes+p.waiting[n].bytes <= roundBytes) {
		frames, bytes = frames+len(p.waiting[n].frames), bytes+p.waiting[n].bytes
		n++
	}
	jobs := p.waiting[:n:n]
	p.waiting = p.waiting[n:]
	p.mu.Unlock()

	if err := p.work(ctx, jobs); err != nil {
		for _, job := range jobs {
			job.err = err
		}
	}

	p.mu.Lock()
	if len(p.waiting) > 0 {
		p.waiting[0].turn <- true
	} else {
		p.leading = false
		p.waiting = nil
	}
	p.mu.Unlock()
	for _, job := range jobs[1:] { // the first is the leader's own
		job.turn <- false
	}
}

// work is one round: sync the packs, then tell the index.
func (p *packer) work(ctx context.Context, jobs []*packing) error {
	known, err := p.known(ctx, jobs)
	if err != nil {
		return err
	}
	var frames [][]byte
	var additions []index.Addition
	for _, job := range jobs {
		for i, addition := range job.additions {
			if addition.Kind == pack.BlobKind && !anyNew(addition.Items, known) {
				continue
			}
			frames, additions = append(frames, job.frames[i]), append(additions, addition)
			job.stored += len(job.frames[i])
		}
	}
	if len(frames) == 0 {
		return nil
	}
	places, err := p.packs.Append(ctx, frames)
	if err != nil {
		return err
	}
	for i := range additions {
		additions[i].Place = places[i]
	}
	return p.index.Add(ctx, additions)
}

// known tells which of the blobs are packed already.
func (p *packer) known(ctx context.Context, jobs []*packing) (map[[cas.Size]byte]bool, error) {
	var digests []cas.Digest
	for _, job := range jobs {
		for _, addition := range job.additions {
			if addition.Kind != pack.BlobKind {
				continue
			}
			for _, item := range addition.Items {
				digests = append(digests, digestOfItem(item))
			}
		}
	}
	known := make(map[[cas.Size]byte]bool)
	if len(digests) == 0 {
		return known, nil
	}
	locations, err := p.index.Blobs(ctx, digests)
	for i, at := range locations {
		if at != (index.Location{}) {
			known[digests[i].Bytes()] = true
		}
	}
	return known, err
}

// anyNew tells whether one of the items is not known yet, and takes them all for known from now on.
func anyNew(items []pack.Item, known map[[cas.Size]byte]bool) (found bool) {
	for _, item := range items {
		if !known[item.ID] {
			known[item.ID], found = true, true
		}
	}
	return found
}
