package scenarios

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios/framework"
)

// Sharing is what scenarios need of Mesos that several frameworks use.
type Sharing interface {
	// Framework runs a framework of ours at the leading master until ctx ends;
	// then Mesos kills its tasks. The image is the platform's to fill in.
	Framework(ctx context.Context, spec framework.Spec, saw func(framework.Decision)) error
	// Holdings asks the leading master. ours are the names of our frameworks.
	Holdings(ctx context.Context, ours []string) (Holdings, error)
}

// sharing are the verbs for frameworks beside Marathon.
func sharing() []verb {
	return []verb{
		{name: "framework", summary: "start a framework of lab's own beside Marathon: it wants as many tasks of one size as it can get, one from each offer",
			args:    []param{{name: "name", kind: kindWord}},
			options: []param{{"role", kindWord, "*"}, {"cpus", kindWord, "0.05"}, {"mem", kindWord, "16"}},
			gives:   []fact{factChange, factFramework}, sane: saneFramework, do: verbFramework},
		{name: "leave", summary: "end the frameworks that the script has started: Mesos kills their tasks", after: []fact{factFramework}, do: verbLeave},
	}
}

// onSharing are expectations on several frameworks.
func onSharing() []verb {
	return []verb{
		{name: "fair", summary: "when nobody gets a task any more, the frameworks' dominant shares are within one task of what the rule of dominant resource fairness predicts",
			options: []param{{"for", kindDuration, "6s"}, within("2m")}, after: []fact{factFramework}, do: expectFair},
		{name: "offers", summary: "a framework has taken offers and refused others",
			args: []param{{name: "name", kind: kindWord}}, options: []param{within("30s")}, after: []fact{factFramework}, do: expectOffers},
		{name: "shifted", summary: "a framework has more tasks than the last time, by so many at least",
			args: []param{{name: "name", kind: kindWord}}, options: []param{{"by", kindCount, "2"}}, after: []fact{factFramework}, do: expectShifted},
		{name: "parted", summary: "the frameworks that have left are gone from Mesos, and their tasks from every engine",
			options: []param{within("30s")}, after: []fact{factFramework}, do: expectParted},
	}
}

const factFramework fact = "framework"

var frameworkName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`) })

func saneFramework(a arguments, _ *knowledge) error {
	if !frameworkName().MatchString(a["name"]) || a["name"] == "marathon" {
		return fmt.Errorf("framework %q: a name is made of small letters, digits and -, at most 20, and is not marathon", a["name"])
	}
	for name, least := range map[string]float64{"cpus": 0.01, "mem": 1} {
		if v, err := strconv.ParseFloat(a[name], 64); err != nil || !(v >= least && v <= 1e6) {
			return fmt.Errorf("framework %s: %s=%q must be a number from %g", a["name"], name, a[name], least)
		}
	}
	return nil
}

// guest is one framework of ours.
type guest struct {
	demand Demand
	leave  context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	err       error
	decisions []framework.Decision
}

func (g *guest) seen() (list []framework.Decision, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.decisions), g.err
}

func verbFramework(_ context.Context, r *run, a arguments) error {
	number := func(name string) float64 { v, _ := strconv.ParseFloat(a[name], 64); return v } // checked by sane
	d := Demand{Name: a["name"], Role: a["role"], CPUs: number("cpus"), Mem: number("mem")}
	for _, g := range r.guests {
		if g.demand.Name == d.Name {
			return fmt.Errorf("framework %s runs already", d.Name)
		}
	}
	return r.change(fmt.Sprintf("framework %s subscribes in role %s; each of its tasks takes %g cpus and %g MiB", d.Name, d.Role, d.CPUs, d.Mem), nil, func() error {
		ctx, cancel := context.WithCancel(r.watchCtx)
		g := &guest{demand: d, leave: cancel, done: make(chan struct{})}
		r.guests = append(r.guests, g)
		spec := framework.Spec{Name: d.Name, Role: d.Role, CPUs: d.CPUs, Mem: d.Mem, Env: map[string]string{"LAB_WEB_JOB": "24h"},
			GivesBack: givesBack, BackEvery: 2 * time.Second}
		r.observed.Go(func() {
			defer close(g.done)
			err := r.cluster.Framework(ctx, spec, func(o framework.Decision) { r.decided(g, o) })
			g.mu.Lock()
			g.err = err
			g.mu.Unlock()
		})
		return nil
	})
}

// givesBack is how many tasks each framework gives back at most when it gets no
// more: on a busy computer one may have had nearly all before the other came.
const givesBack = 30

// decided notes an offer, for lab events --offers.
func (r *run) decided(g *guest, o framework.Decision) {
	g.mu.Lock()
	g.decisions = append(g.decisions, o)
	g.mu.Unlock()
	text := fmt.Sprintf("%s is offered %.2f cpus, %.0f MiB on %s: ", g.demand.Name, o.CPUs, o.Mem, r.nodeOf(o.Host))
	if o.Task != "" {
		text += "takes one task (" + o.Task + "), the rest goes back"
	} else {
		text += "refused for " + seconds(framework.Refuse*time.Second) + ": " + o.Why
	}
	r.opt.Report.Emit(lab.Event{Time: o.At, Op: "scenario", Kind: lab.EventNote, Text: "◇ " + text,
		Data: map[string]any{"quiet": true, "offer": map[string]any{"framework": g.demand.Name, "node": r.nodeOf(o.Host), "cpus": o.CPUs, "mem": o.Mem, "task": o.Task, "why": o.Why}}})
}

func verbLeave(_ context.Context, r *run, _ arguments) error {
	r.dismissGuests()
	return nil
}

// seeOff ends the frameworks that still run when a run ends, and waits until
// Mesos has killed their tasks: a master that is started anew before that would
// never know that they have left.
func (r *run) seeOff(ctx context.Context) error {
	if len(r.guests)+len(r.left) == 0 {
		return nil
	}
	r.dismissGuests()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return lab.Until(ctx, sampleEvery, "Mesos to kill the frameworks' tasks", r.parted)
}

func (r *run) dismissGuests() {
	for _, g := range r.guests {
		g.leave()
		<-g.done
		r.moment("↺ framework " + g.demand.Name + " leaves")
		r.left = append(r.left, g.demand.Name)
	}
	r.guests = nil
}

// held asks the master what our frameworks have.
func (r *run) held(ctx context.Context) (Holdings, map[string]int, error) {
	var names []string
	for _, g := range r.guests {
		names = append(names, g.demand.Name)
		if _, err := g.seen(); err != nil {
			return Holdings{}, nil, lab.Permanent(err)
		}
	}
	h, err := r.cluster.Holdings(ctx, names)
	tasks := map[string]int{}
	for _, f := range h.Frameworks {
		tasks[f.Name] += f.Tasks
	}
	return h, tasks, err
}
