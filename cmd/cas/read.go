package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hayloft/cas"
	"hayloft/checkout"
	"hayloft/cmd/cli"
)

func (a *app) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls [REF|MANIFEST]", Short: "List refs, or the files of a tree", Args: cli.Arguments(cobra.MaximumNArgs(1)),
		Example: cli.Examples("cas ls --store http://farm:8080", "cas ls shot010 --store file:///srv/assets"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDepot(a.storeURL, false)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				err = a.listRefs(cmd.Context(), d)
			} else {
				err = a.listFiles(cmd.Context(), d, args[0])
			}
			return errors.Join(err, d.close())
		},
	}
}

func (a *app) listRefs(ctx context.Context, d *depot) error {
	return d.refs.Refs(ctx, func(name cas.RefName, manifest cas.Blob) error {
		if a.JSON {
			return a.PrintJSON(map[string]any{"ref": name, "manifest": manifest.Digest})
		}
		_, err := fmt.Fprintf(a.Stdout, "%s  %s\n", manifest.Digest, name)
		return err
	})
}

func (a *app) listFiles(ctx context.Context, d *depot, name string) error {
	m, err := d.manifest(ctx, name)
	if err != nil {
		return err
	}
	for e := range m.Entries() {
		if a.JSON {
			err = a.PrintJSON(map[string]any{"path": e.Path, "sha256": e.Blob.Digest, "size": e.Blob.Size, "mode": e.Mode.String()})
		} else {
			_, err = fmt.Fprintf(a.Stdout, "%s  %12d  %s\n", e.Blob.Digest, e.Blob.Size, e.Path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) getCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "get DIGEST|REF:PATH", Short: "Write one file of the store to standard output or a file", Args: one("a digest, or REF:PATH"),
		Example: cli.Examples("cas get shot010:textures/wood.png -o wood.png", "cas get 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDepot(a.storeURL, false)
			if err != nil {
				return err
			}
			return errors.Join(a.get(cmd.Context(), d, args[0], output), d.close())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "`file` to write; it appears whole or not at all")
	return cmd
}

func (a *app) get(ctx context.Context, d *depot, what, output string) error {
	digest, err := d.digestOf(ctx, what)
	if err != nil {
		return err
	}
	from, err := d.blobs.Open(ctx, digest)
	if err != nil {
		if errors.Is(err, cas.ErrNotFound) {
			return cli.ExitError{Code: cli.ExitNotFound, Err: err}
		}
		if errors.Is(err, cas.ErrDigestMismatch) {
			err = fmt.Errorf("%w; `cas verify` checks the store", err)
		}
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	if output == "" {
		return copyChecked(a.Stdout, from, digest)
	}
	temp, err := os.CreateTemp(filepath.Dir(output), ".cas-get-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // After the rename there is nothing left to remove.
	err = copyChecked(temp, from, digest)
	if err := errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), output)
}

// copyChecked copies a blob and tells at its end if it was not what its name says.
func copyChecked(to io.Writer, from io.Reader, digest cas.Digest) error {
	got, err := cas.SumReader(io.TeeReader(from, to))
	if err != nil {
		return err
	}
	if got.Digest != digest {
		return fmt.Errorf("blob %s: the bytes are those of %s: %w; `cas verify` checks the store", digest, got, cas.ErrDigestMismatch)
	}
	return nil
}

// digestOf takes a digest as it is, and looks up REF:PATH.
func (d *depot) digestOf(ctx context.Context, what string) (cas.Digest, error) {
	if digest, err := cas.ParseDigest(what); err == nil {
		return digest, nil
	}
	ref, text, ok := strings.Cut(what, ":")
	if !ok {
		return cas.Digest{}, cli.Usage("%q is neither a SHA-256 nor REF:PATH", what)
	}
	path, err := checkout.ParsePath(text)
	if err != nil {
		return cas.Digest{}, cli.Usage("%w", err)
	}
	m, err := d.manifest(ctx, ref)
	if err != nil {
		return cas.Digest{}, err
	}
	for e := range m.Entries() {
		if e.Path == path {
			return e.Blob.Digest, nil
		}
	}
	return cas.Digest{}, cli.ExitError{Code: cli.ExitNotFound, Err: fmt.Errorf("%s has no file %s; `cas ls %s` lists its files", ref, path, ref)}
}

// verified is what `cas verify` found; the last line of its JSON.
type verified struct {
	Blobs   int   `json:"blobs"`
	Bytes   int64 `json:"bytes"`
	Damaged int   `json:"damaged"`
}

func (a *app) verifyCommand() *cobra.Command {
	var part string
	cmd := &cobra.Command{
		Use: "verify", Short: "Read every blob and compare it with its name", Args: cli.Arguments(cobra.NoArgs),
		Example: cli.Examples("cas verify --store file:///srv/hayloft/storage/blobs", "cas verify --store http://farm:8080 --read-data 5%"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			percent, err := parsePercent(part)
			if err != nil {
				return cli.Usage("--read-data %s: %w", part, err)
			}
			d, err := openDepot(a.storeURL, false)
			if err != nil {
				return err
			}
			return errors.Join(a.verify(cmd.Context(), d, percent), d.close())
		},
	}
	cmd.Flags().StringVar(&part, "read-data", "100%", "read only so much, chosen at random, `N%` of the blobs; all are still looked at")
	return cmd
}

// parsePercent reads "5%" or "5", more than 0 and at most 100.
func parsePercent(text string) (float64, error) {
	value, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(value > 0 && value <= 100) {
		return 0, errors.New("it is a part of the data, more than 0% and at most 100%")
	}
	return value, nil
}

func (a *app) verify(ctx context.Context, d *depot, percent float64) error {
	var v verified
	err := d.blobs.VerifyPart(ctx, percent, rand.Uint64(), func(blob cas.Blob, wrong error) error {
		v.Blobs++
		v.Bytes += blob.Size
		if wrong == nil {
			return nil
		}
		v.Damaged++
		if a.JSON {
			return a.PrintJSON(map[string]string{"blob": blob.String(), "error": wrong.Error()})
		}
		_, err := fmt.Fprintf(a.Stdout, "DAMAGED  %v\n", wrong)
		return err
	})
	if err != nil {
		return err
	}
	if a.JSON {
		err = a.PrintJSON(v)
	} else {
		_, err = fmt.Fprintf(a.Stdout, "%d blobs, %s; %d damaged\n", v.Blobs, cli.BytesText(v.Bytes), v.Damaged)
	}
	if err == nil && v.Damaged > 0 {
		err = cli.ExitError{Code: cli.ExitFailed, Err: fmt.Errorf("%d of %d are damaged; put them in again from their source", v.Damaged, v.Blobs)}
	}
	return err
}
