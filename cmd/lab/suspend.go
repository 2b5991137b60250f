package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

func (a *app) suspendCommand() *cobra.Command {
	return &cobra.Command{
		Use: "suspend", Short: "let all machines stand still; lab resume goes on", Args: argCount(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onTheLab(func(f *flow.Flow, name string) error {
				res, err := f.Suspend(cmd.Context(), name)
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) {
					if !res.Changed {
						fmt.Fprintf(w, "Lab %s was suspended already.\n", name)
					} else {
						fmt.Fprintf(w, "Lab %s is suspended: %d machines stand still (%.1f s).\n", name, len(res.Machines), res.Seconds)
					}
					fmt.Fprintf(w, "Next: lab resume%s\n", nameFlag(name))
				})
			})
		},
	}
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resume", Short: "let a suspended lab go on, until it is whole", Args: argCount(cobra.NoArgs),
		Long: `Let a suspended lab go on, and wait until it is whole: clocks right, slaves back,
apps healthy. Tasks that were given up meanwhile have new ids. Machines that are
off are started, as lab create does.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onTheLab(func(f *flow.Flow, name string) error {
				res, err := f.Resume(cmd.Context(), name)
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) {
					if len(res.Changed) == 0 {
						fmt.Fprintf(w, "Lab %s runs and is whole: nothing to do (looked for %.1f s).\n", name, res.Seconds)
					} else {
						fmt.Fprintf(w, "Lab %s is whole again, after %.1f s.\n", name, res.Seconds)
					}
					printEndpoints(w, res.Endpoints, nil)
				})
			})
		},
	}
}

// onTheLab runs fn with the name of the lab that the command means.
func (a *app) onTheLab(fn func(f *flow.Flow, name string) error) error {
	l, _, err := a.theLab()
	if err != nil {
		return err
	}
	return a.withFlow(func(f *flow.Flow, _ state.Store) error { return fn(f, l.Spec.Name) })
}
