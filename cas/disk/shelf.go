package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/index"
	"hayloft/cas/pack"
)

const (
	packsName = "packs"
	indexName = "index.db"
)

// shelf is what a store keeps in packs, and the index that finds it. The packs are the truth; the index is a cache.
type shelf struct {
	packs  *pack.Dir
	index  *index.Index
	recent recentFrames
}

// openShelf opens both for writing and brings the index up to what the packs hold. An index that is damaged, or that
// knows more than the packs hold, is made anew.
func openShelf(ctx context.Context, where layout) (*shelf, error) {
	packs, err := pack.OpenDir(where.join(packsName), where.acknowledged(ctx))
	if err != nil {
		return nil, err
	}
	s := &shelf{packs: packs}
	if err := s.openIndex(ctx, where); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// acknowledged is the last frame that the index knows. Without a sound index nobody knows of any.
func (l layout) acknowledged(ctx context.Context) pack.Place {
	if _, err := os.Stat(l.join(indexName)); err != nil {
		return pack.Place{}
	}
	x, err := index.OpenReadOnly(l.join(indexName))
	if err != nil {
		return pack.Place{}
	}
	position, err := x.Position(ctx)
	if err := errors.Join(err, x.Close()); err != nil {
		return pack.Place{}
	}
	return position
}

func (s *shelf) openIndex(ctx context.Context, where layout) (err error) {
	s.index, err = index.Open(where.join(indexName))
	if err == nil {
		err = s.reconcile(ctx)
	}
	if !errors.Is(err, index.ErrDamaged) {
		return err
	}
	if s.index != nil {
		err = s.index.Close()
		s.index = nil
		if err != nil {
			return err
		}
	}
	if err := where.removeIndex(); err != nil {
		return err
	}
	if s.index, err = index.Open(where.join(indexName)); err != nil {
		return err
	}
	return s.reconcile(ctx)
}

// removeIndex takes the index away, its journal first: a journal must never meet another file than its own.
func (l layout) removeIndex() error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(l.join(indexName + suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// openShelfReadOnly opens both beside a process that may be writing. A store that has never packed anything has no shelf.
func openShelfReadOnly(where layout) (*shelf, error) {
	if _, err := os.Stat(where.join(indexName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	packs, err := pack.OpenDirReadOnly(where.join(packsName))
	if err != nil {
		return nil, err
	}
	s := &shelf{packs: packs}
	if s.index, err = index.OpenReadOnly(where.join(indexName)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *shelf) close() error {
	if s == nil {
		return nil
	}
	var indexErr error
	if s.index != nil {
		indexErr = s.index.Close()
	}
	return errors.Join(indexErr, s.packs.Close())
}

// reconcile adds to the index what the packs hold after its position: frames whose process died, or whose power went,
// between the sync of the pack and the commit of the index.
func (s *shelf) reconcile(ctx context.Context) error {
	position, err := s.index.Position(ctx)
	if err != nil {
		return err
	}
	if position != (pack.Place{}) {
		if _, err := s.packs.Frame(ctx, position); err != nil && !errors.Is(err, pack.ErrWrongID) {
			return fmt.Errorf("%w: the frame that it knows last cannot be read: %w", index.ErrDamaged, err)
		}
	}
	return s.catalogue(ctx, position, func(pack.Place) {})
}

// additionBatch is how many frames enter the index in one transaction while it is brought up to date.
const additionBatch = 512

// catalogue adds every frame after a place, and tells seen of each.
func (s *shelf) catalogue(ctx context.Context, after pack.Place, seen func(pack.Place)) error {
	var batch []index.Addition
	flush := func() error {
		err := s.index.Add(ctx, batch)
		batch = nil
		return err
	}
	err := s.packs.Scan(ctx, after, func(place pack.Place, kind pack.Kind, items []pack.Item) error {
		seen(place)
		addition := index.Addition{Place: place, Kind: kind, Items: append([]pack.Item(nil), items...)}
		if kind == pack.RecipeKind {
			recipe, err := s.recipe(ctx, place)
			if err != nil {
				return nil //nolint:nilerr // Verify tells of it; a recipe that cannot be read must not hide all the rest.
			}
			addition.Recipe = &recipe
		}
		if batch = append(batch, addition); len(batch) < additionBatch {
			return nil
		}
		return flush()
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return flush()
}

// recipe reads one recipe from its pack.
func (s *shelf) recipe(ctx context.Context, place pack.Place) (chunk.Recipe, error) {
	frame, err := s.packs.Frame(ctx, place)
	if err != nil {
		return chunk.Recipe{}, err
	}
	return chunk.DecodeRecipe(frame.Data)
}

// locate tells where blobs lie in packs, one location for each; the zero location means nowhere, or with another size.
func (s *shelf) locate(ctx context.Context, blobs []cas.Blob) ([]index.Location, error) {
	digests := make([]cas.Digest, len(blobs))
	for i, blob := range blobs {
		digests[i] = blob.Digest
	}
	locations, err := s.find(ctx, digests)
	for i := range locations {
		if locations[i].Size != blobs[i].Size {
			locations[i] = index.Location{}
		}
	}
	return locations, err
}

func (s *shelf) find(ctx context.Context, digests []cas.Digest) ([]index.Location, error) {
	if s == nil || len(digests) == 0 {
		return make([]index.Location, len(digests)), nil
	}
	return s.index.Blobs(ctx, digests)
}

// bytes gives the bytes of a packed blob. They are shared and must not be changed.
func (s *shelf) bytes(ctx context.Context, at index.Location) ([]byte, error) {
	frame, err := s.frame(ctx, at.Place)
	if errors.Is(err, pack.ErrWrongID) {
		// Beside a damaged one there may be the one that is wanted.
		data, err := s.packs.Item(ctx, at.Place, at.Item)
		return data, asMismatch(err)
	}
	if err != nil {
		return nil, err
	}
	return itemBytes(frame, at.Item)
}

// asMismatch says in the words of stores that the bytes of a blob are others than its name says.
func asMismatch(err error) error {
	if errors.Is(err, pack.ErrWrongID) {
		return fmt.Errorf("%w: %w", cas.ErrDigestMismatch, err)
	}
	return err
}

func (s *shelf) frame(ctx context.Context, place pack.Place) (pack.Frame, error) {
	if frame, ok := s.recent.get(place); ok {
		return frame, nil
	}
	frame, err := s.packs.Frame(ctx, place)
	if err == nil {
		s.recent.add(place, frame)
	}
	return frame, err
}

// itemBytes gives the bytes of the item of that number.
func itemBytes(frame pack.Frame, number int) ([]byte, error) {
	if number >= len(frame.Items) {
		return nil, fmt.Errorf("%w: it knows item %d of a frame of %d", index.ErrDamaged, number, len(frame.Items))
	}
	start := 0
	for _, before := range frame.Items[:number] {
		start += before.Length
	}
	end := start + frame.Items[number].Length
	return frame.Data[start:end:end], nil
}

// recentFrames keeps the frames that were read last, since blobs that were stored together are read together. It holds
// at most recentLimit frames of at most pack.MaxData bytes. The zero value is ready.
type recentFrames struct {
	mu     sync.Mutex
	frames []recentFrame // the newest first
}

type recentFrame struct {
	place pack.Place
	frame pack.Frame
}

const recentLimit = 8

func (r *recentFrames) get(place pack.Place) (pack.Frame, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.frames {
		if f.place == place {
			copy(r.frames[1:i+1], r.frames[:i])
			r.frames[0] = f
			return f.frame, true
		}
	}
	return pack.Frame{}, false
}

func (r *recentFrames) add(place pack.Place, frame pack.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.frames) < recentLimit {
		r.frames = append(r.frames, recentFrame{})
	}
	copy(r.frames[1:], r.frames)
	r.frames[0] = recentFrame{place, frame}
}

func digestOfItem(item pack.Item) cas.Digest { return cas.DigestFromBytes(item.ID) }
