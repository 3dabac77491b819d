package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/pack"
	"hayloft/cas/transfer"
	"hayloft/checkout"
	"hayloft/checkout/fileindex"
	"hayloft/checkout/gather"
)

// Destination is the store that a tree goes to.
type Destination struct {
	// Remote takes what the store lacks. For a dry run it need only be a [transfer.Asker].
	Remote transfer.Asker
	// Generation names this very store; the index keeps its yes answers by it. It is empty before the first answer.
	Generation func() string
	// Folder is the same store, if it is a folder of this machine: large files go straight into it, in one reading.
	Folder *disk.Store
}

// Options of [Tree]; the zero value reads everything and reports nothing.
type Options struct {
	Index  *fileindex.Index // nil: none
	Rescan bool             // read every file, whatever the index says
	Decode bool             // keep compressed .blend files as plain ones
	DryRun bool             // ask, and send nothing
	// KeepManifest stores the manifest too, so that a ref can name the tree.
	KeepManifest bool

	// Reading and Sending, if set, are told how many bytes are done, and how many there are as far as is known. Calls of
	// each come one at a time.
	Reading func(done, total int64)
	Sending func(done, total int64)
}

// Result is what came of it.
type Result struct {
	Manifest checkout.Manifest
	Tip      cas.Blob // the manifest, if it was stored too
	Read     gather.Summary
	Sent     transfer.Report
	// Ingested are the bytes that were new to a folder, of files that went into it in the same reading; Sent does not count
	// them.
	Ingested int64
	// Stored are the bytes by which the store grew, as far as this side can tell.
	Stored int64
}

// Tree reads a tree and stores what the destination lacks of it.
func Tree(ctx context.Context, tree gather.Tree, to Destination, o Options) (Result, error) {
	u := uploading{ctx: ctx, to: to, options: o}
	if o.Decode {
		spool, err := os.MkdirTemp("", "hayloft-decoded-*")
		if err != nil {
			return Result{}, fmt.Errorf("make a folder for decoded files: %w", err)
		}
		defer os.RemoveAll(spool) //nolint:errcheck // It lies in the folder for temporary files.
		u.spool = spool
	}
	if o.Index != nil {
		// An empty question tells the generation, by which the index knows what need not be asked.
		if _, err := to.Remote.Lacking(ctx, nil); err != nil {
			return Result{}, err
		}
	}
	if o.DryRun {
		return u.plan(tree)
	}
	return u.run(tree)
}

// uploading is one run of Tree.
type uploading struct {
	ctx       context.Context
	to        Destination
	options   Options
	spool     string
	sender    *transfer.Sender
	unchanged []gather.Found
	confirmed []cas.Digest // that the store has them
	ingested  atomic.Int64
	stored    atomic.Int64
}

func (u *uploading) run(tree gather.Tree) (result Result, err error) {
	ctx, cancel := context.WithCancel(u.ctx)
	defer cancel()
	to, ok := u.to.Remote.(transfer.Remote)
	if !ok {
		return Result{}, errors.New("the store was opened for reading")
	}
	u.sender = transfer.NewSender(ctx, to, transfer.Options{
		Stored:   u.confirm,
		Progress: u.options.Sending,
	})
	result, err = u.offerAll(tree)
	if err != nil {
		cancel()
	}
	sent, sendErr := u.sender.Close()
	result.Sent, result.Ingested, result.Stored = sent, u.ingested.Load(), u.stored.Load()+sent.BytesStored
	// An end of the sending ends the reading too, and is then what matters.
	if sendErr != nil && !errors.Is(sendErr, context.Canceled) {
		err = sendErr
	}
	return result, errors.Join(err, u.note())
}

// offerAll reads the tree and hands everything to the sender, the manifest last.
func (u *uploading) offerAll(tree gather.Tree) (result Result, err error) {
	result.Manifest, result.Read, err = gather.Read(u.ctx, tree, u.reading(u.offer))
	if err != nil {
		return result, err
	}
	for _, source := range u.doubtful(u.unchanged) {
		if err := u.sender.Offer(source); err != nil {
			return result, err
		}
	}
	if !u.options.KeepManifest {
		return result, nil
	}
	tip, err := manifestSource(result.Manifest)
	if err != nil {
		return result, err
	}
	result.Tip, tip.Known = tip.Blob, u.has(tip.Blob.Digest)[0]
	return result, u.sender.Offer(tip)
}

// manifestSource is a manifest as something to send.
func manifestSource(m checkout.Manifest) (transfer.Source, error) {
	var encoded bytes.Buffer
	if err := m.Encode(&encoded); err != nil {
		return transfer.Source{}, err
	}
	return transfer.Source{Blob: cas.Blob{Digest: m.Digest(), Size: int64(encoded.Len())}, Name: "the manifest",
		Open: func() (transfer.File, error) { return memory{bytes.NewReader(encoded.Bytes())}, nil }}, nil
}

func (u *uploading) reading(each func(gather.Found) error) gather.Reading {
	r := gather.Reading{Index: u.options.Index, Rescan: u.options.Rescan, Decode: u.options.Decode, Spool: u.spool,
		Each: each, Progress: u.options.Reading}
	if u.to.Folder != nil && !u.options.DryRun {
		r.Read = u.ingest
	}
	return r
}

// ingest reads a file into the folder. Small ones are only hashed: they are stored many at a time.
func (u *uploading) ingest(ctx context.Context, r io.ReaderAt, size int64) (gather.Content, error) {
	if size <= disk.FrameSize {
		blob, err := cas.SumReader(io.NewSectionReader(r, 0, size))
		if err == nil && blob.Size != size {
			err = fmt.Errorf("%w: it ends after %d bytes", cas.ErrSizeMismatch, blob.Size)
		}
		return gather.Content{Blob: blob}, err
	}
	in, err := u.to.Folder.Ingest(ctx, r, size)
	u.stored.Add(in.Stored)
	if in.New {
		u.ingested.Add(in.Fresh)
	}
	return gather.Content{Blob: in.Blob, Recipe: in.Recipe}, err
}

// offer takes a file that was read. Unchanged ones wait until all are known, so that one look into the index tells which
// of them the store is sure to have.
func (u *uploading) offer(f gather.Found) error {
	if f.State == gather.Unchanged {
		u.unchanged = append(u.unchanged, f)
		return nil
	}
	s := source(f)
	s.Known = u.to.Folder != nil && f.Blob.Size > disk.FrameSize
	if base := s.Base.Blob(); base != (cas.Blob{}) && !u.has(base.Digest)[0] {
		s.Base = u.base(f)
	}
	return u.sender.Offer(s)
}

// base is the recipe of an earlier version of a file that the store may have, where the last one that was read was only
// looked at; of no use if the index does not know one.
func (u *uploading) base(f gather.Found) chunk.Recipe {
	if u.options.Index == nil {
		return f.Base
	}
	base, ok, err := u.options.Index.Base(u.ctx, f.File.Source)
	if err != nil || !ok || base.Blob() == f.Blob {
		return f.Base
	}
	return base
}

func source(f gather.Found) transfer.Source {
	return transfer.Source{Blob: f.Blob, Name: f.File.Source, Recipe: f.Recipe, Base: f.Base,
		Open: func() (transfer.File, error) { return f.Open() }}
}

// doubtful gives those of the unchanged files of which the index does not know that the store has them.
func (u *uploading) doubtful(files []gather.Found) []transfer.Source {
	digests := make([]cas.Digest, len(files))
	for i, f := range files {
		digests[i] = f.Blob.Digest
	}
	has := u.has(digests...)
	var sources []transfer.Source
	for i, f := range files {
		if has[i] {
			continue
		}
		s := source(f)
		if f.Blob.Size > pack.MaxData && u.options.Index != nil {
			if recipe, ok, err := u.options.Index.Recipe(u.ctx, f.File.Source); err == nil && ok && recipe.Blob() == f.Blob {
				s.Recipe = recipe
			}
			s.Base = u.base(f)
		}
		sources = append(sources, s)
	}
	return sources
}

// confirm takes down what the store said it has. The sender calls it from one goroutine at a time, and not after its end.
func (u *uploading) confirm(blobs []cas.Blob) {
	for _, b := range blobs {
		u.confirmed = append(u.confirmed, b.Digest)
	}
}

// has tells which blobs the index knows the store to have. Without an answer all are asked for, which is slower and no
// less right.
func (u *uploading) has(digests ...cas.Digest) []bool {
	if x := u.options.Index; x != nil && u.to.Generation() != "" {
		if known, err := x.Has(u.ctx, u.to.Generation(), digests); err == nil {
			return known
		}
	}
	return make([]bool, len(digests))
}

// note remembers what the store has. A store that cannot be named is not remembered.
func (u *uploading) note() error {
	if u.options.Index == nil || len(u.confirmed) == 0 || u.to.Generation() == "" {
		return nil
	}
	// What was confirmed before an interruption is worth as much as the rest.
	return u.options.Index.NoteHas(context.WithoutCancel(u.ctx), u.to.Generation(), u.confirmed)
}

// plan reads the tree and asks what would be sent.
func (u *uploading) plan(tree gather.Tree) (result Result, err error) {
	var all []gather.Found
	result.Manifest, result.Read, err = gather.Read(u.ctx, tree, u.reading(func(f gather.Found) error {
		all = append(all, f)
		return nil
	}))
	if err != nil {
		return result, err
	}
	sources := u.doubtful(all)
	if u.options.KeepManifest {
		tip, err := manifestSource(result.Manifest)
		if err != nil {
			return result, err
		}
		result.Tip, sources = tip.Blob, append(sources, tip)
	}
	result.Sent, err = transfer.Plan(u.ctx, u.to.Remote, sources)
	return result, err
}

// memory is a file that never was one.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }
