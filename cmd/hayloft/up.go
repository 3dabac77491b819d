package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"hayloft/cmd/cli"
)

func (a *app) upCommand() *cobra.Command {
	var config managerConfig
	var workers int
	var performance float64
	cmd := &cobra.Command{
		Use: "up", Short: "Run a whole farm on this machine: manager and workers", Args: none,
		Example: cli.Examples("hayloft up", "hayloft up --data /srv/hayloft --listen 127.0.0.1:8080 --workers 2"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if workers < 0 || workers > 64 {
				return cli.Usage("--workers %d: run between 0 and 64 workers on one machine", workers)
			}
			if err := checkPerformance(performance); err != nil {
				return err
			}
			if err := a.completeManager(&config); err != nil {
				return err
			}
			return a.up(cmd.Context(), config, workers, performance)
		},
	}
	config.flags(cmd)
	cmd.Flags().IntVar(&workers, "workers", 1, "`number` of workers; each runs one task at a time")
	performanceFlag(cmd, &performance)
	return cmd
}

// up runs the manager and its workers. The workers end first, so that they can sign off.
func (a *app) up(ctx context.Context, config managerConfig, workers int, performance float64) error {
	m, err := openManager(ctx, config)
	if err != nil {
		return err
	}
	if err := a.announce(m); err != nil {
		return errors.Join(err, m.close())
	}
	managing, stopManager := context.WithCancel(context.WithoutCancel(ctx))
	defer stopManager()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return m.run(managing) })
	crew, working := errgroup.WithContext(ctx)
	for i := range workers {
		one := localWorker(m.url(), config.data, fmt.Sprintf("local-%d", i+1))
		one.Performance = performance
		crew.Go(func() error { return runWorker(working, one, config.log.With("worker", one.Name)) })
	}
	all.Go(func() error {
		err := crew.Wait()
		if err == nil {
			<-ctx.Done()
		}
		stopManager()
		return err
	})
	return all.Wait()
}
