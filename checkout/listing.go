package checkout

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hayloft/cas"
)

// List gives the manifest of the checkout that [Checkouts.Create] gave that name, as its links tell it. All files are
// [Regular]: a checkout does not tell modes.
//
// Errors: [ErrBadName] for a text that no checkout can be called; [ErrNotCheckout] if there is none of that name, or if it
// holds what is no link to a blob; ctx's.
func (c *Checkouts) List(ctx context.Context, name string) (Manifest, error) {
	components, err := parseName(name)
	if err != nil {
		return Manifest{}, fmt.Errorf("list the checkout: %w", err)
	}
	m, err := c.list(ctx, components)
	if err != nil {
		return Manifest{}, fmt.Errorf("list the checkout %q: %w", name, err)
	}
	return m, nil
}

func (c *Checkouts) list(ctx context.Context, components []string) (Manifest, error) {
	root, err := os.OpenRoot(c.root)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	there, err := findCheckout(root, components)
	if err != nil {
		return Manifest{}, err
	}
	name := strings.Join(components, "/")
	if !there {
		return Manifest{}, fmt.Errorf("%w: there is nothing of that name", ErrNotCheckout)
	}
	var entries []Entry
	err = fs.WalkDir(root.FS(), name, func(path string, found fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || found.IsDir() {
			return err
		}
		entry, err := c.entryOf(root, path, strings.TrimPrefix(path, name+"/"))
		entries = append(entries, entry)
		return err
	})
	if err != nil {
		return Manifest{}, err
	}
	return NewManifest(entries)
}

// entryOf reads one link. The store says where the file of a blob lies, so that a link counts only if it leads there.
func (c *Checkouts) entryOf(root *os.Root, path, inside string) (Entry, error) {
	place, err := ParsePath(inside)
	if err != nil {
		return Entry{}, err
	}
	target, err := root.Readlink(path)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %q is no link", ErrNotCheckout, inside)
	}
	digest, err := digestIn(target)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %q leads to no blob", ErrNotCheckout, inside)
	}
	// The link leads out of the root, which root itself would refuse to follow.
	info, err := os.Stat(filepath.Join(root.Name(), filepath.FromSlash(path)))
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %q leads to nothing: %w", ErrNotCheckout, inside, err)
	}
	blob, err := os.Stat(c.blobs.Path(digest))
	if err != nil || !os.SameFile(info, blob) {
		return Entry{}, fmt.Errorf("%w: %q leads elsewhere than to the blob %s", ErrNotCheckout, inside, digest)
	}
	return Entry{Path: place, Mode: Regular, Blob: cas.Blob{Digest: digest, Size: info.Size()}}, nil
}

// digestIn finds the digest that a path ends in, with or without separators in it.
func digestIn(target string) (cas.Digest, error) {
	text := strings.NewReplacer("/", "", `\`, "").Replace(target)
	return cas.ParseDigest(text[max(0, len(text)-2*cas.Size):])
}
