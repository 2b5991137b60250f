package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

// Aim reads the words after a fault's verb, as in scripts and on the command
// line of lab break, and finds what they mean in a lab: one or more targets,
// then options. Wrong words are lab.ErrUsage; nothing is broken.
func Aim(ctx context.Context, l Lab, c Cluster, verb string, words []string) ([]Fault, error) {
	kind, ok := KindNamed(verb)
	if !ok {
		return nil, fmt.Errorf("%w: no fault %q", lab.ErrUsage, verb)
	}
	v := faultVerb(kind)
	isOption := func(w string) bool { return strings.Contains(w, "=") }
	options := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !isOption(w) })
	targets := slices.DeleteFunc(slices.Clone(words), isOption)
	if len(targets) == 0 {
		targets = []string{""}
	}
	var out []Fault
	for _, t := range targets {
		a, err := v.parse(append(slices.DeleteFunc([]string{t}, func(w string) bool { return w == "" }), options...))
		if err == nil && partOf(t) == "" { // an app, in scripts
			err = v.args[0].target(t)
		}
		if err == nil {
			err = v.sane(a, &knowledge{})
		}
		if err == nil && (t == wordVictim || a["on"] == wordVictim) {
			err = errors.New("victim is a word of scripts: name a machine")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", lab.ErrUsage, err)
		}
		faults, err := aim{lab: l, cluster: c}.faults(ctx, kind, a)
		if err != nil {
			return nil, err
		}
		for _, f := range faults {
			if !slices.ContainsFunc(out, f.Same) {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

// aim finds what a script's words mean.
type aim struct {
	lab     Lab
	cluster Cluster
	victims []string // machines
}

// faults finds the things that a line breaks.
func (m aim) faults(ctx context.Context, kind Kind, a arguments) ([]Fault, error) {
	f := fromWords(kind.Verb, a)
	switch f.Part {
	case PartMachine, PartNetwork:
		return m.onMachines(ctx, f, a)
	case PartDocker:
		machines, err := m.machines(ctx, a["on"], a)
		return each(f, machines), err
	case PartComponent:
		return m.component(ctx, f, a)
	}
	return m.task(ctx, f, a)
}

// fromWords is what can be said of a fault before it is known where.
func fromWords(verb string, a arguments) Fault {
	f := Fault{
		Verb: verb, Part: partOf(a["target"]), Length: a.duration("for"),
		Delay: a.duration("delay"), Jitter: a.duration("jitter"), Loss: a.share("loss"),
	}
	if k, _ := KindNamed(verb); k.network() {
		f.Part = PartNetwork
	}
	return f
}

func each(f Fault, machines []lab.Machine) []Fault {
	var out []Fault
	for _, n := range machines {
		f.Node = n.Name
		out = append(out, f)
	}
	return out
}

func (m aim) onMachines(ctx context.Context, f Fault, a arguments) ([]Fault, error) {
	machines, err := m.machines(ctx, a["target"], a)
	if err != nil {
		return nil, err
	}
	if a["from"] != "" {
		from, err := m.machines(ctx, a["from"], a)
		if err != nil {
			return nil, err
		}
		if f.From = from[0].Name; len(from) > 1 || slices.ContainsFunc(machines, func(n lab.Machine) bool { return n.Name == f.From }) {
			return nil, fmt.Errorf("%w: %s %s from=%s: a machine from one other", lab.ErrUsage, f.Verb, a["target"], a["from"])
		}
	}
	return each(f, machines), nil
}

func (m aim) component(ctx context.Context, f Fault, a arguments) ([]Fault, error) {
	all := m.lab.Components()
	word := a["target"]
	if word != "mesos_slave" {
		i := slices.IndexFunc(all, func(c Component) bool { return c.Name == word })
		if i < 0 {
			return nil, unknownComponent(word, all)
		}
		f.Container, f.Node = word, all[i].Node
		return []Fault{f}, nil
	}
	machines, err := m.machines(ctx, a["on"], a)
	if err != nil {
		return nil, err
	}
	var out []Fault
	for _, n := range machines {
		i := slices.IndexFunc(all, func(c Component) bool { return c.Node == n.Name && slaveComponent().MatchString(c.Name) })
		if i < 0 {
			return nil, fmt.Errorf("%w: no Mesos slave runs on %s", lab.ErrUsage, n.Name)
		}
		f.Container, f.Node = all[i].Name, n.Name
		out = append(out, f)
	}
	return out, nil
}

func unknownComponent(word string, all []Component) error {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	return fmt.Errorf("%w: this lab has no container %s: it has %s%s", lab.ErrUsage, word, strings.Join(names, ", "), lab.DidYouMean(word, names))
}

// task finds one task of an app, and its container.
func (m aim) task(ctx context.Context, f Fault, a arguments) ([]Fault, error) {
	app, err := m.cluster.App(ctx, a["of"])
	if err != nil {
		return nil, err
	}
	nodes := map[string]string{} // by address
	for _, n := range m.lab.Machines() {
		nodes[n.IP.String()] = n.Name
	}
	tasks := slices.DeleteFunc(slices.Clone(app.Tasks), func(t Task) bool { return t.Started.IsZero() })
	if a["on"] != "" {
		machines, err := m.machines(ctx, a["on"], a)
		if err != nil {
			return nil, err
		}
		tasks = slices.DeleteFunc(tasks, func(t Task) bool {
			return !slices.ContainsFunc(machines, func(n lab.Machine) bool { return n.IP.String() == t.IP })
		})
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("no task of %s runs there", a["of"])
	}
	slices.SortFunc(tasks, func(x, y Task) int { return cmp.Or(x.Staged.Compare(y.Staged), cmp.Compare(x.ID, y.ID)) })
	t := tasks[chosen(a, len(tasks))]
	f.Task, f.Node = t.ID, nodes[t.IP]
	containers, err := m.lab.Containers(ctx, f.Node)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(containers, func(c Container) bool { return c.TaskID == t.ID })
	if i < 0 {
		return nil, fmt.Errorf("task %s runs in no container on %s", t.ID, f.Node)
	}
	f.Container = containers[i].ID
	return []Fault{f}, nil
}

// chosen is the index of the first, or of a random one.
func chosen(a arguments, n int) int {
	if a["pick"] != pickRandom {
		return 0
	}
	seed := uint64(a.count("seed"))
	return rand.New(rand.NewPCG(seed, seed)).IntN(n)
}

// machines finds the machines that a word means. The options of picking are
// about the word slave.
func (m aim) machines(ctx context.Context, word string, a arguments) ([]lab.Machine, error) {
	all := m.lab.Machines()
	switch word {
	case wordSlaves:
		return slavesOf(all), nil
	case wordSlave:
		n, err := m.oneSlave(ctx, a)
		return []lab.Machine{n}, err
	case wordLeader:
		ip, err := m.cluster.Leader(ctx)
		if err != nil {
			return nil, err
		}
		word = ip
	case wordVictim:
		if len(m.victims) == 0 {
			return nil, errors.New("no victim was chosen yet")
		}
		var out []lab.Machine
		for _, v := range m.victims {
			n, err := findMachine(all, v)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	}
	n, err := findMachine(all, word)
	return []lab.Machine{n}, err
}

// oneSlave picks a slave: any, or one that runs an app.
func (m aim) oneSlave(ctx context.Context, a arguments) (lab.Machine, error) {
	slaves := slavesOf(m.lab.Machines())
	if a["running"] != "" {
		app, err := m.cluster.App(ctx, a["running"])
		if err != nil {
			return lab.Machine{}, err
		}
		on := map[string]int{} // tasks by address
		for _, t := range app.Tasks {
			if !t.Started.IsZero() {
				on[t.IP]++
			}
		}
		slaves = slices.DeleteFunc(slaves, func(n lab.Machine) bool { return on[n.IP.String()] == 0 })
		if len(slaves) == 0 {
			return lab.Machine{}, fmt.Errorf("no slave runs a task of %s", a["running"])
		}
		slices.SortStableFunc(slaves, func(x, y lab.Machine) int {
			switch a["pick"] {
			case pickMost:
				return cmp.Compare(on[y.IP.String()], on[x.IP.String()])
			case pickFewest:
				return cmp.Compare(on[x.IP.String()], on[y.IP.String()])
			}
			return 0
		})
	}
	if len(slaves) == 0 {
		return lab.Machine{}, errors.New("this lab has no slave")
	}
	return slaves[chosen(a, len(slaves))], nil
}
