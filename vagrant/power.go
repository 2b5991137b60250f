package vagrant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mesoslab/lab"
)

// Power implements lab.Provider.
func (p *Provider) Power(ctx context.Context, plan lab.Plan, names []string, power lab.Power) error {
	if !slices.Contains(p.Features().PowerModes, power) {
		return fmt.Errorf("power %q: %w", power, errors.ErrUnsupported)
	}
	var nodes []lab.Node
	for _, name := range names {
		n, err := lab.FindNode(plan.Nodes, name)
		if err != nil {
			return err
		}
		if !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	s, err := p.open(ctx, plan, changeWait)
	if err != nil {
		return err
	}
	defer s.close()
	views, err := s.look(ctx, nodes)
	if err != nil {
		return err
	}
	for _, v := range views {
		if v.state == lab.StateMissing {
			return &lab.Error{ID: "machine-missing", Op: "power " + string(power), Machine: v.node.Name, Err: lab.ErrNotFound, Advice: "lab create makes it"}
		}
	}
	switch power {
	case lab.PowerOn:
		return s.bring(ctx, views, nil)
	case lab.PowerOff:
		return s.change(ctx, views, lab.StateOff, "halt")
	case lab.PowerCut:
		return s.change(ctx, views, lab.StateCut, "halt", "--force")
	default:
		return s.pause(ctx, views)
	}
}

// change runs one vagrant command for all machines that are not in the wanted
// state yet. One without power has none to cut; one that was cut is off when
// somebody wants it so.
func (s *session) change(ctx context.Context, views []view, want lab.MachineState, command ...string) error {
	var names, changed []string
	for _, v := range views {
		dead := v.state == lab.StateOff || v.state == lab.StateCut
		if !dead || v.half {
			names = append(names, v.node.Name)
		}
		if !dead || (v.state == lab.StateCut && want == lab.StateOff) {
			changed = append(changed, v.node.Name)
		}
	}
	if len(names) > 0 {
		if err := s.run(ctx, command[0], func(record) {}, append(command, names...)...); err != nil {
			return err
		}
	}
	for _, name := range changed {
		s.mem.set(name, want)
	}
	return s.mem.write(s.dir)
}

func (s *session) pause(ctx context.Context, views []view) error {
	var names []string
	for _, v := range views {
		switch {
		case v.state == lab.StatePaused:
			// Perhaps by somebody else.
			s.mem.set(v.node.Name, lab.StatePaused)
		case v.state != lab.StateRunning:
			return &lab.Error{ID: "machine-off", Op: "pause", Machine: v.node.Name, Err: fmt.Errorf("the machine is %s", v.state), Advice: "lab heal switches it on"}
		default:
			names = append(names, v.node.Name)
		}
	}
	if len(names) > 0 {
		if err := s.run(ctx, "suspend", func(record) {}, append([]string{"suspend"}, names...)...); err != nil {
			return err
		}
	}
	for _, name := range names {
		s.mem.set(name, lab.StatePaused)
	}
	return s.mem.write(s.dir)
}
