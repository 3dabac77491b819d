package transfer

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
)

// Asker tells what a store lacks.
type Asker interface {
	// Lacking returns those of the blobs that the store does not hold, each once.
	Lacking(ctx context.Context, blobs []cas.Blob) ([]cas.Blob, error)
}

// Target is a store as a sender sees it.
type Target interface {
	Asker
	// Upload stores a blob durably. open may be called more than once; progress is told of every piece that was read.
	// sent is false when the store had the blob by now.
	Upload(ctx context.Context, blob cas.Blob, open func() (io.ReadCloser, error), progress func(n int)) (sent bool, err error)
}

// Source is a blob and where its bytes are.
type Source struct {
	Blob cas.Blob
	Name string // for messages
	Open func() (io.ReadCloser, error)
}

// Report says what a call did.
type Report struct {
	Blobs     int   // different blobs in all
	Bytes     int64 // of these
	BlobsSent int
	BytesSent int64
}

// Options tune [Send]; the zero value is good.
type Options struct {
	// Parallel is how many blobs are sent at a time; 0 means DefaultParallel.
	Parallel int
	// Planned, if set, is told how many blobs and bytes are to be sent, before the first is.
	Planned func(blobs int, bytes int64)
	// Progress, if set, is told of bytes as they are read for sending. It is called from several goroutines.
	Progress func(n int)
}

// DefaultParallel is enough to share the syncs of a store's disk among many small files.
const DefaultParallel = 16

// Plan says what [Send] would send.
func Plan(ctx context.Context, target Asker, sources []Source) (Report, error) {
	report, lacking, _, err := ask(ctx, target, sources)
	report.BlobsSent, report.BytesSent = len(lacking), total(lacking)
	return report, err
}

// ask finds out which of the sources are lacking.
func ask(ctx context.Context, target Asker, sources []Source) (Report, []cas.Blob, map[cas.Blob]Source, error) {
	bySize := distinct(sources)
	report := Report{Blobs: len(bySize)}
	blobs := make([]cas.Blob, 0, len(bySize))
	byBlob := make(map[cas.Blob]Source, len(bySize))
	for _, s := range bySize {
		blobs = append(blobs, s.Blob)
		byBlob[s.Blob] = s
		report.Bytes += s.Blob.Size
	}
	lacking, err := target.Lacking(ctx, blobs)
	return report, lacking, byBlob, err
}

// Send stores what the target lacks of the sources.
func Send(ctx context.Context, target Target, sources []Source, o Options) (Report, error) {
	report, lacking, byBlob, err := ask(ctx, target, sources)
	if err != nil {
		return report, err
	}
	if o.Planned != nil {
		o.Planned(len(lacking), total(lacking))
	}
	var sent, sentBytes atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(cmp.Or(o.Parallel, DefaultParallel))
	for _, blob := range lacking {
		source, ok := byBlob[blob]
		if !ok {
			return report, fmt.Errorf("the store asks for blob %s, which was not offered", blob)
		}
		work.Go(func() error {
			new, err := target.Upload(ctx, blob, source.Open, o.Progress)
			if err != nil {
				return fmt.Errorf("send %s: %w", source.Name, err)
			}
			if new {
				sent.Add(1)
				sentBytes.Add(blob.Size)
			}
			return nil
		})
	}
	err = work.Wait()
	report.BlobsSent, report.BytesSent = int(sent.Load()), sentBytes.Load()
	return report, err
}

func total(blobs []cas.Blob) int64 {
	var sum int64
	for _, b := range blobs {
		sum += b.Size
	}
	return sum
}

// distinct keeps one source a blob, large ones first, so that no large one is left to run alone at the end.
func distinct(sources []Source) []Source {
	seen := make(map[cas.Blob]bool, len(sources))
	var one []Source
	for _, s := range sources {
		if !seen[s.Blob] {
			seen[s.Blob] = true
			one = append(one, s)
		}
	}
	slices.SortStableFunc(one, func(a, b Source) int { return cmp.Compare(b.Blob.Size, a.Blob.Size) })
	return one
}

// In asks a store of this process, for [Plan]; it need not be open for writing.
func In(s cas.Stater) Asker { return asked{s} }

type asked struct{ cas.Stater }

func (a asked) Lacking(ctx context.Context, blobs []cas.Blob) ([]cas.Blob, error) {
	held := make(map[cas.Blob]bool)
	err := a.Stat(ctx, blobs, func(b cas.Blob) error { held[b] = true; return nil })
	return slices.DeleteFunc(slices.Clone(blobs), func(b cas.Blob) bool { return held[b] }), err
}

// Into makes a store of this process a target.
func Into(s cas.Store) Target { return store{asked{s}, s} }

// store sends into a store of this process.
type store struct {
	asked
	to cas.Creator
}

func (s store) Upload(ctx context.Context, blob cas.Blob, open func() (io.ReadCloser, error), progress func(int)) (bool, error) {
	from, err := open()
	if err != nil {
		return false, err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	w, err := s.to.Create(ctx, blob.Size)
	if err != nil {
		return false, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, counting{from, progress}); err != nil {
		return false, err
	}
	return true, w.Commit(ctx, blob)
}

type counting struct {
	io.Reader
	progress func(int)
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.progress != nil && n > 0 {
		c.progress(n)
	}
	return n, err
}
