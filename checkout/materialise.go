package checkout

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
)

// StagePrefix starts the name of the directory in which [Materialise] builds. It lies beside the files that it is for,
// so that they need only be renamed.
const StagePrefix = ".hayloft-building-"

// fetches is how many blobs Materialise reads at a time: enough to hide the delay of a store across the network.
const fetches = 4

// Materialise lays out m below dir as real files, whose content it checks against their digests. A dir that does not
// exist appears whole or not at all. In one that exists, files that already have the right content are left alone,
// other files of the manifest are put in place one by one, each whole; nothing is overwritten, and what the manifest
// does not name is not looked at. The files are not forced to stable storage: run it again after a power cut.
//
// Errors: [ErrOccupied], before anything is written, if something else lies in the place of a file or folder;
// [ErrBadPath] if a path cannot exist on this platform; [cas.ErrNotFound], [cas.ErrDigestMismatch] or
// [cas.ErrSizeMismatch] naming the path; [cas.ErrNoSpace]; ctx's. After an error, files that were put in place stay. If
// the process is killed, a directory whose name starts with [StagePrefix] stays; it may be deleted.
func Materialise(ctx context.Context, dir string, m Manifest, blobs cas.Opener) error {
	if err := materialise(ctx, dir, m, blobs); err != nil {
		return fmt.Errorf("lay out %d files in %q: %w", m.Len(), dir, spaceError(err))
	}
	return nil
}

func materialise(ctx context.Context, dir string, m Manifest, blobs cas.Opener) error {
	for p := range m.Paths() {
		if reason := platformFault(p); reason != "" {
			return fmt.Errorf("%w %q: %s", ErrBadPath, p, reason)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return layNew(ctx, dir, m, blobs)
	} else if err != nil {
		return err
	}
	return layInto(ctx, dir, m, blobs)
}

// layNew builds a directory beside dir and renames it to dir.
func layNew(ctx context.Context, dir string, m Manifest, blobs cas.Opener) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), dirMode); err != nil {
		return err
	}
	parent, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	stage, err := makeStage(parent)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, parent.RemoveAll(stage))
		}
	}()
	if err := fill(ctx, parent, stage, m, blobs); err != nil {
		return err
	}
	err = renameNoReplace(parent, stage, filepath.Base(dir))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %q was made in the meantime; try again", ErrOccupied, dir)
	}
	return err
}

// layInto adds to a directory what it lacks.
func layInto(ctx context.Context, dir string, m Manifest, blobs cas.Opener) (err error) {
	top, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer top.Close()
	lacking, err := compare(ctx, top, m)
	if err != nil || lacking.Len() == 0 {
		return err
	}
	stage, err := makeStage(top)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, top.RemoveAll(stage)) }()
	if err := fill(ctx, top, stage, lacking, blobs); err != nil {
		return err
	}
	if err := makeFolders(ctx, top, lacking.folders()); err != nil {
		return err
	}
	for p := range lacking.Paths() {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := renameNoReplace(top, stage+"/"+p.text, p.text)
		if errors.Is(err, fs.ErrExist) {
			return occupied(p, "was made in the meantime")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeStage makes a directory of a new name at the top of root.
func makeStage(root *os.Root) (string, error) {
	stage := StagePrefix + strings.ToLower(rand.Text())
	return stage, root.Mkdir(stage, dirMode)
}

// compare gives what of m is not yet below top; [ErrOccupied] lists what is in the way.
func compare(ctx context.Context, top *os.Root, m Manifest) (Manifest, error) {
	var lacking Manifest
	var inTheWay []error
	for _, f := range m.folders()[1:] {
		if info, err := top.Stat(f.path); err == nil && !info.IsDir() {
			inTheWay = append(inTheWay, occupied(Path{text: f.path}, "is no folder"))
		} else if err != nil && !isAbsent(err) {
			return Manifest{}, err
		}
	}
	for _, e := range m.entries {
		if err := ctx.Err(); err != nil {
			return Manifest{}, err
		}
		switch reason, err := compareFile(ctx, top, e); {
		case isAbsent(err):
			lacking.entries = append(lacking.entries, e)
		case err != nil:
			return Manifest{}, err
		case reason != "":
			inTheWay = append(inTheWay, occupied(e.Path, reason))
		}
	}
	if more := len(inTheWay) - shown; more > 0 {
		inTheWay = append(inTheWay[:shown], fmt.Errorf("and %d more", more))
	}
	return lacking, errors.Join(inTheWay...)
}

// compareFile says how what lies in the place of e differs from it; empty if it does not.
func compareFile(ctx context.Context, top *os.Root, e Entry) (string, error) {
	info, err := top.Lstat(e.Path.text)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "is no regular file", nil
	case info.Size() != e.Blob.Size:
		return "has another size", nil
	}
	f, err := top.Open(e.Path.text)
	if err != nil {
		return "", err
	}
	defer f.Close()
	switch err := copyChecked(ctx, io.Discard, f, e.Blob); {
	case errors.Is(err, cas.ErrDigestMismatch), errors.Is(err, cas.ErrSizeMismatch):
		return "has other content", nil
	default:
		return "", err
	}
}

func occupied(p Path, reason string) error {
	return fmt.Errorf("%w: %q %s; move it away or choose another folder", ErrOccupied, p, reason)
}

// fill lays out m in the directory stage of root.
func fill(ctx context.Context, root *os.Root, stage string, m Manifest, blobs cas.Opener) error {
	top, err := root.OpenRoot(stage)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := makeFolders(ctx, top, m.folders()); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, e := range m.entries {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := fetch(groupCtx, top, e, blobs); err != nil {
				return fmt.Errorf("write %q from %s: %w", e.Path, e.Blob, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// fetch writes one blob to its path.
func fetch(ctx context.Context, top *os.Root, e Entry, blobs cas.Opener) (err error) {
	blob, err := blobs.Open(ctx, e.Blob.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	mode := fs.FileMode(0o666)
	if e.Mode == Executable {
		mode = 0o777
	}
	f, err := top.OpenFile(e.Path.text, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return copyChecked(ctx, f, blob, e.Blob)
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

// isAbsent tells whether a path does not exist; a file where the path has a folder makes it so too, and is reported for
// itself.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNotDirectory(err) }

// platformFault says why the file system of this platform cannot hold p; empty if it can.
func platformFault(p Path) string {
	if !filepath.IsLocal(filepath.FromSlash(p.text)) || strings.ContainsAny(p.text, forbiddenHere) {
		return fmt.Sprintf("%q cannot be the name of a file on this computer; rename it where it comes from", path.Base(p.text))
	}
	return ""
}
