package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/disturb"
)

// Peer is what is wrong with the way to one address.
type Peer = disturb.Peer

// Disturb brings the ways to other machines into exactly this state; none
// mends everything.
func (h *Host) Disturb(ctx context.Context, peers []Peer) error {
	if _, err := h.Run(ctx, disturb.Script(peers), nil); err != nil {
		return fmt.Errorf("%s: disturb the network: %w", h.machine.Name, err)
	}
	return nil
}

// CanDisturb says what the machine lacks for a cut or for slowing, or nil.
func (h *Host) CanDisturb(ctx context.Context, d lab.Disturbance, peers int) error {
	script, what := disturb.CanCut, "drop packets"
	if !d.Cut {
		script, what = disturb.CanSlow, "delay packets"
	}
	if !d.Cut && peers > disturb.MostSlow {
		return fmt.Errorf("%s: at most %d machines can be slow for one", h.machine.Name, disturb.MostSlow)
	}
	_, err := h.Run(ctx, script, nil)
	if failed, ok := errors.AsType[*CommandError](err); ok {
		return &lab.Error{ID: "fault-unsupported", Op: what, Machine: h.machine.Name, Err: failed,
			Advice: "the machine's kernel and programs must be able to: iptables, tc, the module sch_netem"}
	}
	return err
}
