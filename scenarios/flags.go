package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// VerbFlags is the word for a component that runs with other flags than its
// own: a Fault of a component, so that it is journalled and mended like any.
const VerbFlags = "flags"

// flagging is the verb that brings a setting about which a scenario needs.
func flagging() []verb {
	return []verb{{
		name: VerbFlags, summary: "start a component of the platform anew, with more flags, before the baseline; at the end it has its own again",
		args: []param{{name: "component", kind: kindWord}}, rest: "flags", sane: saneFlags, do: verbFlags,
	}}
}

// flaggedComponents are those that can be given flags.
var flaggedComponents = []string{"marathon-lb", "marathon", "mesos_master"}

func saneFlags(a arguments, k *knowledge) error {
	if !slices.Contains(flaggedComponents, a["component"]) {
		return fmt.Errorf("flags %q: the component must be one of %s%s", a["component"], strings.Join(flaggedComponents, ", "), lab.DidYouMean(a["component"], flaggedComponents))
	}
	words := strings.Fields(a["flags"])
	if len(words) == 0 || !strings.HasPrefix(words[0], "-") {
		return fmt.Errorf("flags %s: which ones? give them as on its command line, like flags marathon-lb --health-check", a["component"])
	}
	if k.facts[factTraffic] {
		return fmt.Errorf("flags %s: give it before traffic: a component that is started anew leaves a hole in the record", a["component"])
	}
	return nil
}

// flagged is a line as a fault of a component.
func flagged(all []Component, a arguments) (Fault, error) {
	i := slices.IndexFunc(all, func(c Component) bool { return c.Name == a["component"] })
	if i < 0 {
		return Fault{}, unknownComponent(a["component"], all)
	}
	return Fault{Verb: VerbFlags, Part: PartComponent, Node: all[i].Node, Container: all[i].Name, Flags: a["flags"]}, nil
}

// healFaults undoes what is broken. Flags that a script has asked for stay until
// the observers have gone: giving them back starts a component anew.
func (r *run) healFaults(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healPatience)
	defer cancel()
	_, err := r.mend(ctx, func(f Fault) bool { return f.Verb != VerbFlags })
	return err
}

// balancedWithin is how long the load balancer may take to hear of tasks that
// run and are healthy, and to see that they answer.
const balancedWithin = 15 * time.Second

// balanced waits until the load balancer sends requests to every task of an
// app, and to none that has gone: it hears of them later than Marathon, with
// --health-check only when they are healthy, and its own check may have looked
// before they listened; then it wants two successes in a row.
func (r *run) balanced(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, balancedWithin)
	defer cancel()
	return r.await(ctx, id+" to be in the load balancer", func(ctx context.Context) error {
		app, err := r.cluster.App(ctx, id)
		if err != nil {
			return err
		}
		servers, err := r.cluster.Backends(ctx, id)
		if err != nil {
			return err
		}
		return unbalanced(app, servers)
	})
}

// unbalanced says why requests to the app may meet a task that is not up yet or
// no more, or nil. Which servers the second and later ports of the tasks should
// have is not known here.
func unbalanced(app App, servers []Backend) error {
	if len(servers) < len(app.Tasks) {
		return fmt.Errorf("%d of %d tasks are there", len(servers), len(app.Tasks))
	}
	tasks := map[string]bool{}
	for _, t := range app.Tasks {
		tasks[fmt.Sprintf("%s:%d", t.IP, t.Port)] = true
	}
	there := map[string]int{} // of a service
	for _, s := range servers {
		if s.down() {
			return fmt.Errorf("%s is %s", s.Address, s.Status)
		}
		if tasks[s.Address] {
			there[s.Service]++
		}
	}
	for _, n := range there {
		if n < len(tasks) {
			return fmt.Errorf("%d of %d tasks are there", n, len(tasks))
		}
	}
	for _, s := range servers {
		if there[s.Service] > 0 && !tasks[s.Address] {
			return fmt.Errorf("%s is there still, and its task is not", s.Address)
		}
	}
	return nil
}

// verbFlags is preparation, also in a placebo: the clock of a run starts later.
func verbFlags(ctx context.Context, r *run, a arguments) error {
	f, err := flagged(r.lab.Components(), a)
	if err != nil {
		return err
	}
	r.note("    " + f.Text())
	r.mu.Lock()
	r.broken = append(r.broken, f)
	r.mu.Unlock()
	return r.lab.Break(ctx, f)
}
