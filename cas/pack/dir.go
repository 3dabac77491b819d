package pack

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"hayloft/cas"
)

// Place is where one encoded frame lies. The zero value is before all frames.
type Place struct {
	Pack           uint64 // number of the pack, from 1 on
	Offset, Length int64  // bytes
}

// Compare orders places by pack and offset.
func (p Place) Compare(other Place) int {
	if p.Pack != other.Pack {
		return compareNumbers(p.Pack, other.Pack)
	}
	return compareNumbers(p.Offset, other.Offset)
}

func compareNumbers[N uint64 | int64](a, b N) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// IsZero tells whether p is before all frames.
func (p Place) IsZero() bool { return p == Place{} }

// String gives the file's name and the range of bytes.
func (p Place) String() string { return fmt.Sprintf("%s+%d:%d", nameOf(p.Pack), p.Offset, p.Length) }

// Dir is a directory of packs. It may be used by many goroutines.
type Dir struct {
	path    string
	volume  volume
	batches chan *batch   // to the committer; nil when the directory is open for reading only
	stop    chan struct{} // closed by Close
	// finished is closed after the committer's last step.
	finished chan struct{}
	closing  sync.Once
	writes   *committer

	mu sync.Mutex
	// shown is, by number, what readers of this process see of packs that have no trailer, or lose it soon.
	shown map[uint64]listing
}

// OpenDir opens a directory for writing; it is made if there is none. The caller sees to it that one process at a time
// does so. Unless the last one ended with Close, the newest pack is read through and cut after its last whole frame; frames
// up to the place that the caller knows as acknowledged stay even if they are damaged, since what else is in them is not
// lost. Frames go into the newest pack until it is full. The caller ends with Close.
//
// Errors: [ErrDamaged] or [cas.ErrNewerFormat] when the newest pack is not one that this package writes,
// [cas.ErrNoSpace], what the file system says.
func OpenDir(path string, acknowledged Place) (*Dir, error) {
	return openDir(path, osVolume{}, fullPack, acknowledged)
}

func openDir(path string, v volume, full int64, acknowledged Place) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("open packs: %w", err)
	}
	d := &Dir{
		path: path, volume: v, shown: make(map[uint64]listing),
		batches: make(chan *batch), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	d.writes = &committer{dir: d, full: full}
	if err := d.writes.resume(acknowledged); err != nil {
		return nil, fmt.Errorf("open packs in %s: %w", path, d.writes.explain(err))
	}
	go d.writes.run()
	return d, nil
}

// OpenDirReadOnly opens a directory for reading, also beside a process that writes. It takes no lock and changes nothing.
// Of frames that the other process has just written, it may tell a moment before that process acknowledges them.
func OpenDirReadOnly(path string) (*Dir, error) {
	d := &Dir{path: path}
	if _, err := d.numbers(); err != nil {
		return nil, fmt.Errorf("open packs for reading: %w", err)
	}
	return d, nil
}

// Close waits for frames that are being stored, seals the newest pack, and ends the directory for writing. Closing twice
// is fine. An error says that a pack could not be sealed; what was acknowledged is durable all the same.
func (d *Dir) Close() error {
	if d.batches == nil {
		return nil
	}
	d.closing.Do(func() { close(d.stop) })
	<-d.finished
	return d.writes.failed
}

// Append stores frames, as [Append] and [Frame.Encoded] give them. They are durable when it returns nil. Many callers
// share one sync. The places are in the order given, and ascend. The caller must not change the frames before Append
// returns; ctx is heeded until their turn has come.
//
// After an error, frames of up to 8 MiB together are either all there, durable, or none is; of more, the first ones may
// be there. In both cases Scan tells. A later Append works again.
//
// Errors: [cas.ErrNoSpace]; [cas.ErrClosed], also when the directory is open for reading only; [ErrBadFrame] when the
// framing is wrong. Whether items have their ids is not looked at.
func (d *Dir) Append(ctx context.Context, frames [][]byte) ([]Place, error) {
	places := make([]Place, 0, len(frames))
	for rest := frames; len(rest) > 0; {
		b, err := newBatch(rest)
		if err == nil {
			err = d.hand(ctx, b)
		}
		if err != nil {
			return nil, fmt.Errorf("append %d frames to the packs in %s: %w", len(frames), d.path, err)
		}
		places, rest = append(places, b.places...), rest[len(b.frames):]
	}
	return places, nil
}

// newBatch takes as many of the frames as one sync should carry, and at least one.
func newBatch(frames [][]byte) (*batch, error) {
	b := &batch{done: make(chan struct{})}
	for i, frame := range frames {
		if i > 0 && b.list.end+int64(len(frame)) > maxCall {
			break
		}
		h, err := parseHeader(frame)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", i, err)
		}
		b.list.add(0, int64(len(frame)), h)
		b.frames = frames[:i+1]
	}
	return b, nil
}

// hand gives a batch to the committer and waits for what becomes of it.
func (d *Dir) hand(ctx context.Context, b *batch) error {
	if d.batches == nil {
		return fmt.Errorf("%w: these packs are open for reading only", cas.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-d.stop:
		return cas.ErrClosed
	default:
	}
	select {
	case d.batches <- b:
		<-b.done
		return b.err
	case <-d.stop:
		return cas.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Frame reads one frame and checks the ids of all its items. The frame has a buffer of its own.
//
// Errors: [ErrBadFrame] when the place does not hold a frame, [ErrWrongID], fs.ErrNotExist when the pack is gone.
func (d *Dir) Frame(ctx context.Context, p Place) (Frame, error) {
	if err := ctx.Err(); err != nil {
		return Frame{}, fmt.Errorf("read frame %v: %w", p, err)
	}
	frame, err := d.unchecked(p)
	if err == nil {
		err = frame.checkIDs()
	}
	if err != nil {
		return Frame{}, fmt.Errorf("read frame %v: %w", p, err)
	}
	return frame, nil
}

// Item reads one item of a frame and checks its id only, so that an item can be had beside one that is damaged.
//
// Errors: those of Frame.
func (d *Dir) Item(ctx context.Context, p Place, item int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read item %d of frame %v: %w", item, p, err)
	}
	frame, err := d.unchecked(p)
	if err == nil && (item < 0 || item >= len(frame.Items)) {
		err = fmt.Errorf("%w: it has %d items", ErrBadFrame, len(frame.Items))
	}
	var data []byte
	at := 0
	err = errors.Join(err, frame.Each(func(i Item, bytes []byte) error {
		if at++; at-1 != item {
			return nil
		}
		data = bytes
		return frame.checkID(i, bytes)
	}))
	if err != nil {
		return nil, fmt.Errorf("read item %d of frame %v: %w", item, p, err)
	}
	return data, nil
}

// unchecked reads one frame without hashing its items.
func (d *Dir) unchecked(p Place) (Frame, error) {
	file, err := os.Open(d.file(p.Pack))
	if err != nil {
		return Frame{}, err
	}
	frame, err := frameAt(file, p)
	return frame, errors.Join(err, file.Close())
}

func frameAt(file io.ReaderAt, p Place) (Frame, error) {
	if p.Length < 1 || p.Length > MaxEncoded || p.Offset < int64(len(packMagic)) {
		return Frame{}, fmt.Errorf("%w: no frame lies there", ErrBadFrame)
	}
	encoded := make([]byte, p.Length)
	if _, err := file.ReadAt(encoded, p.Offset); err == io.EOF {
		return Frame{}, fmt.Errorf("%w: the pack ends before it", ErrBadFrame)
	} else if err != nil {
		return Frame{}, err
	}
	h, err := parseHeader(encoded)
	if err != nil {
		return Frame{}, err
	}
	return h.unfold(encoded, nil)
}

// Size counts the packs and their bytes on disk.
func (d *Dir) Size() (packs int, bytes int64, err error) {
	numbers, err := d.numbers()
	if err != nil {
		return 0, 0, fmt.Errorf("measure packs: %w", err)
	}
	for _, number := range numbers {
		info, err := os.Stat(d.file(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it held nothing and was removed meanwhile
		}
		if err != nil {
			return 0, 0, fmt.Errorf("measure packs: %w", err)
		}
		packs, bytes = packs+1, bytes+info.Size()
	}
	return packs, bytes, nil
}

const packSuffix = ".pack"

func nameOf(number uint64) string { return fmt.Sprintf("%016x%s", number, packSuffix) }

func (d *Dir) file(number uint64) string { return filepath.Join(d.path, nameOf(number)) }

// numbers lists the packs in ascending order. Files with other names are none of ours.
func (d *Dir) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, entry := range entries {
		if number, ok := numberOf(entry.Name()); ok && entry.Type().IsRegular() {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func numberOf(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, packSuffix)
	var raw [8]byte
	if !ok || len(digits) != hex.EncodedLen(len(raw)) || strings.ToLower(digits) != digits {
		return 0, false
	}
	if _, err := hex.Decode(raw[:], []byte(digits)); err != nil {
		return 0, false
	}
	var number uint64
	for _, b := range raw {
		number = number<<8 | uint64(b)
	}
	return number, number > 0
}

// show lets readers of this process see these frames of a pack, and no others.
func (d *Dir) show(number uint64, list listing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown[number] = list
}

// hide makes readers of this process look into the file again.
func (d *Dir) hide(number uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.shown, number)
}

func (d *Dir) showing(number uint64) (listing, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list, ok := d.shown[number]
	return list, ok
}
