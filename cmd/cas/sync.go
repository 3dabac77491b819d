package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hayloft/api/client"
	"hayloft/cas"
	"hayloft/checkout/gather"
	"hayloft/cmd/cli"
	"hayloft/cmd/upload"
)

// synced is what `cas sync` did; the last line of its JSON. Bytes sent are those on the wire, all that surrounds the
// content included; for a store in a folder, and in a dry run, they are what is new to it.
type synced struct {
	Manifest       string  `json:"manifest"`
	Ref            string  `json:"ref,omitempty"`
	Files          int     `json:"files"`
	FilesNew       int     `json:"files_new"`
	FilesChanged   int     `json:"files_changed"`
	FilesUnchanged int     `json:"files_unchanged"`
	Blobs          int     `json:"blobs"`
	BlobsSent      int     `json:"blobs_sent"`
	BytesTotal     int64   `json:"bytes_total"`
	BytesRead      int64   `json:"bytes_read"`
	BytesSent      int64   `json:"bytes_sent"`
	BytesReceived  int64   `json:"bytes_received"`
	BytesStored    int64   `json:"bytes_stored"`
	Ratio          float64 `json:"ratio"` // bytes sent to bytes in all
	Seconds        float64 `json:"seconds"`
	DryRun         bool    `json:"dry_run,omitempty"`
}

type syncOptions struct {
	name    string
	exclude []string
	dryRun  bool
	rescan  bool
	watch   bool
	quiet   time.Duration
	keep    bool // compressed .blend files as they are
	index   cli.IndexFlag
	limits  cli.LimitFlags
}

func (a *app) syncCommand() *cobra.Command {
	var o syncOptions
	cmd := &cobra.Command{
		Use: "sync DIR|FILE…", Short: "Put files into the store; only bytes that it has never seen travel", Args: some("a folder or a file"),
		Long: `Put files into the store; only bytes that it has never seen travel.

A local index remembers what files were, so that an unchanged tree costs one look at each file. Compressed .blend files
are kept as plain ones, since those share most of their bytes with the version before; Blender opens either.`,
		Example: cli.Examples("cas sync ~/film/shot010 --store http://farm:8080 --name shot010",
			"cas sync textures --store file:///srv/assets --dry-run",
			"cas sync ~/film --store http://farm:8080 --name film --watch"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runSync(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`ref` to name the tree by")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out files that match this `pattern`; repeatable")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	f.BoolVar(&o.rescan, "rescan", false, "read every file, whatever the index says")
	f.BoolVar(&o.watch, "watch", false, "stay, and send each change seconds after it was saved")
	f.DurationVar(&o.quiet, "quiet", time.Second, "with --watch: how long a tree must hold still before it is sent")
	f.BoolVar(&o.keep, "keep-compressed", false, "keep compressed .blend files as they are")
	o.index.Add(f)
	o.limits.Add(f)
	return cmd
}

func (a *app) runSync(ctx context.Context, paths []string, o syncOptions) (err error) {
	var ref cas.RefName
	if o.name != "" {
		if ref, err = cas.ParseRefName(o.name); err != nil {
			return cli.Usage("--name: %w", err)
		}
	}
	if o.watch && o.dryRun {
		return cli.Usage("--watch sends, and --dry-run does not: use one of them")
	}
	limits, err := o.limits.Options()
	if err != nil {
		return err
	}
	index, err := a.OpenIndex(o.index)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	d, err := openDepot(a.storeURL, !o.dryRun, limits...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	s := syncing{app: a, depot: d, index: index, paths: paths, ref: ref, options: o}
	if !o.watch {
		return s.once(ctx)
	}
	return s.watch(ctx)
}

// syncing is one run of the command.
type syncing struct {
	*app
	depot   *depot
	index   *cli.Index
	paths   []string
	ref     cas.RefName
	options syncOptions
}

// watch sends the tree, and again after every change, until ctx ends. A tree that cannot be sent at the moment is said
// and tried again with the next change or look.
func (s *syncing) watch(ctx context.Context) error {
	s.Say("watching %s; Ctrl-C ends it", s.title())
	said := "" // The same is not said at each look.
	err := gather.Watch(ctx, s.paths, gather.WatchOptions{Exclude: s.options.exclude, Quiet: s.options.quiet, Log: slog.New(slog.NewTextHandler(s.Stderr, nil))},
		func(ctx context.Context) error {
			err := s.once(ctx)
			if err == nil || ctx.Err() != nil {
				said = ""
				return ctx.Err()
			}
			if text := err.Error(); text != said {
				s.Say("not sent, to be tried again: %s", text)
				said = text
			}
			return gather.ErrAgain
		})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // a person ended it, as intended
	}
	return err
}

// once sends the tree as it is now.
func (s *syncing) once(ctx context.Context) error {
	start := time.Now()
	sentBefore, receivedBefore := s.depot.traffic()
	tree, err := gather.WalkAll(ctx, s.paths, gather.Options{Exclude: s.options.exclude})
	if err != nil {
		return err
	}
	done, err := s.send(ctx, tree)
	if done.Read.Index != nil {
		s.Say("the local index is of no use, and files are read again: %v", done.Read.Index)
	}
	if err != nil {
		return err
	}
	sent, received := s.depot.traffic()
	r := synced{
		Manifest: done.Tip.Digest.String(), Ref: s.options.name, Files: done.Manifest.Len(),
		FilesNew: done.Read.FilesNew, FilesChanged: done.Read.FilesChanged, FilesUnchanged: done.Read.FilesUnchanged,
		Blobs: done.Sent.Blobs, BlobsSent: done.Sent.BlobsSent, BytesTotal: done.Manifest.Size(), BytesRead: done.Read.BytesRead,
		BytesSent: sent - sentBefore, BytesReceived: received - receivedBefore, BytesStored: done.Stored,
		Seconds: time.Since(start).Seconds(), DryRun: s.options.dryRun,
	}
	switch {
	case s.options.dryRun:
		r.BytesSent = done.Sent.BytesNew
	case s.depot.view != nil:
		r.BytesSent = done.Ingested + done.Sent.BytesStored
	}
	if r.BytesTotal > 0 {
		r.Ratio = float64(r.BytesSent) / float64(r.BytesTotal)
	}
	return s.print(r)
}

// send reads, sends and names the tree. A store that lost what it once said it had is asked for everything anew.
func (s *syncing) send(ctx context.Context, tree gather.Tree) (upload.Result, error) {
	done, err := s.sendOnce(ctx, tree)
	if err != nil || s.ref.IsZero() || s.options.dryRun {
		return done, err
	}
	err = s.depot.refs.PutRef(ctx, s.ref, done.Tip)
	if !errors.Is(err, client.ErrMissingBlobs) || s.index.Index == nil {
		return done, err
	}
	if err := s.index.Forget(ctx, s.depot.destination.Generation()); err != nil {
		return done, err
	}
	if done, err = s.sendOnce(ctx, tree); err != nil {
		return done, err
	}
	return done, s.depot.refs.PutRef(ctx, s.ref, done.Tip)
}

func (s *syncing) sendOnce(ctx context.Context, tree gather.Tree) (upload.Result, error) {
	bars := s.UploadProgress()
	defer bars.End()
	return upload.Tree(ctx, tree, s.depot.destination, upload.Options{
		Index: s.index.Index, Rescan: s.options.rescan, Decode: !s.options.keep, DryRun: s.options.dryRun, KeepManifest: true,
		Reading: bars.Reading, Sending: bars.Sending,
	})
}

func (s *syncing) title() string {
	if len(s.paths) == 1 {
		if path, err := filepath.Abs(s.paths[0]); err == nil {
			return filepath.Base(path)
		}
	}
	return fmt.Sprintf("%d paths", len(s.paths))
}

func (s *syncing) print(r synced) error {
	if s.JSON {
		return s.PrintJSON(r)
	}
	verb := "sent"
	if r.DryRun {
		verb = "would send"
	}
	_, err := fmt.Fprintf(s.Stdout, "%s: %d files (%d new, %d changed, %d unchanged), %s; read %s, %s %s (%s), stored %s, in %s\n%s\n",
		s.title(), r.Files, r.FilesNew, r.FilesChanged, r.FilesUnchanged, cli.BytesText(r.BytesTotal), cli.BytesText(r.BytesRead),
		verb, cli.BytesText(r.BytesSent), percentText(r.Ratio), cli.BytesText(r.BytesStored), cli.DurationText(time.Duration(r.Seconds*float64(time.Second))), r.Manifest)
	return err
}

// some is a check for at least one argument.
func some(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cli.Usage("%s takes %s; see `%s --help`", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// one is a check for exactly one argument.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return cli.Usage("%s takes %s; see `%s --help`", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// percentText writes a part for people: with two digits where it is small.
func percentText(part float64) string {
	if part >= 0.1 || part == 0 {
		return fmt.Sprintf("%.0f %%", 100*part)
	}
	return fmt.Sprintf("%.2g %%", 100*part)
}
