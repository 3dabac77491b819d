package main

import (
	"context"
	_ "time/tzdata" // sleep schedules name time zones, and not every system knows them

	"hayloft/cmd/cli"
)

func main() { cli.Main(run) }

func run(ctx context.Context, env cli.Environment) int { return cli.Run(ctx, newRoot(env), env) }
