package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mesoslab/lab"
)

func (p *platform) Components() []Component {
	out := []Component{{"zookeeper", "node1"}, {"mesos_master", "node1"}, {"marathon", "node1"}, {"marathon-lb", "node1"}}
	for i := range p.slaveIPs() {
		out = append(out, Component{fmt.Sprintf("mesos_slave%d", i+1), fmt.Sprintf("node%d", i+2)})
	}
	return out
}

func (p *platform) Can(_ context.Context, f Fault) error {
	k, _ := KindNamed(f.Verb)
	switch {
	case f.Part == PartMachine && !slices.Contains(p.modes, k.Power):
		return fmt.Errorf("%s: machines of this kind cannot do that", f.Verb)
	case f.Loss > 0 && p.noLoss:
		return errors.New("slow: these machines lose no packets")
	}
	return nil
}

func (p *platform) Leader(context.Context) (string, error) { return "10.0.0.1", nil }

// Break does what the real ones do: a crash breaks connections at once, and
// whatever a machine dies of, only unanswered pings remove its slave.
func (p *platform) Break(ctx context.Context, f Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did = append(p.did, f.String())
	if p.breakControl(f) {
		return nil
	}
	if p.flees(f) {
		return errors.New("it does not run")
	}
	k, _ := KindNamed(f.Verb)
	switch {
	case f.Part == PartMachine:
		p.die(p.ip(f.Node), k.Power)
	case f.Part == PartTask && f.Passing() && !p.undying:
		for _, a := range p.apps {
			for _, t := range slices.Clone(a.tasks) {
				if t.ID == f.Task {
					p.end(a, t, "TASK_FAILED")
					a.backoff = time.Now().Add(time.Second)
					time.AfterFunc(time.Second, p.reconcile)
				}
			}
		}
	case f.Part == PartDocker || f.Part == PartNetwork || slaveComponent().MatchString(f.Container):
		p.breakInside(f)
	}
	if f.Passing() && f.Part == PartMachine {
		delete(p.broken, p.ip(f.Node))
	}
	if !f.Passing() && f.Part != PartMachine {
		p.parts = append(p.parts, f)
	}
	return nil
}

// die ends a machine, or what is on it; the caller holds the lock.
func (p *platform) die(ip string, how lab.Power) {
	p.broken[ip] = how
	p.frozen = p.deafMarathon
	agent := p.agents[ip]
	if agent == nil { // the master has none
		return
	}
	if how == lab.PowerCrash && !p.staysActive {
		time.AfterFunc(50*time.Millisecond, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			agent.Active = p.broken[ip] == ""
		})
	}
	after := p.lossAfter
	if p.killsAtOnce {
		after = 20 * time.Millisecond
	}
	time.AfterFunc(after, func() { p.lose(ip, agent) })
}

// Mend brings a machine back. Its tasks died with its power; a slave that was
// removed meanwhile comes as a new one.
func (p *platform) Mend(_ context.Context, f Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did = append(p.did, "mend "+f.Thing())
	p.parts = slices.DeleteFunc(p.parts, f.Same)
	if p.mendControl(f) {
		return nil
	}
	ip := p.ip(f.Node)
	if p.broken[ip] == "" || slices.ContainsFunc(p.parts, func(g Fault) bool { return g.Node == f.Node }) {
		return nil
	}
	delete(p.broken, ip)
	p.reunite(ip)
	if p.agents[ip] != nil {
		p.agents[ip].Active = true
	} else if !p.rejoinsNever && f.Node != "node1" {
		p.returned++
		agent := &Agent{ID: fmt.Sprintf("master-S%d", 10+p.returned), IP: ip, Active: true, Registered: time.Now().Add(500 * time.Millisecond)}
		time.AfterFunc(500*time.Millisecond, func() { p.join(agent) })
	}
	return nil
}
