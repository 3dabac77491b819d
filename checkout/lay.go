package checkout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
)

// job is one blob with all the places that lack it. Places are worked on in the order of their paths.
type job struct {
	blob   cas.Blob
	places []finding
}

func jobsOf(lacking []finding) []*job {
	var jobs []*job
	known := map[cas.Blob]*job{}
	for _, f := range lacking {
		j, again := known[f.entry.Blob]
		if !again {
			j = &job{blob: f.entry.Blob}
			known[f.entry.Blob] = j
			jobs = append(jobs, j)
		}
		j.places = append(j.places, f)
	}
	return jobs
}

// layLinks makes the links to the store's files that were asked for, and gives what is to be laid out otherwise. A
// directory is opened once for the files in it: the system then looks up one component a link and not the whole path.
func (l *layer) layLinks(ctx context.Context, lacking []finding) (rest []finding, err error) {
	var dir *os.Root
	defer func() {
		if dir != nil {
			dir.Close()
		}
	}()
	opened := ""
	for i, f := range lacking {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e := f.entry
		if !l.linksTo(Symlink, e) && !l.linksTo(Hardlink, e) {
			rest = append(rest, f)
			continue
		}
		if dir == nil || e.Path.Dir() != opened {
			if dir != nil {
				dir.Close()
			}
			opened = e.Path.Dir()
			if dir, err = l.top.OpenRoot(Path{text: opened}.orTop()); err != nil {
				return nil, err
			}
		}
		if err := l.layLink(dir, f); err != nil {
			return nil, fmt.Errorf("link %q to %s: %w", e.Path, e.Blob, err)
		}
	}
	return rest, nil
}

// orTop is the path below a root; the empty path is the root itself.
func (p Path) orTop() string {
	if p.text == "" {
		return "."
	}
	return p.text
}

// layLink makes one link. A new one needs no stage, since the system makes links whole and only where nothing is.
func (l *layer) layLink(dir *os.Root, f finding) error {
	source, err := l.localFile(f.entry.Blob)
	if err != nil {
		return err
	}
	if f.info != nil {
		name := l.newName()
		if err := l.link(l.stage, source, name); err != nil {
			return err
		}
		if err := l.place(name, f, l.Links); err != nil {
			return err
		}
	} else if err := l.link(dir, source, f.entry.Path.Base()); errors.Is(err, fs.ErrExist) {
		return occupied(f.entry.Path, "was made in the meantime")
	} else if err != nil {
		return err
	} else if err := l.placed(f, l.Links); err != nil {
		return err
	}
	l.advance(f.entry.Blob.Size)
	return nil
}

func (l *layer) link(dir *os.Root, source, name string) error {
	if l.Links == Symlink {
		return dir.Symlink(source, name)
	}
	err := hardlink(dir, source, name)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w; hardlinks need the store and the folder on one file system: choose auto, copy or symlink", ErrCannotLink, err)
	}
	return err
}

// localFile gives the path of a blob's file in the store on this machine, of which it checks the size.
func (l *layer) localFile(b cas.Blob) (string, error) {
	source, ok := l.Local(b)
	if !ok {
		return "", fmt.Errorf("%w: the store on this machine has no file of it; choose auto or copy", ErrCannotLink)
	}
	info, err := os.Stat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %w", cas.ErrNotFound, err)
	case err != nil:
		return "", err
	case info.Size() != b.Size:
		return "", fmt.Errorf("%w: %q has %d bytes", cas.ErrSizeMismatch, source, info.Size())
	}
	return source, nil
}

// layFiles writes the rest: each blob is brought once, whatever the number of its places.
func (l *layer) layFiles(ctx context.Context, lacking []finding) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var batch batch
	for _, j := range jobsOf(lacking) {
		if groupCtx.Err() != nil {
			break
		}
		if l.Fetch != nil && j.blob.Size <= FileBlob && !l.isHere(j.blob) {
			if batch.add(j) {
				full := batch.take()
				group.Go(func() error { return l.fetchFiles(groupCtx, full) })
			}
			continue
		}
		group.Go(func() error { return l.named(j, l.lay(groupCtx, j)) })
	}
	if full := batch.take(); len(full) > 0 && groupCtx.Err() == nil {
		group.Go(func() error { return l.fetchFiles(groupCtx, full) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// named says which file an error is about.
func (l *layer) named(j *job, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write %q from %s: %w", j.places[0].entry.Path, j.blob, err)
}

// isHere tells whether a blob need not come from afar, by the look of it.
func (l *layer) isHere(b cas.Blob) bool {
	_, twin := l.twins[b]
	_, local := l.Local(b)
	return twin || local
}

// lay brings one blob into its places, from the nearest source that has it.
func (l *layer) lay(ctx context.Context, j *job) error {
	if source, ok := l.Local(j.blob); ok {
		done, err := l.layLocal(ctx, j, source)
		if done || err != nil {
			return err
		}
	}
	if l.strict() && l.linksTo(l.Links, j.places[0].entry) {
		return fmt.Errorf("%w: the store on this machine has no file of it; choose auto or copy", ErrCannotLink)
	}
	if twin, ok := l.twins[j.blob]; ok {
		if done, err := l.layTwin(ctx, j, twin); done || err != nil {
			return err
		}
	}
	if l.Fetch != nil && j.blob.Size > FileBlob {
		done, err := l.fetchChunks(ctx, j)
		if done || err != nil {
			return err
		}
	}
	return l.layOpened(ctx, j)
}

// layLocal takes a blob from its file in the store on this machine. That the file is not there after all, because the
// store has just packed or deleted it, is no error.
func (l *layer) layLocal(ctx context.Context, j *job, source string) (done bool, err error) {
	from, err := os.Open(source)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() != j.blob.Size {
		return false, fmt.Errorf("%w: %q has %d bytes", cas.ErrSizeMismatch, source, info.Size())
	}
	for _, f := range j.places {
		if err := l.copyInto(ctx, &l.fromStore, from, f); err != nil {
			return false, err
		}
	}
	return true, nil
}

// copier makes files out of others, by sharing blocks or by copying.
type copier struct {
	links  Way         // Reflink or Copy: only so; else whatever the file systems allow
	cannot atomic.Bool // blocks cannot be shared; it was tried
}

// copyInto makes the file of one place out of another that need not be checked.
func (l *layer) copyInto(ctx context.Context, c *copier, from *os.File, f finding) error {
	to, name, err := l.create(f.entry.Mode)
	if err != nil {
		return err
	}
	meter := l.meter(f)
	way, err := c.copy(ctx, to, from, meter)
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(err, l.stage.Remove(name))
	}
	if err := l.place(name, f, way); err != nil {
		return err
	}
	meter.finish()
	return nil
}

// copy makes the empty file to hold as many bytes of from as the meter waits for.
func (c *copier) copy(ctx context.Context, to, from *os.File, meter *meter) (Way, error) {
	strict := c.links == Reflink
	if meter.left > 0 && (strict || c.links != Copy && !c.cannot.Load()) {
		err := reflink(to, from)
		switch {
		case err == nil:
			return Reflink, nil
		case !errors.Is(err, errors.ErrUnsupported):
			return "", err
		case strict:
			return "", fmt.Errorf("%w: %w; reflinks need the store and the folder on one file system that can share blocks: choose auto or copy",
				ErrCannotLink, err)
		}
		c.cannot.Store(true)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	// From one file to another, io.CopyN has the kernel copy.
	const step = 16 << 20
	for left := meter.left; left > 0; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := io.CopyN(to, from, min(left, step))
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%w: %d bytes lack", cas.ErrSizeMismatch, left-n)
		}
		if err != nil {
			return "", err
		}
		meter.add(n)
		left -= n
	}
	return Copy, nil
}

// layTwin takes a blob from a file in dir that was found equal. If it is not any more, that is no error.
func (l *layer) layTwin(ctx context.Context, j *job, twin Path) (done bool, err error) {
	from, err := l.top.Open(twin.text)
	if err != nil {
		return false, nil //nolint:nilerr // somebody has taken it away: the blob comes from elsewhere
	}
	defer from.Close()
	err = l.layStream(ctx, j, from, Copy)
	if errors.Is(err, cas.ErrDigestMismatch) || errors.Is(err, cas.ErrSizeMismatch) {
		return false, nil
	}
	return true, err
}

// layOpened takes a blob from the opener.
func (l *layer) layOpened(ctx context.Context, j *job) error {
	blob, err := l.blobs.Open(ctx, j.blob.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	return l.layStream(ctx, j, counted{blob, l}, Fetch)
}

// counted tells how much is read from afar.
type counted struct {
	from  io.Reader
	layer *layer
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.layer.fetched(int64(n))
	return n, err
}

// layStream writes a blob from a stream that is checked.
func (l *layer) layStream(ctx context.Context, j *job, from io.Reader, way Way) error {
	first := j.places[0]
	to, name, err := l.create(first.entry.Mode)
	if err != nil {
		return err
	}
	defer to.Close()
	meter := l.meter(first)
	if err := copyChecked(ctx, to, metered{from, meter}, j.blob); err != nil {
		return errors.Join(err, l.stage.Remove(name))
	}
	return l.placeAll(ctx, j, to, name, way, meter)
}

// metered tells how much of a file has come.
type metered struct {
	from  io.Reader
	meter *meter
}

func (r metered) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.meter.add(int64(n))
	return n, err
}

// placeAll gives a whole, checked file of the stage to the first place of its job, and copies of it to the others.
func (l *layer) placeAll(ctx context.Context, j *job, whole *os.File, name string, way Way, meter *meter) error {
	for _, f := range j.places[1:] {
		if err := l.copyInto(ctx, &l.within, whole, f); err != nil {
			return err
		}
	}
	if err := whole.Close(); err != nil {
		return err
	}
	if err := l.place(name, j.places[0], way); err != nil {
		return err
	}
	meter.finish()
	return nil
}
