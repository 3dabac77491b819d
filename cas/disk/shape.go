package disk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/cas/index"
)

// shapesAtOnce is how many frames one call of Shape unpacks at the same time.
const shapesAtOnce = 4

// shaping is a packed blob that needs a whole file.
type shaping struct {
	blob cas.Blob
	at   index.Location
}

// Shape makes the whole files of packed blobs, so that [View.Path] names a file for each of the given ones. These files
// are derived and not synced. One that may have lost its bytes in a power cut is compared with its pack, and replaced if it
// did. It is [cas.ErrNotFound], naming the first that lacks, if the store does not hold all of them; then none is made.
// made bounds the number of files that this call put under their names, also after an error; 0 means none.
func (s *Store) Shape(ctx context.Context, blobs []cas.Blob) (made int, err error) {
	if err := s.life.enter(); err != nil {
		return 0, fmt.Errorf("shape %d blobs: %w", len(blobs), err)
	}
	defer s.leave()
	if made, err = s.shapeAll(ctx, blobs); err != nil {
		return made, fmt.Errorf("shape %d blobs: %w", len(blobs), s.explain(err))
	}
	return made, nil
}

func (s *Store) shapeAll(ctx context.Context, blobs []cas.Blob) (made int, err error) {
	todo, err := s.shapeless(ctx, blobs)
	if err != nil || len(todo) == 0 {
		return 0, err
	}
	made = len(todo)
	slices.SortFunc(todo, func(a, b shaping) int { return a.at.Place.Compare(b.at.Place) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(shapesAtOnce)
	for len(todo) > 0 {
		n := 1
		for n < len(todo) && todo[n].at.Place == todo[0].at.Place {
			n++
		}
		frame := todo[:n]
		todo = todo[n:]
		group.Go(func() error { return s.shapeFrame(ctx, frame) })
	}
	return made, group.Wait()
}

// shapeless finds the blobs that have no whole file which can be relied upon, each once, and where they are packed.
func (s *Store) shapeless(ctx context.Context, blobs []cas.Blob) ([]shaping, error) {
	var lacking []cas.Blob
	seen := make(map[cas.Blob]bool)
	for _, blob := range blobs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := s.wholeFile(blob)
		if err != nil {
			return nil, err
		}
		if info != nil && !s.isSuspect(info) && s.ledger.settled(blob.Digest) {
			continue
		}
		if blob.Size > SmallSize {
			return nil, fmt.Errorf("blob %v: %w", blob, cas.ErrNotFound)
		}
		if !seen[blob] {
			seen[blob] = true
			lacking = append(lacking, blob)
		}
	}
	locations, err := s.shelf.locate(ctx, lacking)
	if err != nil {
		return nil, err
	}
	var todo []shaping
	for i, blob := range lacking {
		if locations[i] != (index.Location{}) {
			todo = append(todo, shaping{blob: blob, at: locations[i]})
			continue
		}
		// A file that is not derived is the blob itself.
		if whole, err := s.lies(blob); err != nil || !whole || !s.ledger.settled(blob.Digest) {
			return nil, fmt.Errorf("blob %v: %w", blob, firstOf(err, cas.ErrNotFound))
		}
	}
	return todo, nil
}

// firstOf is the first of two errors that is one.
func firstOf(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// shapeFrame makes the files of blobs that lie in one frame.
func (s *Store) shapeFrame(ctx context.Context, blobs []shaping) error {
	frame, err := s.shelf.frame(ctx, blobs[0].at.Place)
	if err != nil {
		return fmt.Errorf("blob %v: %w", blobs[0].blob, err)
	}
	for _, b := range blobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := itemBytes(frame, b.at.Item)
		if err == nil {
			err = s.shapeBlob(b.blob, data)
		}
		if err != nil {
			return fmt.Errorf("blob %v: %w", b.blob, err)
		}
	}
	return nil
}

func (s *Store) shapeBlob(blob cas.Blob, data []byte) error {
	path := s.layout.object(blob.Digest)
	if info, err := s.wholeFile(blob); err != nil {
		return err
	} else if info != nil {
		if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, data) {
			return os.Chtimes(path, s.epoch.mark(), s.epoch.mark())
		}
	}
	temp, err := s.volume.createTemp(s.layout.join(incomingName))
	if err != nil {
		return err
	}
	if _, err = temp.Write(data); err == nil {
		err = temp.finish(blobMode, s.epoch.mark())
	}
	if err == nil {
		err = s.volume.replace(temp.Name(), path)
	}
	if err != nil {
		s.discard(temp)
	}
	return err
}
