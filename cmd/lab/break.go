package main

import (
	"fmt"
	"io"
	"slices"
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
	for _, k := range scenarios.Kinds() {
		fmt.Fprintf(&long, "  %-8s %s\n", k.Verb, k.Summary)
		verbs = append(verbs, k.Verb)
	}
	fmt.Fprint(&long, `
What it hits:

  node2, slave1, master, ADDRESS     machines, one or more; slaves, leader
  slave running=nginx pick=most      one of the slaves: first, most, fewest, random seed=7
  docker on=node2                    the Docker daemon of a machine
  zookeeper, mesos_master, marathon, marathon-lb, mesos_slave1 …
  task of=nginx on=node2             a task's container; the oldest, or pick=random seed=7

It is written down before it is done. With --for it is undone after that time,
or with Ctrl-C; without, it stays until lab heal.`)
	var length time.Duration
	cmd := &cobra.Command{
		Use: "break FAULT TARGET… [KEY=VALUE…]", Short: "break something by hand: " + strings.Join(verbs, ", "), Long: long.String(),
		Args: argCount(cobra.MinimumNArgs(2)), ValidArgs: verbs, Example: `  lab break kill node2 --for 30s
  lab break stop docker on=slave1
  lab break restart mesos_master
  lab break pause task of=nginx on=node2 --for 1m
  lab break cut node2 from=master --for 20s
  lab break slow node3 delay=200ms jitter=50ms`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(verbs, args[0]) {
				return usage("no fault %q: faults are %s%s", args[0], strings.Join(verbs, ", "), lab.DidYouMean(args[0], verbs))
			}
			if slices.ContainsFunc(args[1:], func(w string) bool { return strings.HasPrefix(w, "for=") }) {
				return usage("for= is a word of scripts: give --for")
			}
			if cmd.Flags().Changed("for") && (length <= 0 || length > 24*time.Hour) {
				return usage("--for %s: must be a duration like 30s, at most 24h", length)
			}
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				res, err := f.Break(cmd.Context(), l.Spec.Name, args[0], args[1:], length)
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

func printBroken(w io.Writer, b *flow.Broken, name string) {
	things := strings.Join(b.Things, ", ")
	switch {
	case b.Undone:
		fmt.Fprintf(w, "%s: %s for %.1f s, and undone. Next: lab status%s shows what moved meanwhile.\n", things, b.Fault, b.Seconds, nameFlag(name))
	case b.Passed:
		fmt.Fprintf(w, "%s: %s, done; there is nothing to heal. Next: lab watch%[3]s shows what comes of it.\n", things, b.Fault, nameFlag(name))
	default:
		fmt.Fprintf(w, "%s: %s, until it is healed.\nNext: lab watch%[3]s   ·   lab status%[3]s   ·   lab heal%[3]s\n", things, b.Fault, nameFlag(name))
	}
}
