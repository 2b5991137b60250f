package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

func (a *app) deployCommand() *cobra.Command {
	return &cobra.Command{
		Use: "deploy FILE", Short: "give Marathon an app (a JSON file) and wait until it runs", Args: argCount(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			a.warnBroken(l)
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				d, err := f.Deploy(cmd.Context(), l, args[0])
				if err != nil {
					return err
				}
				return a.result(d, func(w io.Writer) { printDeployed(w, d) })
			})
		},
	}
}

func printDeployed(w io.Writer, d *flow.Deployed) {
	instances := fmt.Sprintf("%d instances", d.Instances)
	if d.Instances == 1 {
		instances = "1 instance"
	}
	if len(d.Placement) > 0 {
		instances += " on " + strings.Join(d.Placement, ", ")
	}
	fmt.Fprintf(w, "%s %s: %s\n", d.ID, d.Did, instances)
	if d.URL != "" {
		fmt.Fprintf(w, "  %s\n", d.URL)
	}
	fmt.Fprintf(w, "By hand: %s\n", d.Curl)
}
