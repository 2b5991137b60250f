package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/scenarios/report"
)

func (a *app) replayCommand() *cobra.Command {
	var speed float64
	cmd := &cobra.Command{
		Use: "replay DIR|FILE", Short: "show a recorded run again, for the day the demo fails", Args: argCount(cobra.ExactArgs(1)),
		Long: `Show a recorded run again: what lab scenario NAME --report DIR has written.

No lab is needed. It takes as long as the run took, divided by --speed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			rec, err := report.Read(args[0])
			if err != nil {
				return err
			}
			if a.output == "text" {
				fmt.Fprintf(a.err, "Replay of %s, recorded %s, × %g\n", rec.Result.Scenario, rec.Begun.Local().Format("2006-01-02 15:04:05"), speed)
			}
			progress, end := a.progress()
			err = scenarios.Replay(cmd.Context(), rec, speed, progress)
			end()
			if err != nil {
				return err
			}
			return a.result(rec.Result, func(w io.Writer) { rec.Result.WriteText(w) })
		},
	}
	cmd.Flags().Float64Var(&speed, "speed", 1, "how many times faster than it was")
	return cmd
}
