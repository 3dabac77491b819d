package gather

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/checkout"
	"hayloft/checkout/fileindex"
)

// Reading is how [Read] reads a tree. The zero value reads all files as they are.
type Reading struct {
	// Index knows the files of earlier readings and learns those of this one; nil: none.
	Index *fileindex.Index
	// Rescan reads files although the index knows them as unchanged.
	Rescan bool
	// Decode takes a compressed .blend file out of its envelope; its blob is that of the plain bytes. A file whose
	// envelope is in doubt is taken as it is.
	Decode bool
	// Spool is a folder for decoded files, needed if Decode is set. The caller removes it with all that is in it when
	// nothing that was found will be opened any more.
	Spool string
	// Read reads the first size bytes of one file, whole; nil: [chunk.Split] for files above 1 MiB, else SHA-256 alone.
	// It is called from several goroutines, and again for a file that changed meanwhile. An error of its own ends the
	// reading; one of r is the file's.
	Read func(ctx context.Context, r io.ReaderAt, size int64) (Content, error)
	// Each, if set, is called as soon as a file is known, in the goroutine that called [Read]; while it blocks, no more
	// files are read. Its error ends the reading.
	Each func(Found) error
	// Progress, if set, is called in the same goroutine with the bytes done and in all of the files that are read. Both
	// can change either way if a file turns out to have changed.
	Progress func(done, total int64)
	// Now is [time.Now] unless set. It tells the index which files are too young to be trusted.
	Now func() time.Time
}

// Content is what a file turned out to hold.
type Content struct {
	Blob   cas.Blob
	Recipe chunk.Recipe // zero: it was not cut
}

// State tells how a file stands to what the index knew.
type State uint8

// The states. Without an index every file is new. A file that was written again with the content that it had is
// unchanged.
const (
	New State = iota
	Changed
	Unchanged
)

// Bytes are the bytes of a blob on this machine.
type Bytes interface {
	io.ReaderAt
	io.Closer
}

// Found is one file of the tree with its content.
type Found struct {
	File File
	// Content has no recipe if the file was not read; [fileindex.Index.Recipe] of File.Source may have it.
	Content
	Base    chunk.Recipe // of the version that the index knew, if State is Changed; zero: none
	State   State
	Decoded checkout.Origin
	// Open gives the bytes of the blob: those of the file, or if it was decoded those without the envelope. They are
	// other bytes than the blob's if the file has changed since.
	Open func() (Bytes, error)
}

// Summary counts what [Read] did.
type Summary struct {
	FilesNew, FilesChanged, FilesUnchanged int
	BytesRead                              int64 // from the tree, envelopes included
	// Index is why the index was of no use, or not to the end; the reading is whole all the same. Nil: all went well.
	Index error
}

const (
	// readers is how many files are read at a time. One core hashes about as fast as a good disk reads; a second one
	// hides the pauses between files.
	readers = 2
	// attempts is how many times a file that changes is read before that is an error: once and three times again.
	attempts = 4
	// smallBytes is the size up to which a file is not cut: it travels whole.
	smallBytes = 1 << 20
)

// After so many files or bytes read, the index is told, so that little is read again after a reading that was cut short.
const (
	batchFiles = 512
	batchBytes = 256 << 20
)

// Read finds out the content of all files of t and gives the manifest. A file that the index knows and that looks the
// same is not opened.
//
// A file counts as read if it kept its size, its times and its identity meanwhile; otherwise it is read again, up to
// three times. Errors: [*UnusableError] with all files that cannot be opened, before any is read, or that could not be
// read or kept changing ([ErrChanging]); those of Each and of Reading.Read; ctx's; a spool that cannot be written;
// whatever [checkout.NewManifest] refuses. What was read before an error, the index remembers.
func Read(ctx context.Context, t Tree, how Reading) (checkout.Manifest, Summary, error) {
	if how.Read == nil {
		how.Read = sum
	}
	if how.Now == nil {
		how.Now = time.Now
	}
	r := reading{Reading: how, tree: t, spool: &spool{folder: how.Spool}, entries: make([]checkout.Entry, len(t.Files))}
	m, err := r.all(ctx)
	if err != nil {
		return checkout.Manifest{}, r.summary, fmt.Errorf("read %d files of %q: %w", len(t.Files), t.Root, err)
	}
	return m, r.summary, nil
}

// sum is the way to read a file unless the caller has one.
func sum(ctx context.Context, r io.ReaderAt, size int64) (Content, error) {
	if size > smallBytes {
		recipe, err := chunk.Split(ctx, r, size, func(chunk.Piece) error { return nil })
		return Content{Blob: recipe.Blob(), Recipe: recipe}, err
	}
	whole := make([]byte, size)
	if n, err := r.ReadAt(whole, 0); int64(n) < size {
		if errors.Is(err, io.EOF) {
			err = cas.ErrSizeMismatch
		}
		return Content{}, err
	}
	return Content{Blob: cas.Blob{Digest: cas.SumBytes(whole), Size: size}}, nil
}

// reading is one run of [Read]. All but what readers use belongs to the goroutine that called it.
type reading struct {
	Reading
	tree    Tree
	known   map[string]fileindex.Known // complete before the first reader starts
	spool   *spool
	entries []checkout.Entry // one for each file of the tree
	summary Summary
	at      advance
	facts   []fileindex.Fact
	fresh   int64 // bytes read since the index was told
	faults  []error
}

// advance is a step of progress, in bytes.
type advance struct{ done, total int64 }

// outcome is what became of one file.
type outcome struct {
	file  int // index in the tree
	found Found
	fact  fileindex.Fact
	read  int64 // bytes
	err   error
	final bool // err is not the file's alone: the reading ends
}

// event is either a step of progress or an outcome.
type event struct {
	step advance
	done *outcome
}

func (r *reading) all(ctx context.Context) (checkout.Manifest, error) {
	if r.Decode && r.Spool == "" {
		return checkout.Manifest{}, errors.New("no folder to decode files in: name one, or do not decode")
	}
	if err := r.lookUp(ctx); err != nil {
		return checkout.Manifest{}, err
	}
	unread, err := r.settleUnchanged(ctx)
	if err != nil {
		return checkout.Manifest{}, err
	}
	if err := r.checkReadable(ctx, unread); err != nil {
		return checkout.Manifest{}, err
	}
	if err := r.readAll(ctx, unread); err != nil {
		return checkout.Manifest{}, err
	}
	if len(r.faults) > 0 {
		return checkout.Manifest{}, &UnusableError{Root: r.tree.Root, Causes: r.faults}
	}
	return checkout.NewManifest(r.entries)
}

// lookUp asks the index about the whole tree at once. An index that fails is done without.
func (r *reading) lookUp(ctx context.Context) error {
	if r.Index == nil {
		return nil
	}
	roots := r.tree.Roots
	if len(roots) == 0 {
		roots = []string{r.tree.Root}
	}
	for _, root := range roots {
		known, err := r.Index.Under(ctx, root)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.summary.Index = err
			r.Index, r.known = nil, nil
			return nil
		}
		if r.known == nil {
			r.known = known
			continue
		}
		for path, k := range known {
			r.known[path] = k
		}
	}
	return nil
}

// settleUnchanged tells of all files that need no reading, and gives the others.
func (r *reading) settleUnchanged(ctx context.Context) (unread []int, err error) {
	for i, f := range r.tree.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k, ok := r.known[f.Source]
		if !ok || r.Rescan || !k.Unchanged(f.Stat) || !r.asWanted(f, k) {
			unread = append(unread, i)
			continue
		}
		found := Found{File: f, Content: Content{Blob: k.Blob}, State: Unchanged, Decoded: k.Origin, Open: r.opener(f.Source, k.Origin, nil)}
		if err := r.settle(i, found); err != nil {
			return nil, err
		}
	}
	return unread, nil
}

// asWanted tells whether what is known of a file was found with the same wish to decode it, or does not depend on it.
func (r *reading) asWanted(f File, k fileindex.Known) bool {
	switch {
	case !mayBeCompressed(f):
		return true
	case r.Decode:
		return !k.Verbatim
	}
	return k.Origin == checkout.Plain
}

// checkReadable opens each file that will be read: only that shows whether it can be, and better now than after hours.
func (r *reading) checkReadable(ctx context.Context, unread []int) error {
	for _, i := range unread {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := os.Open(r.tree.Files[i].Source)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			r.faults = append(r.faults, err)
		}
	}
	if len(r.faults) > 0 {
		return &UnusableError{Root: r.tree.Root, Causes: r.faults}
	}
	return nil
}

// settle takes in what a file holds and tells of it.
func (r *reading) settle(i int, found Found) error {
	switch found.State {
	case New:
		r.summary.FilesNew++
	case Changed:
		r.summary.FilesChanged++
	case Unchanged:
		r.summary.FilesUnchanged++
	}
	r.entries[i] = checkout.Entry{Path: found.File.Path, Mode: found.File.Mode, Blob: found.Blob, Origin: found.Decoded}
	if r.Each == nil {
		return nil
	}
	return r.Each(found)
}

// readAll reads files until all are read or something ends the reading.
func (r *reading) readAll(ctx context.Context, unread []int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, i := range unread {
		r.at.total += r.tree.Files[i].Size
	}
	events := make(chan event)
	go r.start(ctx, unread, events)
	var failed error
	for e := range events {
		switch {
		case failed != nil: // Readers that are still at work must not be left waiting.
		case e.done == nil:
			r.advance(e.step)
		default:
			if failed = r.take(ctx, *e.done); failed != nil {
				stop()
			}
		}
	}
	r.tellIndex(ctx)
	if failed != nil {
		return failed
	}
	return ctx.Err()
}

// start reads the files, several at a time, and closes events when no reader is at work any more.
func (r *reading) start(ctx context.Context, unread []int, events chan<- event) {
	defer close(events)
	var group errgroup.Group
	group.SetLimit(readers)
	for _, i := range unread {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			one := fileReader{reading: r, file: r.tree.Files[i], events: events}
			o := one.settled(ctx)
			o.file = i
			events <- event{done: &o}
			return nil
		})
	}
	_ = group.Wait() // no reader returns an error
}

func (r *reading) advance(step advance) {
	r.at.done += step.done
	r.at.total += step.total
	if r.Progress != nil {
		r.Progress(r.at.done, r.at.total)
	}
}

// take takes in the outcome of one file. Its error ends the reading.
func (r *reading) take(ctx context.Context, o outcome) error {
	r.summary.BytesRead += o.read
	switch {
	case o.err != nil && (o.final || ctx.Err() != nil):
		return o.err
	case o.err != nil:
		r.faults = append(r.faults, o.err)
		return nil
	}
	r.fresh += o.read
	r.facts = append(r.facts, o.fact)
	if len(r.facts) >= batchFiles || r.fresh >= batchBytes {
		r.tellIndex(ctx)
	}
	return r.settle(o.file, o.found)
}

// tellIndex remembers what was read, even if the reading was ended. An index that fails is not asked again.
func (r *reading) tellIndex(ctx context.Context) {
	if r.Index != nil && r.summary.Index == nil {
		r.summary.Index = r.Index.Remember(context.WithoutCancel(ctx), r.facts)
	}
	r.facts, r.fresh = slices.Delete(r.facts, 0, len(r.facts)), 0
}
