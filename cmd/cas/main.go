package main

import (
	"context"

	"github.com/spf13/cobra"

	"hayloft/cmd/cli"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev"

func main() { cli.Main(run) }

func run(ctx context.Context, env cli.Environment) int { return cli.Run(ctx, newRoot(env), env) }

const about = `The asset store for pipelines. Files are kept once, by their SHA-256; trees are named by refs.

A store is a manager's address, http://HOST:PORT, or a folder of this machine, file:///PATH.`

// app is what all commands share.
type app struct {
	cli.Output
	storeURL   string
	configPath string
	progress   string
}

func newRoot(env cli.Environment) *cobra.Command {
	a := &app{Output: cli.Output{Environment: env}}
	root := &cobra.Command{
		Use: "cas", Short: "Content-addressed asset store", Long: about + "\n\n" + cli.ExitHelp,
		SilenceUsage: true, SilenceErrors: true, Args: cli.Arguments(cobra.NoArgs), Version: version,
		PersistentPreRunE: a.prepare,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return cli.Usage("%w; see `%s --help`", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.storeURL, "store", "http://127.0.0.1:8080", "`URL` of the store: http://HOST:PORT or file:///PATH")
	flags.StringVar(&a.configPath, "config", "", "YAML configuration `file`")
	flags.StringVar(&a.progress, "progress", "auto", "how to show progress: `auto`, or json for one object a line on standard error")
	flags.BoolVar(&a.JSON, "json", false, "print results as JSON, one object a line")
	root.AddCommand(a.syncCommand(), a.lsCommand(), a.getCommand(), a.checkoutCommand(), a.diffCommand(),
		a.traceCommand(), a.verifyCommand(), a.statsCommand(), a.rebuildIndexCommand())
	return root
}

func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	path := a.configPath
	if path == "" {
		path = a.Getenv("HAYLOFT_CONFIG")
	}
	file, err := cli.LoadConfig(path)
	if err != nil {
		return err
	}
	if _, err = cli.Settle(cmd, a.Getenv, file.ForCas()); err != nil {
		return err
	}
	return a.SetProgress(a.progress)
}
