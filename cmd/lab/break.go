package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

func (a *app) breakCommand() *cobra.Command {
	var long strings.Builder
	fmt.Fprint(&long, "Do one fault by hand. Faults are:\n\n")
	var verbs []string
	for _, f := range scenarios.Faults() {
		fmt.Fprintf(&long, "  %-6s %s\n", f.Verb, f.Summary)
		verbs = append(verbs, f.Verb)
	}
	fmt.Fprint(&long, "\nIt is written down before it is done. With --for it is undone after that time,\nor with Ctrl-C; without, it stays until lab heal.")
	var length time.Duration
	cmd := &cobra.Command{
		Use: "break FAULT MACHINE…", Short: "break a machine by hand: " + strings.Join(verbs, ", "), Long: long.String(),
		Args: argCount(cobra.MinimumNArgs(2)), Example: "  lab break kill node2 --for 30s", ValidArgs: verbs,
		RunE: func(cmd *cobra.Command, args []string) error {
			fault, err := faultOf(args[0], verbs)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("for") && (length <= 0 || length > 24*time.Hour) {
				return usage("--for %s: must be a duration like 30s, at most 24h", length)
			}
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				res, err := f.Break(cmd.Context(), l.Spec.Name, fault, args[1:], length)
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) { printBroken(w, res, l.Spec.Name) })
			})
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "undo it after this time, like 30s")
	return cmd
}

func faultOf(verb string, verbs []string) (scenarios.Fault, error) {
	for _, f := range scenarios.Faults() {
		if f.Verb == verb {
			return f, nil
		}
	}
	return scenarios.Fault{}, usage("no fault %q: faults are %s%s", verb, strings.Join(verbs, ", "), lab.DidYouMean(verb, verbs))
}

func printBroken(w io.Writer, b *flow.Broken, name string) {
	machines := strings.Join(b.Machines, ", ")
	if b.Undone {
		fmt.Fprintf(w, "%s: %s for %.1f s, and undone. Next: lab status%s shows what moved meanwhile.\n", machines, b.Fault, b.Seconds, nameFlag(name))
		return
	}
	fmt.Fprintf(w, "%s: %s, until it is healed.\nNext: lab watch%[3]s   ·   lab status%[3]s   ·   lab heal%[3]s\n", machines, b.Fault, nameFlag(name))
}
