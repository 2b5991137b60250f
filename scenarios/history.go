package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// History is what the observers saw, by identity, with the time at which it
// was first seen. It is written by samplers and read by expectations.
type History struct {
	mu       sync.Mutex
	tasks    map[string]*TaskHistory
	agents   map[string]*AgentHistory
	order    []string // task ids as first seen
	last     App
	asked    time.Time            // when the last sample of Marathon was asked for
	lastSeen map[string]time.Time // by sampler: its last good sample
	gaps     []Gap
	lost     time.Time // when the event stream broke
	missed   bool      // it has broken at some time: events may be missing
	changed  func(text string)
	overdue  []time.Time          // when Marathon's back-off was seen over, and a launch still missing
	away     map[string]time.Time // by sampler: since when the run itself has taken away whom it asks
	counters map[string]int       // the load balancer's, by address; nil before its first sample
}

// TaskHistory is one task's life as seen from outside. Zero times were not
// seen.
type TaskHistory struct {
	ID, Name string // Name is a short word for people: a1, b2
	Node     string
	Address  string // host:port
	Seen     time.Time
	Staged   time.Time // Marathon's own word for when it started the launch
	Started  time.Time // Marathon's own word for when it ran; how it finds the youngest
	Running  time.Time
	InLB     time.Time // the load balancer lists it as a server
	Healthy  time.Time
	Ended    time.Time
	EndState string // TASK_LOST, TASK_KILLED, …
	OutOfLB  time.Time
	// Failed health checks until Marathon decided to kill the task for them.
	FailedChecks  int
	UnhealthyKill time.Time
	listed        time.Time // when Marathon was last seen to list it
	unlisted      time.Time // when it was first seen not to, after that
	Served        int       // requests, as the load balancer counts them while it lists the task
	Down          bool      // the load balancer's own checks say so, while it lists the task
	// While the load balancer lists the task, but sends nothing new there.
	Draining time.Time // since when
	Drained  time.Time // since when no request is under way
	Flying   int       // the most requests that were under way, as the load balancer counts them
	Handed   bool      // an older process of it had them, which it does not count
	Leaked   int       // requests that it got all the same
}

// AgentHistory is one Mesos slave's life as seen from outside.
type AgentHistory struct {
	ID, Node   string
	Registered time.Time // the master's own word
	Seen       time.Time
	Inactive   time.Time // listed, but its connection to the master is gone
	Gone       time.Time // when it was last removed
	Back       time.Time // when the same id was seen again after that
}

// Present says whether Mesos lists the slave.
func (a AgentHistory) Present() bool { return a.Gone.IsZero() || a.Back.After(a.Gone) }

// Gap is a hole in a sampler's record.
type Gap struct {
	Sampler string        `json:"sampler"`
	At      time.Time     `json:"at"`
	Length  time.Duration `json:"length"`
}

func newHistory(changed func(string)) *History {
	return &History{tasks: map[string]*TaskHistory{}, agents: map[string]*AgentHistory{}, lastSeen: map[string]time.Time{}, away: map[string]time.Time{}, changed: changed}
}

// maxGap is the longest hole that a verdict tolerates (rule R5).
const maxGap = 250 * time.Millisecond

// sampled notes a good sample and the gap before it.
func (h *History) sampled(sampler string, now time.Time) {
	if last, ok := h.lastSeen[sampler]; ok && now.Sub(last) > maxGap {
		h.gaps = append(h.gaps, Gap{sampler, last, now.Sub(last)})
	}
	h.lastSeen[sampler] = now
}

func (h *History) task(id string, now time.Time) *TaskHistory {
	t := h.tasks[id]
	if t == nil {
		n := len(h.order)
		t = &TaskHistory{ID: id, Name: fmt.Sprintf("%c%d", 'a'+rune(n%26), n+1), Seen: now}
		h.tasks[id] = t
		h.order = append(h.order, id)
	}
	return t
}

// SawApp takes in a sample of Marathon's list. asked is when it was asked for.
func (h *History) SawApp(asked, now time.Time, app App, nodeOf func(ip string) string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sampled(samplerMarathon, now)
	if app.Overdue && !h.last.Overdue {
		h.overdue = append(h.overdue, now)
	}
	h.last, h.asked = app, asked
	for _, s := range app.Tasks {
		t := h.task(s.ID, now)
		t.Staged, t.Started = s.Staged, s.Started
		h.placed(t, s.IP, s.Port, nodeOf)
		if t.Running.IsZero() && !s.Started.IsZero() {
			t.Running = now
			h.changed("◆ " + t.Name + " running")
		}
		if t.Healthy.IsZero() && s.Healthy {
			t.Healthy = now
			h.changed("◆ " + t.Name + " healthy")
		}
	}
	h.relist(now, app)
}

// placed notes where a task was started, once that is known.
func (h *History) placed(t *TaskHistory, ip string, port int, nodeOf func(ip string) string) {
	if t.Address == "" && port != 0 {
		t.Node, t.Address = nodeOf(ip), fmt.Sprintf("%s:%d", ip, port)
		h.changed(fmt.Sprintf("◆ Marathon starts %s on %s:%d", t.Name, t.Node, port))
	}
}

// SawAgents takes in a sample of Mesos' list of slaves.
func (h *History) SawAgents(now time.Time, agents []Agent, nodeOf func(ip string) string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sampled(samplerMesos, now)
	present := map[string]bool{}
	first := len(h.agents) == 0
	for _, s := range agents {
		present[s.ID] = true
		a := h.agents[s.ID]
		if a == nil {
			a = &AgentHistory{ID: s.ID, Node: nodeOf(s.IP), Registered: s.Registered, Seen: now}
			h.agents[s.ID] = a
			if !first {
				h.changed(fmt.Sprintf("◆ %s is back in Mesos as slave %s", a.Node, shortAgent(a.ID)))
			}
		}
		switch {
		case s.Active:
			a.Inactive = time.Time{}
		case a.Inactive.IsZero():
			a.Inactive = now
			h.changed(fmt.Sprintf("◆ Mesos calls %s inactive: its connection is gone, its tasks still count", a.Node))
		}
		if !a.Present() {
			a.Back = now
			h.changed(fmt.Sprintf("◆ %s is back in Mesos as the same slave %s", a.Node, shortAgent(a.ID)))
		}
	}
	for _, a := range h.agents {
		if _, away := h.away[samplerMesos]; !present[a.ID] && a.Present() && !away { // a new master knows nobody at first
			a.Gone = now
			h.changed(fmt.Sprintf("◆ Mesos removes %s, slave %s", a.Node, shortAgent(a.ID)))
		}
	}
}

// SawBackends takes in a sample of the load balancer's servers, and whether an
// older process of it still answers requests.
func (h *History) SawBackends(now time.Time, servers []Backend, older bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sampled(samplerBalancer, now)
	grown := h.grown(servers)
	down := map[string]bool{}
	for _, s := range servers {
		down[s.Address] = s.down()
	}
	h.sawDraining(servers, grown, older)
	for _, id := range h.order {
		t := h.tasks[id]
		growth, listed := grown[t.Address]
		if listed {
			t.Served += growth
			t.Down = down[t.Address]
		}
		switch {
		case listed && t.InLB.IsZero():
			t.InLB = now
			h.changed("◆ " + t.Name + " in the load balancer")
		case !listed && !t.InLB.IsZero() && t.OutOfLB.IsZero():
			t.OutOfLB = now
			h.changed("◆ " + t.Name + " out of the load balancer")
		}
	}
}

// grown says by how much each server's counter has grown since the last
// sample. A load balancer that was reloaded counts from 0 again; what servers
// had got before the first sample is no request of this run.
func (h *History) grown(servers []Backend) map[string]int {
	out, now := map[string]int{}, map[string]int{}
	for _, s := range servers {
		now[s.Address] = s.Requests
		switch last := h.counters[s.Address]; {
		case h.counters == nil:
			out[s.Address] = 0
		case s.Requests < last:
			out[s.Address] = s.Requests
		default:
			out[s.Address] = s.Requests - last
		}
	}
	h.counters = now
	return out
}

// SawEvent takes in an event of Marathon's stream.
func (h *History) SawEvent(now time.Time, e StreamEvent, nodeOf func(ip string) string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e.Type {
	case "status_update_event":
		t := h.task(e.TaskID, now)
		if e.TaskStatus == "TASK_RUNNING" {
			h.placed(t, e.IP, e.Port, nodeOf)
			if t.Running.IsZero() {
				t.Running = now
				h.changed("◆ " + t.Name + " running")
			}
		} else if t.Ended.IsZero() || t.EndState == endUntold {
			t.Ended, t.EndState = now, e.TaskStatus
			h.changed(fmt.Sprintf("◆ %s is %s", t.Name, e.TaskStatus))
		}
	case "failed_health_check_event":
		if t := h.task(e.TaskID, now); t.UnhealthyKill.IsZero() {
			t.FailedChecks++
		}
	case "unhealthy_task_kill_event":
		t := h.task(e.TaskID, now)
		t.UnhealthyKill = now
		h.changed(fmt.Sprintf("◆ Marathon kills %s: unhealthy, %d failed checks", t.Name, t.FailedChecks))
	case "health_status_changed_event":
		t := h.task(e.TaskID, now)
		if e.Alive && t.Healthy.IsZero() {
			t.Healthy = now
			h.changed("◆ " + t.Name + " healthy")
		}
	}
}

// StreamEnded notes that the stream broke before the run was over.
func (h *History) StreamEnded(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = true
	if h.lost.IsZero() {
		h.lost = now
		h.changed("! Marathon's event stream broke off")
	}
}

// Blind says why the record has holes that no verdict may rest on, or "".
// now closes gaps that are still open.
func (h *History) Blind(now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lost.IsZero() {
		return "Marathon's event stream broke off"
	}
	worst := Gap{}
	all := slices.Clone(h.gaps)
	for sampler, last := range h.lastSeen {
		if now.Sub(last) > maxGap {
			all = append(all, Gap{sampler, last, now.Sub(last)})
		}
	}
	for _, g := range all {
		if g.Length > worst.Length {
			worst = g
		}
	}
	if worst.Length > 0 {
		return fmt.Sprintf("no sample of %s for %.2f s (at most %.2f s may be missing)", worst.Sampler, worst.Length.Seconds(), maxGap.Seconds())
	}
	return ""
}

// Tasks returns copies of all tasks in the order in which they were seen.
func (h *History) Tasks() []TaskHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []TaskHistory
	for _, id := range h.order {
		out = append(out, *h.tasks[id])
	}
	return out
}

// Task returns a copy of one task's history.
func (h *History) Task(id string) TaskHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.tasks[id]; t != nil {
		return *t
	}
	return TaskHistory{ID: id}
}

// Agents returns copies of all slaves.
func (h *History) Agents() []AgentHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []AgentHistory
	for _, a := range h.agents {
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b AgentHistory) int { return cmp.Or(a.Seen.Compare(b.Seen), cmp.Compare(a.Node, b.Node)) })
	return out
}

// OverdueAfter returns when Marathon was first seen waiting for offers after a
// moment, or zero.
func (h *History) OverdueAfter(at time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.overdue {
		if o.After(at) {
			return o
		}
	}
	return time.Time{}
}

// NameOf is the short word for a task, or the id itself for one that no
// observer has seen.
func (h *History) NameOf(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.tasks[id]; t != nil {
		return t.Name
	}
	return id
}

// Gaps returns the holes that no verdict may rest on.
func (h *History) Gaps() []Gap {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.gaps)
}

// App returns Marathon's last sampled view.
func (h *History) App() App {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// shortAgent is the part of a slave id that people can tell apart: S0.
func shortAgent(id string) string {
	if i := len(id) - 1; i > 0 {
		for ; i > 0; i-- {
			if id[i] == '-' {
				return id[i+1:]
			}
		}
	}
	return id
}

// AppAsked returns the same with the time at which Marathon was asked.
func (h *History) AppAsked() (App, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, h.asked
}
