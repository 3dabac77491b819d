package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // sleep schedules name time zones, and not every system knows them

	"hayloft/cmd/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, cli.Process())
	stop()
	os.Exit(code)
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, env cli.Environment) int {
	root := newRoot(env)
	root.SetArgs(env.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return cli.ExitOK
	}
	return cli.Report(env.Stderr, "hayloft", err)
}
