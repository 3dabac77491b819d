package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hayloft/cmd/cli"
	"hayloft/worker"
)

func (a *app) workerCommand() *cobra.Command {
	config := worker.Config{Software: software()}
	var restartable, find bool
	cmd := &cobra.Command{
		Use: "worker", Short: "Run a worker: take tasks from a manager and render", Args: none,
		Example: cli.Examples("hayloft worker --manager http://farm:8080 --name atlas --tags gpu,night"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPerformance(config.Performance); err != nil {
				return err
			}
			config.CanRestart = restartable
			if find {
				var err error
				if config.ManagerURL, err = a.findManager(cmd.Context()); err != nil {
					return err
				}
			}
			return runWorker(cmd.Context(), config, a.logger())
		},
	}
	host, _ := os.Hostname()
	managerFlag(cmd, &config.ManagerURL)
	f := cmd.Flags()
	f.StringVar(&config.DataDir, "data", "hayloft-worker", "`folder` for this worker's identity, unsent reports and unfinished frames")
	f.StringVar(&config.Name, "name", host, "`name` of the worker, as people see it")
	f.StringSliceVar(&config.Tags, "tags", nil, "`tags` to carry, separated by commas")
	f.StringSliceVar(&config.TaskTypes, "task-types", worker.DefaultTaskTypes, "`types` of tasks to take")
	performanceFlag(cmd, &config.Performance)
	f.DurationVar(&config.Silence, "silence-limit", 0, "end a process that prints nothing for this long; 0: never")
	f.DurationVar(&config.Total, "task-limit", 0, "end a task that runs for longer than this; 0: never")
	f.BoolVar(&find, "find-manager", false, "search the local network for a manager in place of --manager")
	f.BoolVar(&restartable, "restartable", false, "a supervisor starts the worker again when it ends with exit code 75")
	cmd.AddCommand(a.workerListCommand())
	return cmd
}

// performanceFlag lets a person say how fast a worker is.
func performanceFlag(cmd *cobra.Command, performance *float64) {
	cmd.Flags().Float64Var(performance, "performance", 1,
		"how many times faster than an ordinary worker it is, as a `factor`, until it was measured at jobs that are shared by speed")
}

func checkPerformance(performance float64) error {
	if !(performance >= worker.MinPerformance && performance <= worker.MaxPerformance) { // so that it refuses NaN
		return cli.Usage("--performance %v: give a number between %v and %v; 1 is an ordinary worker, 2 one that is twice as fast",
			performance, worker.MinPerformance, worker.MaxPerformance)
	}
	return nil
}

// runWorker runs one worker until ctx ends or the manager sends it away.
func runWorker(ctx context.Context, config worker.Config, log *slog.Logger) error {
	config.Logger = log
	agent, err := worker.New(config)
	if err != nil {
		return cli.Usage("%w", err)
	}
	err = agent.Run(ctx)
	switch {
	case errors.Is(err, worker.ErrRestart):
		return cli.ExitError{Code: cli.ExitRestart}
	case errors.Is(err, worker.ErrOffline), ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	}
	return err
}

// localWorker is the configuration of one of the workers that `hayloft up` runs beside the manager.
func localWorker(managerURL, data, name string) worker.Config {
	return worker.Config{
		ManagerURL: managerURL, DataDir: filepath.Join(data, "workers", name), Name: name,
		Software: software(), TaskTypes: worker.DefaultTaskTypes, Wait: 30 * time.Second,
	}
}
