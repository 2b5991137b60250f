package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
)

func (a *app) doctorCommand() *cobra.Command {
	var flags createFlags
	var fix bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "look for what would break a lab, before anything is made", Args: argCount(cobra.NoArgs),
		Long: `Look for what would break a lab, before anything is made.

It looks at this computer for the lab that lab.yaml and the flags describe, or
for the one that exists: with the provider that they name, else with the one
that lab create would choose. --fix does what can be done without harm, says
what before, and looks again. The exit code is 1 if something stops a lab.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd, flags, fix) },
	}
	f := cmd.Flags()
	f.StringVarP(&a.specFile, "file", "f", "", "the lab's spec (default: lab.yaml, where there is one)")
	flags.defineAddresses(f)
	f.StringVar(&flags.provider, "provider", "auto", "whom to look at: auto, local, docker or vagrant")
	f.StringVar(&flags.stack, "stack", "auto", "auto, mini or seed")
	f.BoolVar(&fix, "fix", false, "mend what can be mended without harm")
	return cmd
}

// diagnosed is the document of lab doctor.
type diagnosed struct {
	*flow.Diagnosis
	OK     bool          `json:"ok"` // nothing stops a lab
	Mended []flow.Mended `json:"mended,omitempty"`
}

func (a *app) doctor(cmd *cobra.Command, flags createFlags, fix bool) error {
	given, err := a.given(cmd, flags)
	if err != nil {
		return err
	}
	if given.Name == "" {
		if l, _, err := a.theLab(); err == nil {
			given.Name = l.Spec.Name
		}
	}
	var out diagnosed
	err = a.withFlow(func(f *flow.Flow, _ state.Store) error {
		if out.Diagnosis, err = f.Diagnose(cmd.Context(), given); err != nil || !fix {
			return err
		}
		if out.Mended, err = f.Mend(cmd.Context(), out.Findings); cmd.Context().Err() != nil {
			return err
		}
		if len(out.Mended) == 0 {
			return nil
		}
		out.Diagnosis, err = f.Diagnose(cmd.Context(), given)
		return err
	})
	if err != nil {
		return err
	}
	out.OK = out.Count(lab.SeverityStop) == 0
	if err := a.result(out, func(w io.Writer) { printDiagnosis(w, out, fix, repeated(cmd.Flags())) }); err != nil {
		return err
	}
	if !out.OK {
		return codeError(1) // told already
	}
	return nil
}

// marks are signs and words for severities: nobody has to see colours.
var marks = map[lab.Severity]string{lab.SeverityStop: "✘ stop", lab.SeverityWarn: "! warn", lab.SeverityNote: "· note", lab.SeverityOK: "✔ ok"}

// repeated are the flags that the next command needs, too, to mean the same lab.
func repeated(given *pflag.FlagSet) string {
	var words strings.Builder
	for _, name := range []string{"file", "stack", "subnet", "ips", "slaves"} {
		if f := given.Lookup(name); f.Changed {
			fmt.Fprintf(&words, " --%s %s", name, provision.Quote(strings.Trim(f.Value.String(), "[]")))
		}
	}
	return words.String()
}

func printDiagnosis(w io.Writer, d diagnosed, fixed bool, flags string) {
	made := ""
	if d.Exists {
		made = " · it exists"
	}
	fmt.Fprintf(w, "Lab %s · provider %s · %d machines on %s%s\n", d.Name, d.Provider, d.Machines, d.Where, made)
	if d.Why != "" {
		fmt.Fprintln(w, d.Why)
	}
	fmt.Fprintln(w)
	repairs := 0
	for _, f := range d.Findings {
		fmt.Fprintf(w, "%-7s %s: %s\n", marks[f.Severity], f.ID, f.Text)
		if f.Advice != "" {
			fmt.Fprintf(w, "        try: %s\n", f.Advice)
		}
		if f.Repair != nil {
			fmt.Fprintf(w, "        --fix: %s\n", f.RepairText)
			repairs++
		}
	}
	printMended(w, d.Mended)
	fmt.Fprintf(w, "\n%d stop, %d warn, %d note, %d ok: %s\n", d.Count(lab.SeverityStop), d.Count(lab.SeverityWarn), d.Count(lab.SeverityNote), d.Count(lab.SeverityOK), verdict(d))
	printOthers(w, d)
	switch {
	case repairs > 0 && !fixed:
		fmt.Fprintf(w, "Next: lab doctor --provider %s --fix%s%s\n", d.Provider, nameFlag(d.Name), flags)
	case d.OK && d.Exists:
		fmt.Fprintf(w, "Next: lab status%s\n", nameFlag(d.Name))
	case d.OK:
		fmt.Fprintf(w, "Next: lab create --provider %s%s%s\n", d.Provider, nameFlag(d.Name), flags)
	}
}

func verdict(d diagnosed) string {
	switch {
	case !d.OK:
		return "no lab can be made like this"
	case d.Count(lab.SeverityWarn) > 0:
		return "a lab can be made, but see the warnings"
	}
	return "a lab can be made"
}

func printMended(w io.Writer, mended []flow.Mended) {
	for _, m := range mended {
		if m.Error != "" {
			fmt.Fprintf(w, "not mended: %s: %s\n", m.ID, strings.ReplaceAll(m.Error, "\n", "; "))
		} else {
			fmt.Fprintf(w, "mended: %s: %s\n", m.ID, m.Did)
		}
	}
}

func printOthers(w io.Writer, d diagnosed) {
	if len(d.Others) == 0 {
		return
	}
	fmt.Fprintln(w, "Other providers:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	for _, o := range d.Others {
		fmt.Fprintf(t, "  %s\t%s\tlab doctor --provider %s\n", o.Provider, cmp.Or(o.Lacks, "ready"), o.Provider)
	}
}
