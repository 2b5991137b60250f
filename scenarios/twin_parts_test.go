package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
)

// insideSabotage spoils what is asked for from inside of the lab.
type insideSabotage struct {
	stopsInside   bool // a slave that is cut off stops its tasks
	keepsOrphans  bool // what was given up goes on when the slave is back
	usurped       bool // somebody else answers on the ports of lost tasks
	secretly      bool // lost tasks answer, and no engine knows of them
	countsNothing bool // no answer names a number
	shared        bool // all slaves have one disk
	shrinks       bool // a file that nobody uses loses a number
	losesFile     bool // a file that nobody uses is erased
	unpins        bool // a pinned app forgets its number as it restarts
	wipes         bool // a power cut takes what a pinned app has on the disk
	harmless      bool // a Docker daemon that is broken goes on
	undying       bool // tasks that are killed live
	loosens       bool // a constraint on a machine that is gone counts for nothing
	strays        bool // a container of the counter too many, once there was a new one
	fades         bool // after ten faults a slave loses its master for ever
	fleeting      bool // no sabotage: the first task that is aimed at ends by itself
}

// innards is what the twin knows of machines from the inside.
type innards struct {
	timeout time.Duration // pings
	count   int
	orphans []Task           // lost, and alive
	disk    map[string]int64 // what the counter's file says, by address
	fled    bool
}

// suit gives the twin the settings that a scenario needs.
func (p *platform) suit(sc Scenario) {
	if t, n := sc.pings(); n > 0 {
		p.timeout, p.count = t, n
		if p.lossAfter == 7*time.Second {
			early, late := p.Settings().Law()
			p.lossAfter = (early + late) / 2
		}
	}
}

// breakInside breaks what runs on a machine, or its network. The caller holds
// the lock.
func (p *platform) breakInside(f Fault) {
	ip := p.ip(f.Node)
	switch {
	case f.Part == PartNetwork:
		if f.Verb == "cut" && (f.From == "" || f.From == "node1") {
			p.die(ip, lab.PowerCut)
		}
	case f.Part == PartDocker && (p.harmless || f.Verb == "pause"):
	case f.Passing(): // a slave whose container is started again
		agent := p.agents[ip]
		if agent == nil {
			return
		}
		agent.Active = false
		time.AfterFunc(300*time.Millisecond, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			agent.Active, agent.Registered = p.broken[ip] == "", time.Now()
		})
	default:
		p.die(ip, lab.PowerCrash)
	}
}

// flees ends a task that is about to be broken. The caller holds the lock.
func (p *platform) flees(f Fault) bool {
	if !p.fleeting || p.fled || f.Part != PartTask {
		return false
	}
	p.fled = true
	for _, a := range p.apps {
		for _, t := range slices.Clone(a.tasks) {
			if t.ID == f.Task {
				p.end(a, t, "TASK_LOST")
				time.AfterFunc(time.Second, p.reconcile)
			}
		}
	}
	return true
}

// within says whether a machine's network or something in it is broken, and
// not the machine. The caller holds the lock.
func (p *platform) within(node string, parts ...Part) (Fault, bool) {
	i := slices.IndexFunc(p.parts, func(f Fault) bool { return f.Node == node && slices.Contains(parts, f.Part) })
	if i < 0 {
		return Fault{}, false
	}
	return p.parts[i], true
}

// reaches says what one machine sees of another. The caller holds the lock.
func (p *platform) reaches(from, to string) error {
	how := p.broken[p.ip(to)]
	cut, isCut := p.within(to, PartNetwork)
	_, inside := p.within(to, PartDocker, PartComponent)
	switch {
	case how == "" || inside, isCut && cut.Verb != "cut", isCut && from == to, isCut && cut.From != "" && cut.From != from:
		return nil
	case how == lab.PowerCrash && !isCut && !p.silentCrash:
		return fmt.Errorf("dial %s: %w", to, syscall.ECONNREFUSED)
	}
	return fmt.Errorf("dial %s: %w", to, os.ErrDeadlineExceeded)
}

// outlive keeps the tasks of a slave that was given up although it lives. The
// caller holds the lock.
func (p *platform) outlive(ip string, dead []Task) {
	if _, isCut := p.within("node"+ip[len(ip)-1:], PartNetwork); isCut && !p.stopsInside {
		p.orphans = append(p.orphans, dead...)
	}
}

// bound says whether a constraint keeps an app from a slave. The caller holds
// the lock.
func (p *platform) bound(a *twinApp, ip string) bool {
	pin := a.def.pin
	return pin != "" && ip != pin && !p.anywhere && (!p.loosens || p.agents[pin] != nil)
}

// faded says whether a slave has lost its master for ever. The caller holds the
// lock.
func (p *platform) faded(ip string) bool {
	faults := slices.DeleteFunc(slices.Clone(p.did), func(d string) bool { return strings.HasPrefix(d, "mend ") })
	return p.fades && ip == "10.0.0.2" && len(faults) >= 10 && len(p.broken)+len(p.parts) == 0
}

// reunite ends what was given up. The caller holds the lock.
func (p *platform) reunite(ip string) {
	if !p.keepsOrphans {
		p.orphans = slices.DeleteFunc(p.orphans, func(t Task) bool { return t.IP == ip })
	}
	for _, a := range p.apps {
		if p.wipes && a.def.pin == ip {
			delete(p.disk, ip)
		}
	}
}

// engine is what the engine of a machine answers beside the tasks that
// Marathon knows. The caller holds the lock.
func (p *platform) engine(node string) ([]Container, error) {
	if _, down := p.within(node, PartDocker); down && !p.harmless {
		return nil, errors.New("the engine does not answer")
	}
	var out []Container
	for _, t := range p.orphans {
		if t.IP == p.ip(node) && !p.secretly {
			out = append(out, Container{ID: "c-" + t.ID, TaskID: t.ID})
		}
	}
	if a := p.apps["counter"]; a != nil && p.strays && node == "node3" && p.next > 3 {
		out = append(out, Container{ID: "c-stray", TaskID: "counter.stray"})
	}
	return out, nil
}

// Ask finds who listens.
func (p *platform) Ask(_ context.Context, from, address string) (Reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, err := url.Parse(address)
	if err != nil {
		return Reply{}, err
	}
	ip := u.Hostname()
	if err := p.reaches(from, "node"+ip[len(ip)-1:]); err != nil {
		return Reply{}, err
	}
	all := slices.Clone(p.orphans)
	for _, a := range p.apps {
		all = append(all, a.tasks...)
	}
	for _, t := range all {
		if t.IP != ip || strconv.Itoa(t.Port) != u.Port() {
			continue
		}
		if f, ok := p.within("node"+ip[len(ip)-1:], PartTask); ok && f.Task == t.ID {
			return Reply{}, fmt.Errorf("ask %s: %w", address, os.ErrDeadlineExceeded)
		}
		if p.usurped {
			t.ID = "nginx.other"
		}
		return Reply{Status: http.StatusOK, Task: t.ID}, nil
	}
	return Reply{}, fmt.Errorf("ask %s: %w", address, syscall.ECONNREFUSED)
}

// counts lets a task count. The caller holds the lock.
func (p *platform) counts(w http.ResponseWriter, s Task, def twinDef) {
	if !def.counts || p.countsNothing {
		return
	}
	if p.disk == nil {
		p.disk = map[string]int64{}
	}
	on := s.IP
	if p.shared {
		on = "shared"
	}
	if p.unpins && def.pin != "" && p.served[s.ID] == 1 {
		p.disk[on] = 0
	}
	p.disk[on]++
	w.Header().Set("X-Lab-Count", strconv.FormatInt(p.disk[on], 10))
}

// File knows one: the counter's.
func (p *platform) File(_ context.Context, node, name string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	on := p.ip(node)
	inUse := false
	for _, a := range p.apps {
		inUse = inUse || slices.ContainsFunc(a.tasks, func(t Task) bool { return a.def.counts && t.IP == on })
	}
	if p.shared {
		on = "shared"
	}
	n, ok := p.disk[on]
	switch {
	case p.reaches("", node) != nil:
		return nil, fmt.Errorf("%s does not answer", node)
	case !ok || name != "/var/lib/lab-counter/count" || p.losesFile && !inUse:
		return nil, fs.ErrNotExist
	case p.shrinks && !inUse:
		n -= 50
	}
	return fmt.Appendf(nil, "%d\n", n), nil
}

// Forget empties a machine's only folder.
func (p *platform) Forget(_ context.Context, node, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.disk, p.ip(node))
	return nil
}
