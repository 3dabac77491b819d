package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"hayloft/cas"
	"hayloft/checkout"
	"hayloft/checkout/gather"
	"hayloft/cmd/cli"
)

// differences is the last line of the JSON of `cas diff`.
type differences struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
}

type diffOptions struct {
	exclude []string
	check   bool
	keep    bool
	index   cli.IndexFlag
}

func (a *app) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use: "diff REF|MANIFEST REF|MANIFEST|DIR", Short: "Say how two trees differ", Args: cli.Arguments(cobra.ExactArgs(2)),
		Long: `Say how two trees differ: A for a file that only the second has, D for one that only the first has, M for other
content, X for another mode. A name that is a folder is one; write ./NAME if a ref has the same name.`,
		Example: cli.Examples("cas diff shot010 shot010@v2 --store http://farm:8080", "cas diff shot010 ~/film/shot010 --store file:///srv/assets"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDepot(a.storeURL, false)
			if err != nil {
				return err
			}
			return errors.Join(a.diff(cmd.Context(), d, args[0], args[1], o), d.close())
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out files of the folder that match this `pattern`; repeatable")
	f.BoolVar(&o.check, "exit-code", false, "end with 1 if there is a difference")
	f.BoolVar(&o.keep, "keep-compressed", false, "compare compressed .blend files as they are")
	o.index.Add(f)
	return cmd
}

func (a *app) diff(ctx context.Context, d *depot, before, after string, o diffOptions) error {
	first, err := d.manifest(ctx, before)
	if err != nil {
		return err
	}
	second, err := a.tree(ctx, d, after, o)
	if err != nil {
		return err
	}
	var count differences
	for c := range checkout.Diff(first, second) {
		if !c.Added() && !c.Removed() && !c.Content() && !c.Mode() {
			continue // it was compressed in one of them: the same bytes in both
		}
		switch {
		case c.Added():
			count.Added++
		case c.Removed():
			count.Removed++
		default:
			count.Changed++
		}
		if err := a.printChange(c); err != nil {
			return err
		}
	}
	if a.JSON {
		err = a.PrintJSON(count)
	} else {
		_, err = fmt.Fprintf(a.Stdout, "%d added, %d removed, %d changed\n", count.Added, count.Removed, count.Changed)
	}
	if err == nil && o.check && count != (differences{}) {
		err = cli.ExitError{Code: cli.ExitFailed, Err: fmt.Errorf("%s and %s differ", before, after)}
	}
	return err
}

// tree is the manifest of a folder of this machine, or of the store.
func (a *app) tree(ctx context.Context, d *depot, name string, o diffOptions) (checkout.Manifest, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return d.manifest(ctx, name)
	}
	index, err := a.OpenIndex(o.index)
	if err != nil {
		return checkout.Manifest{}, err
	}
	defer index.Close() //nolint:errcheck // What it learned is on disk already.
	spool, err := os.MkdirTemp("", "hayloft-decoded-*")
	if err != nil {
		return checkout.Manifest{}, err
	}
	defer os.RemoveAll(spool) //nolint:errcheck // It lies in the folder for temporary files.
	walked, err := gather.Walk(ctx, name, gather.Options{Exclude: o.exclude})
	if err != nil {
		return checkout.Manifest{}, err
	}
	m, _, err := gather.Read(ctx, walked, gather.Reading{Index: index.Index, Decode: !o.keep, Spool: spool})
	return m, err
}

func (a *app) printChange(c checkout.Change) error {
	mark, entry := "M", c.After
	switch {
	case c.Added():
		mark = "A"
	case c.Removed():
		mark, entry = "D", c.Before
	case !c.Content():
		mark = "X"
	}
	if !a.JSON {
		_, err := fmt.Fprintf(a.Stdout, "%s  %s\n", mark, entry.Path)
		return err
	}
	line := map[string]any{"change": mark, "path": entry.Path}
	for name, blob := range map[string]cas.Blob{"before": c.Before.Blob, "after": c.After.Blob} {
		if !blob.Digest.IsZero() {
			line[name] = blob
		}
	}
	return a.PrintJSON(line)
}
