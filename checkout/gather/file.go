package gather

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/checkout"
	"hayloft/checkout/fileindex"
)

// fileReader reads one file.
type fileReader struct {
	*reading
	file     File
	events   chan<- event
	reported advance // what was sent for this file
	read     int64   // bytes, of all attempts
}

// settled reads the file until it holds still.
func (f *fileReader) settled(ctx context.Context) outcome {
	for range attempts {
		o, err := f.once(ctx)
		if errors.Is(err, ErrChanging) {
			continue
		}
		o.read, o.err = f.read, err
		return o
	}
	return outcome{read: f.read, err: fmt.Errorf("%q: %w", f.file.Source, ErrChanging)}
}

// once reads the file from its start to its end; ErrChanging if it was not the same before and after.
func (f *fileReader) once(ctx context.Context) (o outcome, err error) {
	began := f.Now()
	source, err := os.Open(f.file.Source)
	if err != nil {
		return outcome{}, err
	}
	defer source.Close()
	before, err := source.Stat()
	if err != nil {
		return outcome{}, err
	}
	f.report(advance{total: before.Size() - f.file.Size})
	counted := &countedFile{from: source, size: before.Size(), report: func(done int64) {
		f.report(advance{done: done, total: before.Size() - f.file.Size})
	}}
	content, pack, err := f.content(ctx, counted, before.Size())
	f.read += counted.done()
	if changed := f.hasChanged(before); changed != nil {
		pack.discard()
		return outcome{}, changed
	}
	if err != nil {
		pack.discard()
		return outcome{final: !counted.failed.Load() && !errors.Is(err, cas.ErrSizeMismatch)}, fmt.Errorf("%q: %w", f.file.Source, err)
	}
	f.report(advance{done: before.Size(), total: before.Size() - f.file.Size})
	o.found = Found{File: f.file, Content: content, Decoded: pack.origin(), Open: f.opener(f.file.Source, pack.origin(), pack)}
	o.found.State, o.found.Base = f.compare(ctx, o.found)
	o.fact = fileindex.Fact{
		Path: f.file.Source, Stat: fileindex.StatOf(before), Read: began, Blob: content.Blob, Recipe: content.Recipe,
		Origin: pack.origin(), Verbatim: !f.Decode && mayBeCompressed(f.file),
	}
	return o, nil
}

// content reads the bytes: without their envelope, if there is one to be taken off.
func (f *fileReader) content(ctx context.Context, source io.ReaderAt, size int64) (Content, *unpacked, error) {
	if !f.Decode || !mayBeCompressed(f.file) {
		content, err := f.Read(ctx, source, size)
		return content, nil, err
	}
	pack, plain, err := f.spool.unpack(ctx, f.file.Source, source, size)
	if err != nil {
		return Content{}, nil, err
	}
	if pack == nil {
		content, err := f.Read(ctx, source, size)
		return content, nil, err
	}
	content, err := f.Read(ctx, plain, pack.size)
	return content, pack, errors.Join(err, plain.Close())
}

// hasChanged is ErrChanging if the file under that name is not as it was. A program that saves by renaming leaves the
// open file as it was: its name tells that there is a newer one, or for a moment none.
func (f *fileReader) hasChanged(before os.FileInfo) error {
	after, err := os.Stat(f.file.Source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrChanging
	case err != nil:
		return err
	case !os.SameFile(before, after) || fileindex.StatOf(before) != fileindex.StatOf(after):
		return ErrChanging
	}
	return nil
}

// compare tells how the file stands to what was known of it.
func (f *fileReader) compare(ctx context.Context, found Found) (State, chunk.Recipe) {
	k, ok := f.known[f.file.Source]
	switch {
	case !ok:
		return New, chunk.Recipe{}
	case k.Blob == found.Blob && k.Origin == found.Decoded:
		return Unchanged, chunk.Recipe{}
	case !k.HasRecipe:
		return Changed, chunk.Recipe{}
	}
	// Without the recipe of the earlier version more travels than need be, and nothing else is lost.
	base, ok, err := f.Index.Recipe(ctx, f.file.Source)
	if err != nil || !ok || base.Blob() != k.Blob {
		return Changed, chunk.Recipe{}
	}
	return Changed, base
}

// report sends how far this file is, as the difference to what was sent for it before.
func (f *fileReader) report(now advance) {
	step := advance{done: now.done - f.reported.done, total: now.total - f.reported.total}
	f.reported = now
	if step != (advance{}) {
		f.events <- event{step: step}
	}
}

// opener gives the function that opens the bytes of a file of that origin; pack is nil unless it was just decoded.
func (r *reading) opener(source string, origin checkout.Origin, pack *unpacked) func() (Bytes, error) {
	switch {
	case origin == checkout.Plain:
		return func() (Bytes, error) { return os.Open(source) }
	case pack == nil:
		pack = &unpacked{spool: r.spool, source: source, from: origin}
	}
	return pack.open
}

// stepBytes are read between two reports of progress.
const stepBytes = 1 << 20

// countedFile counts what is read of a file. Its readers may be several goroutines of one reader of files; then reports
// follow one another all the same.
type countedFile struct {
	from   io.ReaderAt
	size   int64
	report func(done int64)
	turn   atomic.Bool
	count  atomic.Int64
	told   atomic.Int64
	failed atomic.Bool // by an error other than the end of the file
}

func (c *countedFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.from.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		c.failed.Store(true)
	}
	c.count.Add(int64(n))
	// Whoever comes while another reports leaves it to the next one.
	if c.done()-c.told.Load() >= stepBytes && c.turn.CompareAndSwap(false, true) {
		done := c.done()
		c.told.Store(done)
		c.report(done)
		c.turn.Store(false)
	}
	return n, err
}

// done is how much of the file was read. Some of it may be read twice, its structure first.
func (c *countedFile) done() int64 { return min(c.count.Load(), c.size) }
