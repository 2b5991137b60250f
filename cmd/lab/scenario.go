package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

func (a *app) scenarioCommand() *cobra.Command {
	var placebo bool
	cmd := &cobra.Command{
		Use: "scenario [NAME|FILE.txt]", Short: "break the lab on purpose, watch it heal, get a verdict", Args: argCount(cobra.MaximumNArgs(1)),
		Long: `Break the lab on purpose, watch it heal, and get a verdict with times.

Without a name: the list of scenarios. A FILE.txt is a scenario of your own.
Exit code 0 means PASS, 3 FAIL, 4 INCONCLUSIVE (too little was seen to judge).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listScenarios()
			}
			return a.runScenario(cmd, args[0], scenarios.Options{Placebo: placebo})
		},
	}
	cmd.Flags().BoolVar(&placebo, "placebo", false, "do no fault: such a run must not pass")
	cmd.Flags().MarkHidden("placebo")
	return cmd
}

func (a *app) listScenarios() error {
	all, err := scenarios.List()
	if err != nil {
		return err
	}
	return a.result(all, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range all {
			fmt.Fprintf(t, "%s\t%s\t(usually %s)\n", s.Name, s.Summary, s.Usual)
		}
		t.Flush()
		fmt.Fprintln(w, "\nlab scenario NAME runs one; lab scenario ./FILE.txt runs one of your own.")
	})
}

func (a *app) runScenario(cmd *cobra.Command, name string, opt scenarios.Options) error {
	sc, err := scenarios.Load(name)
	if err != nil {
		return err
	}
	if err := scenarios.Sound(cmd.Context(), sc); err != nil {
		return err
	}
	l, _, err := a.theLab()
	if err != nil {
		return err
	}
	return a.withFlow(func(f *flow.Flow, _ state.Store) error {
		res, err := f.Scenario(cmd.Context(), l.Spec.Name, sc, opt)
		if res == nil {
			return err
		}
		printErr := a.result(res, func(w io.Writer) { res.WriteText(w) })
		if errors.Is(err, lab.ErrExpectation) || errors.Is(err, lab.ErrInconclusive) {
			return errors.Join(err, errTold, printErr)
		}
		return errors.Join(err, printErr)
	})
}
