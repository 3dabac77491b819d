package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Main is the main function of a program. Ctrl-C and SIGTERM end its context, so that it can stop in good order.
func Main(run func(context.Context, Environment) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, Process())
	stop()
	os.Exit(code)
}

// Run carries out the command line of an environment and returns the exit code.
func Run(ctx context.Context, root *cobra.Command, env Environment) int {
	root.SetArgs(env.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	return Report(env.Stderr, root.Name(), err)
}
