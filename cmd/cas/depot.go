package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"

	"hayloft/api/client"
	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/cas/transfer"
	"hayloft/checkout"
	"hayloft/cmd/cli"
	"hayloft/cmd/upload"
)

// blobReader reads blobs and says which there are.
type blobReader interface {
	cas.Opener
	// VerifyPart reads so many percent of the blobs, chosen by the seed, and calls each for every blob that was looked at,
	// with nil or with what is wrong with it.
	VerifyPart(ctx context.Context, percent float64, seed uint64, each func(cas.Blob, error) error) error
}

// refs gives trees names.
type refs interface {
	Ref(ctx context.Context, name cas.RefName) (cas.Blob, error)
	PutRef(ctx context.Context, name cas.RefName, manifest cas.Blob) error
	Refs(ctx context.Context, each func(cas.RefName, cas.Blob) error) error
}

// depot is a store that a URL names.
type depot struct {
	blobs       blobReader
	refs        refs
	destination upload.Destination // where trees go to; only asked if the depot was opened for reading
	view        *disk.View         // nil unless the store is a folder of this machine
	client      *client.Client     // nil unless it is a manager's
	close       func() error
}

// traffic is what the connections to the store carried so far, in bytes.
func (d *depot) traffic() (sent, received int64) {
	if d.client == nil {
		return 0, 0
	}
	return d.client.Traffic()
}

// openDepot opens the store of a URL; write asks for a store that takes blobs in, and makes a folder one if it is empty.
func openDepot(storeURL string, write bool, options ...client.Option) (*depot, error) {
	u, err := url.Parse(storeURL)
	if err != nil {
		return nil, cli.Usage("--store: %w", err)
	}
	switch u.Scheme {
	case "file":
		return openFolder(filepath.FromSlash(u.Path), write)
	case "http", "https":
		c, err := client.New(storeURL, "Hayloft-cas/"+version, options...)
		if err != nil {
			return nil, cli.Usage("--store: %w", err)
		}
		return &depot{blobs: remote{c}, refs: remote{c}, client: c, destination: upload.Destination{Remote: c, Generation: c.Generation},
			close: func() error { c.Close(); return nil }}, nil
	}
	return nil, cli.Usage("--store %s: a store is http://HOST:PORT or file:///PATH", storeURL)
}

func openFolder(path string, write bool) (*depot, error) {
	if !write {
		view, err := disk.OpenReadOnly(path)
		if err != nil {
			return nil, err
		}
		return &depot{blobs: view, refs: folderRefs{view, nil}, view: view, close: view.Close,
			destination: upload.Destination{Remote: transfer.In(view), Generation: view.Generation}}, nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make store: %w", err)
	}
	store, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	return &depot{blobs: &store.View, refs: folderRefs{&store.View, store}, view: &store.View, close: store.Close,
		destination: upload.Destination{Remote: transfer.Local(intake.New(store, intake.Config{})), Generation: store.Generation, Folder: store}}, nil
}

// cutFileURL gives the path of a file URL.
func cutFileURL(storeURL string) (path string, ok bool) {
	u, err := url.Parse(storeURL)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return u.Path, true
}

type folderRefs struct {
	view  *disk.View
	store *disk.Store // nil: opened for reading
}

func (f folderRefs) Ref(ctx context.Context, name cas.RefName) (cas.Blob, error) {
	return f.view.GetRef(ctx, name)
}

func (f folderRefs) PutRef(ctx context.Context, name cas.RefName, manifest cas.Blob) error {
	if f.store == nil {
		return errors.New("the store was opened for reading")
	}
	return f.store.PutRef(ctx, name, manifest)
}

func (f folderRefs) Refs(ctx context.Context, each func(cas.RefName, cas.Blob) error) error {
	return f.view.ListRefs(ctx, cas.RefName{}, each)
}

// remote is a manager's store.
type remote struct{ *client.Client }

func (r remote) Ref(ctx context.Context, name cas.RefName) (cas.Blob, error) {
	return r.Client.Ref(ctx, name.String())
}

func (r remote) PutRef(ctx context.Context, name cas.RefName, manifest cas.Blob) error {
	return r.Client.PutRef(ctx, name.String(), manifest)
}

func (r remote) Refs(ctx context.Context, each func(cas.RefName, cas.Blob) error) error {
	list, err := r.Client.Refs(ctx)
	if err != nil {
		return err
	}
	for _, ref := range list {
		name, err := cas.ParseRefName(ref.Name)
		if err != nil {
			return fmt.Errorf("answer of the manager: %w", err)
		}
		digest, err := cas.ParseDigest(ref.Manifest.Sha256)
		if err != nil {
			return fmt.Errorf("answer of the manager: %w", err)
		}
		if err := each(name, cas.Blob{Digest: digest, Size: ref.Manifest.Size}); err != nil {
			return err
		}
	}
	return nil
}

// VerifyPart fetches blobs and compares them with their names.
func (r remote) VerifyPart(ctx context.Context, percent float64, seed uint64, each func(cas.Blob, error) error) error {
	random := rand.New(rand.NewPCG(seed, 0))
	return r.Blobs(ctx, func(blob cas.Blob) error {
		if random.Float64()*100 >= percent {
			return nil
		}
		err := r.verifyBlob(ctx, blob)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return each(blob, err)
	})
}

func (r remote) verifyBlob(ctx context.Context, blob cas.Blob) error {
	from, err := r.Open(ctx, blob.Digest)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	got, err := cas.SumReader(from)
	switch {
	case err != nil:
		return err
	case got != blob:
		return fmt.Errorf("blob %s: the bytes are those of %s: %w", blob, got, cas.ErrDigestMismatch)
	}
	return nil
}

// manifest reads the tree that a ref or a manifest's digest names.
func (d *depot) manifest(ctx context.Context, name string) (checkout.Manifest, error) {
	blob, err := d.resolve(ctx, name)
	if err != nil {
		return checkout.Manifest{}, err
	}
	from, err := d.blobs.Open(ctx, blob.Digest)
	if err != nil {
		err = fmt.Errorf("read manifest of %s: %w", name, err)
		if errors.Is(err, cas.ErrNotFound) {
			err = cli.ExitError{Code: cli.ExitNotFound, Err: err}
		}
		return checkout.Manifest{}, err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	m, err := checkout.Decode(from, checkout.DefaultLimits)
	if err != nil {
		return m, fmt.Errorf("read manifest of %s: %w", name, err)
	}
	return m, nil
}

// resolve takes a digest as it is and looks up a ref.
func (d *depot) resolve(ctx context.Context, name string) (cas.Blob, error) {
	if digest, err := cas.ParseDigest(name); err == nil {
		return cas.Blob{Digest: digest}, nil
	}
	ref, err := cas.ParseRefName(name)
	if err != nil {
		return cas.Blob{}, cli.Usage("%q is neither a digest nor a ref: %w", name, err)
	}
	blob, err := d.refs.Ref(ctx, ref)
	if errors.Is(err, cas.ErrRefNotFound) || errors.Is(err, client.ErrNotFound) {
		return cas.Blob{}, cli.ExitError{Code: cli.ExitNotFound, Err: fmt.Errorf("%w; `cas ls` shows which there are", err)}
	}
	return blob, err
}
