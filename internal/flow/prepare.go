package flow

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// preparation is one machine on its way from SSH to an open engine.
type preparation struct {
	platform  stack.Platform
	machine   lab.Machine
	did       *changes
	note      func(text string)
	host      *provision.Host
	facts     provision.Facts
	restarted bool // Docker was
}

// step is one thing that is done to every machine. Its name is what people and
// event logs see.
type step struct {
	name string
	// look says from what is known by then whether there is anything to do; nil
	// means that do looks for itself.
	look func(*preparation) bool
	do   func(p *preparation, ctx context.Context, say func(string)) error
	// quiet steps are told only while they take long and where they fail.
	quiet bool
}

// steps are done in this order. Each may be interrupted, and finds what it has
// done when it is done again.
var steps = []step{
	{name: "ssh", do: (*preparation).connect},
	{name: "facts", do: (*preparation).findFacts, quiet: true},
	{name: "clock", look: (*preparation).clockOff, do: (*preparation).setClock},
	{name: "names", do: (*preparation).setNames, quiet: true},
	{name: "cgroup", look: (*preparation).otherCgroup, do: (*preparation).setCgroup},
	{name: "docker", look: (*preparation).lacksDocker, do: (*preparation).installDocker},
	{name: "boot", look: (*preparation).dockerStopped, do: (*preparation).awaitBoot, quiet: true},
	{name: "DOCKER_OPTS", do: (*preparation).configureDocker},
	{name: "engine", look: (*preparation).wantsMuch, do: (*preparation).judgeEngine, quiet: true},
	{name: "tcp", look: (*preparation).opensTCP, do: (*preparation).verifyTCP},
}

// prepareAll takes all machines through the steps at once. One that fails does
// not stop the others: they are further for the next time, and every failure
// is told. The connections are returned in any case.
func prepareAll(ctx context.Context, p stack.Platform, machines []lab.Machine, report lab.Report, did *changes) (map[string]*provision.Host, error) {
	all := make([]*preparation, len(machines))
	errs := make([]error, len(machines))
	var group sync.WaitGroup
	for i, m := range machines {
		all[i] = &preparation{platform: p, machine: m, did: did, note: func(text string) {
			report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Node: m.Name, Text: text})
		}}
		group.Go(func() {
			if errs[i] = all[i].run(ctx, steps, grouped(report, "machine")); errs[i] == nil {
				report.Emit(lab.Event{Op: "create", Kind: lab.EventDone, Node: m.Name, Step: "machine"})
			}
		})
	}
	group.Wait()
	hosts := map[string]*provision.Host{}
	for _, one := range all {
		if one.host != nil {
			hosts[one.machine.Name] = one.host
		}
	}
	if err := errors.Join(errs...); err != nil {
		return hosts, err
	}
	return hosts, crossCheck(ctx, p, all, report)
}

// run does the steps and reports each.
func (p *preparation) run(ctx context.Context, steps []step, report lab.Report) error {
	for _, s := range steps {
		if s.look != nil && !s.look(p) {
			continue
		}
		name := s.name
		if name == "tcp" { // the port is what people look for
			name = fmt.Sprintf(":%d", p.platform.Spec.Ports.Docker)
		}
		err := reported(report, p.machine.Name, name, s.quiet, func(say func(string)) error { return s.do(p, ctx, say) })
		if err != nil {
			return err
		}
	}
	return nil
}

// reported is lab.Report.Step for create; people need not hear the end of a
// quiet step.
func reported(report lab.Report, node, name string, quiet bool, fn func(say func(string)) error) error {
	return lab.Report(func(e lab.Event) {
		if quiet && e.Kind == lab.EventDone {
			e.Data["quiet"] = true
		}
		report.Emit(e)
	}).Step("create", node, name, fn)
}

// crossCheck asks each open engine from another machine, as the article's
// scripts on the master do: what this computer reaches, the machines need not
// reach among themselves. It warns of who else can ask.
func crossCheck(ctx context.Context, p stack.Platform, all []*preparation, report lab.Report) error {
	if p.Spec.Docker.TCP != "open" {
		return nil
	}
	restarted, facts := false, map[string]provision.Facts{}
	for _, one := range all {
		restarted = restarted || one.restarted
		facts[one.machine.Name] = one.facts
	}
	err := reported(report, "", "reach", true, func(say func(string)) error {
		say(fmt.Sprintf("machines to reach each other's tcp/%d", p.Spec.Ports.Docker))
		group, ctx := errgroup.WithContext(ctx)
		for i, one := range all {
			from := all[(i+1)%len(all)]
			group.Go(func() error {
				return provision.VerifyTCPBetween(ctx, from.host, one.machine, p.Spec.Ports.Docker, verifyWait)
			})
		}
		return group.Wait()
	})
	if err != nil {
		return err
	}
	if text := provision.Exposure(p.Nodes, facts, p.Spec.Ports.Docker); text != "" && restarted {
		report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Step: "exposure", Text: "warning: " + text})
	}
	return nil
}
