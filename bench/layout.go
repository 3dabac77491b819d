package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/checkout"
)

const (
	sharedBlobs    = 100 // blobs that the files of a checkout have between them
	filesPerFolder = 200
	linksInAll     = 50_000 // in all checkouts of one size, so that small ones are repeated more often
)

// aimCheckout is the part of the plain loop's rate that counts as the kernel's: a checkout also asks for its blobs, makes
// its folders and syncs them.
const aimCheckout = 0.8

// measureCheckout compares checkouts with a loop that makes the same links in folders that are open and already there,
// and syncs nothing.
func measureCheckout(ctx context.Context, b *bench) (rows []Row, err error) {
	dir, err := b.folder("checkout")
	if err != nil {
		return nil, err
	}
	blobsDir := filepath.Join(dir, "blobs")
	if err := os.Mkdir(blobsDir, 0o777); err != nil {
		return nil, err
	}
	blobs, err := disk.Open(blobsDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, blobs.Close(), os.RemoveAll(dir)) }()
	checkouts, err := checkout.New(filepath.Join(dir, "jobs"), blobs)
	if err != nil {
		return nil, err
	}
	stored, err := storeBlobs(ctx, blobs)
	if err != nil {
		return nil, err
	}
	for _, size := range []int{1_000, 10_000, 50_000} {
		manifest, err := wideTree(stored, size)
		if err != nil {
			return rows, err
		}
		p := pair{checkouts: checkouts, manifest: manifest, place: blobs.Path}
		repeats := min(10, max(2, pick(b, linksInAll/2, 2*linksInAll)/size))
		for i := range repeats {
			if err := p.run(ctx, filepath.Join(dir, fmt.Sprintf("plain-%d-%d", size, i)), i%2 == 0); err != nil {
				return rows, err
			}
		}
		rows = append(rows, Row{Work: fmt.Sprintf("%s files, durable, best of %d", number(float64(size)), repeats),
			Figure: slices.Max(p.ours), Unit: "files/s"}.against("plain links", slices.Max(p.plain)).aim(ratioAtLeast(aimCheckout)))
	}
	return rows, nil
}

// pair is the two ways to lay out one manifest. They run in turns, and each first as often as second, since a disk is
// rarely as fast as a minute before. Nothing is deleted in between: some file systems are slow to give out again what
// was deleted just now.
type pair struct {
	checkouts   *checkout.Checkouts
	manifest    checkout.Manifest
	place       func(cas.Digest) string // of a blob's file
	plain, ours []float64               // files/s
}

// run makes the links plainly, in dir, and as a checkout.
func (p *pair) run(ctx context.Context, dir string, plainFirst bool) error {
	ways := []func() error{
		func() error {
			took, err := plainLinks(dir, p.manifest, p.place)
			p.plain = append(p.plain, rate(float64(p.manifest.Len()), took))
			return err
		},
		func() error {
			started := time.Now()
			_, err := p.checkouts.Create(ctx, "bench", p.manifest)
			p.ours = append(p.ours, rate(float64(p.manifest.Len()), time.Since(started)))
			return err
		},
	}
	if !plainFirst {
		slices.Reverse(ways)
	}
	for _, way := range ways {
		if err := way(); err != nil {
			return err
		}
	}
	return nil
}

func storeBlobs(ctx context.Context, store cas.Creator) ([]cas.Blob, error) {
	stored := make([]cas.Blob, sharedBlobs)
	for i := range stored {
		seed := uint64(i)
		stored[i] = newContent(seed, kiB).blob()
		if err := put(ctx, store, stored[i], newContent(seed, kiB)); err != nil {
			return nil, err
		}
	}
	return stored, nil
}

func put(ctx context.Context, store cas.Creator, blob cas.Blob, content io.Reader) error {
	w, err := store.Create(ctx, blob.Size)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, content); err != nil {
		return err
	}
	return w.Commit(ctx, blob)
}

// wideTree spreads files over folders.
func wideTree(blobs []cas.Blob, size int) (checkout.Manifest, error) {
	entries := make([]checkout.Entry, size)
	for i := range entries {
		path, err := checkout.ParsePath(fmt.Sprintf("seq%03d/frame.%06d.png", i/filesPerFolder, i))
		if err != nil {
			return checkout.Manifest{}, err
		}
		entries[i] = checkout.Entry{Path: path, Blob: blobs[i%len(blobs)]}
	}
	return checkout.NewManifest(entries)
}

// plainLinks makes the same links as a checkout and gives the time of the links alone.
func plainLinks(dir string, m checkout.Manifest, place func(cas.Digest) string) (took time.Duration, err error) {
	type link struct{ target, name string }
	folders := map[string][]link{}
	for e := range m.Entries() {
		target, err := filepath.Rel(filepath.Join(dir, e.Path.Dir()), place(e.Blob.Digest))
		if err != nil {
			return 0, err
		}
		folders[e.Path.Dir()] = append(folders[e.Path.Dir()], link{target, e.Path.Base()})
	}
	for name, links := range folders {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
			return 0, err
		}
		folder, err := os.OpenRoot(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		started := time.Now()
		for _, l := range links {
			if err := folder.Symlink(l.target, l.name); err != nil {
				return 0, err
			}
		}
		took += time.Since(started)
		if err := folder.Close(); err != nil {
			return 0, err
		}
	}
	return took, nil
}
