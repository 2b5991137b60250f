package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/container"
)

type actionKind int

const (
	keepIt actionKind = iota
	startIt
	createIt
	recreateIt
)

// action is what has to be done for one wanted container.
type action struct {
	kind actionKind
	want Container
	have existing // zero for createIt
	// forget makes a slave register as a new one.
	forget bool
}

// surplus is a container of ours that is wanted no longer.
type surplus struct{ node, name, id string }

// todo is the outcome of comparing what is wanted with what there is.
type todo struct {
	actions []action
	surplus []surplus
}

// decide compares. It is pure: the same input gives the same plan.
func decide(wanted []Container, have map[string][]existing, label string) (todo, error) {
	var plan todo
	kept := map[string]bool{} // by id
	for _, w := range wanted {
		i := slices.IndexFunc(have[w.Node], func(e existing) bool { return e.name == w.Name })
		if i < 0 {
			plan.actions = append(plan.actions, action{kind: createIt, want: w})
			continue
		}
		e := have[w.Node][i]
		if e.labels[LabelName] != label {
			return todo{}, foreign(w, e)
		}
		kept[e.id] = true
		a := action{want: w, have: e}
		switch {
		case e.labels[LabelSpec] != w.Labels[LabelSpec] || e.state == container.StateDead || e.state == container.StateRemoving:
			a.kind, a.forget = recreateIt, true
		case superseded(e.image, w.Image): // the same slave, with another program
			a.kind = recreateIt
		case e.state != container.StateRunning && e.state != container.StateRestarting:
			a.kind = startIt
		}
		plan.actions = append(plan.actions, a)
	}
	for node, list := range have {
		for _, e := range list {
			if e.labels[LabelName] == label && !kept[e.id] {
				plan.surplus = append(plan.surplus, surplus{node: node, name: e.name, id: e.id})
			}
		}
	}
	slices.SortFunc(plan.surplus, func(a, b surplus) int { return slices.Compare([]string{a.node, a.name}, []string{b.node, b.name}) })
	return plan, nil
}

// superseded reports whether a container was made of another image than the one
// that bears the name now, as a newer lab brings it. Docker shows the name then
// no longer, but the image's id.
func superseded(has, want string) bool {
	return strings.HasPrefix(has, "sha256:") && !strings.HasPrefix(want, "sha256:")
}

func foreign(w Container, e existing) error {
	whose := "it has no label of a lab"
	if other := e.labels[LabelName]; other != "" {
		whose = "it belongs to lab " + other
	}
	return &lab.Error{ID: "container-foreign", Op: "look for " + w.Name, Machine: w.Node,
		Err:    fmt.Errorf("there is a container %s that is not this lab's: %s", w.Name, whose),
		Advice: fmt.Sprintf("lab never removes what it did not make: rename or remove it yourself (lab ssh %s docker rm -f %s)", w.Node, w.Name)}
}

// result sorts what was done by kind.
func (t todo) result() Result {
	var r Result
	for _, a := range t.actions {
		list := map[actionKind]*[]string{keepIt: &r.Kept, startIt: &r.Started, createIt: &r.Created, recreateIt: &r.Recreated}[a.kind]
		*list = append(*list, a.want.Name)
	}
	for _, s := range t.surplus {
		r.Removed = append(r.Removed, s.name)
	}
	return r
}
