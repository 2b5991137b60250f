package scenarios

import (
	"context"
	"strings"

	"github.com/mesoslab/lab"
)

// Fault is a way to break a machine by its power. The words are those of
// scripts and of lab break.
type Fault struct {
	Verb    string
	Power   lab.Power
	Summary string
	Does    string // what the machine does by it: "loses power"
}

// Faults returns the ways to break a machine.
func Faults() []Fault {
	return []Fault{
		{"kill", lab.PowerCut, "cut a machine's power, silently: nobody gets an answer any more", "loses power"},
		{"crash", lab.PowerCrash, "end all processes of a machine at once: its kernel answers for them, with refusals", "crashes"},
		{"pause", lab.PowerPause, "freeze a machine: it answers nobody, and goes on where it stood", "freezes"},
		{"stop", lab.PowerOff, "shut a machine down cleanly", "shuts down"},
	}
}

// breaking are the verbs that do faults, and undo them.
func breaking() []verb {
	var out []verb
	for _, f := range Faults() {
		out = append(out, verb{name: f.Verb, summary: f.Summary, args: []param{{name: "machine", kind: kindNodes}}, power: f.Power,
			gives: []fact{factChange}, do: func(ctx context.Context, r *run, a arguments) error {
				return r.breakNodes(ctx, a["machine"], f)
			}})
	}
	return append(out,
		verb{name: "restore", summary: "undo what was done to a machine", args: []param{{name: "machine", kind: kindNodes}}, after: []fact{factChange}, do: verbRestore},
		verb{name: "heal", summary: "undo every fault", do: func(ctx context.Context, r *run, _ arguments) error { return r.heal(ctx) }})
}

func (r *run) breakNodes(ctx context.Context, word string, f Fault) error {
	machines, err := r.nodes(word)
	if err != nil {
		return err
	}
	for _, m := range machines {
		if err := r.breakNode(ctx, m.Name, f.Power, m.Name+" "+f.Does); err != nil {
			return err
		}
	}
	return nil
}

func verbRestore(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	var names []string
	for _, m := range machines {
		if err := r.mend(ctx, m.Name); err != nil {
			return err
		}
		names = append(names, m.Name)
	}
	r.moment("↺ " + strings.Join(names, ", ") + " powered on")
	return nil
}
