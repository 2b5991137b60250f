package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

// lbWords is marathon-lb's command line.
func (p Platform) lbWords() []string {
	return p.words(slices.Concat([]string{"start-marathonlb.sh"}, p.Spec.LB.Args, p.Flags[nameMarathonLB])...)
}

// withFlags turns more flags of a Mesos program into variables: its start
// script passes no words on, but Mesos reads MESOS_WEIGHTS as it reads
// --weights.
func (p Platform) withFlags(container string, vars []string) []string {
	for _, flag := range p.Flags[container] {
		name, value, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		name = "MESOS_" + strings.ToUpper(name)
		vars = slices.DeleteFunc(vars, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		vars = append(vars, name+"="+value)
	}
	return vars
}

// WithFlags is the platform with one of its containers started with more flags.
// It refuses what the container's image would not get to see.
func (p Platform) WithFlags(container string, flags []string) (Platform, error) {
	refuse := func(format string, args ...any) (Platform, error) {
		return p, &lab.Error{ID: "flags-unsupported", Op: "start " + container + " with other flags", Err: fmt.Errorf("%w: "+format, append([]any{lab.ErrUsage}, args...)...),
			Advice: "nothing was changed"}
	}
	switch container {
	case nameMarathon:
	case nameMarathonLB:
		if !p.Images.Mini && slices.Equal(flags, []string{"--strict"}) {
			return p, nil // 1.3.0 knows nothing else
		}
		if !p.Images.Mini {
			return refuse("the article's image passes no flags on to marathon-lb (it takes the mini stack)")
		}
	case nameMaster:
		for _, f := range flags {
			if !strings.HasPrefix(f, "--") || !strings.Contains(f, "=") {
				return refuse("%s: Mesos' flags go as --NAME=VALUE", f)
			}
		}
	default:
		return refuse("only marathon-lb, marathon and mesos_master can be given some")
	}
	p.Flags = maps.Clone(p.Flags)
	if p.Flags == nil {
		p.Flags = map[string][]string{}
	}
	p.Flags[container] = flags
	return p, nil
}
