package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"
)

// twinDef is what the twin understands of an app's definition.
type twinDef struct {
	version   string
	instances int
	cpus      float64
	port      int
	release   string
	delay     time.Duration
	crash     time.Duration
	sick      bool
	sickAfter time.Duration
	unique    bool
	pin       string // the only address
	counts    bool
	inPlace   bool // the old go before the new come
	badLabel  bool
	twinGroup
}

// merge reads a definition over an older one, as a PUT does.
func (d twinDef) merge(data []byte) (twinDef, error) {
	var f struct {
		Instances       *int
		CPUs            *float64
		Env             map[string]string
		Labels          map[string]string
		Constraints     [][]string
		UpgradeStrategy *struct{ MinimumHealthCapacity float64 }
		Container       *struct {
			Docker struct{ PortMappings []struct{ ServicePort int } }
		}
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return d, err
	}
	if f.Instances != nil {
		d.instances = *f.Instances
	}
	if f.CPUs != nil {
		d.cpus = *f.CPUs
	}
	if f.Container != nil && len(f.Container.Docker.PortMappings) > 0 {
		d.port = f.Container.Docker.PortMappings[0].ServicePort
	}
	if f.Env != nil {
		length := func(name string) time.Duration { v, _ := time.ParseDuration(f.Env[name]); return v }
		d.counts = f.Env["LAB_WEB_COUNTER"] != ""
		d.release, d.sick = f.Env["LAB_WEB_RELEASE"], f.Env["LAB_WEB_SICK_AFTER"] != ""
		d.delay, d.crash, d.sickAfter = length("LAB_WEB_DELAY"), length("LAB_WEB_CRASH_AFTER"), length("LAB_WEB_SICK_AFTER")
	}
	if f.Labels != nil {
		d.badLabel = f.Labels["HAPROXY_0_BALANCE"] != ""
		d.twinGroup = groupOf(f.Labels)
	}
	for _, c := range f.Constraints {
		switch c[1] {
		case "UNIQUE":
			d.unique = true
		case "CLUSTER":
			d.pin = c[2]
		}
	}
	if f.UpgradeStrategy != nil {
		d.inPlace = f.UpgradeStrategy.MinimumHealthCapacity == 0
	}
	d.version = time.Now().Format(time.RFC3339Nano)
	return d, nil
}

// Deploy makes an app, or replaces its tasks by those of a new version.
func (p *platform) Deploy(_ context.Context, app AppFile) error {
	p.mu.Lock()
	a := p.apps[app.ID]
	if a == nil {
		a = &twinApp{id: app.ID, versions: map[string]twinDef{}}
	}
	def, err := a.def.merge(app.JSON)
	if err != nil {
		p.mu.Unlock()
		return fmt.Errorf("deploy %s: %w", app.ID, err)
	}
	known := p.apps[app.ID] != nil
	p.apps[app.ID] = a
	p.mu.Unlock()
	p.become(a, def, known)
	return nil
}

// Rollback is an update to an old definition, whatever else goes on.
func (p *platform) Rollback(_ context.Context, id, version string) error {
	p.mu.Lock()
	a := p.apps[id]
	def, ok := a.versions[version]
	forgets := p.forgetsBack
	if p.rolledBack = true; p.flagsFade {
		p.follow(a)
	}
	if !p.sameID {
		def.version = time.Now().Format(time.RFC3339Nano)
	}
	if p.almostBack {
		def.cpus *= 2
	}
	p.mu.Unlock()
	if !ok {
		return fmt.Errorf("app %s has no version %q", id, version)
	}
	if !forgets {
		p.become(a, def, true)
	}
	return nil
}

// become lets an app have another definition: new tasks come, and as soon as
// they are healthy the others go.
func (p *platform) become(a *twinApp, def twinDef, known bool) {
	p.mu.Lock()
	old := slices.Clone(a.tasks)
	a.def, a.port, a.crashes, a.backoff = def, def.port, 0, time.Time{}
	a.versions[def.version] = def
	a.count = def.instances
	if known {
		a.deployments = 1
		if def.inPlace {
			for _, t := range old {
				p.end(a, t, "TASK_KILLED")
			}
		} else {
			a.count += len(old)
		}
	}
	p.mu.Unlock()
	p.reconcile()
	if known {
		time.AfterFunc(500*time.Millisecond, func() { p.finish(a, def) })
	}
}

// finish ends a deployment, if it is the last one and its tasks are healthy.
func (p *platform) finish(a *twinApp, def twinDef) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.def.version != def.version || p.apps[a.id] != a {
		return
	}
	healthy := 0
	for _, t := range a.tasks {
		if t.Version == def.version && t.Healthy {
			healthy++
		}
	}
	if healthy < def.instances && !p.gullible {
		time.AfterFunc(500*time.Millisecond, func() { p.finish(a, def) })
		return
	}
	a.deployments, a.count = 0, def.instances
	fresh := 0
	for i, t := range slices.Clone(a.tasks) {
		if t.Version == def.version {
			fresh++ // more than enough, if an old one died meanwhile
		}
		if t.Version == def.version && fresh > def.instances || t.Version != def.version && (!p.forgetsOld || i > 0) {
			p.end(a, t, "TASK_KILLED")
		}
	}
}

// misbehave is what becomes of a task by its definition. The caller holds the
// lock.
func (p *platform) misbehave(a *twinApp, t Task) {
	def := a.def
	if def.crash > 0 {
		p.change(a, t.ID, def.crash, func(t *Task) {
			p.end(a, *t, "TASK_FAILED")
			wait := time.Duration(float64(time.Second) * math.Pow(1.15, float64(a.crashes)))
			if p.patientCrash {
				wait = 10 * time.Millisecond
			}
			a.crashes++
			a.backoff = time.Now().Add(wait)
			time.AfterFunc(wait, p.reconcile)
		})
	}
	if def.sick && def.sickAfter > 0 && !p.forgives {
		p.check(a, t, def.sickAfter)
	}
}

// check fails a task's checks from a time on, and kills it for that.
func (p *platform) check(a *twinApp, t Task, from time.Duration) {
	checks := 4
	if p.hasty {
		checks = 3
	}
	for i := range checks {
		p.change(a, t.ID, from+time.Duration(i+1)*time.Second, func(t *Task) {
			t.Healthy = false
			p.tell(StreamEvent{Type: "failed_health_check_event", App: a.id, TaskID: t.ID})
			if i+1 == checks {
				p.tell(StreamEvent{Type: "unhealthy_task_kill_event", App: a.id, TaskID: t.ID})
				p.end(a, *t, "TASK_KILLED")
				time.AfterFunc(time.Millisecond, p.reconcile)
			}
		})
	}
}

// answer is what a task says to a client.
func (p *platform) answer(w http.ResponseWriter, s Task) {
	p.mu.Lock()
	var def twinDef
	for _, a := range p.apps {
		if d, ok := a.versions[s.Version]; ok {
			def = d
		}
	}
	if p.echoes && p.requests%150 == 0 && def.release == "v2" {
		def.release = "v1"
	}
	broken := p.drops && p.requests%150 == 0 && def.group != ""
	if p.mixes && p.requests%7 == 0 && def.release == "v2" {
		def.release = "v1"
	}
	p.counts(w, s, def)
	p.mu.Unlock()
	p.take(s, def)
	if def.release != "" {
		w.Header().Set("X-Lab-Release", def.release)
	}
	if broken || def.sick && time.Since(s.Started) >= def.sickAfter {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// free is what a slave of one cpu has left. The caller holds the lock.
func (p *platform) free(ip string) float64 {
	if p.roomy {
		return 100
	}
	left := 1.0
	for _, a := range p.apps {
		for _, t := range a.tasks {
			if t.IP == ip {
				left -= a.def.cpus
			}
		}
	}
	return left
}

// misled says whether some app's label makes the configuration invalid, which
// it does where the load balancer runs with --strict. The caller holds the lock.
func (p *platform) misled() bool {
	strict := p.lbHas("--strict") && !p.ignoresFlags
	for _, a := range p.apps {
		if a.def.badLabel && strict {
			p.wasMisled = true
			return true
		}
	}
	return p.unforgiving && p.wasMisled
}

// BalancerConfig is as much of haproxy.cfg as anybody reads.
func (p *platform) BalancerConfig(context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := "defaults\n  retries 3\n"
	for _, a := range p.apps {
		text += fmt.Sprintf("backend %s_%d\n", a.id, a.port)
		for _, t := range a.servers {
			if p.staleConfig && t.Port > 31002 {
				continue
			}
			text += fmt.Sprintf("  server x %s:%d check\n", t.IP, t.Port)
		}
	}
	return text, nil
}
