package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hayloft/cmd/cli"
)

const about = `Hayloft keeps a studio's files once and renders its Blender jobs on every machine it has.

  hayloft up                       a whole farm on this machine: manager and workers
  hayloft submit scene.blend       send a project and render it
  hayloft job list                 what the farm is doing

Every setting can be a flag, an environment variable HAYLOFT_…, or a line of a YAML file; see ` + "`hayloft config show`."

// app is what all commands share once the command line was read.
type app struct {
	cli.Output
	configPath string
	file       *cli.ConfigFile
	origins    map[string]cli.Origin
	verbose    bool
	progress   string
}

func newRoot(env cli.Environment) *cobra.Command {
	a := &app{Output: cli.Output{Environment: env}}
	root := &cobra.Command{
		Use: "hayloft", Short: "Asset store and render farm for Blender", Long: about + "\n\n" + cli.ExitHelp,
		SilenceUsage: true, SilenceErrors: true, Args: cli.Arguments(cobra.NoArgs),
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
	flags.StringVar(&a.configPath, "config", "", "YAML configuration `file`")
	flags.BoolVar(&a.JSON, "json", false, "print results as JSON, one object a line")
	flags.StringVar(&a.progress, "progress", "auto", "how to show progress: `auto`, or json for one object a line on standard error")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log more")
	root.AddCommand(
		a.upCommand(), a.managerCommand(), a.workerCommand(), a.planCommand(), a.submitCommand(), a.jobCommand(), a.runTaskCommand(),
		a.importFlamencoCommand(), a.doctorCommand(), a.configCommand(), a.versionCommand(),
	)
	return root
}

// prepare settles the flags of the command that is about to run.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	path := a.configPath
	if path == "" {
		path = a.Getenv("HAYLOFT_CONFIG")
	}
	file, err := cli.LoadConfig(path, a.fileInData(cmd)...)
	if err != nil {
		return err
	}
	a.file = file
	if a.origins, err = cli.Settle(cmd, a.Getenv, file); err != nil {
		return err
	}
	return a.SetProgress(a.progress)
}

// fileInData is the configuration in the data folder of a command that has one.
func (a *app) fileInData(cmd *cobra.Command) []string {
	data := cmd.Flags().Lookup("data")
	if data == nil {
		return nil
	}
	dir := data.Value.String()
	if fromEnvironment := a.Getenv("HAYLOFT_DATA"); fromEnvironment != "" && !data.Changed {
		dir = fromEnvironment
	}
	return []string{filepath.Join(dir, configFileName)}
}

// logger writes to standard error: text for people, JSON for machines.
func (a *app) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if a.verbose {
		options.Level = slog.LevelDebug
	}
	if a.JSON {
		return slog.New(slog.NewJSONHandler(a.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.Stderr, options))
}

// managerFlag adds the address of the manager to a command.
func managerFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, "manager", "http://127.0.0.1:8080", "address of the manager, `URL`")
}

// exactly is cobra.ExactArgs with a message that says what the arguments are.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return cli.Usage("%s takes %s; see `%s --help`", cmd.CommandPath(), strings.Join(names, " and "), cmd.CommandPath())
		}
		return nil
	}
}

func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usage("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: none, Example: cli.Examples("hayloft version --json"),
		RunE: func(*cobra.Command, []string) error {
			v := ownVersion()
			if a.JSON {
				return a.PrintJSON(v)
			}
			_, err := fmt.Fprintf(a.Stdout, "hayloft %s (%s, %s)\n", v.Version, v.Revision, v.Go)
			return err
		},
	}
}
