package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hayloft/api/client"
	"hayloft/cmd/cli"
)

func (a *app) workerListCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use: "list", Short: "List the workers of a farm", Args: none, Example: cli.Examples("hayloft worker list --manager http://farm:8080"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client.New(address, software())
			if err != nil {
				return cli.Usage("--manager: %w", err)
			}
			defer c.Close()
			workers, err := c.Workers(cmd.Context())
			if err != nil {
				return err
			}
			if a.JSON {
				for _, w := range workers {
					if err := a.PrintJSON(w); err != nil {
						return err
					}
				}
				return nil
			}
			if len(workers) == 0 {
				a.Say("no workers yet; `hayloft worker --manager %s` on each machine makes one", c.Address())
				return nil
			}
			return a.Table("NAME\tSTATUS\tLAST SEEN\tVERSION\tID", func(w io.Writer) {
				for _, one := range workers {
					seen := "never"
					if one.LastSeen != nil {
						seen = one.LastSeen.Local().Format(time.DateTime)
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", one.Name, one.Status, seen, one.Version, one.Id)
				}
			})
		},
	}
	managerFlag(cmd, &address)
	return cmd
}
