package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/checkout"
	"hayloft/cmd/cli"
)

// statistics are what a store holds.
type statistics struct {
	disk.Stats
	Refs []refStatistics `json:"refs"`
}

// refStatistics are how much of the store one named tree holds, in bytes.
type refStatistics struct {
	Name    string `json:"name"`
	Files   int    `json:"files"`
	Logical int64  `json:"logical"` // all files added up
	Unique  int64  `json:"unique"`  // blobs that no other ref names: what deleting the ref would free
	Shared  int64  `json:"shared"`  // blobs that other refs name too
}

func (a *app) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Say how much the store holds, and how much of it each ref", Args: cli.Arguments(cobra.NoArgs),
		Example: cli.Examples("cas stats --store http://farm:8080", "cas stats --store file:///srv/assets --json"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openDepot(a.storeURL, false)
			if err != nil {
				return err
			}
			return errors.Join(a.stats(cmd.Context(), d), d.close())
		},
	}
}

func (a *app) stats(ctx context.Context, d *depot) error {
	var s statistics
	var err error
	if d.client != nil {
		s, err = remoteStatistics(ctx, d)
	} else {
		s, err = folderStatistics(ctx, d)
	}
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(s)
	}
	if _, err := fmt.Fprintf(a.Stdout, "%d blobs, %s; on disk %s: %d whole files, %s, and %d packs, %s, with %d small blobs, %s\n", s.Blobs, cli.BytesText(s.Bytes),
		cli.BytesText(s.WholeBytes+s.PackBytes+s.ShapedBytes), s.WholeBlobs, cli.BytesText(s.WholeBytes), s.Packs, cli.BytesText(s.PackBytes), s.PackedBlobs, cli.BytesText(s.PackedBytes)); err != nil {
		return err
	}
	if len(s.Refs) == 0 {
		return nil
	}
	return a.Table("REF\tFILES\tLOGICAL\tUNIQUE\tSHARED", func(w io.Writer) {
		for _, r := range s.Refs {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", r.Name, r.Files, cli.BytesText(r.Logical), cli.BytesText(r.Unique), cli.BytesText(r.Shared))
		}
	})
}

func remoteStatistics(ctx context.Context, d *depot) (statistics, error) {
	w, err := d.client.Stats(ctx)
	if err != nil {
		return statistics{}, err
	}
	s := statistics{Refs: []refStatistics{}, Stats: disk.Stats{Blobs: w.Blobs, Bytes: w.Bytes, WholeBlobs: w.WholeBlobs, WholeBytes: w.WholeBytes,
		PackedBlobs: w.PackedBlobs, PackedBytes: w.PackedBytes, ShapedBlobs: w.ShapedBlobs, ShapedBytes: w.ShapedBytes,
		Packs: w.Packs, PackBytes: w.PackBytes, Recipes: w.Recipes, Chunks: w.Chunks}}
	for _, r := range w.Refs {
		s.Refs = append(s.Refs, refStatistics{Name: r.Name, Files: int(r.Files), Logical: r.Logical, Unique: r.Unique, Shared: r.Shared})
	}
	return s, nil
}

func folderStatistics(ctx context.Context, d *depot) (statistics, error) {
	stats, err := d.view.Stats(ctx)
	if err != nil {
		return statistics{}, err
	}
	s := statistics{Stats: stats, Refs: []refStatistics{}}
	var trees []cas.Blob
	err = d.refs.Refs(ctx, func(name cas.RefName, manifest cas.Blob) error {
		s.Refs, trees = append(s.Refs, refStatistics{Name: name.String()}), append(trees, manifest)
		return nil
	})
	if err != nil {
		return statistics{}, err
	}
	used, err := checkout.UsageOf(trees, stats.Blobs, func(blob cas.Blob) (checkout.Manifest, error) { return d.manifest(ctx, blob.Digest.String()) })
	if err != nil {
		return statistics{}, err
	}
	for i, u := range used {
		r := &s.Refs[i]
		r.Files, r.Logical, r.Unique, r.Shared = u.Files, u.Logical, u.Unique, u.Shared
	}
	return s, nil
}

func (a *app) rebuildIndexCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rebuild-index", Short: "Make the index of a folder store anew from its packs", Args: cli.Arguments(cobra.NoArgs),
		Long:    "Make the index of a folder store anew from its packs. The index is only a copy of what they say, so nothing can be lost.",
		Example: cli.Examples("cas rebuild-index --store file:///srv/hayloft/storage/blobs"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := folderOf(a.storeURL)
			if err != nil {
				return err
			}
			return a.rebuildIndex(cmd.Context(), path)
		},
	}
}

// folderOf gives the path of a store that has to be a folder of this machine.
func folderOf(storeURL string) (string, error) {
	d, ok := cutFileURL(storeURL)
	if !ok {
		return "", cli.Usage("--store %s: this works on the store's folder; stop the manager and name it as file:///PATH", storeURL)
	}
	return filepath.FromSlash(d), nil
}

func (a *app) rebuildIndex(ctx context.Context, path string) error {
	var bar *cli.Progress
	rebuilt, err := disk.RebuildIndex(ctx, path, func(done, total int64) {
		if bar == nil {
			bar = a.BytesProgress("reading packs", total)
		}
		bar.Set(done)
	})
	if bar != nil {
		bar.End()
	}
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(rebuilt)
	}
	_, err = fmt.Fprintf(a.Stdout, "%d packs, %s: %d blobs, %d recipes, %d chunks\n", rebuilt.Packs, cli.BytesText(rebuilt.Bytes), rebuilt.Blobs, rebuilt.Recipes, rebuilt.Chunks)
	return err
}
