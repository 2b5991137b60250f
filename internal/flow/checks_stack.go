package flow

import (
	"context"
	"errors"
	"fmt"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// platform resolves the plan's stack, as create will.
func (c *common) platform() (stack.Platform, error) {
	if len(c.plan.Nodes) == 0 {
		return stack.Platform{}, errors.New("no machines")
	}
	return stack.New(c.plan.Spec, c.plan.ID, c.provider.Features(), c.plan.Nodes)
}

// stack looks for what stands against the stack on machines that do not exist
// yet, as far as it is known of them.
func (c *common) stack(ctx context.Context) []lab.Finding {
	p, err := c.platform()
	if err != nil {
		return []lab.Finding{computer.Failure("stack", err)}
	}
	if p.Embedded {
		return embeddable(p)
	}
	f, ok := c.provider.(lab.Foreseer)
	if !ok || p.Images.Mini {
		return nil // lab's own images run wherever a machine does
	}
	return foreseen(p.Needs(), f.Foresee(ctx, c.plan))
}

// embeddable refuses the article's images on embedded machines, whose engine
// knows lab's own programs and no others.
func embeddable(p stack.Platform) []lab.Finding {
	theirs := stack.SeedImages()
	for ours, image := range map[string]string{p.Images.Mesos: theirs.Mesos, p.Images.ZooKeeper: theirs.ZooKeeper, p.Images.Marathon: theirs.Marathon, p.Images.MarathonLB: theirs.MarathonLB} {
		if ours == image && !p.Images.Mini {
			return []lab.Finding{computer.Failure("stack", &lab.Error{ID: "stack-unsuitable", Op: "resolve the stack",
				Err:    fmt.Errorf("%w: the article's images do not run on embedded machines, which have lab's own programs only", lab.ErrUsage),
				Advice: "leave stack out (the mini stack), or take real machines: --provider vagrant or docker"})}
		}
	}
	return nil
}

// foreseen judges machines by what is known of them beforehand. What lab cures
// while it makes the lab is worth a note.
func foreseen(needs stack.Needs, f lab.Foreseen) []lab.Finding {
	facts := provision.Facts{Arch: f.Arch, Cgroup: f.Cgroup, SharedKernel: f.SharedKernel,
		Engine: provision.Engine{Number: f.Engine, API: f.API, MinAPI: f.MinAPI}}
	if f.Cgroup == 2 {
		facts.Init = provision.Systemd // nothing else sets it up
	}
	var found []lab.Finding
	for _, s := range needs.Unmet("", facts) {
		one := computer.Failure("stack", s.Err)
		if s.Cure != "" {
			one.Severity, one.Err, one.Advice = lab.SeverityNote, nil, ""
			one.Text += ": " + s.Cure
		}
		found = append(found, one)
	}
	return found
}
