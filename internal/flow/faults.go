package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
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
	case scenarios.PartComponent:
		if f.Verb == scenarios.VerbFlags {
			_, err := v.platform.WithFlags(f.Container, strings.Fields(f.Flags))
			return err
		}
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
		Container: f.Container, Task: f.Task, From: f.From, Delay: f.Delay, Jitter: f.Jitter, Loss: f.Loss, Flags: f.Flags,
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
		Verb: e.Verb, Part: scenarios.Part(e.Part), Container: e.Container, Task: e.Task, From: e.From, Delay: e.Delay, Jitter: e.Jitter, Loss: e.Loss, Flags: e.Flags,
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
	if f.Verb == scenarios.VerbFlags {
		return v.reflag(ctx, f.Container, strings.Fields(f.Flags))
	}
	if f.Verb == scenarios.VerbWipe {
		return v.withoutData(ctx, f, layAside)
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
const stopSeconds = 10

func (v *live) breakContainer(ctx context.Context, f scenarios.Fault) error {
	docker, err := v.docker(ctx, f.Node)
	if err != nil {
		return err
	}
	patience := stopSeconds
	switch f.Verb {
	case "kill":
		_, err = docker.ContainerKill(ctx, f.Container, client.ContainerKillOptions{Signal: "SIGKILL"})
	case "crash":
		err = v.crashContainer(ctx, docker, f)
	case "pause":
		_, err = docker.ContainerPause(ctx, f.Container, client.ContainerPauseOptions{})
	case "restart":
		if f.Passing() {
			_, err = docker.ContainerRestart(ctx, f.Container, client.ContainerRestartOptions{Timeout: &patience})
			break
		}
		fallthrough
	default:
		_, err = docker.ContainerStop(ctx, f.Container, client.ContainerStopOptions{Timeout: &patience})
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
