package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

// createFlags are the spec's commonest keys as flags; they win over lab.yaml.
type createFlags struct {
	slaves           int
	subnet           string
	provider, stack  string
	ips              []string
	fast, patient    bool
	noApp, asArticle bool
	images           string
}

// define adds the spec's flags to a command.
func (flags *createFlags) define(f *pflag.FlagSet) {
	flags.defineAddresses(f)
	f.StringVar(&flags.provider, "provider", "auto", "who makes the machines: auto, local, docker or vagrant")
	f.StringVar(&flags.stack, "stack", "auto", "auto, mini or seed")
	f.BoolVar(&flags.fast, "fast", false, "notice a dead slave after 1 s × 2 pings")
	f.BoolVar(&flags.patient, "patient", false, "notice a dead slave as late as Mesos does by default: after 15 s × 5 pings")
	f.BoolVar(&flags.noApp, "no-app", false, "deploy no sample app")
	f.BoolVar(&flags.asArticle, "article", false, "deploy the article's nginx.json word for word (its health check takes a minute)")
}

// defineAddresses adds the flags that say how many machines there are, and
// where.
func (flags *createFlags) defineAddresses(f *pflag.FlagSet) {
	f.IntVar(&flags.slaves, "slaves", 2, "how many Mesos slaves, each on its own machine")
	f.StringVar(&flags.subnet, "subnet", "", "the lab's /24 network (default: the next free one)")
	f.StringSliceVar(&flags.ips, "ips", nil, "addresses one by one instead: the master's, then the slaves'")
}

func (a *app) createCommand() *cobra.Command {
	var flags createFlags
	cmd := &cobra.Command{
		Use: "create", Short: "build the lab, or repair what is missing", Args: argCount(cobra.NoArgs),
		Long: `Build the lab, or repair what is missing.

Running it again changes nothing on a whole lab. What lab.yaml and the flags
say wins over what the lab was made with; the rest stays as it was.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.create(cmd, flags) },
	}
	f := cmd.Flags()
	// -f is the spec here and "follow" in lab logs, as everybody's fingers know.
	f.StringVarP(&a.specFile, "file", "f", "", "the lab's spec (default: lab.yaml, where there is one)")
	flags.define(f)
	f.BoolVar(&a.force, "force", false, "render the Vagrantfile anew even if it was changed by hand")
	f.StringVar(&flags.images, "images", "", "take images from this file (lab images save) instead of a registry")
	return cmd
}

// given is lab.yaml with the flags over it; what nobody gave stays zero.
func (a *app) given(cmd *cobra.Command, flags createFlags) (lab.Spec, error) {
	spec, file, err := a.spec()
	if err != nil {
		return spec, err
	}
	if strings.HasSuffix(spec.App, ".json") && !filepath.IsAbs(spec.App) {
		// An app file lies beside its lab.yaml; the record is used from anywhere.
		if spec.App, err = filepath.Abs(filepath.Join(filepath.Dir(file), spec.App)); err != nil {
			return spec, fmt.Errorf("find app file: %w", err)
		}
	}
	if a.name != "" {
		spec.Name = a.name
	}
	f := cmd.Flags()
	if flags.noApp && flags.asArticle {
		return spec, usage("--no-app and --article exclude each other")
	}
	if flags.fast && flags.patient {
		return spec, usage("--fast and --patient exclude each other")
	}
	if flags.subnet != "" && len(flags.ips) > 0 {
		return spec, usage("--subnet and --ips exclude each other")
	}
	if f.Changed("slaves") {
		if flags.slaves < 1 {
			return spec, usage("--slaves %d: must be 1 to %d", flags.slaves, lab.MaxSlaves)
		}
		spec.Slaves = flags.slaves
	}
	if f.Changed("subnet") {
		spec.Subnet, spec.IPs = flags.subnet, nil
	}
	if f.Changed("ips") {
		spec.IPs, spec.Subnet, spec.Slaves = flags.ips, "", 0
	}
	if f.Changed("provider") {
		spec.Provider = flags.provider
	}
	if f.Changed("stack") {
		spec.Stack = flags.stack
	}
	if flags.fast {
		spec.Mesos.SlavePingTimeout, spec.Mesos.MaxSlavePingTimeouts = lab.FastPing, lab.FastPings
	}
	if flags.patient {
		spec.Mesos.SlavePingTimeout, spec.Mesos.MaxSlavePingTimeouts = lab.PatientPing, lab.PatientPings
	}
	if flags.noApp {
		spec.App = "none"
	}
	if flags.asArticle {
		spec.App = "article"
	}
	if problems := spec.Validate(); len(problems) > 0 {
		var texts []string
		for _, p := range problems {
			texts = append(texts, p.String())
		}
		return spec, &lab.Error{ID: "spec-invalid", Op: "check flags and spec", Err: usage("%s", strings.Join(texts, "\n")), Advice: "see lab create --help; nothing was changed"}
	}
	return spec, nil
}

func (a *app) create(cmd *cobra.Command, flags createFlags) error {
	given, err := a.given(cmd, flags)
	if err != nil {
		return err
	}
	return a.withFlow(func(f *flow.Flow, store state.Store) error {
		if given.Name == "" {
			if l, _, err := a.theLab(); err == nil {
				given.Name = l.Spec.Name
			}
		}
		if flags.images != "" {
			if f.Images.File, err = readImages(cmd.Context(), "create", flags.images, f.Report); err != nil {
				return err
			}
		}
		res, err := f.Create(cmd.Context(), given)
		if err != nil {
			return err
		}
		return a.result(res, func(w io.Writer) { printCreated(w, res) })
	})
}

// withFlow runs fn with providers and progress in place.
func (a *app) withFlow(fn func(*flow.Flow, state.Store) error) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	providers, err := a.providers()
	if err != nil {
		return err
	}
	sources, err := a.imageSources(store)
	if err != nil {
		return err
	}
	report, end := a.progress()
	f := &flow.Flow{Store: store, Providers: providers, Auto: []string{"vagrant", "docker", "local"}, Report: report, Images: sources}
	err = fn(f, store)
	end()
	return err
}

func printCreated(w io.Writer, r *flow.Created) {
	var opened []string
	for _, g := range r.Gates {
		opened = append(opened, fmt.Sprintf("%s %.1f s", g.Text, g.Seconds))
	}
	if len(r.Changed) > 0 && len(opened) > 0 {
		fmt.Fprintln(w, strings.Join(opened, " · "))
	}
	if len(r.Changed) == 0 {
		fmt.Fprintf(w, "Lab %s is whole: nothing to do (looked for %.1f s).\n", r.Name, r.Seconds)
	} else {
		fmt.Fprintf(w, "Ready in %.1f s.\n", r.Seconds)
	}
	printEndpoints(w, r.Endpoints, r.Placement)
	if r.Subnet != lab.ArticleSubnet {
		fmt.Fprintf(w, "  (the article's 192.168.59.N is %sN here)\n", strings.TrimSuffix(r.MasterIP, "1"))
	}
	fmt.Fprintf(w, "Next: lab status%[1]s   ·   lab scenario failover%[1]s   ·   lab destroy%[1]s\n", nameFlag(r.Name))
}

// nameFlag is what a hint must add to mean this lab.
func nameFlag(name string) string {
	if name == "lab" {
		return ""
	}
	return " --name " + name
}
