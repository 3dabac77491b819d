package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"hayloft/cas"
)

// The crash order. Frames come to lie in a pack in these steps, and the process or the machine may stop between any two:
//
//	step                                  a crash after it leaves
//	1  create NUMBER.pack                 an empty file; the next OpenDir removes it
//	2  write the magic and the frames     perhaps whole frames that nobody was told of; perhaps torn ones
//	3  fsync the file                     whole frames, if the name is there
//	4  fsync the folder, once a pack      whole frames
//	5  Append returns nil                 whole frames
//	6  full: write the trailer, fsync     whole frames, then perhaps half a trailer
//
// Into a pack that is there already, frames go by 2, 3 and 5. A sealed pack that is not full yet is opened again, which
// is one more step before 2: cut the trailer off. Its frames are durable without it.
//
// Frames that another process finds after a crash are checked before they count: a pack whose trailer is missing is
// read through, and what is not whole is not listed. OpenDir cuts the newest pack after its last whole frame, syncs file
// and folder, and goes on with it; so it does not matter which of the steps above these frames had come through.
//
// After a failed write (2), the pack is cut back to where it was and goes on: a full disk hurts only those who met it.
// After a failed sync (3, 4), nobody knows what is durable, now or after a further sync; so the pack is cut back as far as that
// can be done, and left alone: what was durable in it stays, and the next frames go into a new pack.

const (
	fullPack = 16 << 20    // bytes from which on a pack is sealed for good
	maxCall  = 8 << 20     // bytes of one batch, unless it is a single frame
	maxBatch = 2 * maxCall // bytes that are written with one sync, and one longer frame perhaps
	maxPack  = fullPack + maxBatch + MaxEncoded
)

// batch is the frames of one call of Append, or as many of them as go into one pack.
type batch struct {
	frames [][]byte
	list   listing // from offset 0 on
	places []Place
	err    error
	done   chan struct{} // closed when places and err are there
}

// committer writes packs. It belongs to one goroutine, and is the only one to change files.
type committer struct {
	dir    *Dir
	full   int64    // bytes from which on a pack is sealed for good
	file   packFile // nil: the next frames go into a new pack
	number uint64   // of file; without one, of the pack before the next
	list   listing  // durable frames of file
	sealed bool     // file has a trailer
	failed error    // of sealing, for Close
}

// run takes batches until stop is closed.
func (c *committer) run() {
	defer close(c.dir.finished)
	for {
		select {
		case first := <-c.dir.batches:
			group := c.gather(first)
			err := c.store(group)
			for _, b := range group {
				b.err = err
				close(b.done)
			}
			if c.list.end >= c.full {
				c.seal()
			}
		case <-c.dir.stop:
			c.seal()
			return
		}
	}
}

// gather adds to the first batch what others are waiting to hand over at this moment, up to what one sync should carry.
func (c *committer) gather(first *batch) []*batch {
	group, size := []*batch{first}, first.list.end
	for size < maxCall {
		select {
		case next := <-c.dir.batches:
			group, size = append(group, next), size+next.list.end
		default:
			return group
		}
	}
	return group
}

// store makes the frames durable, and then lets readers of this process see them.
func (c *committer) store(group []*batch) error {
	fresh := c.file == nil
	if err := c.ready(); err != nil {
		return c.explain(err)
	}
	if err := c.write(group, fresh); err != nil {
		return c.explain(errors.Join(err, c.takeBack(fresh)))
	}
	err := c.file.Sync()
	if err == nil && fresh {
		err = c.dir.volume.syncDir(c.dir.path)
	}
	if err != nil {
		_ = c.takeBack(fresh) // what cannot be cut off is checked by whoever opens the pack next
		return c.explain(errors.Join(err, c.leave(fresh)))
	}
	for _, b := range group {
		b.places = placesOf(b.frames, c.number, c.list.end)
		c.list.join(b.list)
	}
	c.dir.show(c.number, c.list)
	return nil
}

func placesOf(frames [][]byte, number uint64, offset int64) []Place {
	places := make([]Place, len(frames))
	for i, frame := range frames {
		places[i] = Place{Pack: number, Offset: offset, Length: int64(len(frame))}
		offset += int64(len(frame))
	}
	return places
}

// join appends the frames of other, which lie right behind.
func (l *listing) join(other listing) {
	l.encoded = append(l.encoded, other.encoded...)
	l.end += other.end
	l.frames += other.frames
}

// ready sees to it that file can take frames at list.end.
func (c *committer) ready() error {
	if c.file == nil {
		number := c.number + 1
		c.dir.show(number, listing{end: int64(len(packMagic))}) // readers see nothing in it before it is durable
		file, err := c.dir.volume.create(c.dir.file(number))
		if err != nil {
			c.dir.hide(number)
			return err
		}
		c.file, c.number, c.sealed = file, number, false
		c.list = listing{end: int64(len(packMagic))}
		return nil
	}
	if !c.sealed {
		return nil
	}
	c.dir.show(c.number, c.list)
	if err := c.file.Truncate(c.list.end); err != nil {
		c.dir.hide(c.number)
		return errors.Join(err, c.leave(false))
	}
	c.sealed = false
	return nil
}

func (c *committer) write(group []*batch, fresh bool) error {
	var start int64
	if !fresh {
		start = c.list.end
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(c.file, start), writeBuffer)
	if fresh {
		if _, err := out.WriteString(packMagic); err != nil {
			return err
		}
	}
	for _, b := range group {
		for _, frame := range b.frames {
			if _, err := out.Write(frame); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// writeBuffer gathers small frames, so that they cost no system call each. In bytes.
const writeBuffer = 256 << 10

// takeBack cuts off what was not acknowledged. A pack in which that leaves nothing, or that cannot be cut, is left.
func (c *committer) takeBack(fresh bool) error {
	if fresh {
		return c.leave(true)
	}
	if err := c.file.Truncate(c.list.end); err != nil {
		return errors.Join(err, c.leave(false))
	}
	return nil
}

// leave closes the pack without a trailer, and removes it if nothing in it was ever acknowledged.
func (c *committer) leave(empty bool) error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	if empty {
		if removed := c.dir.volume.remove(c.dir.file(c.number)); removed != nil {
			return errors.Join(err, removed) // it stays hidden from readers of this process
		}
		c.dir.hide(c.number)
	}
	return err
}

// seal writes the trailer and closes the pack. When that fails, the frames are durable all the same; whoever needs to
// know what the pack holds reads it through.
func (c *committer) seal() {
	if c.file == nil {
		return
	}
	if !c.sealed {
		if err := writeTrailer(c.file, c.list); err != nil {
			_ = c.file.Truncate(c.list.end) // half a trailer does no harm; it only takes space
			err = fmt.Errorf("sealing %s: %w", c.dir.file(c.number), c.explain(err))
			c.failed = errors.Join(err, c.leave(false))
			return
		}
	}
	c.dir.hide(c.number)
	if err := c.leave(false); err != nil {
		c.failed = err
	}
}

func writeTrailer(file packFile, list listing) error {
	if _, err := file.WriteAt(list.trailer(), list.end); err != nil {
		return err
	}
	return file.Sync()
}

// explain gives an error of the file system its meaning.
func (c *committer) explain(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", cas.ErrNoSpace, err)
	}
	return err
}
