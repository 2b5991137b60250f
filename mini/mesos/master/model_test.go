package master

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// model is three masters, some agents and some frameworks in a network that
// loses, delays and cuts. What must always hold is looked at with every
// message: the masters audit themselves after each change (no resource is
// offered or used twice, the books agree); the agents report starts,
// updates and acknowledgements, the schedulers what they heard.
type model struct {
	*rig
	group   *election.Memory
	ips     []string
	masters []*testMaster
	agents  []*simAgent
	scheds  []*simSched
	disk    *slowDisk // the masters' registry, where it is looked at

	mu     sync.Mutex
	starts map[string]int
	known  map[string]string // uuid of an update → "made", "heard" or "abandoned"
}

func newModel(r *rig, seed uint64, disk *slowDisk) *model {
	m := &model{rig: r, disk: disk, group: new(election.Memory), ips: []string{"10.0.0.1", "10.0.0.11", "10.0.0.12"},
		starts: map[string]int{}, known: map[string]string{}}
	for i := range m.ips {
		m.masters = append(m.masters, nil)
		m.start(i)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(r.ctx)
	r.t.Cleanup(func() { cancel(); wg.Wait() })
	for i := range 4 {
		port := int32(5051)
		a := &simAgent{m: m, ip: fmt.Sprintf("10.0.1.%d", i+1), tasks: map[string]*simTask{}, fws: map[string]mesos.FrameworkInfo{},
			rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		a.info = mesos.AgentInfo{Hostname: "agent-" + a.ip, Port: &port, Resources: resource.CPUMem(4, 2048).Proto("")}
		m.agents = append(m.agents, a)
		wg.Go(func() { a.live(ctx) })
	}
	for i := range 3 {
		s := &simSched{m: m, ip: fmt.Sprintf("10.0.2.%d", i+1), info: *framework(fmt.Sprintf("f%d", i)), want: 3 + i,
			tasks: map[string]mesos.TaskState{}, rng: rand.New(rand.NewPCG(seed, uint64(100+i)))}
		if i == 2 {
			s.info.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}}
		}
		m.scheds = append(m.scheds, s)
		wg.Go(func() { s.live(ctx) })
	}
	return m
}

func (m *model) start(i int) {
	m.masters[i] = m.master(m.ips[i], m.group, "--compat=1.3", "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=3",
		"--registry=replicated_log", "--work_dir=/var/lib/mesos", "--quiet")
}

// leaderAddr asks the group, as detectors do.
func (m *model) leaderAddr(ctx context.Context) string {
	l, err := m.group.Detect(ctx, election.Master{})
	if err != nil {
		return ""
	}
	return l.Addr()
}

func (m *model) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// started: a task id runs once in its life, wherever.
func (m *model) started(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.starts[id]++; m.starts[id] > 1 {
		m.t.Errorf("task %s was started %d times", id, m.starts[id])
	}
}

func (m *model) made(st mesos.TaskStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[string(st.UUID)] = "made"
}

// abandoned: the framework was told to be shut down, and its updates with it.
func (m *model) abandoned(list []mesos.TaskStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, st := range list {
		if m.known[string(st.UUID)] == "made" {
			m.known[string(st.UUID)] = "abandoned"
		}
	}
}

func (m *model) heard(id []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[string(id)] == "" {
		m.t.Errorf("a scheduler heard of an update that no agent made")
	}
	m.known[string(id)] = "heard"
}

// acked: an agent forgets an update only if its scheduler heard it.
func (m *model) acked(id []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[string(id)] != "heard" {
		m.t.Errorf("an update was acknowledged that no scheduler heard (it is %q)", m.known[string(id)])
	}
}

// registered: the registry has an agent that is told so.
func (m *model) registered(id string) {
	if m.disk == nil {
		return
	}
	if _, ever, _ := m.disk.has(id); !ever {
		m.t.Errorf("agent %s was told that it is registered, the registry does not know it", id)
	}
}

// lost: the registry knows of the loss of an agent that a framework is told of.
func (m *model) lost(st mesos.TaskStatus) {
	if m.disk != nil && st.GetReason() == mesos.REASON_AGENT_REMOVED && !m.disk.knowsOf(st.GetTimestamp()) {
		m.t.Errorf("task %s was reported lost with agent %s before that was stored", st.TaskID.Value, st.AgentID.Value)
	}
}

// look checks what can be seen from outside at any time.
func (m *model) look() {
	synctest.Wait()
	var leading []string
	for i, tm := range m.masters {
		if !tm.isDone() && tm.leading() != nil {
			leading = append(leading, m.ips[i])
		}
	}
	if len(leading) > 1 {
		m.t.Errorf("%v lead at once", leading)
	}
}

// step does one random thing to the world and returns its name.
func (m *model) step(rng *rand.Rand, cut map[string]bool) string {
	hosts := slices.Clone(m.ips)
	for _, a := range m.agents {
		hosts = append(hosts, a.ip)
	}
	for _, s := range m.scheds {
		hosts = append(hosts, s.ip)
	}
	victim := hosts[rng.IntN(len(hosts))]
	switch n := rng.IntN(100); {
	case n < 18:
		m.net.Cut(victim)
		cut[victim] = true
		return "cut"
	case n < 40:
		for ip := range cut {
			m.net.Mend(ip)
			delete(cut, ip)
			return "mended"
		}
	case n < 50: // all its connections are reset: what was on the way is lost
		if !slices.Contains(m.ips, victim) {
			m.net.Crash(victim)
			return "reset"
		}
	case n < 56:
		i := rng.IntN(len(m.masters))
		m.masters[i].stop()
		<-m.masters[i].done
		m.net.Crash(m.ips[i])
		m.start(i)
		return "master restarted"
	case n < 60: // its ZooKeeper session ends: a leader ends with it
		i := rng.IntN(len(m.masters))
		m.group.Expire(m.masters[i].info.ID)
		synctest.Wait()
		if m.masters[i].isDone() {
			m.start(i)
		}
		return "session expired"
	case n < 64: // everything stands still for long, as in a suspended machine
		m.net.Cut(victim)
		time.Sleep(3 * time.Minute)
		m.net.Mend(victim)
		return "slept"
	case n < 80:
		m.agents[rng.IntN(len(m.agents))].finish()
		return "task finished"
	}
	time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
	return "waited"
}

// settle mends everything and gives time to come to rest.
func (m *model) settle(cut map[string]bool) {
	for ip := range cut {
		m.net.Mend(ip)
	}
	time.Sleep(5 * time.Minute)
	m.look()
}

// check compares masters, agents and schedulers once all is quiet.
func (m *model) check() {
	leader := m.leaderAddr(m.ctx)
	_, body := m.get(leader, "/metrics/snapshot")
	for _, want := range []string{`"master\/slaves_active":4.0`, `"master\/frameworks_active":3.0`} {
		if !strings.Contains(string(body), want) {
			m.t.Errorf("the leader's metrics lack %s", want)
		}
	}
	running := map[string]bool{}
	for _, a := range m.agents {
		a.mu.Lock()
		for id, t := range a.tasks {
			if len(t.pending) > 0 {
				m.t.Errorf("agent %s: %d updates of task %s were never acknowledged, the first %v", a.ip, len(t.pending), id, t.pending[0].State)
			}
			if *t.State == mesos.TASK_RUNNING {
				running[id] = true
			}
		}
		a.mu.Unlock()
	}
	total := 0
	for _, s := range m.scheds {
		s.mu.Lock()
		if s.bad != "" && s.bad != "Framework failed over" {
			m.t.Errorf("framework %s: %s", s.info.Name, s.bad)
		}
		if len(s.tasks) != s.want {
			m.t.Errorf("framework %s believes in %d tasks, wants %d", s.info.Name, len(s.tasks), s.want)
		}
		for id := range s.tasks {
			if !running[id] {
				m.t.Errorf("framework %s believes in task %s, which runs nowhere", s.info.Name, id)
			}
			delete(running, id)
		}
		total += s.next
		s.mu.Unlock()
	}
	for id := range running {
		// Partition-aware frameworks see such tasks with the next
		// reconciliation; others' are ended when their agent is back.
		if !strings.HasPrefix(id, "f2-") {
			m.t.Errorf("task %s runs, and its framework does not know", id)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, state := range m.known {
		if state == "made" {
			m.t.Errorf("an update was made and neither heard nor abandoned")
		}
	}
	m.t.Logf("%d tasks were launched, %d updates made", total, len(m.known))
}

// TestModel leads random histories of partitions, resets, restarts, failovers
// and long silences through the model.
func TestModel(t *testing.T) {
	seeds, steps := 5, 120
	if testing.Short() {
		seeds = 1
	}
	happened := map[string]int{}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				m := newModel(newRig(t), uint64(seed), nil)
				rng := rand.New(rand.NewPCG(uint64(seed), 42))
				cut := map[string]bool{}
				time.Sleep(5 * time.Second)
				for range steps {
					happened[m.step(rng, cut)]++
					m.look()
				}
				m.settle(cut)
				m.check()
			})
		})
	}
	for _, what := range []string{"cut", "mended", "reset", "master restarted", "session expired", "slept", "task finished"} {
		if happened[what] < seeds {
			t.Errorf("%s happened %d times in %d histories", what, happened[what], seeds)
		}
	}
	t.Logf("%v", happened)
}
