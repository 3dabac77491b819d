package checkout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// Bounds of one request to a [Fetcher]. A batch ends when it holds either; a lane is a part of the chunks of one file that
// is worth a request of its own, and no file has more than maxLanes.
const (
	batchFiles = 1024
	batchBytes = 8 << 20
	laneBytes  = 8 << 20
	maxLanes   = 4 * parallel
)

// batch gathers small blobs for one request.
type batch struct {
	jobs  []*job
	bytes int64
}

// add tells whether the batch is full.
func (b *batch) add(j *job) bool {
	b.jobs = append(b.jobs, j)
	b.bytes += j.blob.Size
	return len(b.jobs) >= batchFiles || b.bytes >= batchBytes
}

func (b *batch) take() []*job {
	jobs := b.jobs
	*b = batch{}
	return jobs
}

// request waits for its turn to ask the Fetcher.
func (l *layer) request(ctx context.Context, ask func() error) error {
	select {
	case l.requests <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.requests }()
	return ask()
}

// fetchFiles brings small blobs in one answer. If the Fetcher does not know one of them, the opener has the last word on
// those that have not come, and its error names the file.
func (l *layer) fetchFiles(ctx context.Context, jobs []*job) error {
	digests := make([]cas.Digest, len(jobs))
	for i, j := range jobs {
		digests[i] = j.blob.Digest
	}
	came := 0
	err := l.request(ctx, func() error {
		return l.Fetch.Files(ctx, digests, func(blob cas.Blob, data []byte) error {
			if came == len(jobs) {
				return fmt.Errorf("%s came unasked", blob)
			}
			j := jobs[came]
			came++
			return l.named(j, l.layBytes(j, data))
		})
	})
	if err != nil && !errors.Is(err, cas.ErrNotFound) {
		return err
	}
	for _, j := range jobs[came:] {
		if err := l.named(j, l.layOpened(ctx, j)); err != nil {
			return err
		}
	}
	return nil
}

// layBytes writes a blob that came whole.
func (l *layer) layBytes(j *job, data []byte) error {
	l.fetched(int64(len(data)))
	if int64(len(data)) != j.blob.Size {
		return fmt.Errorf("%w: %d bytes came instead of %d", cas.ErrSizeMismatch, len(data), j.blob.Size)
	}
	if cas.SumBytes(data) != j.blob.Digest {
		return cas.ErrDigestMismatch
	}
	for _, f := range j.places {
		if err := l.layBytesAt(f, data); err != nil {
			return err
		}
	}
	return nil
}

func (l *layer) layBytesAt(f finding, data []byte) error {
	to, name, err := l.create(f.entry.Mode)
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := l.place(name, f, Fetch); err != nil {
		return err
	}
	l.advance(int64(len(data)))
	return nil
}

// fetchChunks brings a large blob as those of its chunks that the file in its place lacks. It is not done if the store
// has no recipe.
func (l *layer) fetchChunks(ctx context.Context, j *job) (done bool, err error) {
	seed, err := l.openSeed(ctx, j)
	if err != nil {
		return false, err
	}
	defer seed.close()
	var recipe chunk.Recipe
	err = l.request(ctx, func() (err error) {
		recipe, err = l.Fetch.Recipe(ctx, j.blob.Digest, seed.recipe)
		return err
	})
	if errors.Is(err, cas.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if recipe.Blob() != j.blob {
		return false, fmt.Errorf("%w: the recipe that came is that of %s", cas.ErrDigestMismatch, recipe.Blob())
	}
	for i := range j.places {
		j.places[i].recipe = recipe
	}
	return true, l.assemble(ctx, j, recipe, seed)
}

// seed is a file that may hold chunks of another.
type seed struct {
	file   *os.File // nil: there is none
	recipe chunk.Recipe
}

func (s seed) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// openSeed opens the file that one of the places replaces, and sees how it is cut.
func (l *layer) openSeed(ctx context.Context, j *job) (seed, error) {
	for _, f := range j.places {
		if f.info == nil || !f.info.Mode().IsRegular() || f.info.Size() == 0 {
			continue
		}
		file, err := l.top.Open(f.entry.Path.text)
		if err != nil {
			continue // what has become of it shows when it is replaced
		}
		recipe := f.there
		if recipe.Blob().Size == 0 {
			recipe, err = l.cut(ctx, f, file)
		}
		if err == nil {
			return seed{file: file, recipe: recipe}, nil
		}
		file.Close()
		if ctx.Err() != nil {
			return seed{}, ctx.Err()
		}
	}
	return seed{}, nil
}

// cut gives the recipe of a file in place, from memory if that has it.
func (l *layer) cut(ctx context.Context, f finding, file *os.File) (chunk.Recipe, error) {
	if l.Known != nil {
		if recipe, ok := l.Known.Recipe(l.absolute(f.entry.Path), f.info); ok {
			return recipe, nil
		}
	}
	return chunk.Split(ctx, file, f.info.Size(), func(chunk.Piece) error { return nil })
}

// assemble writes a large blob out of order, what the seed has and then what must be fetched, and checks the whole.
func (l *layer) assemble(ctx context.Context, j *job, recipe chunk.Recipe, from seed) error {
	file, name, resumed, err := l.takePart(j)
	if err != nil {
		return err
	}
	defer file.Close()
	a := &assembly{layer: l, file: file, recipe: recipe, meter: l.meter(j.places[0])}
	a.plan()
	err = a.fill(ctx, from, resumed)
	if err == nil {
		err = l.checkWhole(ctx, file, j.blob)
	}
	switch {
	case err == nil:
		return l.placeAll(ctx, j, file, name, Fetch, a.meter)
	case errors.Is(err, cas.ErrDigestMismatch), errors.Is(spaceError(err), cas.ErrNoSpace):
		return fmt.Errorf("put together from %d chunks: %w", recipe.Len(), err)
	}
	return errors.Join(err, file.Close(), l.keepPart(name, j))
}

func (l *layer) checkWhole(ctx context.Context, file *os.File, blob cas.Blob) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return copyChecked(ctx, io.Discard, file, blob)
}

// assembly is a file that is put together from its chunks.
type assembly struct {
	layer  *layer
	file   *os.File
	recipe chunk.Recipe
	meter  *meter
	places map[chunk.ID][][]chunk.Range // where the bytes of each chunk belong; several if it occurs again
	wanted []bool                       // by ordinal: must be fetched; one of those with the same id
}

// plan notes where each chunk goes.
func (a *assembly) plan() {
	a.places = make(map[chunk.ID][][]chunk.Range, a.recipe.Len())
	a.wanted = make([]bool, 0, a.recipe.Len())
	for c, ranges := range a.recipe.Chunks() {
		known := a.places[c.ID]
		a.places[c.ID] = append(known, slices.Clone(ranges))
		a.wanted = append(a.wanted, len(known) == 0)
	}
}

// fill writes all chunks: first those that are at hand.
func (a *assembly) fill(ctx context.Context, from seed, resumed bool) error {
	if err := a.file.Truncate(a.recipe.Blob().Size); err != nil {
		return err
	}
	if resumed {
		err := a.take(ctx, a.file, func(c chunk.Chunk) []chunk.Range { return a.places[c.ID][0] })
		if err != nil {
			return err
		}
	}
	if from.file != nil {
		there := a.rangesIn(from.recipe)
		if err := a.take(ctx, from.file, func(c chunk.Chunk) []chunk.Range { return there[c.ID] }); err != nil {
			return err
		}
	}
	return a.fetchLacking(ctx)
}

// rangesIn says where in the file of another recipe the chunks of this one are.
func (a *assembly) rangesIn(other chunk.Recipe) map[chunk.ID][]chunk.Range {
	there := make(map[chunk.ID][]chunk.Range, other.Len())
	for c, ranges := range other.Chunks() {
		if _, needed := a.places[c.ID]; needed && there[c.ID] == nil {
			there[c.ID] = slices.Clone(ranges)
		}
	}
	return there
}

// take copies the wanted chunks that file has at the ranges that where gives. Each is checked: a person may be writing to
// the file, and one that is left from an interrupted run has holes.
func (a *assembly) take(ctx context.Context, file *os.File, where func(chunk.Chunk) []chunk.Range) error {
	buffer := make([]byte, chunk.MaxSize)
	ordinal := -1
	for c := range a.recipe.Chunks() {
		ordinal++
		ranges := where(c)
		if !a.wanted[ordinal] || ranges == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		data, ok := readChunk(file, c, ranges, buffer)
		if !ok {
			continue
		}
		a.wanted[ordinal] = false
		if err := a.put(c, data, file == a.file); err != nil {
			return err
		}
	}
	return nil
}

// readChunk gathers the bytes of a chunk from where they should be in a file, and tells whether they are.
func readChunk(file *os.File, c chunk.Chunk, ranges []chunk.Range, buffer []byte) ([]byte, bool) {
	data := buffer[:0]
	for _, r := range ranges {
		n := len(data)
		if r.Length > int64(c.Length-n) {
			return nil, false
		}
		data = data[:n+int(r.Length)]
		if _, err := file.ReadAt(data[n:], r.Offset); err != nil {
			return nil, false
		}
	}
	return data, len(data) == c.Length && chunk.Sum(data) == c.ID
}

// put writes the bytes of a chunk wherever they belong, but not where they are if they come from the file itself. Chunks
// that differ never meet, so that this may be called for several at a time.
func (a *assembly) put(c chunk.Chunk, data []byte, own bool) error {
	if len(data) != c.Length {
		return fmt.Errorf("%w %s: %d bytes came instead of %d", chunk.ErrWrongChunk, c.ID, len(data), c.Length)
	}
	for i, ranges := range a.places[c.ID] {
		a.meter.add(int64(len(data)))
		if own && i == 0 {
			continue
		}
		rest := data
		for _, r := range ranges {
			if _, err := a.file.WriteAt(rest[:r.Length], r.Offset); err != nil {
				return err
			}
			rest = rest[r.Length:]
		}
	}
	return nil
}

// fetchLacking asks for the rest, in as many requests as it is worth.
func (a *assembly) fetchLacking(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	least := max(laneBytes, a.lackingBytes()/maxLanes)
	lane, bytes, ordinal := make([]bool, len(a.wanted)), int64(0), -1
	send := func() {
		mine, count := lane, bytes
		lane, bytes = make([]bool, len(a.wanted)), 0
		if count > 0 {
			group.Go(func() error { return a.fetchLane(groupCtx, mine) })
		}
	}
	for c := range a.recipe.Chunks() {
		ordinal++
		if groupCtx.Err() != nil {
			break
		}
		if !a.wanted[ordinal] {
			continue
		}
		lane[ordinal] = true
		if bytes += int64(c.Length); bytes >= least {
			send()
		}
	}
	send()
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (a *assembly) lackingBytes() (sum int64) {
	ordinal := -1
	for c := range a.recipe.Chunks() {
		if ordinal++; a.wanted[ordinal] {
			sum += int64(c.Length)
		}
	}
	return sum
}

// fetchLane brings the chunks of one request.
func (a *assembly) fetchLane(ctx context.Context, lane []bool) error {
	waiting := map[chunk.ID]chunk.Chunk{}
	ordinal := -1
	for c := range a.recipe.Chunks() {
		if ordinal++; lane[ordinal] {
			waiting[c.ID] = c
		}
	}
	return a.layer.request(ctx, func() error {
		err := a.layer.Fetch.Chunks(ctx, a.recipe, lane, func(c chunk.Chunk, data []byte) error {
			asked, ok := waiting[c.ID]
			if !ok {
				return fmt.Errorf("%w: %s came unasked", chunk.ErrWrongChunk, c.ID)
			}
			delete(waiting, c.ID)
			a.layer.fetched(int64(len(data)))
			return a.put(asked, data, false)
		})
		if err == nil && len(waiting) > 0 {
			return fmt.Errorf("%w: %d chunks did not come", chunk.ErrWrongChunk, len(waiting))
		}
		return err
	})
}
