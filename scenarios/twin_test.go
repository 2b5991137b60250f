package scenarios

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// platform is an in-memory lab of three machines with a master, a scheduler
// and a load balancer that keep the rules of the real ones: the twin on which
// the engine and the verdict are tested, in fake time. Its fields break it.
type platform struct {
	lossAfter     time.Duration // from the cut to the loss of the slave
	deafMarathon  bool          // Marathon stops answering when a machine dies
	blindBalancer bool          // the load balancer never follows
	surplus       bool          // one container too many on node3
	sameNode      bool

	mu       sync.Mutex
	cut      map[string]bool
	lost     map[string]bool
	returned int
	tasks    []Task
	servers  []Task // what the load balancer knows
	count    int
	next     int
	turn     int
	listener []chan StreamEvent
	wg       sync.WaitGroup
	frozen   bool
	broken   []string
}

func newPlatform(t *testing.T, n *labtest.Network) *platform {
	p := &platform{lossAfter: 7 * time.Second, cut: map[string]bool{}, lost: map[string]bool{}, count: 2}
	p.start(2, p.next)
	p.start(2, p.next)
	p.servers = p.tasks
	l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":10000")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(p.serve)}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close(); p.wg.Wait() })
	return p
}

// start adds a running, healthy task on the given node. The caller holds the
// lock or is alone.
func (p *platform) start(node, number int) Task {
	now := time.Now()
	task := Task{ID: fmt.Sprintf("nginx.%d", number), IP: fmt.Sprintf("10.0.0.%d", node), Port: 31000 + number, Staged: now, Started: now, Healthy: true}
	p.tasks = append(p.tasks, task)
	p.next = number + 1
	return task
}

// serve is the load balancer: round robin over the servers that it knows; a
// dead one costs three seconds and is passed over.
func (p *platform) serve(w http.ResponseWriter, r *http.Request) {
	p.wg.Add(1)
	defer p.wg.Done()
	p.mu.Lock()
	servers := p.servers
	p.turn++
	first := p.turn
	p.mu.Unlock()
	for i := range servers {
		s := servers[(first+i)%len(servers)]
		p.mu.Lock()
		dead := p.cut[s.IP]
		p.mu.Unlock()
		if !dead {
			w.Header().Set("X-Lab-Task", s.ID)
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(3 * time.Second):
		}
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (p *platform) Machines() []lab.Machine {
	var out []lab.Machine
	for i := 1; i <= 3; i++ {
		role := lab.RoleSlave
		if i == 1 {
			role = lab.RoleMaster
		}
		out = append(out, lab.Machine{Node: lab.Node{Name: fmt.Sprintf("node%d", i), Role: role, IP: netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i))}})
	}
	return out
}

func (p *platform) Settings() Settings {
	return Settings{PingTimeout: 2 * time.Second, PingTimeouts: 3, AppURL: "http://10.0.0.1:10000/"}
}

func (p *platform) ip(node string) string { return "10.0.0." + strings.TrimPrefix(node, "node") }

func (p *platform) Break(_ context.Context, node string, _ lab.Power) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = append(p.broken, node)
	ip := p.ip(node)
	p.cut[ip] = true
	p.frozen = p.deafMarathon
	time.AfterFunc(p.lossAfter, func() { p.lose(ip) })
	return nil
}

// lose is what the master and the scheduler do about a dead slave.
func (p *platform) lose(ip string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost[ip] = true
	var kept []Task
	var dead int
	for _, t := range p.tasks {
		if t.IP != ip {
			kept = append(kept, t)
			continue
		}
		dead++
		p.tell(StreamEvent{Type: "status_update_event", App: "nginx", TaskID: t.ID, TaskStatus: "TASK_LOST"})
	}
	p.tasks = kept
	time.AfterFunc(time.Second, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for range dead {
			node := 3
			if p.sameNode {
				node = 2
			}
			t := p.start(node, p.next)
			p.tell(StreamEvent{Type: "status_update_event", App: "nginx", TaskID: t.ID, TaskStatus: "TASK_RUNNING"})
		}
		if !p.blindBalancer {
			p.servers = p.tasks
		}
	})
}

func (p *platform) Mend(_ context.Context, node string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = nil
	delete(p.cut, p.ip(node))
	if p.lost[p.ip(node)] {
		delete(p.lost, p.ip(node))
		p.returned++
	}
	return nil
}

func (p *platform) Reach(ctx context.Context, _, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut[p.ip(to)] {
		return fmt.Errorf("dial %s: %w", to, os.ErrDeadlineExceeded)
	}
	return nil
}

func (p *platform) Containers(_ context.Context, node string) ([]Container, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Container
	for _, t := range p.tasks {
		if t.IP == p.ip(node) {
			out = append(out, Container{ID: "c-" + t.ID, TaskID: t.ID})
		}
	}
	if p.surplus && node == "node3" {
		out = append(out, Container{ID: "surplus", TaskID: "nginx.forgotten"})
	}
	return out, nil
}

func (p *platform) Agents(context.Context) ([]Agent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Agent
	for i := 2; i <= 3; i++ {
		ip := fmt.Sprintf("10.0.0.%d", i)
		if !p.lost[ip] {
			out = append(out, Agent{ID: fmt.Sprintf("master-S%d", i+10*p.returned*(i%2^1)), IP: ip, Active: true})
		}
	}
	return out, nil
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
	return App{ID: id, Instances: p.count, HasChecks: true, Tasks: append([]Task(nil), p.tasks...)}, nil
}

func (p *platform) Backends(context.Context, string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, t := range p.servers {
		out = append(out, fmt.Sprintf("%s:%d", t.IP, t.Port))
	}
	return out, nil
}

func (p *platform) tell(e StreamEvent) {
	if p.frozen {
		return
	}
	for _, c := range p.listener {
		c <- e
	}
}

func (p *platform) Events(ctx context.Context, fn func(StreamEvent)) error {
	c := make(chan StreamEvent, 16)
	p.mu.Lock()
	p.listener = append(p.listener, c)
	p.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-c:
			fn(e)
		}
	}
}

func (p *platform) Scale(_ context.Context, _ string, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.tasks); i < n; i++ {
		p.start(3-i%2, p.next+1)
	}
	p.count, p.servers = n, p.tasks
	return nil
}

func (p *platform) KillTasks(_ context.Context, ids []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept []Task
	for _, t := range p.tasks {
		keep := true
		for _, id := range ids {
			keep = keep && id != t.ID
		}
		if keep {
			kept = append(kept, t)
		}
	}
	p.tasks, p.servers, p.count = kept, kept, p.count-len(ids)
	return nil
}
