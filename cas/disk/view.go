package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hayloft/cas"
	"hayloft/cas/index"
	"hayloft/cas/pack"
)

// View is a store open for reading. It may be used by many goroutines.
type View struct {
	layout     layout
	ledger     *ledger // nil when another process may be writing
	generation string
	epoch      epoch
	shelf      *shelf // nil when nothing was ever packed
}

// OpenReadOnly opens the store in the directory root for reading, also beside a process that writes to it. It takes no
// lock and changes nothing; the caller closes it. Of a blob that the other process has just made visible, it may tell a
// moment before that process acknowledges it. In a store that ended in a crash, it sees what the index knew.
//
// Errors: [ErrNotAStore] when there is none, [cas.ErrNewerFormat].
func OpenReadOnly(root string) (*View, error) {
	path, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", root, err)
	}
	view := &View{layout: layout(path)}
	if err := view.open(); err != nil {
		return nil, fmt.Errorf("open store %s for reading: %w", path, err)
	}
	return view, nil
}

func (v *View) open() error {
	version, err := v.layout.inspect()
	if err == nil && version == 0 || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it has no file %q; check the path", ErrNotAStore, formatName)
	}
	if err != nil {
		return err
	}
	if v.generation, err = v.layout.readGeneration(); err != nil {
		return err
	}
	if v.epoch, _, err = v.layout.readEpoch(); err != nil {
		return err
	}
	v.shelf, err = openShelfReadOnly(v.layout)
	if errors.Is(err, index.ErrDamaged) {
		err = fmt.Errorf("%w; open the store for writing, or rebuild its index", err)
	}
	return err
}

// Close ends a view that OpenReadOnly gave. Readers that are open go on.
func (v *View) Close() error { return v.shelf.close() }

// Generation is a random id, made with the store. A client that remembers what the store has told it keeps it under this
// id: another store at the same place, or one whose index was rebuilt by hand, has another one. It is empty for a store
// that was never opened for writing in this format.
func (v *View) Generation() string { return v.generation }

// Path is the absolute path at which the whole file of this digest lies when the store holds the blob and the blob has
// more than [SmallSize] bytes; for smaller ones only after [Store.Shape]. The file is read-only and its content never
// changes, so that a checkout may link to it.
func (v *View) Path(digest cas.Digest) string { return v.layout.object(digest) }

// statBatch bounds the blobs of one question to the index.
const statBatch = 10_000

// Stat tells which blobs the store holds; see [cas.Stater]. It looks at names and sizes only; Verify reads content.
func (v *View) Stat(ctx context.Context, blobs []cas.Blob, have func(cas.Blob) error) error {
	for batch := range slices.Chunk(blobs, statBatch) {
		held, err := v.holdsAll(ctx, batch)
		if err != nil {
			return fmt.Errorf("stat %d blobs: %w", len(blobs), err)
		}
		for i, blob := range batch {
			if !held[i] {
				continue
			}
			if err := have(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdsAll tells which of the blobs may be shown to others: visible, whole and durable.
func (v *View) holdsAll(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	held := make([]bool, len(blobs))
	var small []cas.Blob
	var at []int // of each small blob in blobs
	for i, blob := range blobs {
		if blob.Size >= 0 && blob.Size <= SmallSize {
			small, at = append(small, blob), append(at, i)
		}
	}
	locations, err := v.shelf.locate(ctx, small)
	if err != nil {
		return nil, err
	}
	for i, location := range locations {
		held[at[i]] = location.Place != (pack.Place{})
	}
	for i, blob := range blobs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if held[i] {
			continue
		}
		whole, err := v.lies(blob)
		if err != nil {
			return nil, fmt.Errorf("blob %v: %w", blob, err)
		}
		held[i] = whole && v.ledger.settled(blob.Digest)
	}
	return held, nil
}

func (v *View) holds(ctx context.Context, blob cas.Blob) (bool, error) {
	held, err := v.holdsAll(ctx, []cas.Blob{blob})
	return err == nil && held[0], err
}

// lies tells whether there is a file at the blob's place, of the blob's size.
func (v *View) lies(blob cas.Blob) (bool, error) {
	info, err := v.wholeFile(blob)
	return info != nil, err
}

// keptWhole tells whether the blob is durable as a file of its own, not derived from a pack.
func (v *View) keptWhole(blob cas.Blob) (bool, error) {
	info, err := v.wholeFile(blob)
	derived := info != nil && blob.Size <= SmallSize && epochOf(info) != 0
	return info != nil && !derived && v.ledger.settled(blob.Digest), err
}

// wholeFile describes the file at the blob's place, or is nil if there is none of the blob's size.
func (v *View) wholeFile(blob cas.Blob) (fs.FileInfo, error) {
	info, err := os.Lstat(v.layout.object(blob.Digest))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() != blob.Size) {
		return nil, nil
	}
	return info, err
}

// reader gives a blob's bytes. Being a file, it also has WriteTo, which lets the kernel copy.
type reader struct {
	*os.File
	blob cas.Blob
}

func (r *reader) Blob() cas.Blob { return r.blob }

// packedReader gives the bytes of a blob from a pack.
type packedReader struct {
	*bytes.Reader
	blob cas.Blob
}

func (r *packedReader) Blob() cas.Blob { return r.blob }

func (r *packedReader) Close() error { return nil }

// Open gives a blob's bytes; see [cas.Opener]. Reading does not check them against the digest; Verify does. A small blob
// is read from its pack when it has no whole file that can be relied upon, and is then in memory while it is open.
func (v *View) Open(ctx context.Context, digest cas.Digest) (cas.Reader, error) {
	opened, err := v.openAny(ctx, digest)
	if errors.Is(err, fs.ErrNotExist) {
		err = cas.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %v: %w", digest, err)
	}
	return opened, nil
}

func (v *View) openAny(ctx context.Context, digest cas.Digest) (cas.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	whole, suspect, err := v.openBlob(digest)
	if err == nil && !suspect {
		return whole, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	packed, packErr := v.openPacked(ctx, digest)
	if whole == nil {
		return packed, packErr
	}
	if errors.Is(packErr, fs.ErrNotExist) {
		return whole, nil // it is not derived
	}
	return packed, errors.Join(packErr, whole.Close())
}

func (v *View) openPacked(ctx context.Context, digest cas.Digest) (cas.Reader, error) {
	locations, err := v.shelf.find(ctx, []cas.Digest{digest})
	if err != nil {
		return nil, err
	}
	if locations[0] == (index.Location{}) {
		return nil, fs.ErrNotExist
	}
	data, err := v.shelf.bytes(ctx, locations[0])
	if err != nil {
		return nil, err
	}
	return &packedReader{bytes.NewReader(data), cas.Blob{Digest: digest, Size: int64(len(data))}}, nil
}

// openBlob opens the whole file of a blob. suspect: it is derived from a pack and may not have survived a power cut.
func (v *View) openBlob(digest cas.Digest) (opened *reader, suspect bool, err error) {
	if !v.ledger.settled(digest) {
		return nil, false, fs.ErrNotExist
	}
	file, err := os.Open(v.layout.object(digest))
	if err != nil {
		return nil, false, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrForeign
	}
	if err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	opened = &reader{File: file, blob: cas.Blob{Digest: digest, Size: info.Size()}}
	return opened, v.isSuspect(info), nil
}

// isSuspect tells whether a whole file may be a derived one that is not of this epoch. One without a mark may have lost
// that in the power cut, too, if its file system orders such things differently; whether it is derived, the index knows.
func (v *View) isSuspect(info fs.FileInfo) bool {
	return info.Size() <= SmallSize && epochOf(info) != v.epoch
}

// List enumerates the store; see [cas.Lister]. It keeps the names of one fan-out folder, and of the packed blobs that
// would lie there, in memory, which is a 256th of the store, or a few thousand packed ones if that is more. A blob
// committed meanwhile may or may not be among them.
func (v *View) List(ctx context.Context, after cas.Digest, each func(cas.Blob) error) error {
	return v.everything(ctx, after, func(f found) error { return each(f.blob) })
}

// found is a blob that the store holds.
type found struct {
	blob   cas.Blob
	packed bool
	whole  bool // it has a file of its own, be it derived or not
}

// everything visits all blobs after a digest in ascending order. A suspect's size is that of the packed blob.
func (v *View) everything(ctx context.Context, after cas.Digest, visit func(found) error) error {
	start := after.String()[:2]
	list := packedList{shelf: v.shelf, after: after}
	for i := range fanOuts {
		fanOut := filepath.Base(v.layout.fanOut(i))
		if fanOut < start {
			continue
		}
		all, err := v.fanOut(ctx, i, after, &list)
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		for _, f := range all {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("list blobs: %w", err)
			}
			if err := visit(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// fanOut gives the blobs whose digest begins with one byte and is greater than after, in ascending order.
func (v *View) fanOut(ctx context.Context, number int, after cas.Digest, list *packedList) ([]found, error) {
	packed, err := list.in(ctx, filepath.Base(v.layout.fanOut(number)))
	if err != nil {
		return nil, err
	}
	var all []found
	err = v.walkFolder(ctx, number, func(item item) error {
		if item.foreign || item.digest.Compare(after) <= 0 || !v.ledger.settled(item.digest) {
			return nil
		}
		for len(packed) > 0 && packed[0].Digest.Compare(item.digest) < 0 {
			all, packed = append(all, found{blob: packed[0], packed: true}), packed[1:]
		}
		if len(packed) > 0 && packed[0].Digest == item.digest {
			all, packed = append(all, found{blob: packed[0], packed: true, whole: true}), packed[1:]
			return nil
		}
		info, err := item.entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			all = append(all, found{blob: cas.Blob{Digest: item.digest, Size: info.Size()}, whole: true})
		}
		return err
	})
	for _, blob := range packed {
		all = append(all, found{blob: blob, packed: true})
	}
	return all, err
}

// packedList reads the packed blobs in ascending order, many with one question to the index.
type packedList struct {
	shelf *shelf
	after cas.Digest // what was read last
	ready []cas.Blob
	ended bool // nothing follows after ready
}

const packedBatch = 4096

var errBatchFull = errors.New("the batch is full")

// in takes those whose digest begins with the two digits of a fan-out folder; those of earlier folders were taken before.
func (l *packedList) in(ctx context.Context, fanOut string) (blobs []cas.Blob, err error) {
	for {
		for len(l.ready) > 0 && l.ready[0].Digest.String()[:2] == fanOut {
			blobs, l.ready = append(blobs, l.ready[0]), l.ready[1:]
		}
		if len(l.ready) > 0 || l.ended {
			return blobs, nil
		}
		if err := l.fill(ctx); err != nil {
			return nil, err
		}
	}
}

func (l *packedList) fill(ctx context.Context) error {
	if l.shelf == nil {
		l.ended = true
		return ctx.Err()
	}
	err := l.shelf.index.EachBlob(ctx, l.after, func(blob cas.Blob, _ index.Location) error {
		l.ready, l.after = append(l.ready, blob), blob.Digest
		if len(l.ready) == packedBatch {
			return errBatchFull
		}
		return nil
	})
	if errors.Is(err, errBatchFull) {
		return nil
	}
	l.ended = err == nil
	return err
}

// item is an entry of a fan-out folder.
type item struct {
	entry   fs.DirEntry
	path    string
	digest  cas.Digest // unless foreign
	foreign bool       // its name or kind is not a blob's
}

// walk visits what lies in the fan-out folders in ascending order of names.
func (v *View) walk(ctx context.Context, visit func(item) error) error {
	for i := range fanOuts {
		if err := v.walkFolder(ctx, i, visit); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) walkFolder(ctx context.Context, number int, visit func(item) error) error {
	dir := v.layout.fanOut(number)
	fanOut := filepath.Base(dir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		digest, err := digestOf(fanOut, entry.Name())
		foreign := err != nil || !entry.Type().IsRegular()
		path := filepath.Join(dir, entry.Name())
		if err := visit(item{entry: entry, path: path, digest: digest, foreign: foreign}); err != nil {
			return err
		}
	}
	return nil
}
