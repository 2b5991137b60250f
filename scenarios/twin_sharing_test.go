package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/scenarios/framework"
)

// sharingSabotage spoils how Mesos shares the cluster.
type sharingSabotage struct {
	countsTasks    bool // who has the fewest tasks is next, not who has the smallest share
	ignoresWeights bool // the master shows its weights and does not use them
	losesFlags     bool // the master never gets its flags
	lingers        bool // tasks of a framework that has left live on for a while
	silent         bool // nobody is told of offers that have no room
}

// twinGuest is a framework of ours in the twin.
type twinGuest struct {
	spec   framework.Spec
	saw    func(framework.Decision)
	tasks  map[string]string // ids → slave
	filter map[string]time.Time
	n      int
	gone   bool
}

// Framework offers each second what is free, slave by slave, to whom the
// smallest share belongs: coarse offers, as Mesos makes them.
func (p *platform) Framework(ctx context.Context, spec framework.Spec, saw func(framework.Decision)) error {
	g := &twinGuest{spec: spec, saw: saw, tasks: map[string]string{}, filter: map[string]time.Time{}}
	p.mu.Lock()
	p.guests = append(p.guests, g)
	p.mu.Unlock()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.depart(g)
			return nil
		case <-tick.C:
			p.mu.Lock()
			if p.guests[0] == g { // one of them is enough to drive it
				p.offerAll()
			}
			p.mu.Unlock()
		}
	}
}

func (p *platform) depart(g *twinGuest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g.gone = true
	remove := func() { p.guests = slices.DeleteFunc(p.guests, func(o *twinGuest) bool { return o == g }) }
	if !p.lingers {
		remove()
		return
	}
	p.guests = append(slices.DeleteFunc(p.guests, func(o *twinGuest) bool { return o == g }), g)
	time.AfterFunc(45*time.Second, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		remove()
	})
}

const twinMem = 1000 // MiB of each slave

// offerAll is one allocation. The caller holds the lock.
func (p *platform) offerAll() {
	p.rounds++
	ips := p.slaveIPs()
	if p.rounds%2 == 0 {
		slices.Reverse(ips)
	}
	offered := map[*twinGuest][2]float64{} // counts as held until it is answered
	for _, ip := range ips {
		cpus, mem := p.free(ip), float64(twinMem)
		for _, g := range p.guests {
			for _, at := range g.tasks {
				if at == ip {
					cpus, mem = cpus-g.spec.CPUs, mem-g.spec.Mem
				}
			}
		}
		var next *twinGuest
		for _, g := range p.guests {
			if !g.gone && !time.Now().Before(g.filter[ip]) && (next == nil || p.share(g, offered[g]) < p.share(next, offered[next])) {
				next = g
			}
		}
		if next == nil || cpus < 0.01 && mem < 32 {
			continue
		}
		offered[next] = [2]float64{offered[next][0] + cpus, offered[next][1] + mem}
		p.answerOffer(next, ip, cpus, mem)
	}
}

func (p *platform) answerOffer(g *twinGuest, ip string, cpus, mem float64) {
	d := framework.Decision{At: time.Now(), Agent: ip, Host: ip, CPUs: cpus, Mem: mem}
	if cpus+1e-6 < g.spec.CPUs || mem+1e-6 < g.spec.Mem {
		g.filter[ip] = time.Now().Add(5 * time.Second)
		if d.Why = "too little"; !p.silent {
			g.saw(d)
		}
		return
	}
	g.n++
	d.Task = fmt.Sprintf("%s.%d", g.spec.Name, g.n)
	g.tasks[d.Task] = ip
	g.saw(d)
}

// share is the weighted dominant share of a framework's role.
func (p *platform) share(g *twinGuest, offered [2]float64) float64 {
	n, slaves := float64(len(g.tasks)), float64(len(p.slaveIPs()))
	if p.countsTasks {
		return n
	}
	weight := 1.0
	if w, ok := p.masterWeights()[g.spec.Role]; ok && !p.ignoresWeights {
		weight = w
	}
	return max((n*g.spec.CPUs+offered[0])/slaves, (n*g.spec.Mem+offered[1])/(slaves*twinMem)) / weight
}

// masterWeights are those of the flags that the master runs with.
func (p *platform) masterWeights() map[string]float64 {
	out := map[string]float64{}
	for _, f := range p.parts {
		_, text, ok := strings.Cut(f.Flags, "--weights=")
		role, number, _ := strings.Cut(text, "=")
		if w, err := strconv.ParseFloat(number, 64); ok && err == nil && !p.losesFlags {
			out[role] = w
		}
	}
	return out
}

func (p *platform) Holdings(context.Context, []string) (Holdings, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := Holdings{Weights: p.masterWeights()}
	for _, ip := range p.slaveIPs() {
		h.Slaves = append(h.Slaves, SlaveRoom{CPUs: 1, Mem: twinMem, TakenCPUs: 1 - p.free(ip)})
	}
	for _, g := range p.guests {
		n := float64(len(g.tasks))
		h.Frameworks = append(h.Frameworks, Holding{Name: g.spec.Name, Role: g.spec.Role, CPUs: n * g.spec.CPUs, Mem: n * g.spec.Mem, Tasks: len(g.tasks)})
	}
	return h, nil
}

// guestContainers are what an engine runs for frameworks of ours.
func (p *platform) guestContainers(node string) []Container {
	var out []Container
	for _, g := range p.guests {
		for id, ip := range g.tasks {
			if ip == p.ip(node) {
				out = append(out, Container{ID: "c-" + id, TaskID: id})
			}
		}
	}
	return out
}
