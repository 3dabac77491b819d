package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hayloft/cas"
)

// ErrDamagedRef: the file of a ref does not name a blob.
var ErrDamagedRef = errors.New("the file does not name a tree")

// maxRefText is the longest text of a ref in bytes: digest, blank, 19 digits, newline.
const maxRefText = 2*cas.Size + 1 + 19 + 1

func refText(blob cas.Blob) string { return fmt.Sprintf("%v %d\n", blob.Digest, blob.Size) }

// parseRef reads "<sha256> <size>\n", with the size in bytes in its shortest decimal form; anything else is
// ErrDamagedRef.
func parseRef(text []byte) (cas.Blob, error) {
	line, rest, ended := strings.Cut(string(text), "\n")
	hexDigest, decimal, two := strings.Cut(line, " ")
	if !ended || !two || rest != "" {
		return cas.Blob{}, ErrDamagedRef
	}
	digest, err := cas.ParseDigest(hexDigest)
	if err != nil {
		return cas.Blob{}, fmt.Errorf("%w: %w", ErrDamagedRef, err)
	}
	size, err := strconv.ParseInt(decimal, 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != decimal {
		return cas.Blob{}, fmt.Errorf("%w: %q is not a size", ErrDamagedRef, decimal)
	}
	return cas.Blob{Digest: digest, Size: size}, nil
}

// PutRef makes name stand for the tree whose manifest is the given blob, durably and in one step; readers see the old
// tree or the new one, the new one perhaps a moment before it is durable. A blob that the store does not hold is [cas.ErrNotFound], so that no name ever points nowhere.
// Of two that put the same name at the same moment, either may win.
func (s *Store) PutRef(ctx context.Context, name cas.RefName, blob cas.Blob) error {
	if name.IsZero() {
		return fmt.Errorf("put ref: %w", cas.ErrBadRefName)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put ref %v: %w", name, err)
	}
	if err := s.putRef(ctx, name, blob); err != nil {
		return fmt.Errorf("put ref %v for %v: %w", name, blob, s.explain(err))
	}
	return nil
}

func (s *Store) putRef(ctx context.Context, name cas.RefName, blob cas.Blob) error {
	if err := s.life.enter(); err != nil {
		return err
	}
	defer s.leave()
	held, err := s.holds(ctx, blob)
	if err != nil {
		return err
	}
	if !held {
		return cas.ErrNotFound
	}
	temp, err := s.volume.createTemp(s.layout.join(incomingName))
	if err != nil {
		return err
	}
	text := refText(blob)
	if err := s.publishRef(temp, name, text); err != nil {
		s.discard(temp)
		return err
	}
	return s.volume.syncDir(s.layout.join(refsName))
}

func (s *Store) publishRef(temp tempFile, name cas.RefName, text string) error {
	if _, err := io.WriteString(temp, text); err != nil {
		return err
	}
	if err := temp.seal(int64(len(text)), refMode); err != nil {
		return err
	}
	return s.volume.replace(temp.Name(), s.layout.ref(name))
}

// GetRef returns the blob of the manifest that name stands for. Errors: [cas.ErrRefNotFound], [ErrDamagedRef].
func (v *View) GetRef(ctx context.Context, name cas.RefName) (cas.Blob, error) {
	if name.IsZero() {
		return cas.Blob{}, fmt.Errorf("get ref: %w", cas.ErrBadRefName)
	}
	if err := ctx.Err(); err != nil {
		return cas.Blob{}, fmt.Errorf("get ref %v: %w", name, err)
	}
	blob, err := readRef(v.layout.ref(name))
	if errors.Is(err, fs.ErrNotExist) {
		err = cas.ErrRefNotFound
	}
	if err != nil {
		return cas.Blob{}, fmt.Errorf("get ref %v: %w", name, err)
	}
	return blob, nil
}

// readRef reads one byte more than a ref can have, so that a longer file is seen to be one.
func readRef(path string) (cas.Blob, error) {
	file, err := os.Open(path)
	if err != nil {
		return cas.Blob{}, err
	}
	text, readErr := io.ReadAll(io.LimitReader(file, maxRefText+1))
	if err := errors.Join(readErr, file.Close()); err != nil {
		return cas.Blob{}, err
	}
	return parseRef(text)
}

// ListRefs calls each for every ref whose name is greater than after (zero: all), in ascending bytewise order of names,
// until each returns an error, which is returned. A ref that cannot be read ends it with an error that names the file.
func (v *View) ListRefs(ctx context.Context, after cas.RefName, each func(cas.RefName, cas.Blob) error) error {
	return v.walkRefs(ctx, after, func(path string, name cas.RefName, blob cas.Blob, err error) error {
		switch {
		case errors.Is(err, ErrForeign):
			return nil
		case err != nil:
			return fmt.Errorf("list refs: %s: %w", path, err)
		}
		return each(name, blob)
	})
}

// walkRefs visits what lies in the folder of refs, in ascending order of names, with what it holds or why that cannot
// be told.
func (v *View) walkRefs(ctx context.Context, after cas.RefName, visit func(string, cas.RefName, cas.Blob, error) error) error {
	dir := v.layout.join(refsName)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list refs: %w", err)
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list refs: %w", err)
		}
		if entry.Name() <= after.String() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		name, nameErr := cas.ParseRefName(entry.Name())
		var blob cas.Blob
		err := ErrForeign
		if nameErr == nil && entry.Type().IsRegular() {
			blob, err = readRef(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := visit(path, name, blob, err); err != nil {
			return err
		}
	}
	return nil
}
