package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/stack"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "show machines, containers, slaves, apps and tasks", Args: argCount(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				s, err := f.Status(cmd.Context(), l)
				if err != nil {
					return err
				}
				if a.output == "text" {
					a.warnBroken(l)
				}
				return a.result(s, func(w io.Writer) { printStatus(w, s) })
			})
		},
	}
}

func printStatus(w io.Writer, s *flow.Status) {
	whole := "whole"
	switch {
	case len(s.Faults) > 0:
		whole = "broken (lab heal" + nameFlag(s.Name) + " mends it)"
	case !s.Whole:
		whole = "not whole (lab create repairs what is missing)"
	}
	for _, fault := range s.Faults {
		if fault.Mender != "" {
			whole = fault.Fault + " (" + fault.Mends() + nameFlag(s.Name) + " goes on)"
		}
	}
	fmt.Fprintf(w, "Lab %s · provider %s · %s\n\n", s.Name, s.Provider, whole)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "MACHINE\tROLE\tADDRESS\tPOWER\tCONTAINERS")
	for i, m := range s.Machines {
		power := ""
		if i < len(s.Power) {
			power = string(s.Power[i].State)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Node, m.Alias, m.IP, power, containerWords(m))
	}
	problem(t, "ZooKeeper", s.ZooKeeper.Error)
	fmt.Fprintln(t, "\nSLAVE\tMACHINE\tSTATE\tSINCE\tCPUS USED\tMEM USED")
	for _, a := range s.Mesos.Slaves {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.1f of %.0f\t%.0f of %.0f MiB\n", shortID(a.ID), a.Node, activeWord(a.Active), clock(a.Since), a.UsedCPUs, a.CPUs, a.UsedMem, a.Mem)
	}
	problem(t, "Mesos", s.Mesos.Error)
	fmt.Fprintln(t, "\nAPP\tRUNNING\tHEALTHY\tSERVICE PORT\tSTATE")
	for _, app := range s.Marathon.Apps {
		fmt.Fprintf(t, "%s\t%d of %d\t%s\t%d\t%s\n", app.ID, app.Running, app.Instances, healthWord(app), app.ServicePort, deployWord(app))
	}
	problem(t, "Marathon", s.Marathon.Error)
	fmt.Fprintln(t, "\nTASK\tMACHINE\tADDRESS\tSTATE\tHEALTH\tSINCE\tIN THE LB")
	for _, task := range s.Marathon.Tasks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", task.ID, task.Node, address(task), task.State, alive(task.Alive), clock(task.Since), task.LB)
	}
	problem(t, "load balancer", s.LB.Error)
	for _, app := range s.LB.Spoilt {
		problem(t, "load balancer", app.String())
		fmt.Fprintf(t, "  try: mend it in the app's JSON file, then lab deploy FILE%s; all other apps are served\n", nameFlag(s.Name))
	}
	fmt.Fprintln(t)
	for _, e := range s.Endpoints {
		fmt.Fprintf(t, "%s\t%s\n", e.Name, e.URL)
	}
}

// problem prints what keeps a program from being looked at. Most errors begin
// with the program's name by themselves.
func problem(w io.Writer, who, err string) {
	if err != "" {
		fmt.Fprintf(w, "! %s: %s\n", who, strings.TrimLeft(strings.TrimPrefix(err, strings.ToLower(who)), ": "))
	}
}

func containerWords(m stack.MachineView) string {
	if m.Error != "" {
		return m.Error
	}
	var words []string
	tasks := 0
	for _, c := range m.Containers {
		switch {
		case c.Task && c.State == "running":
			tasks++
		case c.Ours && c.State == "running":
			words = append(words, c.Name)
		case c.Ours:
			words = append(words, c.Name+" ("+c.State+")")
		}
	}
	switch {
	case tasks == 1:
		words = append(words, "+ 1 task")
	case tasks > 1:
		words = append(words, fmt.Sprintf("+ %d tasks", tasks))
	}
	return strings.Join(words, " ")
}

func healthWord(a stack.AppView) string {
	if !a.Checked {
		return "no check"
	}
	return fmt.Sprintf("%d of %d", a.Healthy, a.Instances)
}

func deployWord(a stack.AppView) string {
	if a.Deploying {
		return "deploying"
	}
	return "settled"
}

func activeWord(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

func alive(b *bool) string {
	switch {
	case b == nil:
		return "unknown"
	case *b:
		return "healthy"
	}
	return "unhealthy"
}

func address(t stack.TaskView) string {
	if len(t.Ports) == 0 {
		return t.Host
	}
	return fmt.Sprintf("%s:%d", t.Host, t.Ports[0])
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("15:04:05")
}

// shortID is the part of a Mesos slave id that differs within a cluster.
func shortID(id string) string {
	if i := strings.LastIndex(id, "-"); i >= 0 {
		return id[i+1:]
	}
	return id
}

// printEndpoints is the address part of what create prints.
func printEndpoints(w io.Writer, endpoints []stack.Endpoint, placement []string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, e := range endpoints {
		note := "" // with its tab, so that lines without one end with the address
		if i == 0 && len(placement) > 0 {
			note = "\ton " + strings.Join(placement, ", ") + " (random ports)"
		}
		fmt.Fprintf(t, "  %s\t%s%s\n", e.Name, e.URL, note)
	}
	t.Flush()
}
