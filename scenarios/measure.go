package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// quantity is something that a run measures, for ask. final ones grow until
// the run is over.
type quantity struct {
	final   bool
	measure func(r *run) (string, bool)
}

func quantities() map[string]quantity {
	out := map[string]quantity{
		"failed":    {true, traffic(func(t Traffic) string { return fmt.Sprintf("%d of %d requests", t.Failed, t.Done) })},
		"slow":      {true, traffic(func(t Traffic) string { return fmt.Sprintf("%d of %d requests", t.Slow, t.Done) })},
		"worst":     {true, traffic(func(t Traffic) string { return fmt.Sprintf("%.2f s", t.Worst.Seconds()) })},
		"instances": {true, countInstances},
		"machines":  {true, countMachines},
		"healed":    {false, measureHealed},
	}
	for _, name := range phaseNames() {
		out[name] = quantity{measure: phase(name)}
	}
	return out
}

func quantityNames() []string { return slices.Sorted(maps.Keys(quantities())) }

func traffic(say func(Traffic) string) func(*run) (string, bool) {
	return func(r *run) (string, bool) {
		if r.probe == nil {
			return "", false
		}
		return say(r.probe.Traffic()), true
	}
}

// phase measures one phase of the first change that has it.
func phase(name string) func(*run) (string, bool) {
	return func(r *run) (string, bool) {
		all, _ := r.phases()
		for _, p := range all {
			if p.Name == name {
				return fmt.Sprintf("%.2f s (%s)", p.Seconds, p.RuledBy), true
			}
		}
		return "", false
	}
}

// measureHealed is the time from the fault until the last phase was over.
func measureHealed(r *run) (string, bool) {
	all, whole := r.phases()
	if len(all) == 0 || !whole {
		return "", false
	}
	last := all[len(all)-1]
	return fmt.Sprintf("%.2f s", last.From+last.Seconds), true
}

func countInstances(r *run) (string, bool) {
	app, asked := r.history.AppAsked()
	return counted(len(app.Tasks), "instance"), !asked.IsZero()
}

func countMachines(r *run) (string, bool) {
	app, asked := r.history.AppAsked()
	return counted(len(byNode(r, app)), "machine"), !asked.IsZero()
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// since is a duration in seconds since the run began, or nil for what was not
// seen.
func (r *run) since(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := t.Sub(r.begun).Seconds()
	return &s
}
