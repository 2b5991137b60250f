//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/silence"
)

var _ lab.Networker = (*Provider)(nil)

// CanDisturb implements lab.Networker: on loopback addresses cuts are exact
// where the system has socket filters; delays and losses need a network of the
// machines' own.
func (p *Provider) CanDisturb(ctx context.Context, plan lab.Plan, d lab.Disturbance) error {
	if apart(plan.Spec) {
		sites, err := p.sites(plan, []string{d.Node})
		if err != nil {
			return err
		}
		n, _ := sites[0].network()
		return sites[0].canDisturbApart(ctx, n, d)
	}
	if !d.Cut {
		return &lab.Error{ID: "fault-unsupported", Op: "slow", Err: fmt.Errorf("%w: embedded machines share this computer's loopback, which delays and loses nothing", lab.ErrUsage),
			Advice: "machines with a network of their own can: lab create --provider docker, or vagrant, or local.network: netns for root on Linux; cut works here, too"}
	}
	if err := silence.Supported(); err != nil {
		return &lab.Error{ID: "fault-unsupported", Op: "cut", Err: fmt.Errorf("%w: this system lets nobody cut the connections of embedded machines: %w", lab.ErrUsage, err),
			Advice: "kill and pause silence a machine, too; machines with a network of their own can be cut off: lab create --provider docker, or vagrant"}
	}
	return nil
}

// heardTimeout bounds how long a machine may take to reach all its sockets.
const heardTimeout = 15 * time.Second

// Disturb implements lab.Networker.
func (p *Provider) Disturb(ctx context.Context, plan lab.Plan, all []lab.Disturbance) error {
	for _, d := range all {
		if err := p.CanDisturb(ctx, plan, d); err != nil {
			return err
		}
	}
	sites, err := p.sites(plan, nil)
	if err != nil {
		return err
	}
	if apart(plan.Spec) {
		return disturbApart(ctx, sites, all)
	}
	return each(sites, func(_ int, s site) error {
		v, err := s.look(ctx)
		if err != nil || v.state != lab.StateRunning || v.life.State != folder.Running {
			return err // a boot begins with a whole network
		}
		return s.silence(ctx, v, cutFrom(plan.Nodes, s.node.Name, all))
	})
}

// cutFrom lists the addresses that a machine shall not hear. A cut is made on
// both sides.
func cutFrom(nodes []lab.Node, name string, all []lab.Disturbance) []string {
	out := []string{}
	for _, n := range nodes {
		if slices.ContainsFunc(all, func(d lab.Disturbance) bool {
			return d.Cut && (d.Node == name && d.Peer == n.Name || d.Peer == name && d.Node == n.Name)
		}) {
			out = append(out, n.IP.String())
		}
	}
	return out
}

// silence tells a machine whom not to hear, and waits until that is in force.
func (s site) silence(ctx context.Context, v view, cut []string) error {
	before, err := s.folder.Network()
	if err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	heard, err := s.folder.Heard()
	if err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	if slices.Equal(before.Cut, cut) && heard == (folder.Heard{Version: before.Version}) {
		return nil
	}
	wanted := folder.Network{Version: time.Now().UnixNano(), Cut: cut}
	if err := s.folder.WriteNetwork(wanted); err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	if err := v.life.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("%s: network: %w", s.node.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, heardTimeout)
	defer cancel()
	return lab.Until(ctx, pollEvery, s.node.Name+" to change its network", func(context.Context) error {
		heard, err := s.folder.Heard()
		switch {
		case err != nil:
			return err
		case heard.Version != wanted.Version:
			return errors.New("it has not answered yet")
		case heard.Problem != "":
			return lab.Permanent(&lab.Error{ID: "network", Op: "change the network", Machine: s.node.Name, Err: errors.New(heard.Problem), Advice: "lab heal mends it; see lab logs " + s.node.Name})
		}
		return nil
	})
}
