package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/checkout"
	"hayloft/checkout/fileindex"
	"hayloft/cmd/cli"
)

// laidOut is what `cas checkout` did; the last line of its JSON.
type laidOut struct {
	Manifest cas.Digest `json:"manifest"`
	Dir      string     `json:"dir"`
	Files    int        `json:"files"`
	Bytes    int64      `json:"bytes"`
	checkout.Result
	BytesReceived int64   `json:"bytes_received"` // on the wire, all that surrounds the content included
	Seconds       float64 `json:"seconds"`
}

type checkoutOptions struct {
	link    string
	replace bool
	delete  bool
	index   cli.IndexFlag
	limits  cli.LimitFlags
}

func (a *app) checkoutCommand() *cobra.Command {
	var o checkoutOptions
	cmd := &cobra.Command{
		Use: "checkout REF|MANIFEST DIR", Short: "Bring a tree back into a folder; files that are there and right stay", Args: cli.Arguments(cobra.ExactArgs(2)),
		Long: `Bring a tree back into a folder. Only what differs is fetched and written; of a large file that is there in an earlier
version, only the parts that changed travel.

Files come as reflinks where the store is on this file system and it can share blocks, else as copies: both are yours to
edit. --link hardlink and --link symlink cost neither time nor space, and give files that must not be written to.`,
		Example: cli.Examples("cas checkout shot010 ~/restored --store http://farm:8080", "cas checkout shot010@v2 ~/restored --replace --delete",
			"cas checkout textures /render/textures --store file:///srv/assets --link symlink"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runCheckout(cmd.Context(), args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.link, "link", string(checkout.Auto), "`WAY` of files from a store on this machine: auto, reflink, hardlink, symlink, copy")
	f.BoolVar(&o.replace, "replace", false, "replace files that differ")
	f.BoolVar(&o.delete, "delete", false, "remove files that the tree does not have; needs --replace")
	o.index.Add(f)
	o.limits.Add(f)
	return cmd
}

func (a *app) runCheckout(ctx context.Context, name, dir string, o checkoutOptions) (err error) {
	way, err := checkout.ParseWay(o.link)
	if err != nil {
		return cli.Usage("--link: %w", err)
	}
	if o.delete && !o.replace {
		return cli.Usage("--delete makes the folder equal to the tree: say --replace too")
	}
	limits, err := o.limits.Options()
	if err != nil {
		return err
	}
	// Links need whole files in the store, which small blobs get when they are asked for.
	linking := way != checkout.Auto && way != checkout.Copy
	d, err := openDepot(a.storeURL, linking, limits...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	index, err := a.OpenIndex(o.index)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	return a.layOut(ctx, d, index, name, dir, checkout.Options{Links: way, Replace: o.replace, Delete: o.delete})
}

func (a *app) layOut(ctx context.Context, d *depot, index *cli.Index, name, dir string, o checkout.Options) error {
	start := time.Now()
	m, err := d.manifest(ctx, name)
	if err != nil {
		return err
	}
	if d.view != nil {
		o.Local = d.local
	}
	if store := d.destination.Folder; store != nil {
		if _, err := store.Shape(ctx, m.Blobs()); err != nil {
			return err
		}
	}
	if d.client != nil {
		o.Fetch = d.client
	}
	known, err := knownBelow(ctx, index, dir)
	if err != nil {
		return err
	}
	if known != nil {
		o.Known = known
	}
	bar := a.BytesProgress("laying out", m.Size())
	o.Progress = func(done, _ int64) { bar.Set(done) }
	result, err := checkout.Materialise(ctx, dir, m, d.blobs, o)
	bar.End()
	// Files that were put in place are worth remembering, even if the rest was not reached.
	if err := errors.Join(err, known.remember(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	_, received := d.traffic()
	return a.printLaidOut(laidOut{Manifest: m.Digest(), Dir: dir, Files: m.Len(), Bytes: m.Size(), Result: result,
		BytesReceived: received, Seconds: time.Since(start).Seconds()})
}

// local gives the file of a blob in a store on this machine, if it has one of its own.
func (d *depot) local(blob cas.Blob) (string, bool) {
	path := d.view.Path(blob.Digest)
	info, err := os.Lstat(path)
	return path, err == nil && info.Mode().IsRegular() && info.Size() == blob.Size
}

func (a *app) printLaidOut(r laidOut) error {
	if a.JSON {
		return a.PrintJSON(r)
	}
	var ways []string
	for _, way := range slices.Sorted(maps.Keys(r.How)) {
		ways = append(ways, fmt.Sprintf("%d by %s", r.How[way], way))
	}
	how := ""
	if len(ways) > 0 {
		how = " (" + strings.Join(ways, ", ") + ")"
	}
	_, err := fmt.Fprintf(a.Stdout, "%d files, %s in %s; %d written%s, %d kept, %d deleted, %s fetched, in %s\n", r.Files, cli.BytesText(r.Bytes), r.Dir,
		r.FilesWritten, how, r.FilesKept, r.FilesDeleted, cli.BytesText(r.BytesFetched), cli.DurationText(time.Duration(r.Seconds*float64(time.Second))))
	return err
}

// known tells a checkout what the local index knows of a folder, and takes in what it learns.
type known struct {
	index *fileindex.Index
	files map[string]fileindex.Known

	mu      sync.Mutex
	learned []fileindex.Fact
}

func knownBelow(ctx context.Context, index *cli.Index, dir string) (*known, error) {
	if index.Index == nil {
		return nil, nil
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	files, err := index.Under(ctx, root)
	if err != nil {
		return nil, err
	}
	return &known{index: index.Index, files: files}, nil
}

// Content tells what a file is that has not changed since the index saw it.
func (k *known) Content(path string, info fs.FileInfo) (cas.Blob, bool) {
	file, ok := k.files[path]
	return file.Blob, ok && file.Unchanged(fileindex.StatOf(info))
}

// Recipe tells how such a file was cut.
func (k *known) Recipe(path string, info fs.FileInfo) (chunk.Recipe, bool) {
	file, ok := k.files[path]
	if !ok || !file.HasRecipe || !file.Unchanged(fileindex.StatOf(info)) {
		return chunk.Recipe{}, false
	}
	recipe, ok, err := k.index.Recipe(context.Background(), path)
	return recipe, ok && err == nil
}

// Learn takes note of a file.
func (k *known) Learn(path string, info fs.FileInfo, blob cas.Blob, recipe chunk.Recipe) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learned = append(k.learned, fileindex.Fact{Path: path, Stat: fileindex.StatOf(info), Blob: blob, Verbatim: true, Recipe: recipe})
}

// remember writes down what was learned, as read at this moment: a file that was written to since its place was taken has
// other times by now. What is younger than the clock of the file system can tell is left to be read again.
func (k *known) remember(ctx context.Context) error {
	if k == nil || len(k.learned) == 0 {
		return nil
	}
	facts := k.learned[:0]
	for _, fact := range k.learned {
		now := time.Now()
		if info, err := os.Lstat(fact.Path); err == nil && fileindex.StatOf(info) == fact.Stat {
			fact.Read = now
			facts = append(facts, fact)
		}
	}
	return k.index.Remember(ctx, facts)
}
