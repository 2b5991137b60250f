package flow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

func (p *preparation) connect(ctx context.Context, say func(string)) (err error) {
	say("SSH on " + p.machine.SSH.Addr)
	p.host, err = provision.Connect(ctx, p.machine)
	return err
}

// findFacts looks at the machine and ends at once where nothing can come of it.
func (p *preparation) findFacts(ctx context.Context, say func(string)) (err error) {
	say("looking at the machine")
	if p.facts, err = provision.FindFacts(ctx, p.host); err != nil {
		return err
	}
	if !p.facts.Sudo {
		return &lab.Error{ID: "sudo-missing", Op: "look at the machine", Machine: p.machine.Name,
			Err: fmt.Errorf("user %s may not become root without a password", p.facts.User), Advice: "give the user passwordless sudo, as every Vagrant box does"}
	}
	known := p.facts
	known.DiskMiB = 0 // judged when the images that are there are known
	return p.judge(known)
}

// judge says what the stack lacks on a machine like this and no later step
// cures.
func (p *preparation) judge(f provision.Facts) error {
	var errs []error
	for _, s := range p.platform.Needs().Unmet(p.machine.Name, f) {
		if s.Cure == "" {
			errs = append(errs, s.Err)
		}
	}
	return errors.Join(errs...)
}

func (p *preparation) clockOff() bool {
	return provision.ClockOff(p.facts)
}

// setClock sets the clock. One that cannot be set is no reason to stop.
func (p *preparation) setClock(ctx context.Context, say func(string)) error {
	say(fmt.Sprintf("the clock is %s off", p.facts.ClockOffset.Round(time.Millisecond)))
	changed, err := provision.SetClock(ctx, p.host, p.facts)
	if changed {
		p.did.add("clock of %s", p.machine.Name)
	}
	if lab.ErrorID(err) == "clock-skew" {
		p.note("warning: " + err.Error())
		return nil
	}
	return err
}

func (p *preparation) setNames(ctx context.Context, say func(string)) error {
	say("names of the machines in /etc/hosts")
	_, err := provision.SetHosts(ctx, p.host, p.platform.Nodes)
	return err
}

func (p *preparation) otherCgroup() bool {
	want := p.platform.Needs().Cgroup
	return want == 1 && p.facts.Cgroup == 2
}

func (p *preparation) setCgroup(ctx context.Context, say func(string)) (err error) {
	before := p.host
	p.host, p.facts, err = provision.UseCgroupV1(ctx, provision.Connector{}, p.host, p.facts, func(text string) {
		say(text)
	})
	if p.host != before {
		p.note("was restarted once, so that its kernel gives Mesos cgroup v1")
		p.did.add("cgroup v1 on %s", p.machine.Name)
	}
	return err
}

func (p *preparation) lacksDocker() bool { return provision.NeedsInstall(p.facts) }

func (p *preparation) installDocker(ctx context.Context, say func(string)) error {
	if install := p.platform.Spec.Docker.Install; install != nil && !*install {
		return provision.MissingDocker(p.machine.Name, errors.New("Docker is not, or not wholly, installed on this machine"))
	}
	say("installing docker.io")
	changed, err := provision.InstallDocker(ctx, p.host, p.facts, say)
	if changed {
		p.did.add("Docker on %s", p.machine.Name)
	}
	if err != nil {
		return err
	}
	p.facts, err = provision.FindFacts(ctx, p.host)
	return err
}

func (p *preparation) dockerStopped() bool { return p.facts.Engine.State == provision.EngineStopped }

func (p *preparation) awaitBoot(ctx context.Context, say func(string)) (err error) {
	say("Docker to start")
	p.facts.Engine, err = provision.AwaitBoot(ctx, p.host, p.facts, say)
	return err
}

func (p *preparation) configureDocker(ctx context.Context, say func(string)) error {
	say("Docker")
	changed, err := provision.ConfigureDocker(ctx, p.host, p.facts, provision.DockerOpts(p.platform.Spec.Docker))
	if changed {
		p.restarted = true
		p.did.add("DOCKER_OPTS on %s", p.machine.Name)
	}
	return err
}

func (p *preparation) wantsMuch() bool {
	n := p.platform.Needs()
	return n.MinAPI != "" || n.ClientAPI != "" || n.DiskMiB > 0
}

// judgeEngine looks at the engine that runs now and, where images have yet to
// come, at the room for them.
func (p *preparation) judgeEngine(ctx context.Context, say func(string)) (err error) {
	say("engine and disk")
	if p.facts.Engine.API == "" {
		if p.facts.Engine, err = p.host.EngineVersion(ctx); err != nil {
			return err
		}
	}
	known := p.facts
	missing, err := p.host.MissingImages(ctx, p.platform.WantedImages()[p.machine.Name])
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		known.DiskMiB = 0
	}
	return p.judge(known)
}

// verifyWait is how long an engine may take to open its port: real ones that
// insist on their warning need 16 s.
const verifyWait = 40 * time.Second

func (p *preparation) opensTCP() bool { return p.platform.Spec.Docker.TCP != "off" }

func (p *preparation) verifyTCP(ctx context.Context, say func(string)) error {
	port := p.platform.Spec.Ports.Docker
	say(fmt.Sprintf("Docker on tcp/%d", port))
	if p.platform.Spec.Docker.TCP == "local" {
		return provision.VerifyTCPFrom(ctx, p.host.Dial, "127.0.0.1", port, verifyWait)
	}
	return provision.VerifyTCP(ctx, p.machine.IP.String(), port, verifyWait)
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
