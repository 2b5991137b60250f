package scenarios

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

var frameworkName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)

func saneFramework(a arguments, _ *knowledge) error {
	if !frameworkName.MatchString(a["name"]) || a["name"] == "marathon" {
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

// givesBack is how many tasks each framework gives back when it gets no more.
const givesBack = 6

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

func expectFair(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("fair", "each framework's dominant share is within one task of what dominant resource fairness predicts")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var h Holdings
	known, since := "", time.Time{}
	err := r.await(ctx, "nobody to get a task any more", func(ctx context.Context) error {
		now, tasks, err := r.held(ctx)
		if err != nil {
			return err
		}
		h = now
		if text := countWords(r.guests, tasks); text != known || since.IsZero() {
			known, since = text, time.Now()
		}
		for _, g := range r.guests {
			if tasks[g.demand.Name] == 0 {
				return fmt.Errorf("%s: %s has none", known, g.demand.Name)
			}
		}
		if len(r.guests) < 2 {
			return errors.New("fewer than two frameworks run")
		}
		if time.Since(since) < length {
			return fmt.Errorf("%s; for %s nobody must get one more", known, seconds(length))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return r.judgeFair(c, h)
}

func countWords(guests []*guest, tasks map[string]int) string {
	var out []string
	for _, g := range guests {
		out = append(out, fmt.Sprintf("%s %d tasks", g.demand.Name, tasks[g.demand.Name]))
	}
	return strings.Join(out, ", ")
}

func (r *run) judgeFair(c pending, h Holdings) error {
	var demands []Demand
	for _, g := range r.guests {
		demands = append(demands, g.demand)
	}
	predicted := fairTasks(h, demands)
	cpus, mem := h.total()
	result := map[string]int{}
	var words, off []string
	for _, d := range demands {
		i := slices.IndexFunc(h.Frameworks, func(f Holding) bool { return f.Name == d.Name })
		f := h.Frameworks[i]
		result[d.Name] = f.Tasks
		share, rule, one := max(f.CPUs/cpus, f.Mem/mem), d.dominant(float64(predicted[d.Name]), cpus, mem), d.dominant(1, cpus, mem)
		words = append(words, fmt.Sprintf("%s (weight %g) holds %d tasks, %.1f %% of its dominant resource; the rule says %d, %.1f %%",
			d.Name, h.weight(d.Role), f.Tasks, 100*share, predicted[d.Name], 100*rule))
		if diff := share - rule; diff > one+1e-6 || diff < -one-1e-6 {
			off = append(off, d.Name)
		}
	}
	r.fair = append(r.fair, result)
	if len(off) > 0 {
		return c.broken("%s: more than one task (%s)", strings.Join(words, "; "), strings.Join(off, ", "))
	}
	return c.pass("%s", strings.Join(words, "; "))
}

func expectOffers(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("offers", a["name"]+" has taken offers and refused others, and says why")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	taken, refused, why := 0, 0, ""
	err := r.await(ctx, "an offer to be refused", func(context.Context) error {
		i := slices.IndexFunc(r.guests, func(g *guest) bool { return g.demand.Name == a["name"] })
		if i < 0 {
			return fmt.Errorf("no framework %s runs", a["name"])
		}
		list, err := r.guests[i].seen()
		if err != nil {
			return lab.Permanent(err)
		}
		taken, refused = 0, 0
		for _, d := range list {
			if d.Task != "" {
				taken++
			} else {
				refused++
				why = d.Why
			}
		}
		if taken == 0 || refused == 0 {
			return fmt.Errorf("%d taken, %d refused", taken, refused)
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%d offers taken, one task of each; %d refused, the last for %s", taken, refused, why)
}

func expectShifted(_ context.Context, r *run, a arguments) error {
	c := r.criterion("shifted", fmt.Sprintf("%s has at least %s tasks more than before", a["name"], a["by"]))
	n := len(r.fair)
	if n < 2 {
		return c.unseen(errors.New("shares were not compared twice: give expect fair before and after"))
	}
	before, now := r.fair[n-2][a["name"]], r.fair[n-1][a["name"]]
	if now-before < a.count("by") {
		return c.broken("%s had %d tasks, and has %d", a["name"], before, now)
	}
	return c.pass("%s had %d tasks, and has %d", a["name"], before, now)
}

// expectParted counts on the engines themselves (rule R7).
func expectParted(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("parted", "Mesos has no framework any more that has left, no engine a task of one")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "the frameworks to be gone", r.parted)
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%s: no framework, no task", strings.Join(slices.Compact(slices.Sorted(slices.Values(r.left))), ", "))
}

// parted says what is left of the frameworks that have left, or nil.
func (r *run) parted(ctx context.Context) error {
	if len(r.left) == 0 {
		return errors.New("no framework has left")
	}
	h, err := r.cluster.Holdings(ctx, r.left)
	if err != nil {
		return err
	}
	for _, f := range h.Frameworks {
		if slices.Contains(r.left, f.Name) {
			return fmt.Errorf("framework %s is still in Mesos, with %d tasks", f.Name, f.Tasks)
		}
	}
	for _, m := range r.slaves() {
		containers, err := r.lab.Containers(ctx, m.Name)
		if err != nil {
			return fmt.Errorf("ask the engine of %s: %w", m.Name, err)
		}
		for _, k := range containers {
			if name, _, _ := strings.Cut(k.TaskID, "."); slices.Contains(r.left, name) {
				return fmt.Errorf("task %s still runs on %s", k.TaskID, m.Name)
			}
		}
	}
	return nil
}
