package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/scenarios"
)

// Components lists the platform's containers.
func (v *live) Components() []scenarios.Component {
	var out []scenarios.Component
	for _, c := range v.platform.Containers() {
		out = append(out, scenarios.Component{Name: c.Name, Node: c.Node})
	}
	return out
}

// Can says why a fault cannot be done exactly on this lab's machines.
func (v *live) Can(ctx context.Context, f scenarios.Fault) error {
	kind, _ := scenarios.KindNamed(f.Verb)
	switch f.Part {
	case scenarios.PartMachine:
		return v.canPower(kind)
	case scenarios.PartNetwork:
		return v.canDisturb(ctx, f)
	}
	return nil
}

func (v *live) canPower(kind scenarios.Kind) error {
	modes := v.provider.Features().PowerModes
	if slices.Contains(modes, kind.Power) {
		return nil
	}
	var can []string
	for _, k := range scenarios.Kinds() {
		if k.Power != "" && slices.Contains(modes, k.Power) {
			can = append(can, k.Verb)
		}
	}
	return &lab.Error{ID: "fault-unsupported", Op: kind.Verb, Err: fmt.Errorf("%w: machines of provider %s cannot do that", lab.ErrUsage, v.lab.Provider),
		Advice: "they know " + strings.Join(can, ", ")}
}

// entry is a fault as the journal holds it.
func entry(f scenarios.Fault, by string) state.Fault {
	e := state.Fault{
		ID: rand.Text(), Time: time.Now().UTC(), By: by, Fault: f.String(), Nodes: []string{f.Node}, Verb: f.Verb,
		Container: f.Container, Task: f.Task, From: f.From, Delay: f.Delay, Jitter: f.Jitter, Loss: f.Loss,
	}
	if f.Part == scenarios.PartMachine {
		e.Undo = lab.PowerOn
		return e
	}
	e.Part = string(f.Part)
	return e
}

// faultIn is the fault of a journal's entry.
func faultIn(e state.Fault) scenarios.Fault {
	f := scenarios.Fault{
		Verb: e.Verb, Part: scenarios.Part(e.Part), Container: e.Container, Task: e.Task, From: e.From, Delay: e.Delay, Jitter: e.Jitter, Loss: e.Loss,
	}
	if f.Part == "" {
		f.Part = scenarios.PartMachine
	}
	if len(e.Nodes) > 0 {
		f.Node = e.Nodes[0]
	}
	return f
}

// Break writes the journal, then does the fault. What passes by itself is
// struck again.
func (v *live) Break(ctx context.Context, f scenarios.Fault) error {
	e := entry(f, v.by)
	if err := v.lab.RecordFault(e); err != nil {
		return err
	}
	if f.Part == scenarios.PartMachine {
		v.forget(f.Node)
	}
	if err := v.do(ctx, f); err != nil || !f.Passing() {
		return err
	}
	return v.lab.StrikeFault(e.ID)
}

func (v *live) do(ctx context.Context, f scenarios.Fault) error {
	switch f.Part {
	case scenarios.PartMachine:
		kind, _ := scenarios.KindNamed(f.Verb)
		err := v.provider.Power(ctx, v.plan, []string{f.Node}, kind.Power)
		if err == nil && f.Passing() {
			err = v.provider.Power(ctx, v.plan, []string{f.Node}, lab.PowerOn)
		}
		return err
	case scenarios.PartDocker:
		return v.breakDocker(ctx, f)
	case scenarios.PartNetwork:
		return v.disturb(ctx)
	}
	return v.breakContainer(ctx, f)
}

func (v *live) breakDocker(ctx context.Context, f scenarios.Fault) error {
	host, err := v.host(ctx, f.Node)
	if err != nil {
		return err
	}
	switch f.Verb {
	case "kill":
		return host.KillDocker(ctx, true)
	case "crash":
		return host.KillDocker(ctx, false)
	case "pause":
		return host.SignalDocker(ctx, "STOP")
	}
	if err := host.StopDocker(ctx); err != nil || !f.Passing() {
		return err
	}
	return host.StartDocker(ctx)
}

// stopSeconds is how long a container may take for a clean end.
var stopSeconds = 10

func (v *live) breakContainer(ctx context.Context, f scenarios.Fault) error {
	docker, err := v.docker(ctx, f.Node)
	if err != nil {
		return err
	}
	switch f.Verb {
	case "kill":
		_, err = docker.ContainerKill(ctx, f.Container, client.ContainerKillOptions{Signal: "SIGKILL"})
	case "crash":
		err = v.crashContainer(ctx, docker, f)
	case "pause":
		_, err = docker.ContainerPause(ctx, f.Container, client.ContainerPauseOptions{})
	case "restart":
		if f.Passing() {
			_, err = docker.ContainerRestart(ctx, f.Container, client.ContainerRestartOptions{Timeout: &stopSeconds})
			break
		}
		fallthrough
	default:
		_, err = docker.ContainerStop(ctx, f.Container, client.ContainerStopOptions{Timeout: &stopSeconds})
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", f.Verb, f.Thing(), err)
	}
	return nil
}

// crashPatience is how long a container that is being restarted may take to
// have a process to crash.
const crashPatience = 5 * time.Second

// crashContainer ends the process itself: an engine that is asked to kill it
// takes that for a wish, and does not start it again.
func (v *live) crashContainer(ctx context.Context, docker *client.Client, f scenarios.Fault) error {
	host, err := v.host(ctx, f.Node)
	if err != nil {
		return err
	}
	sudo := "sudo -n "
	if host.Root() {
		sudo = ""
	}
	ctx, cancel := context.WithTimeout(ctx, crashPatience)
	defer cancel()
	return lab.Until(ctx, 100*time.Millisecond, "a process to crash", func(ctx context.Context) error {
		info, err := docker.ContainerInspect(ctx, f.Container, client.ContainerInspectOptions{})
		switch {
		case err != nil:
			return lab.Permanent(err)
		case info.Container.State == nil || !info.Container.State.Running || info.Container.State.Pid == 0:
			return errors.New("it does not run")
		}
		// It may end by itself before the signal comes.
		_, err = host.Run(ctx, fmt.Sprintf("%skill -s KILL %d", sudo, info.Container.State.Pid), nil)
		return err
	})
}

func (v *live) docker(ctx context.Context, node string) (*client.Client, error) {
	host, err := v.host(ctx, node)
	if err != nil {
		return nil, err
	}
	return host.Docker(ctx)
}

// Mend undoes a fault, then strikes it.
func (v *live) Mend(ctx context.Context, f scenarios.Fault) error {
	faults, err := v.lab.Faults()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range faults {
		if faultIn(e).Same(f) {
			errs = append(errs, v.mendEntry(ctx, e))
		}
	}
	return errors.Join(errs...)
}

// mendEntry undoes what an entry of the journal says, then strikes it. It may
// be repeated. What has passed with a machine's life needs no undoing.
func (v *live) mendEntry(ctx context.Context, e state.Fault) error {
	if e.Part == "" {
		if err := v.provider.Power(ctx, v.plan, e.Nodes, e.Undo); err != nil {
			return err
		}
		return v.lab.StrikeFault(e.ID)
	}
	f := faultIn(e)
	if f.Part == scenarios.PartNetwork { // what the journal holds is in force
		if err := v.disturbWithout(ctx, e.ID); err != nil {
			return err
		}
		return v.lab.StrikeFault(e.ID)
	}
	on, err := v.isOn(ctx, f.Node)
	if err == nil && on {
		err = v.mendInside(ctx, f)
	}
	if err != nil {
		return err
	}
	return v.lab.StrikeFault(e.ID)
}

func (v *live) isOn(ctx context.Context, node string) (bool, error) {
	status, err := v.provider.Status(ctx, v.plan)
	return slices.ContainsFunc(status, func(s lab.MachineStatus) bool { return s.Machine.Name == node && isRunning(s) }), err
}

// mendInside makes a daemon or a container run. Tasks are Marathon's to
// replace: one that is gone stays gone.
func (v *live) mendInside(ctx context.Context, f scenarios.Fault) error {
	host, err := v.host(ctx, f.Node)
	if err != nil {
		return err
	}
	if f.Part == scenarios.PartDocker {
		return host.StartDocker(ctx)
	}
	docker, err := host.Docker(ctx)
	if err != nil {
		return err
	}
	info, err := docker.ContainerInspect(ctx, f.Container, client.ContainerInspectOptions{})
	switch st := info.Container.State; {
	case errdefs.IsNotFound(err):
		return nil // lab create makes a component anew
	case err != nil:
		return err
	case st != nil && st.Paused:
		_, err = docker.ContainerUnpause(ctx, f.Container, client.ContainerUnpauseOptions{})
	case f.Part == scenarios.PartComponent && (st == nil || !st.Running):
		_, err = docker.ContainerStart(ctx, f.Container, client.ContainerStartOptions{})
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("mend %s: %w", f.Thing(), err)
	}
	return nil
}

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
			err = host.Disturb(ctx, v.peers(s.Machine.Name, all))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// peers merges what is wrong for one machine, by peer.
func (v *live) peers(node string, all []lab.Disturbance) []provision.Peer {
	var out []provision.Peer
	for _, n := range v.plan.Nodes {
		p := provision.Peer{IP: n.IP}
		for _, d := range all {
			forward := d.Node == node && d.Peer == n.Name
			p.Cut = p.Cut || d.Cut && (forward || d.Peer == node && d.Node == n.Name)
			if forward && !d.Cut {
				p.Delay, p.Jitter, p.Loss = max(p.Delay, d.Delay), max(p.Jitter, d.Jitter), max(p.Loss, d.Loss)
			}
		}
		if p.Cut || p.Delay > 0 || p.Loss > 0 {
			out = append(out, p)
		}
	}
	return out
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
