package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"hayloft/checkout/blend"
	"hayloft/cmd/cli"
)

func (a *app) traceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "trace FILE.blend...", Short: "List the files that scenes need, and those that are missing",
		Long: "List the files that scenes need, linked libraries and what those need included, and those that are missing.\n" +
			"Missing files do not change the exit code; a .blend file that cannot be read does.",
		Args:    cli.Arguments(cobra.MinimumNArgs(1)),
		Example: cli.Examples("cas trace shot010.blend", "cas trace --json shot010.blend shot020.blend"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.trace(cmd.Context(), args)
		},
	}
}

func (a *app) trace(ctx context.Context, paths []string) error {
	// A small shot is through before it is worth to look for garbage: with the usual 100 a fifth of its time went there.
	debug.SetGCPercent(200)
	report, err := blend.Trace(ctx, paths, blend.Options{})
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(report)
	}
	for _, path := range report.Files {
		if _, err := fmt.Fprintln(a.Stdout, path); err != nil {
			return err
		}
	}
	for _, warning := range report.Warnings {
		a.Say("%s", warning)
	}
	if len(report.Missing) == 0 {
		return nil
	}
	return a.printMissing(report)
}

// printMissing says which datablock lacks which file, on standard error, so that standard output is a list of files.
func (a *app) printMissing(report blend.Report) error {
	missing := map[string]bool{}
	for _, d := range report.Dependencies {
		for _, path := range d.Missing {
			missing[path] = true
		}
	}
	a.Say("%d files are missing:", len(missing))
	out := cli.Output{Environment: a.Environment}
	out.Stdout = a.Stderr
	return out.Table("DATABLOCK\tKIND\tFILE\tIN", func(w io.Writer) {
		for _, d := range report.Dependencies {
			for _, path := range d.Missing {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Datablock, d.Kind, path, d.Blend)
				if d.Note != "" {
					fmt.Fprintf(w, "\t\t%s\t\n", d.Note)
				}
			}
		}
	})
}
