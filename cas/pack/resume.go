package pack

import (
	"errors"
	"io"
	"os"
)

// resume looks at the newest pack. If it is not full, the committer goes on with it.
func (c *committer) resume(acknowledged Place) error {
	numbers, err := c.dir.numbers()
	if err != nil || len(numbers) == 0 {
		return err
	}
	c.number = numbers[len(numbers)-1]
	path := c.dir.file(c.number)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if c.file, err = c.dir.volume.open(path); err != nil {
		return err
	}
	c.list, err = readTrailer(c.file, info.Size())
	c.sealed = err == nil
	if errors.Is(err, errNoTrailer) {
		err = c.mend(info.Size(), acknowledged)
	}
	if err != nil {
		return errors.Join(err, c.leave(false))
	}
	if c.file != nil && c.list.end >= c.full {
		c.seal()
	}
	return nil
}

// mend makes what is whole in a pack without a trailer durable, and cuts off what is not. It writes nothing, so that it
// works on a full disk; the trailer comes when the pack is full or closed. A pack with nothing whole in it is removed.
func (c *committer) mend(size int64, acknowledged Place) error {
	err := checkMagic(c.file)
	if err == nil {
		known := int64(0)
		if acknowledged.Pack == c.number {
			known = acknowledged.Offset + acknowledged.Length
		}
		c.list, err = listWhole(c.file, size, known)
	}
	if errors.Is(err, errUnborn) || err == nil && c.list.frames == 0 {
		return errors.Join(c.leave(true), c.dir.volume.syncDir(c.dir.path))
	}
	if err != nil {
		return err
	}
	if err := c.file.Truncate(c.list.end); err != nil {
		return err
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	if err := c.dir.volume.syncDir(c.dir.path); err != nil {
		return err
	}
	c.dir.show(c.number, c.list)
	return nil
}

// listWhole reads a pack through and lists the frames that are whole, and those before known that only have a sound
// framing: they were acknowledged, so that it was not a crash which left them so.
func listWhole(file io.ReaderAt, size, known int64) (listing, error) {
	list := listing{end: int64(len(packMagic))}
	add := func(e entry) {
		list.add(e.offset-list.end, e.length, header{kind: e.kind, items: e.items})
	}
	damaged := func(e entry, _ error) error {
		if e.items != nil && e.offset+e.length <= known {
			add(e)
		}
		return nil
	}
	err := walk(file, list.end, size, damaged, func(_ int64, e entry) error { add(e); return nil })
	return list, err
}
