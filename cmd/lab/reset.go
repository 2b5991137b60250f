package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

func (a *app) resetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reset", Short: "bring the lab back to the state after create", Args: argCount(cobra.NoArgs),
		Long: `Bring the lab back to the state after create: faults are healed, the platform's
containers run, apps and frameworks of others are gone with their tasks, and the
sample app is as create deployed it. Containers that somebody has started beside
Mesos are kept, and named. Machines that are missing are lab create's to repair.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				res, err := f.Reset(cmd.Context(), l.Spec.Name)
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) { printReset(w, res) })
			})
		},
	}
}

func printReset(w io.Writer, r *flow.Reset) {
	for _, what := range r.Changed {
		fmt.Fprintln(w, what)
	}
	if len(r.Kept) > 0 {
		fmt.Fprintf(w, "kept, since they are not lab's: %s\n", strings.Join(r.Kept, ", "))
	}
	what := "is as create left it again"
	if len(r.Changed) == 0 {
		what = "was as create left it"
	}
	fmt.Fprintf(w, "Lab %s %s (%.1f s).\n", r.Name, what, r.Seconds)
}
