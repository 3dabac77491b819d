package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hayloft/cmd/cli"
)

type settingInfo struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show where settings come from", Args: cli.Arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use: "show [COMMAND]", Short: "Show every setting of a command with its origin", Args: cli.Arguments(cobra.MaximumNArgs(1)),
		Long: "Show every setting of a command (by default `manager`) with its value and where it comes from:\n" +
			"a flag, an environment variable HAYLOFT_…, a line of the YAML file, or the default.",
		Example: cli.Examples("hayloft config show", "HAYLOFT_LISTEN=127.0.0.1:9000 hayloft config show manager"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "manager"
			if len(args) == 1 {
				name = args[0]
			}
			return a.configShow(cmd.Root(), name)
		},
	})
	return cmd
}

func (a *app) configShow(root *cobra.Command, name string) error {
	target, _, err := root.Find([]string{name})
	if err != nil || target == root {
		return cli.Usage("no command %q; `hayloft --help` lists them", name)
	}
	if err := target.ParseFlags(nil); err != nil {
		return cli.Usage("%s: %w", name, err)
	}
	origins, err := cli.Settle(target, a.Getenv, a.file)
	if err != nil {
		return err
	}
	var settings []settingInfo
	target.Flags().VisitAll(func(f *pflag.Flag) {
		if from, ok := origins[f.Name]; ok {
			settings = append(settings, settingInfo{f.Name, f.Value.String(), string(from)})
		}
	})
	slices.SortFunc(settings, func(x, y settingInfo) int { return cmp.Compare(x.Name, y.Name) })
	if a.JSON {
		for _, s := range settings {
			if err := a.PrintJSON(s); err != nil {
				return err
			}
		}
		return nil
	}
	return a.Table("SETTING\tVALUE\tORIGIN", func(w io.Writer) {
		for _, s := range settings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.Origin)
		}
	})
}
