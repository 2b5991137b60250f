package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// releaseSabotage spoils what upgrades without losses and load balancers with
// other flags rest on.
type releaseSabotage struct {
	ignoresGroups bool // the load balancer drains nobody
	leaky         bool // it sends requests to those that it drains
	claimsIdle    bool // it counts no request as under way
	handsOver     bool // no sabotage: requests under way are an older process's, as a real HAProxy's
	premature     bool // it tells the upgrade at once that nothing is under way, and answers take longer than that waits
	unseen        bool // no sabotage: no look but the upgrade's own finds a drained server idle
	echoes        bool // the old release answers once in a while, even when it is gone
	keepsBlue     bool // one task of a deleted app lives on
	drops         bool // one request in a while gets an error page
	orphan        bool // one container of the old app is left
	ignoresFlags  bool // flags of the load balancer change nothing
	flagsFade     bool // after a rollback they change nothing any more
	sameID        bool // a rollback has the old version's id
	rolledBack    bool // no sabotage: a rollback was asked for
	almostBack    bool // a rollback forgets half of the old configuration
}

// serves says whether the load balancer makes a server of a task: of all that
// Marathon lists, or with --health-check of the healthy ones. The caller holds
// the lock.
func (p *platform) serves(t Task) bool {
	checks := p.lbHas("--health-check")
	return !t.Started.IsZero() && (t.Healthy || !checks || p.ignoresFlags || p.flagsFade && p.rolledBack)
}

// lbHas says whether the load balancer was started with a flag. The caller
// holds the lock.
func (p *platform) lbHas(flag string) bool {
	return slices.ContainsFunc(p.parts, func(f Fault) bool {
		return f.Verb == VerbFlags && f.Container == "marathon-lb" && slices.Contains(strings.Fields(f.Flags), flag)
	})
}

// ConfiguredAs compares definitions but for their ids.
func (p *platform) ConfiguredAs(_ context.Context, id, version string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[id]
	if a == nil {
		return false, fmt.Errorf("app %s: %w", id, lab.ErrNotFound)
	}
	now, then := a.def, a.versions[version]
	now.version, then.version = "", ""
	return now == then, nil
}

// twinGroup is what labels say of a deployment group.
type twinGroup struct {
	group, colour, started string
	groupPort, target      int
}

func groupOf(labels map[string]string) twinGroup {
	number := func(label string) int { n, _ := strconv.Atoi(labels[label]); return n }
	return twinGroup{
		group: labels[labelGroup], colour: labels[labelColour], started: labels[labelStarted],
		groupPort: number(labelPort), target: number(labelTarget),
	}
}

// grouped are the apps of a group, the oldest first. The caller holds the lock.
func (p *platform) grouped(is func(twinGroup) bool) []*twinApp {
	var out []*twinApp
	for _, a := range p.apps {
		if a.def.group != "" && is(a.def.twinGroup) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(x, y *twinApp) int {
		return cmp.Or(cmp.Compare(x.def.started, y.def.started), cmp.Compare(x.id, y.id))
	})
	return out
}

// draining are the old tasks that the load balancer disables: as many as
// healthy new ones stand in for, those with the lowest ids.
func (p *platform) draining(group []*twinApp) map[string]bool {
	out := map[string]bool{}
	if len(group) < 2 || p.ignoresGroups {
		return out
	}
	old, fresh := group[0], group[1]
	healthy := 0
	for _, t := range fresh.tasks {
		if t.Healthy {
			healthy++
		}
	}
	ids := make([]string, 0, len(old.tasks))
	for _, t := range old.tasks {
		ids = append(ids, t.ID)
	}
	slices.Sort(ids)
	for _, id := range ids[:max(0, min(len(ids), healthy, healthy+old.count-fresh.def.target))] {
		out[id] = true
		p.drained[id] = true
	}
	// A server stays disabled in the configuration until the next one.
	for _, t := range old.servers {
		if p.drained[t.ID] && !slices.Contains(ids, t.ID) {
			out[t.ID] = true
		}
	}
	return out
}

// groupServers are those that may get requests on a group's port.
func (p *platform) groupServers(port int) []Task {
	group := p.grouped(func(g twinGroup) bool { return g.groupPort == port })
	drained := p.draining(group)
	var out []Task
	for _, a := range group {
		for _, t := range a.servers {
			if !drained[t.ID] || p.leaky {
				out = append(out, t)
			}
		}
	}
	return out
}

// groupApp shows a group as one app. The caller holds the lock.
func (p *platform) groupApp(id string) (App, error) {
	group := p.grouped(func(g twinGroup) bool { return g.group == id })
	if len(group) == 0 {
		return App{}, fmt.Errorf("app %s: %w", id, lab.ErrNotFound)
	}
	out := App{ID: id, URL: fmt.Sprintf("http://10.0.0.1:%d/", group[0].def.groupPort), HasChecks: true, Backoff: time.Second, CheckEvery: time.Second}
	for _, a := range group {
		out.Members = append(out.Members, a.id)
		out.Instances += a.count
		out.Queued += max(0, a.count-len(a.tasks))
		out.Tasks = append(out.Tasks, a.tasks...)
		out.Version = a.def.version
	}
	return out, nil
}

func (p *platform) Group(_ context.Context, group string) ([]GroupApp, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []GroupApp
	for _, a := range p.grouped(func(g twinGroup) bool { return g.group == group }) {
		settled := len(a.tasks) == a.count && !slices.ContainsFunc(a.tasks, func(t Task) bool { return !t.Healthy })
		out = append(out, GroupApp{
			ID: a.id, Colour: a.def.colour, Instances: a.count, Target: a.def.target, Port: a.def.groupPort, Service: a.port,
			Deploying: !settled, Tasks: slices.Clone(a.tasks),
		})
	}
	return out, nil
}

func (p *platform) Create(ctx context.Context, app AppFile) error { return p.Deploy(ctx, app) }

func (p *platform) Dismiss(ctx context.Context, ids []string) error { return p.KillTasks(ctx, ids) }

// Reloading is true while a process before the last reload has anything to
// answer, if there are such.
func (p *platform) Reloading(context.Context) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.flying {
		if p.handsOver && p.drained[id] && n > 0 {
			return true, nil
		}
	}
	return false, nil
}

func (p *platform) Listeners(_ context.Context, group string, _ int) ([]Backend, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.groupBackends(group)
	for i := range out {
		if p.premature {
			out[i].Current = 0
		}
	}
	return out, nil
}

// groupBackends are a group's servers with their counters. The caller holds the
// lock.
func (p *platform) groupBackends(group string) []Backend {
	apps := p.grouped(func(g twinGroup) bool { return g.group == group })
	drained := p.draining(apps)
	var out []Backend
	for _, a := range apps {
		for _, t := range a.servers {
			b := Backend{Address: fmt.Sprintf("%s:%d", t.IP, t.Port), Requests: p.served[t.ID] - p.reloaded[t.ID], Current: p.flying[t.ID], Status: statusUp}
			if drained[t.ID] {
				b.Status = statusMaint
			}
			if p.claimsIdle || p.handsOver && drained[t.ID] {
				b.Current = 0
			}
			out = append(out, b)
		}
	}
	return out
}

// ownerless are containers that no app of Marathon's owns.
func (p *platform) ownerless(node string) []Container {
	if p.orphan && node == "node3" {
		return []Container{{ID: "orphan", TaskID: "orders-blue.forgotten"}}
	}
	return nil
}

// take is the time that a task takes for an answer. Who is killed meanwhile
// answers nobody.
func (p *platform) take(s Task, def twinDef) {
	if p.premature {
		def.delay *= 3
	}
	time.Sleep(def.delay)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.apps {
		if slices.ContainsFunc(a.tasks, func(t Task) bool { return t.ID == s.ID }) {
			return
		}
	}
	if def.group != "" {
		panic(http.ErrAbortHandler)
	}
}
