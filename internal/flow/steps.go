package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
)

// What each step looks at and does; the table is in prepare.go.

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
		return provision.MissingDocker(p.machine.Name, errors.New("no Docker on this machine, or a half installed one, and docker.install is false"))
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
