package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"hayloft/cas"
)

// Scan calls each for every frame behind after, in ascending order of places, until each returns an error, which is
// returned. Of a pack that is sealed it reads the trailer only; other packs are read through. Damaged frames of these are
// passed over, and [Dir.Verify] tells of them. Frames appended meanwhile may or may not be among those visited. The
// slice of items is valid until each returns.
//
// Errors: [ErrDamaged] or [cas.ErrNewerFormat] for a file that is no pack.
func (d *Dir) Scan(ctx context.Context, after Place, each func(Place, Kind, []Item) error) error {
	numbers, err := d.numbers()
	if err != nil {
		return fmt.Errorf("scan packs: %w", err)
	}
	for _, number := range numbers {
		if number < after.Pack {
			continue
		}
		var failed error // of each, which is not ours to wrap
		err := d.eachEntry(ctx, number, after, nil, func(e entry) error {
			place := Place{Pack: number, Offset: e.offset, Length: e.length}
			if place.Compare(after) <= 0 {
				return nil
			}
			failed = each(place, e.kind, e.items)
			return failed
		})
		if failed != nil {
			return failed
		}
		if err != nil {
			return fmt.Errorf("scan pack %s: %w", d.file(number), err)
		}
	}
	return nil
}

// damage is told of a range of a pack that should hold a frame and does not. The entry has items only if the framing is
// sound.
type damage func(e entry, err error) error

// eachEntry visits the frames of one pack in the order of their places. Where there is no trailer, the frames are
// checked, those up to after excepted, and told may be nil.
func (d *Dir) eachEntry(ctx context.Context, number uint64, after Place, told damage, visit func(entry) error) error {
	withContext := func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return visit(e)
	}
	if list, ok := d.showing(number); ok {
		return list.each(withContext)
	}
	file, err := os.Open(d.file(number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it held nothing and was removed meanwhile
	}
	if err != nil {
		return err
	}
	return errors.Join(d.eachIn(file, number, after, told, withContext), file.Close())
}

func (d *Dir) eachIn(file *os.File, number uint64, after Place, told damage, visit func(entry) error) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	list, err := readTrailer(file, info.Size())
	if err == nil {
		if err := checkMagic(file); err != nil && told != nil {
			if err := told(entry{length: int64(len(packMagic))}, err); err != nil {
				return err
			}
		}
		return list.each(visit)
	}
	if !errors.Is(err, errNoTrailer) {
		return err
	}
	if list, ok := d.showing(number); ok { // it was opened again while we looked
		return list.each(visit)
	}
	if err := checkMagic(file); err != nil {
		if errors.Is(err, errUnborn) {
			return nil
		}
		return err
	}
	start := int64(len(packMagic))
	if after.Pack == number {
		start = max(start, after.Offset+after.Length)
	}
	return walk(file, start, info.Size(), told, func(_ int64, e entry) error { return visit(e) })
}

// errUnborn: the pack has not got its magic yet, or lost it in a power cut together with all that it held.
var errUnborn = errors.New("nothing was ever acknowledged in this pack")

// checkMagic tells whether the file is a pack of this version.
func checkMagic(file io.ReaderAt) error {
	const family = len("hayloft-pack ")
	start := make([]byte, len(packMagic))
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return err
	}
	start = start[:n]
	switch blank := !slices.ContainsFunc(start, func(b byte) bool { return b != 0 }); {
	case string(start) == packMagic:
		return nil
	case blank || n < len(packMagic) && string(start) == packMagic[:n]:
		return errUnborn
	case n == len(packMagic) && string(start[:family]) == packMagic[:family]:
		return fmt.Errorf("%w: its first line is %q; use a newer program", cas.ErrNewerFormat, start)
	default:
		return fmt.Errorf("%w: it does not begin with %q; move the file away, and what it held will be sent again",
			ErrDamaged, packMagic)
	}
}

// walk reads the frames of a pack from start to size, checks them, and visits those that are whole, each with the number
// of damaged bytes before it.
func walk(file io.ReaderAt, start, size int64, told damage, visit func(gap int64, e entry) error) error {
	end := start
	frames := NewReader(io.NewSectionReader(file, start, size-start))
	for at := start; ; {
		h, err := frames.read()
		if err == io.EOF {
			return nil
		}
		e := entry{offset: at, length: size - at}
		sound := err == nil
		if sound {
			e = entry{offset: at, length: int64(len(frames.encoded)), kind: h.kind, items: h.items}
			_, err = frames.open(h)
		} else if !isTorn(err) {
			return err
		}
		switch {
		case err == nil:
			err = visit(at-end, e)
			end = at + e.length
		case told != nil:
			err = told(e, err)
		default:
			err = nil
		}
		if err != nil || !sound {
			return err
		}
		at += e.length
	}
}

// isTorn tells whether reading failed because of what the bytes are, and not because they could not be read.
func isTorn(err error) bool {
	return errors.Is(err, ErrBadFrame) || errors.Is(err, ErrWrongID) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Verify reads and hashes everything, and calls each for every item with nil or with what is wrong with it, until each
// returns an error, which is returned. Where so much is damaged that nobody knows what items there were, each is called
// with the range and the zero Item.
func (d *Dir) Verify(ctx context.Context, each func(Place, Item, error) error) error {
	numbers, err := d.numbers()
	if err != nil {
		return fmt.Errorf("verify packs: %w", err)
	}
	for i, number := range numbers {
		v := verification{dir: d, number: number, each: each, beingWritten: d.batches == nil && i == len(numbers)-1}
		if err := v.run(ctx); err != nil {
			if v.failed != nil {
				return v.failed
			}
			return fmt.Errorf("verify pack %s: %w", d.file(number), err)
		}
	}
	return nil
}

// verification is Verify of one pack.
type verification struct {
	dir          *Dir
	number       uint64
	each         func(Place, Item, error) error
	beingWritten bool  // perhaps, by another process, so that its tail may be torn for a moment
	failed       error // what each returned
}

func (v *verification) run(ctx context.Context) error {
	err := v.dir.eachEntry(ctx, v.number, Place{}, v.damaged, v.check)
	if errors.Is(err, ErrDamaged) || errors.Is(err, cas.ErrNewerFormat) {
		return v.tell(Place{Pack: v.number}, Item{}, err)
	}
	return err
}

func (v *verification) place(e entry) Place {
	return Place{Pack: v.number, Offset: e.offset, Length: e.length}
}

// check reads a frame and compares it with what the trailer says of it.
func (v *verification) check(e entry) error {
	place := v.place(e)
	frame, err := v.dir.unchecked(place)
	if err != nil && !isTorn(err) {
		return err
	}
	if err == nil && (frame.Kind != e.kind || !slices.Equal(frame.Items, e.items)) {
		err = fmt.Errorf("%w: it holds other items than the trailer says", ErrBadFrame)
	}
	if err == nil {
		return frame.Each(func(item Item, data []byte) error { return v.tell(place, item, frame.checkID(item, data)) })
	}
	for _, item := range e.items {
		if err := v.tell(place, item, err); err != nil {
			return err
		}
	}
	return nil
}

// damaged is told of what is no whole frame.
func (v *verification) damaged(e entry, err error) error {
	if e.items != nil {
		return v.check(e) // which finds out which of the items are damaged
	}
	if v.beingWritten {
		return nil
	}
	return v.tell(v.place(e), Item{}, err)
}

func (v *verification) tell(p Place, item Item, err error) error {
	v.failed = v.each(p, item, err)
	return v.failed
}
