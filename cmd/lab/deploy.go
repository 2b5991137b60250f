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
				return a.result(d, func(w io.Writer) {
					fmt.Fprintf(w, "%s %s: %d instances on %s\n", d.ID, d.Did, d.Instances, strings.Join(d.Placement, ", "))
					if d.URL != "" {
						fmt.Fprintf(w, "  %s\n", d.URL)
					}
					fmt.Fprintf(w, "By hand: %s\n", d.Curl)
				})
			})
		},
	}
}
