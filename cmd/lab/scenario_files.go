package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
)

func (a *app) scenarioListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the built-in scenarios", Args: argCount(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.listScenarios() },
	}
}

func (a *app) listScenarios() error {
	all, err := scenarios.List()
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Needs = all[i].Requires()
	}
	return a.result(all, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range all {
			fmt.Fprintf(t, "%s\t%s\n\tusually %s · needs %s\n", s.Name, s.Summary, s.Usual, orNothing(s.Needs))
		}
		t.Flush()
		fmt.Fprintln(w, "\nlab scenario NAME runs one, lab scenario show NAME prints it; lab scenario new FILE begins one of your own.")
	})
}

func orNothing(needs []string) string {
	if len(needs) == 0 {
		return "nothing special"
	}
	return strings.Join(needs, ", ")
}

func (a *app) scenarioShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME…", Short: "print a scenario's script", Args: argCount(cobra.MinimumNArgs(1)), ValidArgsFunction: completeScenarios,
		RunE: func(_ *cobra.Command, names []string) error {
			type script struct {
				scenarios.Scenario
				Script string `json:"script"`
			}
			var all []script
			for _, name := range names {
				sc, err := scenarios.Load(name)
				if err != nil {
					return err
				}
				sc.Needs = sc.Requires()
				all = append(all, script{sc, sc.Text})
			}
			return a.result(all, func(w io.Writer) {
				for _, sc := range all {
					fmt.Fprint(w, sc.Script)
				}
			})
		},
	}
}

func (a *app) scenarioNewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "new FILE", Short: "begin a scenario of your own: a commented example that runs", Args: argCount(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if !strings.HasSuffix(name, ".txt") {
				return usage("%s: a scenario's file ends in .txt", name)
			}
			f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return &lab.Error{ID: "file-exists", Op: "write scenario", Err: usage("%s exists already", name), Advice: "give another name; nothing was changed"}
			}
			if err == nil {
				_, err = f.WriteString(scenarios.Example)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				return fmt.Errorf("write scenario: %w", err)
			}
			path := name
			if !strings.ContainsAny(name, `/\`) {
				path = "./" + name
			}
			return a.result(map[string]string{"file": name}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is a scenario that runs. Next: edit it   ·   lab scenario check %[1]s   ·   lab scenario %[2]s\n", name, path)
			})
		},
	}
}

func (a *app) scenarioCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE…", Short: "find every mistake of scenarios, without a lab", Args: argCount(cobra.MinimumNArgs(1)), ValidArgsFunction: completeScenarios,
		RunE: func(cmd *cobra.Command, names []string) error {
			mistakes := []scenarios.Mistake{}
			for _, name := range names {
				sc, err := scenarios.Load(name)
				if err != nil {
					return err
				}
				found, err := scenarios.Check(cmd.Context(), sc)
				if err != nil {
					return err
				}
				mistakes = append(mistakes, found...)
			}
			err := a.result(mistakes, func(w io.Writer) {
				for _, m := range mistakes {
					fmt.Fprintf(w, "%s\n    %s\n", m, m.Text)
				}
				if len(mistakes) == 0 {
					fmt.Fprintf(w, "No mistakes in %s.\n", strings.Join(names, ", "))
				}
			})
			if err == nil && len(mistakes) > 0 {
				return errors.Join(usage("%d mistakes", len(mistakes)), errTold)
			}
			return err
		},
	}
}
