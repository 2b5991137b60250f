package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "snapshot", Short: "save all machines under a name, and bring them back to it", Args: argCount(cobra.ArbitraryArgs),
		Long: `Save all machines of a lab under a name, in memory and disk, and bring them back
to it: the state before an exercise, for the next group. Only virtual machines
have snapshots.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownSubcommand(cmd, args[0])
		},
	}
	cmd.AddCommand(a.snapshotSave(), a.snapshotRestore(), a.snapshotList())
	return cmd
}

func (a *app) snapshotSave() *cobra.Command {
	return &cobra.Command{
		Use: "save NAME", Short: "save all machines; a snapshot of that name is replaced", Args: argCount(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onTheLab(func(f *flow.Flow, name string) error {
				res, err := f.SaveSnapshot(cmd.Context(), name, args[0])
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) {
					fmt.Fprintf(w, "Saved as %s (%.1f s).\nBack to it: lab snapshot restore %[1]s%[3]s\n", res.Snapshot, res.Seconds, nameFlag(name))
				})
			})
		},
	}
}

func (a *app) snapshotRestore() *cobra.Command {
	return &cobra.Command{
		Use: "restore NAME", Short: "bring all machines back to a snapshot, until the lab is whole", Args: argCount(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onTheLab(func(f *flow.Flow, name string) error {
				res, err := f.RestoreSnapshot(cmd.Context(), name, args[0])
				if err != nil {
					return err
				}
				return a.result(res, func(w io.Writer) {
					fmt.Fprintf(w, "Lab %s is back at %s and whole, after %.1f s.\n", name, args[0], res.Seconds)
					printEndpoints(w, res.Endpoints, nil)
				})
			})
		},
	}
}

func (a *app) snapshotList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "list the lab's snapshots", Args: argCount(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onTheLab(func(f *flow.Flow, name string) error {
				all, err := f.Snapshots(cmd.Context(), name)
				if err != nil {
					return err
				}
				return a.result(all, func(w io.Writer) { printSnapshots(w, all) })
			})
		},
	}
}

func printSnapshots(w io.Writer, all []flow.Snapshot) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no snapshots yet: lab snapshot save NAME makes one")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "SNAPSHOT\tMACHINES")
	for _, s := range all {
		note := ""
		if !s.Whole {
			note = " (not all: the lab cannot be brought back to it)"
		}
		fmt.Fprintf(t, "%s\t%s%s\n", s.Name, strings.Join(s.Machines, " "), note)
	}
}
