package scenarios

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// sabotage are the ways in which the twin can be spoiled. Each breaks one
// thing that some expectation is about.
type sabotage struct {
	controlSabotage
	insideSabotage
	releaseSabotage
	sharingSabotage
	lossAfter     time.Duration // from the fault to the loss of the slave; 0 = by the law
	deafMarathon  bool          // Marathon stops answering when a machine dies
	blindBalancer bool          // the load balancer stops following once traffic flows
	surplus       bool          // one container too many on node3
	sameNode      bool          // replacements go to the dead machine
	killsAtOnce   bool          // tasks are lost with the connection, pings or not
	staysActive   bool          // a broken connection goes unnoticed
	silentCrash   bool          // a crashed machine refuses nobody
	rebalances    bool          // a slave that returns gets a running task
	rejoinsNever  bool          // a slave that returns is not let in
	oldestFirst   bool          // scaling down kills the oldest
	stingy        bool          // no more than three instances are ever started
	favourite     bool          // the load balancer prefers its first server
	keepsServing  bool          // the load balancer answers by itself when no server is left
	emptyQueue    bool          // Marathon forgets what it owes
	neverOverdue  bool          // Marathon backs off for ever
	stuckRestart  bool          // a restart replaces only half of the tasks
	crowds        bool          // all instances go to one machine
	anywhere      bool          // constraints mean nothing
	roomy         bool          // slaves take any number of tasks
	patientCrash  bool          // what crashes is started anew at once
	forgives      bool          // nobody is killed for failed checks
	hasty         bool          // one failed check fewer kills
	gullible      bool          // a deployment ends although nobody is healthy
	forgetsOld    bool          // an update leaves one old task
	mixes         bool          // an old release goes on answering
	squatter      bool          // somebody listens on an old address
	staleConfig   bool          // haproxy.cfg is not rewritten
	forgetsBack   bool          // a rollback changes nothing
	unforgiving   bool          // a wrong label freezes when it is gone, too
	wasMisled     bool          // no sabotage: there was one
	nameless      bool          // no sabotage: instances do not say who they are
	forges        bool          // nameless, and only the load balancer claims that they answer
}

// platform is an in-memory lab of a master, slaves, a scheduler and a load
// balancer that keep the rules of the real ones: the twin on which the engine
// and the verdict are tested, in fake time.
type platform struct {
	sabotage
	innards
	modes []lab.Power

	mu       sync.Mutex
	machines int
	broken   map[string]lab.Power // by address
	parts    []Fault              // what is broken inside of machines
	did      []string             // faults and mendings, in order
	noLoss   bool
	agents   map[string]*Agent // by address; nil while lost
	returned int
	apps     map[string]*twinApp
	next     int             // number of the next task
	requests int             // that the load balancer has got
	served   map[string]int  // by task id
	flying   map[string]int  // requests under way, by task id
	drained  map[string]bool // servers that were taken out of turn, by task id
	reloaded map[string]int  // the same when the load balancer was reloaded last
	listener []chan StreamEvent
	guests   []*twinGuest
	rounds   int
	frozen   bool
	control  twinControl
	wg       sync.WaitGroup
}

func newPlatform(t *testing.T, n *labtest.Network, s sabotage) *platform {
	p := &platform{
		sabotage: s, machines: 3, broken: map[string]lab.Power{}, agents: map[string]*Agent{}, apps: map[string]*twinApp{}, served: map[string]int{}, flying: map[string]int{}, drained: map[string]bool{}, reloaded: map[string]int{},
		innards: innards{timeout: 2 * time.Second, count: 3},
		modes:   []lab.Power{lab.PowerOn, lab.PowerOff, lab.PowerCut, lab.PowerCrash, lab.PowerPause},
	}
	if p.lossAfter == 0 {
		p.lossAfter = 7 * time.Second
	}
	for _, ip := range p.slaveIPs() {
		p.agents[ip] = &Agent{FreeMem: 1000, ID: "master-S" + ip[len(ip)-1:], IP: ip, Active: true, Registered: time.Now()}
	}
	p.newControl()
	p.apps["nginx"] = &twinApp{id: "nginx", port: 10000, count: 2}
	for range 2 { // both on one machine, so that spreading has something to do
		p.add(p.apps["nginx"], "10.0.0.2")
	}
	for i := range p.apps["nginx"].tasks {
		p.apps["nginx"].tasks[i].Started, p.apps["nginx"].tasks[i].Healthy = time.Now(), true
	}
	p.apps["nginx"].servers = slices.Clone(p.apps["nginx"].tasks)
	if s.squatter {
		l, err := n.Host("10.0.0.2").Listen(t.Context(), "tcp", ":31001")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
	}
	for port := 10000; port < 10015; port++ {
		l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, port) })}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close(); p.wg.Wait() })
	}
	return p
}

func (p *platform) slaveIPs() []string {
	var out []string
	for i := 2; i <= p.machines; i++ {
		out = append(out, fmt.Sprintf("10.0.0.%d", i))
	}
	return out
}

func (p *platform) Machines() []lab.Machine {
	var out []lab.Machine
	for i := 1; i <= p.machines; i++ {
		role := lab.RoleSlave
		if i == 1 {
			role = lab.RoleMaster
		}
		out = append(out, lab.Machine{Node: lab.Node{Name: fmt.Sprintf("node%d", i), Role: role, IP: netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i))}})
	}
	return out
}

func (p *platform) Settings() Settings {
	return Settings{PingTimeout: p.timeout, PingTimeouts: p.count, AppURL: "http://10.0.0.1:10000/"}
}

func (p *platform) ip(node string) string { return "10.0.0." + strings.TrimPrefix(node, "node") }

// lose is what the master and the scheduler do about a dead slave.
func (p *platform) lose(ip string, agent *Agent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken[ip] == "" || p.agents[ip] != agent {
		return // it was back in time
	}
	delete(p.agents, ip)
	for _, a := range p.apps {
		dead := slices.DeleteFunc(slices.Clone(a.tasks), func(t Task) bool { return t.IP != ip })
		for _, t := range dead {
			p.end(a, t, "TASK_LOST")
		}
		p.outlive(ip, dead)
		if len(dead) > 0 {
			a.backoff = time.Now().Add(time.Second)
			time.AfterFunc(time.Second, p.reconcile)
		}
	}
}

func (p *platform) join(agent *Agent) {
	p.mu.Lock()
	p.agents[agent.IP] = agent
	if p.rebalances {
		a := p.apps["nginx"]
		time.AfterFunc(5*time.Second, func() {
			p.mu.Lock()
			p.end(a, a.tasks[0], "TASK_KILLED")
			p.mu.Unlock()
			p.reconcile()
		})
	}
	p.mu.Unlock()
	p.reconcile()
}

// Reach tells silence from refusal.
func (p *platform) Reach(_ context.Context, from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reaches(from, to)
}

func (p *platform) Containers(_ context.Context, node string) ([]Container, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := p.engine(node)
	if err != nil {
		return nil, err
	}
	for _, a := range p.apps {
		for _, t := range a.tasks {
			if t.IP == p.ip(node) && !p.control.dead[t.ID] {
				c := Container{ID: "c-" + t.ID, TaskID: t.ID, Started: t.Staged}
				if p.control.touched {
					c.Started = t.Staged.Add(time.Second)
				}
				out = append(out, c)
			}
		}
	}
	out = append(out, p.control.orphans[p.ip(node)]...)
	if p.surplus && node == "node3" {
		out = append(out, Container{ID: "surplus", TaskID: "nginx.forgotten"})
	}
	return append(append(out, p.ownerless(node)...), p.guestContainers(node)...), nil
}

func (p *platform) Agents(context.Context) ([]Agent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.masterErr(); err != nil {
		return nil, err
	}
	var out []Agent
	for _, ip := range p.slaveIPs() {
		if a := p.agents[ip]; a != nil {
			s := *a
			s.Active = s.Active && !p.faded(ip)
			s.FreeCPUs, s.FreeMem = p.free(ip), 1000
			out = append(out, s)
		}
	}
	return out, nil
}
