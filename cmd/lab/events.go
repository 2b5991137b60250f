package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/internal/ui"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow, offers bool
	var tail int
	cmd := &cobra.Command{
		Use: "events", Short: "print what commands have done to the lab, and what scenarios have seen", Args: argCount(cobra.NoArgs),
		Long: `Print what commands have done to the lab, and what scenarios have seen.

With --offers, print the offers that frameworks of lab's own got from Mesos
instead (scenario two-frameworks): what was offered, which were taken, which
refused, and why. Marathon tells nobody of its own.

-o jsonl prints the lines of the lab's events.jsonl as they are.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if follow && a.output == "json" {
				return usage("--follow has no end, so it cannot be one document; -o jsonl prints lines")
			}
			if tail < -1 {
				return usage("--tail %d: must be a number of lines, or -1 for all", tail)
			}
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			all := []lab.Event{}
			err = l.Events(cmd.Context(), tail, follow, func(e state.PastEvent) error {
				if _, offer := e.Data["offer"]; e.Err == nil && offer != offers {
					return nil
				}
				switch {
				case a.output == "json" && e.Err == nil:
					all = append(all, e.Event)
				case a.output == "jsonl":
					fmt.Fprintf(a.out, "%s\n", e.Raw)
				case a.output == "text" && e.Err == nil:
					fmt.Fprintln(a.out, ui.EventLine(e.Event))
				case e.Err != nil:
					fmt.Fprintf(a.err, "lab: %v\n", e.Err)
				}
				return nil
			})
			if err == nil && a.output == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				err = enc.Encode(all)
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as more happens")
	cmd.Flags().BoolVar(&offers, "offers", false, "offers to frameworks of lab's own, taken and refused")
	cmd.Flags().IntVar(&tail, "tail", -1, "how many of the last ones; -1 = all")
	return cmd
}
