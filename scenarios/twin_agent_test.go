package scenarios

import (
	"fmt"
	"time"
)

// breakAgent ends the process of a slave; its tasks run on. The caller holds
// the lock.
func (p *platform) breakAgent(f Fault) {
	c := &p.control
	ip := p.ip(f.Node)
	if f.Verb != "pause" {
		code := 0
		if f.Verb == "kill" || f.Verb == "crash" {
			code = 137
		}
		p.endProcess(f.Container, code, f.Passing())
	}
	if !f.Passing() {
		p.parts = append(p.parts, f)
	}
	c.agentFaults++
	outage := c.agentFaults
	c.agents[ip] = outage
	p.control.touched = p.control.touched || p.restartedTasks
	agent := p.agents[ip]
	if agent == nil {
		return
	}
	p.later(50*time.Millisecond, func() { agent.Active = agent.Active && (c.agents[ip] != outage || p.staysActive) })
	after := p.lossAfter
	if p.killsAtOnce {
		after = 20 * time.Millisecond
	}
	p.later(after, func() {
		if c.agents[ip] == outage && p.agents[ip] == agent {
			p.loseAgent(ip)
		}
	})
	if f.Passing() && !p.sluggish {
		back := 200 * time.Millisecond
		if p.late {
			back = p.lossAfter + time.Second
		}
		p.later(back, func() { p.agentBack(f) })
	}
}

// loseAgent removes a slave; what ran there is lost, and runs on.
func (p *platform) loseAgent(ip string) {
	delete(p.agents, ip)
	for _, a := range p.apps {
		for _, t := range append([]Task{}, a.tasks...) {
			if t.IP != ip {
				continue
			}
			p.end(a, t, "TASK_LOST")
			if !p.bundled {
				p.control.orphans[ip] = append(p.control.orphans[ip], Container{ID: "c-" + t.ID, TaskID: t.ID, Started: t.Staged})
			}
			a.backoff = time.Now().Add(time.Second)
			time.AfterFunc(time.Second, p.reconcile)
		}
	}
}

func (p *platform) mendAgent(f Fault) {
	proc := p.control.processes[f.Container]
	proc.Running, proc.Started = true, time.Now()
	p.agentBack(f)
}

// agentBack lets a slave register again: as the old one, or, if it was removed,
// after its end as a new one.
func (p *platform) agentBack(f Fault) {
	c := &p.control
	ip := p.ip(f.Node)
	c.agents[ip] = 0
	if a := p.agents[ip]; a != nil {
		again := *a
		again.Active, again.Registered = true, time.Now()
		if p.amnesia {
			again.ID += "9"
		}
		p.agents[ip] = &again
		return
	}
	if p.rejoinsNever {
		return
	}
	if !p.squatters {
		delete(c.orphans, ip)
	}
	if !p.quietReturn {
		p.endProcess(f.Container, 0, true)
	}
	p.returned++
	id := fmt.Sprintf("master-S%d", 10+p.returned)
	if p.restless {
		id = "master-S" + ip[len(ip)-1:]
	}
	agent := &Agent{ID: id, IP: ip, Active: true, Registered: time.Now().Add(500 * time.Millisecond)}
	time.AfterFunc(500*time.Millisecond, func() { p.join(agent) })
}

// breakEngine: a machine's engine takes all containers along. What becomes of
// the machine's slave and tasks is that of a crash.
func (p *platform) breakEngine(f Fault) {
	ip := p.ip(f.Node)
	p.endProcess(p.slaveOn(f.Node), 0, false)
	for _, a := range p.apps {
		for _, t := range a.tasks {
			if t.IP == ip && p.survivors {
				p.control.revenants = append(p.control.revenants, Container{ID: "c-" + t.ID, TaskID: t.ID, Started: t.Staged})
			}
		}
	}
}

// mendEngine starts the slave's container. A slave that was removed is told to
// shut down.
func (p *platform) mendEngine(f Fault) {
	name := p.slaveOn(f.Node)
	proc := p.control.processes[name]
	proc.Running, proc.Ends = true, nil // an engine's memory begins with it
	if !p.sameProcess {
		proc.Started = time.Now()
	}
	if !p.quietReturn {
		proc.Ends = []End{{At: time.Now()}}
	}
	p.control.orphans[p.ip(f.Node)] = p.control.revenants
}

func (p *platform) slaveOn(node string) string {
	for _, c := range p.Components() {
		if c.Node == node && slaveComponent().MatchString(c.Name) {
			return c.Name
		}
	}
	return "mesos_master" // the engine of the master's machine
}
