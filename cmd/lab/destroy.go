package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

func (a *app) destroyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "destroy", Short: "remove everything this lab made", Args: argCount(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := a.theLab()
			if errors.Is(err, lab.ErrNotFound) && !errors.Is(err, lab.ErrUsage) {
				return a.result(flow.Destroyed{}, func(w io.Writer) { fmt.Fprintln(w, "There is no such lab: nothing to remove.") })
			}
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				res, err := f.Destroy(cmd.Context(), l.Spec.Name)
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) {
					fmt.Fprintf(w, "Lab %s is gone: %d machines and everything on them (%.1f s).\n", res.Name, res.Machines, res.Seconds)
				})
			})
		},
	}
}

func (a *app) healCommand() *cobra.Command {
	return &cobra.Command{
		Use: "heal", Short: "undo every fault that lab break or a scenario has left", Args: argCount(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				mended, err := f.Heal(cmd.Context(), l.Spec.Name)
				if err != nil {
					return err
				}
				return a.result(mended, func(w io.Writer) {
					if len(mended) == 0 {
						fmt.Fprintln(w, "Nothing is broken by lab. (Something else is missing? lab create repairs it.)")
					}
					for _, m := range mended {
						fmt.Fprintf(w, "undone: %s\n", m)
					}
				})
			})
		},
	}
}

// warnBroken says what an interrupted command has left broken.
func (a *app) warnBroken(l *state.Lab) {
	faults, err := l.Faults()
	if err != nil {
		fmt.Fprintf(a.err, "lab: %v\n", err)
	}
	for _, f := range faults {
		what := "still broken"
		if f.Mender != "" {
			what = "not running"
		}
		fmt.Fprintf(a.err, "! %s since %s: %s; %s%s mends it\n", what, f.Time.Local().Format("15:04:05"), f, f.Mends(), nameFlag(l.Spec.Name))
	}
}
