package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "list all labs", Args: argCount(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.list() },
	}
}

// listed is one line of lab list.
type listed struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Subnet   string `json:"subnet,omitempty"`
	Machines int    `json:"machines"`
	Created  string `json:"created"`
	Dir      string `json:"dir"`
}

func (a *app) list() error {
	store, err := a.store()
	if err != nil {
		return err
	}
	labs, err := store.Labs()
	if err != nil {
		return err
	}
	out := []listed{}
	for _, l := range labs {
		out = append(out, listed{l.Spec.Name, l.ID, l.Provider, l.Spec.Subnet, l.Spec.Slaves + 1, l.Created.Local().Format("2006-01-02 15:04:05"), l.Dir})
	}
	return a.result(out, func(w io.Writer) {
		if len(out) == 0 {
			fmt.Fprintln(w, "no labs yet: lab create makes one")
			return
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tPROVIDER\tMACHINES\tSUBNET\tCREATED")
		for _, l := range out {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", l.Name, l.Provider, l.Machines, l.Subnet, l.Created)
		}
		t.Flush()
	})
}
