package flow

import (
	"context"
	"errors"
	"fmt"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/disturb"
	"github.com/mesoslab/lab/scenarios"
)

// disturb brings the network into the state that the journal tells.
func (v *live) disturb(ctx context.Context) error { return v.disturbWithout(ctx, "") }

// disturbWithout is the same without one entry.
func (v *live) disturbWithout(ctx context.Context, id string) error {
	faults, err := v.lab.Faults()
	if err != nil {
		return err
	}
	var all []lab.Disturbance
	for _, e := range faults {
		if f := faultIn(e); f.Part == scenarios.PartNetwork && e.ID != id {
			all = append(all, v.disturbances(f)...)
		}
	}
	if n, ok := v.provider.(lab.Networker); ok {
		return n.Disturb(ctx, v.plan, all)
	}
	return v.disturbHosts(ctx, all)
}

// disturbances are a fault's, one for each pair of machines.
func (v *live) disturbances(f scenarios.Fault) []lab.Disturbance {
	var out []lab.Disturbance
	for _, n := range v.plan.Nodes {
		if n.Name != f.Node && (f.From == "" || f.From == n.Name) {
			out = append(out, lab.Disturbance{Node: f.Node, Peer: n.Name, Cut: f.Verb == "cut", Delay: f.Delay, Jitter: f.Jitter, Loss: f.Loss})
		}
	}
	return out
}

// disturbHosts tells each machine that runs what is wrong with its ways to
// others. A cut is made on both sides.
func (v *live) disturbHosts(ctx context.Context, all []lab.Disturbance) error {
	status, err := v.provider.Status(ctx, v.plan)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range status {
		if !isRunning(s) {
			continue // a boot forgets it
		}
		host, err := v.host(ctx, s.Machine.Name)
		if err == nil {
			err = host.Disturb(ctx, disturb.Towards(v.plan.Nodes, s.Machine.Name, all))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// canDisturb asks the provider, or every machine.
func (v *live) canDisturb(ctx context.Context, f scenarios.Fault) error {
	d := lab.Disturbance{Node: f.Node, Peer: f.From, Cut: f.Verb == "cut", Delay: f.Delay, Jitter: f.Jitter, Loss: f.Loss}
	if n, ok := v.provider.(lab.Networker); ok {
		return n.CanDisturb(ctx, v.plan, d)
	}
	if !v.provider.Features().Real {
		return &lab.Error{ID: "fault-unsupported", Op: f.Verb, Err: fmt.Errorf("%w: machines of provider %s have no network of their own to disturb", lab.ErrUsage, v.lab.Provider),
			Advice: "kill and pause silence a machine, too"}
	}
	for _, m := range v.lab.Machines {
		host, err := v.host(ctx, m.Name)
		if err == nil {
			err = host.CanDisturb(ctx, d, len(v.lab.Machines)-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
