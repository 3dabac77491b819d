package checkout

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// finding is what lies in the place of an entry.
type finding struct {
	entry  Entry
	info   fs.FileInfo  // of it, or of a link itself; nil: nothing is there
	reason string       // how it differs from the entry; empty: it does not
	there  chunk.Recipe // of its bytes, if they happened to be cut
	recipe chunk.Recipe // of the entry's blob, if that was fetched by chunks
}

// compare gives what of m is not yet below top; [ErrOccupied] lists what is in the way.
func (l *layer) compare(ctx context.Context, m Manifest) ([]finding, error) {
	blocked, err := l.compareFolders(m)
	if err != nil {
		return nil, err
	}
	findings := make([]finding, m.Len())
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, e := range m.entries {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error {
			var err error
			if findings[i], err = l.examine(groupCtx, e); err != nil {
				return fmt.Errorf("compare %q: %w", e.Path, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lacking, inTheWay := l.sortOut(findings)
	blocked = append(blocked, inTheWay...)
	if more := len(blocked) - shown; more > 0 {
		blocked = append(blocked[:shown], fmt.Errorf("and %d more", more))
	}
	return lacking, errors.Join(blocked...)
}

// compareFolders lists what lies in the place of folders and must stay there.
func (l *layer) compareFolders(m Manifest) (blocked []error, err error) {
	l.doomed = map[string]bool{}
	for _, f := range m.folders()[1:] {
		if l.below(f.path) {
			continue
		}
		info, err := l.top.Lstat(f.path)
		if isAbsent(err) {
			continue
		}
		if err == nil && !l.Delete {
			info, err = l.top.Stat(f.path) // a link to a folder inside dir is as good as a folder
		}
		switch {
		case err != nil && !isAbsent(err):
			return nil, err
		case err == nil && info.IsDir():
		case !l.Delete:
			blocked = append(blocked, occupied(Path{text: f.path}, "is no folder"))
		case leadsToFolder(filepath.Join(l.dir, filepath.FromSlash(f.path))):
			// The same file would be in the manifest under one path and extra under the other.
			blocked = append(blocked, occupied(Path{text: f.path}, "is a link to a folder, which does not go with deleting what is extra"))
		default:
			l.doomed[f.path] = true
		}
	}
	return blocked, nil
}

func leadsToFolder(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.IsDir()
}

// below tells whether a path lies below something that is no folder and will be deleted, so that nothing is there.
func (l *layer) below(at string) bool {
	if len(l.doomed) == 0 {
		return false
	}
	for at = path.Dir(at); at != "."; at = path.Dir(at) {
		if l.doomed[at] {
			return true
		}
	}
	return false
}

// sortOut parts what is to be written from what is in the way, and takes note of the rest.
func (l *layer) sortOut(findings []finding) (lacking []finding, blocked []error) {
	l.twins = map[cas.Blob]Path{}
	for _, f := range findings {
		switch {
		case f.info == nil:
			lacking = append(lacking, f)
		case f.reason == "":
			l.result.FilesKept++
			l.advance(f.entry.Blob.Size)
			l.twins[f.entry.Blob] = f.entry.Path
		case f.info.IsDir() && l.Delete:
			f.info = nil // it will be gone by then
			lacking = append(lacking, f)
		case l.Replace && (f.info.Mode().IsRegular() || f.info.Mode()&fs.ModeSymlink != 0):
			lacking = append(lacking, f)
		default:
			blocked = append(blocked, occupied(f.entry.Path, f.reason))
		}
	}
	return lacking, blocked
}

// examine looks at the place of one entry.
func (l *layer) examine(ctx context.Context, e Entry) (finding, error) {
	f := finding{entry: e}
	if l.below(e.Path.text) {
		return f, nil
	}
	info, err := l.top.Lstat(e.Path.text)
	if isAbsent(err) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.info = info
	local, isLocal := l.Local(e.Blob)
	if !info.Mode().IsRegular() {
		f.reason = "is no regular file"
		if info.Mode()&fs.ModeSymlink != 0 && isLocal && l.linksTo(Symlink, e) {
			if target, err := l.top.Readlink(e.Path.text); err == nil && target == local {
				f.reason = ""
			}
		}
		return f, nil
	}
	if isLocal {
		if own, err := os.Stat(local); err == nil && os.SameFile(info, own) {
			if !l.linksTo(Hardlink, e) && l.Replace {
				f.reason = "is a hardlink into the store"
			}
			return f, nil
		}
	}
	if f.reason, err = l.compareContent(ctx, &f); err != nil || f.reason != "" {
		return f, err
	}
	return f, l.setMode(f)
}

// linksTo tells whether way is how the entry is to be laid out.
func (l *layer) linksTo(way Way, e Entry) bool { return l.Links == way && e.Mode != Executable }

// setMode makes a file executable or not, where that may be changed and the file system knows of it.
func (l *layer) setMode(f finding) error {
	mode := f.info.Mode()
	if !l.Replace || !hasModes || (mode&0o100 != 0) == (f.entry.Mode == Executable) {
		return nil
	}
	if f.entry.Mode == Executable {
		mode |= (mode & 0o444) >> 2 // for those who may read it
	} else {
		mode &^= 0o111
	}
	err := l.top.Chmod(f.entry.Path.text, mode.Perm())
	if errors.Is(err, fs.ErrPermission) {
		return nil // the content is right, which is what counts on a file system without modes
	}
	return err
}

// compareContent says how a regular file differs from its entry; empty if it does not.
func (l *layer) compareContent(ctx context.Context, f *finding) (string, error) {
	e := f.entry
	if l.Known != nil {
		if blob, ok := l.Known.Content(l.absolute(e.Path), f.info); ok {
			return difference(blob, e.Blob), nil
		}
	}
	file, err := l.top.Open(e.Path.text)
	if err != nil {
		return "", err
	}
	defer file.Close()
	reason := "has another size"
	if f.info.Size() == e.Blob.Size {
		if reason, err = l.compareBytes(ctx, f, file); err != nil {
			return "", err
		}
	}
	if reason == "" {
		if l.Known != nil {
			l.Known.Learn(l.absolute(e.Path), f.info, e.Blob, f.there)
		}
		return "", nil
	}
	if e.Origin != Plain && decodesTo(ctx, file, e) {
		return "", ctx.Err()
	}
	return reason, ctx.Err()
}

func difference(is, should cas.Blob) string {
	switch {
	case is == should:
		return ""
	case is.Size != should.Size:
		return "has another size"
	}
	return "has other content"
}

// compareBytes reads a file of the right size. One that may become the seed of its next version is cut on the way.
func (l *layer) compareBytes(ctx context.Context, f *finding, file *os.File) (string, error) {
	e := f.entry
	if l.Fetch != nil && l.Replace && e.Blob.Size > FileBlob {
		recipe, err := chunk.Split(ctx, file, e.Blob.Size, func(chunk.Piece) error { return nil })
		if errors.Is(err, cas.ErrSizeMismatch) {
			return "has another size", nil
		}
		f.there = recipe
		return difference(recipe.Blob(), e.Blob), err
	}
	switch err := copyChecked(ctx, io.Discard, file, e.Blob); {
	case errors.Is(err, cas.ErrDigestMismatch), errors.Is(err, cas.ErrSizeMismatch):
		return "has other content", nil
	default:
		return "", err
	}
}

// decodesTo tells whether a file is the compressed one from which the entry's plain bytes were gathered.
func decodesTo(ctx context.Context, file *os.File, e Entry) bool {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false
	}
	var plain io.Reader
	switch e.Origin {
	case FromZstd:
		decoder, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return false
		}
		defer decoder.Close()
		plain = decoder
	case FromGzip:
		decoder, err := gzip.NewReader(file)
		if err != nil {
			return false
		}
		plain = decoder
	default:
		return false
	}
	return copyChecked(ctx, io.Discard, plain, e.Blob) == nil
}

// copyChecked copies exactly the bytes of a blob. It takes one byte more than announced, to notice that there are more.
func copyChecked(ctx context.Context, to io.Writer, from io.Reader, expected cas.Blob) error {
	h := sha256.New()
	in := &hashing{ctx: ctx, from: io.LimitReader(from, expected.Size+1), hash: h}
	n, err := io.Copy(to, in)
	switch {
	case err != nil:
		return err
	case n != expected.Size:
		return fmt.Errorf("%w: %d bytes or more came instead of %d", cas.ErrSizeMismatch, n, expected.Size)
	case cas.SumHash(h) != expected.Digest:
		return cas.ErrDigestMismatch
	}
	return nil
}

// hashing is a reader that hashes what it hands on, and ends when its context does.
type hashing struct {
	ctx  context.Context
	from io.Reader
	hash hash.Hash
}

func (r *hashing) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(b)
	r.hash.Write(b[:n])
	return n, err
}
