package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hayloft/cas"
	"hayloft/cas/transfer"
	"hayloft/checkout"
	"hayloft/checkout/gather"
	"hayloft/cmd/cli"
)

// synced is what `cas sync` did; the last line of its JSON.
type synced struct {
	Manifest  string  `json:"manifest"`
	Ref       string  `json:"ref,omitempty"`
	Files     int     `json:"files"`
	Blobs     int     `json:"blobs"`
	BlobsSent int     `json:"blobs_sent"`
	BytesRead int64   `json:"bytes_read"`
	BytesSent int64   `json:"bytes_sent"`
	Seconds   float64 `json:"seconds"`
	DryRun    bool    `json:"dry_run,omitempty"`
}

type syncOptions struct {
	name    string
	exclude []string
	dryRun  bool
}

func (a *app) syncCommand() *cobra.Command {
	var o syncOptions
	cmd := &cobra.Command{
		Use: "sync DIR", Short: "Put a folder into the store; only what it lacks travels", Args: one("a folder"),
		Example: cli.Examples("cas sync ~/film/shot010 --store http://farm:8080 --name shot010", "cas sync textures --store file:///srv/assets --dry-run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDepot(a.storeURL, !o.dryRun)
			if err != nil {
				return err
			}
			err = a.sync(cmd.Context(), d, args[0], o)
			return errors.Join(err, d.close())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`ref` to name the tree by")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out files that match this `pattern`; repeatable")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	return cmd
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

func (a *app) sync(ctx context.Context, d *depot, dir string, o syncOptions) error {
	start := time.Now()
	var ref cas.RefName
	if o.name != "" {
		var err error
		if ref, err = cas.ParseRefName(o.name); err != nil {
			return cli.Usage("--name: %w", err)
		}
	}
	tree, err := gather.Walk(ctx, dir, gather.Options{Exclude: o.exclude})
	if err != nil {
		return err
	}
	bar := a.BytesProgress("reading", tree.Size())
	manifest, files, err := gather.Hash(ctx, tree, func(done, _ int64) { bar.Set(done) })
	bar.End()
	if err != nil {
		return err
	}
	var encoded bytes.Buffer
	if err := manifest.Encode(&encoded); err != nil {
		return err
	}
	tip := cas.Blob{Digest: manifest.Digest(), Size: int64(encoded.Len())}
	result := synced{Manifest: tip.Digest.String(), Ref: o.name, Files: manifest.Len(), BytesRead: tree.Size(), DryRun: o.dryRun}
	report, err := a.transfer(ctx, d, sources(files, tip, encoded.Bytes()), o.dryRun)
	if err != nil {
		return err
	}
	result.Blobs, result.BlobsSent, result.BytesSent = report.Blobs, report.BlobsSent, report.BytesSent
	if !ref.IsZero() && !o.dryRun {
		if err := d.refs.PutRef(ctx, ref, tip); err != nil {
			return err
		}
	}
	result.Seconds = time.Since(start).Seconds()
	return a.printSynced(dir, result)
}

// sources are the files of a tree and, last, its manifest, which names them all.
func sources(files []gather.Source, tip cas.Blob, manifest []byte) []transfer.Source {
	all := make([]transfer.Source, 0, len(files)+1)
	for _, f := range files {
		all = append(all, transfer.Source{Blob: f.Blob, Name: f.Path, Open: func() (io.ReadCloser, error) { return os.Open(f.Path) }})
	}
	return append(all, transfer.Source{Blob: tip, Name: "the manifest",
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(manifest)), nil }})
}

func (a *app) transfer(ctx context.Context, d *depot, all []transfer.Source, dryRun bool) (transfer.Report, error) {
	if dryRun {
		return transfer.Plan(ctx, d.asker, all)
	}
	var bar *cli.Progress
	report, err := transfer.Send(ctx, d.target, all, transfer.Options{
		Planned:  func(_ int, bytes int64) { bar = a.BytesProgress("sending", bytes) },
		Progress: func(n int) { bar.Add(n) },
	})
	if bar != nil {
		bar.End()
	}
	return report, err
}

func (a *app) printSynced(dir string, r synced) error {
	if a.JSON {
		return a.PrintJSON(r)
	}
	verb := "sent"
	if r.DryRun {
		verb = "would send"
	}
	_, err := fmt.Fprintf(a.Stdout, "%s: %d files, %s; %s %d of %d blobs, %s, in %s\n%s\n", filepath.Base(dir), r.Files, cli.BytesText(r.BytesRead),
		verb, r.BlobsSent, r.Blobs, cli.BytesText(r.BytesSent), cli.DurationText(time.Duration(r.Seconds*float64(time.Second))), r.Manifest)
	return err
}

func (a *app) checkoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "checkout REF|MANIFEST DIR", Short: "Bring a tree back into a folder; files that are there and right stay", Args: cli.Arguments(cobra.ExactArgs(2)),
		Example: cli.Examples("cas checkout shot010 ~/restored --store http://farm:8080"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDepot(a.storeURL, false)
			if err != nil {
				return err
			}
			m, err := d.manifest(cmd.Context(), args[0])
			if err == nil {
				err = checkout.Materialise(cmd.Context(), args[1], m, d.blobs)
			}
			if err := errors.Join(err, d.close()); err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(map[string]any{"manifest": m.Digest(), "dir": args[1], "files": m.Len(), "bytes": m.Size()})
			}
			_, err = fmt.Fprintf(a.Stdout, "%d files, %s in %s\n", m.Len(), cli.BytesText(m.Size()), args[1])
			return err
		},
	}
}
