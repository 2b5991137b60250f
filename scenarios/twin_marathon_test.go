package scenarios

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
)

// twinApp is an app of the twin.
type twinApp struct {
	id          string
	port        int
	count       int
	tasks       []Task
	servers     []Task // what the load balancer knows
	turn        int
	backoff     time.Time
	deployments int

	def      twinDef
	versions map[string]twinDef
	crashes  int
}

// add launches a task; the caller holds the lock.
func (p *platform) add(a *twinApp, ip string) Task {
	p.next++
	t := Task{Version: a.def.version, ID: fmt.Sprintf("%s.%d", a.id, p.next), IP: ip, Port: 31000 + p.next, Staged: time.Now()}
	a.tasks = append(a.tasks, t)
	return t
}

// change does something to a task that still is there, later.
func (p *platform) change(a *twinApp, id string, after time.Duration, do func(*Task)) {
	time.AfterFunc(after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.IndexFunc(a.tasks, func(t Task) bool { return t.ID == id }); i >= 0 {
			do(&a.tasks[i])
		}
	})
}

// reconcile launches what is missing where a slave has room, the emptiest
// first.
func (p *platform) reconcile() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle() {
		return
	}
	for _, a := range p.apps {
		for len(a.tasks) < a.count && !time.Now().Before(a.backoff) && (!p.stingy || len(a.tasks) < 3) {
			ip := p.emptiest(a)
			if ip == "" {
				break
			}
			t := p.add(a, ip)
			p.misbehave(a, t)
			p.change(a, t.ID, 50*time.Millisecond, func(t *Task) {
				t.Started = time.Now()
				p.tell(StreamEvent{Type: "status_update_event", App: a.id, TaskID: t.ID, TaskStatus: "TASK_RUNNING"})
				p.follow(a)
			})
			if a.def.sick && a.def.sickAfter == 0 {
				continue
			}
			p.change(a, t.ID, 400*time.Millisecond, func(t *Task) {
				t.Healthy = true
				p.follow(a)
				p.tell(StreamEvent{Type: "health_status_changed_event", App: a.id, TaskID: t.ID, Alive: true})
			})
		}
	}
}

func (p *platform) emptiest(a *twinApp) string {
	if p.sameNode && len(p.broken) > 0 {
		for ip := range p.broken {
			return ip
		}
	}
	best, least := "", 0
	for _, ip := range p.slaveIPs() {
		if p.agents[ip] == nil || !p.agents[ip].Active {
			continue
		}
		n := 0
		for _, t := range a.tasks {
			if t.IP == ip {
				n++
			}
		}
		if a.def.unique && n > 0 && !p.anywhere || p.bound(a, ip) || p.free(ip) < a.def.cpus {
			continue
		}
		if best == "" || n < least && !p.crowds {
			best, least = ip, n
		}
	}
	return best
}

// end ends a task; the caller holds the lock.
func (p *platform) end(a *twinApp, t Task, state string) {
	a.tasks = slices.DeleteFunc(a.tasks, func(o Task) bool { return o.ID == t.ID })
	p.tell(StreamEvent{Type: "status_update_event", App: a.id, TaskID: t.ID, TaskStatus: state})
	p.follow(a)
}

// follow lets the load balancer take over what runs.
func (p *platform) follow(a *twinApp) {
	if p.misled() {
		return
	}
	if p.blindBalancer && p.requests > 60 { // traffic flows, a baseline is being taken
		return
	}
	time.AfterFunc(20*time.Millisecond, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reloaded = maps.Clone(p.served)
		a.servers = slices.DeleteFunc(slices.Clone(a.tasks), func(t Task) bool { return !p.serves(t) })
	})
}

// serve is the load balancer: round robin over the servers that it knows. One
// without power costs three seconds, one that refuses nothing; both are passed
// over.
func (p *platform) serve(w http.ResponseWriter, r *http.Request, port int) {
	p.wg.Add(1)
	defer p.wg.Done()
	p.mu.Lock()
	var servers []Task
	first := 0
	p.requests++
	if p.refuses() {
		p.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	for _, a := range p.apps {
		if a.port == port {
			a.turn++
			servers, first = a.servers, a.turn
			if p.favourite && a.turn%2 == 0 {
				first = 0
			}
		}
	}
	if g := p.groupServers(port); len(g) > 0 {
		servers, first = g, p.requests
		// A load balancer counts a request where it chooses the server: nobody
		// sees that one idle in between.
		chosen := servers[first%len(servers)].ID
		p.flying[chosen]++
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.flying[chosen]--
		}()
	}
	p.mu.Unlock()
	for i := range servers {
		s := servers[(first+i)%len(servers)]
		p.mu.Lock()
		how := p.broken[s.IP]
		if p.control.dead[s.ID] {
			how = lab.PowerCrash
		}
		p.mu.Unlock()
		switch how {
		case "":
			p.mu.Lock()
			p.served[s.ID]++
			p.mu.Unlock()
			if !p.nameless {
				w.Header().Set("X-Lab-Task", s.ID)
			}
			p.answer(w, s)
			return
		case lab.PowerCrash:
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(3 * time.Second):
		}
	}
	if p.keepsServing {
		w.Header().Set("X-Lab-Task", "cache")
		return
	}
	if len(servers) == 0 {
		panic(http.ErrAbortHandler) // the real one closes the port of an app without tasks
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (p *platform) App(ctx context.Context, id string) (App, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen {
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return App{}, ctx.Err()
	}
	if err := p.marathonErr(); err != nil {
		return App{}, err
	}
	if p.control.wiped && !p.memory {
		return App{}, fmt.Errorf("app %s: %w", id, lab.ErrNotFound)
	}
	a := p.apps[id]
	if a == nil {
		return p.groupApp(id)
	}
	out := App{
		ID: id, URL: fmt.Sprintf("http://10.0.0.1:%d/", a.port), Instances: a.count, HasChecks: true, Deployments: a.deployments,
		Queued: max(0, a.count-len(a.tasks)), Backoff: time.Second, Version: a.def.version, CPUs: a.def.cpus, MaxFailures: 3, CheckEvery: time.Second, Tasks: slices.Clone(a.tasks),
	}
	out.Overdue = out.Queued > 0 && !time.Now().Before(a.backoff) && !p.neverOverdue
	if p.emptyQueue {
		out.Queued, out.Overdue = 0, false
	}
	return out, nil
}

// Backends counts from 0 after each reload, as HAProxy does.
func (p *platform) Backends(_ context.Context, id string) ([]Backend, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.control.lbGone {
		return nil, fmt.Errorf("load balancer: %w", syscall.ECONNREFUSED)
	}
	var out []Backend
	if a := p.apps[id]; a != nil {
		for _, t := range a.servers {
			out = append(out, Backend{Address: fmt.Sprintf("%s:%d", t.IP, t.Port), Requests: p.served[t.ID] - p.reloaded[t.ID]})
		}
	}
	group := p.groupBackends(id)
	for i, b := range group {
		if p.unseen && b.Status == statusMaint {
			group[i].Current = max(b.Current, 1)
		}
	}
	return append(out, group...), nil
}

// Logged is what the access log of a task shows.
func (p *platform) Logged(_ context.Context, _, taskID, word string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forges || !strings.HasPrefix(word, "lab-probe/") {
		return 0, nil
	}
	return p.served[taskID], nil
}

func (p *platform) tell(e StreamEvent) {
	if p.frozen {
		return
	}
	for _, c := range p.listener {
		select {
		case c <- e:
		default: // nobody listens any more
		}
	}
}

func (p *platform) Events(ctx context.Context, fn func(StreamEvent)) error {
	broken, err := p.streams()
	if err != nil {
		return err
	}
	c := make(chan StreamEvent, 64)
	p.mu.Lock()
	p.listener = append(p.listener, c)
	p.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-broken:
			return errStream
		case e := <-c:
			fn(e)
		}
	}
}

// Scale kills the youngest first, as Marathon 1.1.1 does.
func (p *platform) Scale(_ context.Context, id string, n int, _ bool) error {
	p.mu.Lock()
	a := p.apps[id]
	a.count = n
	byAge := slices.Clone(a.tasks)
	slices.SortStableFunc(byAge, func(x, y Task) int { return x.Started.Compare(y.Started) })
	if p.oldestFirst {
		slices.Reverse(byAge)
	}
	for len(byAge) > n {
		p.end(a, byAge[len(byAge)-1], "TASK_KILLED")
		byAge = byAge[:len(byAge)-1]
	}
	p.mu.Unlock()
	p.reconcile()
	return nil
}

// Restart starts new tasks, then kills the old ones.
func (p *platform) Restart(_ context.Context, id string) error {
	p.mu.Lock()
	a := p.apps[id]
	old := slices.Clone(a.tasks)
	if p.stuckRestart {
		old = old[:len(old)/2]
	}
	a.count += len(old)
	a.deployments = 1
	p.mu.Unlock()
	p.reconcile()
	time.AfterFunc(time.Second, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		a.count -= len(old)
		a.deployments = 0
		for _, t := range old {
			p.end(a, t, "TASK_KILLED")
		}
	})
	return nil
}

func (p *platform) Remove(_ context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[id]
	if a == nil {
		return fmt.Errorf("app %s: %w", id, lab.ErrNotFound)
	}
	for i, t := range slices.Clone(a.tasks) {
		if p.keepsBlue && i == 0 && a.def.colour == blue {
			a.count, p.keepsBlue = 1, false // it is gone at the second attempt
			continue
		}
		p.end(a, t, "TASK_KILLED")
	}
	if len(a.tasks) > 0 {
		return nil
	}
	delete(p.apps, id)
	for _, other := range p.apps {
		p.follow(other) // what was wrong may be gone
	}
	return nil
}

func (p *platform) KillTasks(_ context.Context, ids []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.apps {
		for _, t := range slices.Clone(a.tasks) {
			if slices.Contains(ids, t.ID) {
				p.end(a, t, "TASK_KILLED")
				a.count--
			}
		}
	}
	return nil
}
