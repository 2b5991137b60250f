package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

// scenarioFlags say how scenarios are run.
type scenarioFlags struct {
	all, step, placebo bool
	repeat             int
	report             string
}

func (a *app) scenarioCommand() *cobra.Command {
	var flags scenarioFlags
	cmd := &cobra.Command{
		Use: "scenario [NAME|FILE.txt]…", Short: "break the lab on purpose, watch it heal, get a verdict", Args: cobra.ArbitraryArgs,
		Long: `Break the lab on purpose, watch it heal, and get a verdict with times.

Without a name: the list of scenarios. A FILE.txt is a scenario of your own.
Several run one after the other, each on a lab that is whole again.
Exit code 0 means PASS, 3 FAIL, 4 INCONCLUSIVE (too little was seen to judge).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !flags.all {
				return a.listScenarios()
			}
			return a.runScenarios(cmd, args, flags)
		},
		ValidArgsFunction: completeScenarios,
	}
	f := cmd.Flags()
	f.BoolVar(&flags.all, "all", false, "run every built-in scenario that this lab can do")
	f.IntVar(&flags.repeat, "repeat", 1, "run each so many times; the phases' min, median and max are shown")
	f.BoolVar(&flags.step, "step", false, `wait for Enter at "step" lines and for answers to "ask" lines`)
	f.StringVar(&flags.report, "report", "", "write report.html, report.json and junit.xml into this folder")
	f.BoolVar(&flags.placebo, "placebo", false, "do no fault: such a run must not pass")
	f.MarkHidden("placebo")
	cmd.AddCommand(a.scenarioListCommand(), a.scenarioShowCommand(), a.scenarioNewCommand(), a.scenarioCheckCommand())
	return cmd
}

// chosen loads and checks all scenarios of a command before anything is done.
func (a *app) chosen(cmd *cobra.Command, names []string, flags scenarioFlags) ([]scenarios.Scenario, error) {
	if flags.all && len(names) > 0 {
		return nil, usage("--all and names exclude each other: %s", strings.Join(names, " "))
	}
	if flags.repeat < 1 || flags.repeat > 1000 {
		return nil, usage("--repeat %d: must be 1 to 1000", flags.repeat)
	}
	var all []scenarios.Scenario
	if flags.all {
		var err error
		if all, err = scenarios.List(); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		sc, err := scenarios.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, sc)
	}
	var out []scenarios.Scenario
	for _, sc := range all {
		if err := scenarios.Sound(cmd.Context(), sc); err != nil {
			return nil, err
		}
		for range flags.repeat {
			out = append(out, sc)
		}
	}
	return out, nil
}

func (a *app) runScenarios(cmd *cobra.Command, names []string, flags scenarioFlags) error {
	all, err := a.chosen(cmd, names, flags)
	if err != nil {
		return err
	}
	opt := scenarios.Options{Placebo: flags.placebo, LeaveOut: flags.all}
	if flags.step {
		if f, ok := a.in.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
			return usage("--step waits for Enter, but the input is not a terminal; nothing was broken")
		}
		opt.Prompt = a.prompter()
	}
	reports, err := a.reports(flags.report, len(all))
	if err != nil {
		return err
	}
	l, _, err := a.theLab()
	if err != nil {
		return err
	}
	var runs []*scenarios.Result
	leftOut := 0
	return a.withFlow(func(f *flow.Flow, _ state.Store) error {
		err := f.Scenarios(cmd.Context(), l.Spec.Name, all, opt, func(res *scenarios.Result, _ error) error {
			if res == nil {
				leftOut++
				return nil
			}
			runs = append(runs, res)
			if len(all) > 1 && a.output == "text" {
				res.WriteText(a.out)
				fmt.Fprintln(a.out)
			}
			return reports.add(res)
		})
		if len(runs) == 0 {
			return err
		}
		return a.told(err, len(runs)+leftOut == len(all), errors.Join(a.printRuns(all, runs), reports.finish(a.err)))
	})
}

// told marks an error that says no more than the verdicts on the screen.
func (a *app) told(err error, complete bool, printing error) error {
	if complete && (errors.Is(err, lab.ErrExpectation) || errors.Is(err, lab.ErrInconclusive)) {
		return errors.Join(err, errTold, printing)
	}
	return errors.Join(err, printing)
}

func (a *app) printRuns(all []scenarios.Scenario, runs []*scenarios.Result) error {
	if len(all) == 1 {
		return a.result(runs[0], func(w io.Writer) { runs[0].WriteText(w) })
	}
	s := scenarios.Summarize(runs)
	return a.result(s, s.WriteText)
}

func completeScenarios(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := scenarios.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, sc := range all {
		names = append(names, sc.Name+"\t"+sc.Summary)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// runName is a scenario's name as part of a file's name.
func runName(scenario string) string {
	return strings.TrimSuffix(filepath.Base(scenario), filepath.Ext(scenario))
}
