package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

var (
	// ErrIncomplete: chunks are lacking; [Assembly.Lacking] tells which.
	ErrIncomplete = errors.New("chunks are lacking")
	// ErrAssembling: the blob is being assembled by somebody else, or committed at this moment.
	ErrAssembling = errors.New("the blob is being assembled")
	// ErrUnknownChunk: the recipe does not name the chunk, or not with this length.
	ErrUnknownChunk = errors.New("the recipe does not name the chunk")
)

// Assembly is a blob that is being put together from chunks, which may come in any order and from many goroutines. It ends
// with exactly one of Commit that succeeds, Close, which leaves what is there for a later Assemble, and Abort.
type Assembly struct {
	store  *Store
	recipe chunk.Recipe
	part   partFile
	slots  []slot               // of each chunk, in the order of Recipe.Chunks
	byID   map[chunk.ID][]int32 // the slots of each chunk

	mu      sync.Mutex
	state   assemblyState
	putting sync.WaitGroup // calls of Put; grows only while the assembly is open
}

// slot is a place of the file that a chunk fills.
type slot struct {
	id     chunk.ID
	length int
	ranges []chunk.Range
	here   bool // its bytes are in the part
	seed   Seed // where else they are; guarded by the lock, as is here
}

type assemblyState int

const (
	assemblyOpen assemblyState = iota
	assemblyCommitting
	assemblyEnded
)

// assemblies knows which blobs are being assembled in this process. The zero value is ready.
type assemblies struct {
	mu   sync.Mutex
	open map[cas.Digest]struct{}
}

func (a *assemblies) begin(digest cas.Digest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, taken := a.open[digest]; taken {
		return ErrAssembling
	}
	if a.open == nil {
		a.open = make(map[cas.Digest]struct{})
	}
	a.open[digest] = struct{}{}
	return nil
}

func (a *assemblies) end(digest cas.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, digest)
}

// Assemble begins to put a blob together, or takes up again what an earlier Assembly of the same recipe has left, be it
// by Close or by a crash: which chunks are there is known by hashing them. Of what is left of another recipe of the same
// blob, nothing is kept. Memory is a small multiple of the recipe's length.
//
// Errors: [ErrAssembling] while the blob is being assembled, [cas.ErrNoSpace] if there is no room for it.
func (s *Store) Assemble(ctx context.Context, recipe chunk.Recipe) (*Assembly, error) {
	a, err := s.assemble(ctx, recipe)
	if err != nil {
		return nil, fmt.Errorf("assemble blob %v: %w", recipe.Blob(), s.explain(err))
	}
	return a, nil
}

func (s *Store) assemble(ctx context.Context, recipe chunk.Recipe) (a *Assembly, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.life.enter(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.leave()
		}
	}()
	digest := recipe.Blob().Digest
	if err := s.assemblies.begin(digest); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.assemblies.end(digest)
		}
	}()
	part, found, err := s.openPart(recipe)
	if err != nil {
		return nil, err
	}
	a = newAssembly(s, recipe, part)
	if found {
		err = a.findHere(ctx)
	}
	if err == nil {
		err = a.findSeeds(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, part.Close())
	}
	return a, nil
}

func newAssembly(s *Store, recipe chunk.Recipe, part partFile) *Assembly {
	n := recipe.Len()
	a := &Assembly{store: s, recipe: recipe, part: part, slots: make([]slot, 0, n), byID: make(map[chunk.ID][]int32, n)}
	for c, ranges := range recipe.Chunks() {
		a.byID[c.ID] = append(a.byID[c.ID], int32(len(a.slots)))
		a.slots = append(a.slots, slot{id: c.ID, length: c.Length, ranges: append([]chunk.Range(nil), ranges...)})
	}
	return a
}

// findHere hashes what the part holds. It is called before anybody else knows the assembly, or while it is committed.
func (a *Assembly) findHere(ctx context.Context) error {
	buf := make([]byte, chunk.MaxSize)
	for i := range a.slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		here, err := a.isHere(&a.slots[i], buf)
		if err != nil {
			return err
		}
		a.slots[i].here = here
	}
	return nil
}

func (a *Assembly) isHere(s *slot, buf []byte) (bool, error) {
	at := 0
	for _, r := range s.ranges {
		n, err := a.part.ReadAt(buf[at:at+int(r.Length)], r.Offset)
		if n < int(r.Length) {
			return false, err
		}
		at += n
	}
	return chunk.Sum(buf[:at]) == s.id, nil
}

// findSeeds looks for chunks that are not here in what the store holds.
func (a *Assembly) findSeeds(ctx context.Context) error {
	var ids []chunk.ID
	var at []int
	for i := range a.slots {
		if s := &a.slots[i]; !s.here && s.seed.Blob.Digest.IsZero() {
			ids, at = append(ids, s.id), append(at, i)
		}
	}
	seeds, err := a.store.FindChunks(ctx, ids)
	for i, seed := range seeds {
		a.slots[at[i]].seed = seed
	}
	return err
}

// Blob is what is being assembled.
func (a *Assembly) Blob() cas.Blob { return a.recipe.Blob() }

// Lacking tells of each chunk, in the order of [chunk.Recipe.Chunks], whether it was neither put nor found in the store.
func (a *Assembly) Lacking() []bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	lacking := make([]bool, len(a.slots))
	for i := range a.slots {
		lacking[i] = a.slots[i].lacks()
	}
	return lacking
}

func (s *slot) lacks() bool { return !s.here && s.seed.Blob.Digest.IsZero() }

// Put takes the chunks of a frame of [pack.ChunkKind] that a reader of frames has checked, and writes them wherever the
// recipe has them. Chunks that are there already are passed over. It may be called from many goroutines at once. A chunk
// that the recipe does not name is [ErrUnknownChunk], and then nothing of the frame is written.
func (a *Assembly) Put(ctx context.Context, frame pack.Frame) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put chunks of blob %v: %w", a.Blob(), err)
	}
	if err := a.enter(); err != nil {
		return fmt.Errorf("put chunks of blob %v: %w", a.Blob(), err)
	}
	defer a.putting.Done()
	if err := a.put(frame); err != nil {
		return fmt.Errorf("put chunks of blob %v: %w", a.Blob(), a.store.explain(err))
	}
	return nil
}

// enter counts a call of Put while the assembly is open.
func (a *Assembly) enter() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.state {
	case assemblyCommitting:
		return ErrAssembling
	case assemblyEnded:
		return fmt.Errorf("the assembly is %w", cas.ErrClosed)
	case assemblyOpen:
	}
	a.putting.Add(1)
	return nil
}

func (a *Assembly) put(frame pack.Frame) error {
	if frame.Kind != pack.ChunkKind {
		return fmt.Errorf("%w: it holds %v", pack.ErrBadFrame, frame.Kind)
	}
	for _, item := range frame.Items {
		id := chunk.IDFromBytes(item.ID)
		slots := a.byID[id]
		if len(slots) == 0 {
			return fmt.Errorf("%w: %v", ErrUnknownChunk, id)
		}
		for _, i := range slots {
			if a.slots[i].length != item.Length {
				return fmt.Errorf("%w: %v with %d bytes", ErrUnknownChunk, id, item.Length)
			}
		}
	}
	return frame.Each(func(item pack.Item, data []byte) error {
		for _, i := range a.byID[chunk.IDFromBytes(item.ID)] {
			if err := a.fill(&a.slots[i], data); err != nil {
				return err
			}
		}
		return nil
	})
}

// fill writes a chunk to its place.
func (a *Assembly) fill(s *slot, data []byte) error {
	a.mu.Lock()
	here := s.here
	a.mu.Unlock()
	if here {
		return nil
	}
	for _, r := range s.ranges {
		if _, err := a.part.WriteAt(data[:r.Length], r.Offset); err != nil {
			return err
		}
		data = data[r.Length:]
	}
	a.mu.Lock()
	s.here = true
	a.mu.Unlock()
	return nil
}

// Close ends the assembly and leaves what is there for a later one; see [Store.Assemble]. It waits for calls of Put that are
// under way, and is not called while Commit runs. After the end it does nothing.
func (a *Assembly) Close() error {
	if !a.end() {
		return nil
	}
	defer a.leave()
	if err := a.part.Close(); err != nil {
		return fmt.Errorf("close the assembly of blob %v: %w", a.Blob(), err)
	}
	return nil
}

// Abort ends the assembly and removes what is there. It waits for calls of Put that are under way, and is not called
// while Commit runs. After the end it does nothing, so that "defer a.Abort()" is right.
func (a *Assembly) Abort() {
	if a.end() {
		a.abandon()
	}
}

// abandon removes what an assembly that has ended leaves. There is nobody to tell of an error, and no need: the leftovers
// are listed by Assemblies, and can be taken up or dropped.
func (a *Assembly) abandon() {
	_ = a.part.Close()
	_ = a.store.removeAssembly(a.Blob().Digest)
	a.leave()
}

// end makes the caller the one who ends an open assembly, after the last Put.
func (a *Assembly) end() bool { return a.turn(assemblyOpen, assemblyEnded) == nil }

// turn changes the state if it is the expected one, and waits for the calls of Put that began before.
func (a *Assembly) turn(from, to assemblyState) error {
	a.mu.Lock()
	state := a.state
	if state == from {
		a.state = to
	}
	a.mu.Unlock()
	switch state {
	case from:
		a.putting.Wait()
		return nil
	case assemblyEnded:
		return fmt.Errorf("the assembly is %w", cas.ErrClosed)
	default:
		return ErrAssembling
	}
}

// leave lets others assemble the blob, and the store close.
func (a *Assembly) leave() {
	a.store.assemblies.end(a.Blob().Digest)
	a.store.leave()
}
