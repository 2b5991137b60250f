package containers

import (
	"context"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/container"
)

// view is what is to be seen of a machine.
type view struct {
	state   lab.MachineState
	id      string // of the machine's container
	alive   bool   // it has processes, frozen or not
	frozen  bool
	plugged bool // its card is in the lab's network
	since   time.Time
	pid     int
}

// look changes nothing.
func (p *Provider) look(ctx context.Context, s site) (view, error) {
	card, machine, err := p.inspectBoth(ctx, s)
	if err != nil {
		return view{}, err
	}
	return s.judge(card, machine), nil
}

// joined reports whether the machine lives in this card's network namespace.
func joined(card, machine *container.InspectResponse) bool {
	return card != nil && machine != nil && machine.HostConfig != nil && machine.HostConfig.NetworkMode == cardMode(card.ID)
}

// judge tells a machine's state from its two containers. A machine without its
// card cannot be started and counts as missing: Up makes it.
func (s site) judge(card, machine *container.InspectResponse) view {
	if !joined(card, machine) || machine.State == nil || card.State == nil {
		return view{state: lab.StateMissing}
	}
	v := view{id: machine.ID, alive: machine.State.Running || machine.State.Paused, frozen: machine.State.Paused}
	v.plugged = card.State.Running && s.hasAddress(card)
	stamp := machine.State.FinishedAt
	if v.alive {
		v.pid, stamp = machine.State.Pid, machine.State.StartedAt
	}
	if t, err := time.Parse(time.RFC3339Nano, stamp); err == nil && t.Year() > 1 {
		v.since = t
	}
	switch {
	case v.frozen:
		v.state = lab.StatePaused
	case v.alive && v.plugged:
		v.state = lab.StateRunning
	case v.alive:
		v.state = lab.StateCut // on its way there: PowerOn kills it first
	case card.State.Running && !v.plugged:
		v.state = lab.StateCut
	default:
		v.state = lab.StateOff
	}
	return v
}

func (s site) hasAddress(card *container.InspectResponse) bool {
	if card.NetworkSettings == nil {
		return false
	}
	e := card.NetworkSettings.Networks[networkName(s.plan)]
	return e != nil && e.IPAddress == s.node.IP
}
