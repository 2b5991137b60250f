package scenarios

import (
	"fmt"
	"slices"
	"time"
)

// Phase is a part of the time between a fault, or a change, and the moment at
// which clients have what they should have, with the setting that rules it.
type Phase struct {
	Name    string  `json:"name"`
	From    float64 `json:"from"` // seconds since the fault
	Seconds float64 `json:"seconds"`
	RuledBy string  `json:"ruled_by"`
	// Own is what lies beyond that setting, where it can be told: lab's own
	// time, or the platform's.
	Own *float64 `json:"own,omitempty"`
}

// The phases by name. Those of a failover come first, in their order.
const (
	phaseDetect  = "detect"   // fault → the tasks are lost
	phaseNoSlave = "no-slave" // lost → the first slave is there again
	phaseBackoff = "back-off" // lost → Marathon launches
	phaseNoFit   = "no-offer" // back-off over → Marathon launches, after offers that it could not use
	phaseOffer   = "offer"    // request → Marathon launches
	phaseLaunch  = "launch"   // → running
	phaseLB      = "LB"       // → in the load balancer
	phaseHealth  = "health"   // → healthy
	phaseClients = "clients"  // → the last failed or slow request
	phaseStop    = "stop"     // request → the last surplus task has ended
	phaseOut     = "out"      // → out of the load balancer
	phaseChaos   = "chaos"    // the first fault of a chaos → the last one is undone
	phaseSettle  = "settle"   // → every slave is active, every instance runs
)

func phaseNames() []string {
	return []string{phaseDetect, phaseNoSlave, phaseBackoff, phaseNoFit, phaseOffer, phaseLaunch, phaseLB, phaseHealth, phaseClients, phaseStop, phaseOut, phaseDown, phaseElection, phaseBack, phaseServing, phaseChaos, phaseSettle}
}

// cut is the end of a phase.
type cut struct {
	name, rule string
	at         time.Time
	own        *time.Duration // see Phase
}

// phases cuts a run at what was seen. whole says that the last of them is
// over. Called while the run goes on, or at its end.
func (r *run) phases() (out []Phase, whole bool) {
	r.mu.Lock()
	fault, faults := r.fault, slices.Clone(r.faults)
	out = slices.Clone(r.leg.past)
	r.mu.Unlock()
	if fault.IsZero() || r.probe == nil {
		return nil, false
	}
	if r.chaos != nil {
		return r.chaos.phases(r, fault)
	}
	if len(r.victims) > 0 {
		from, cuts, whole := r.healing(r.legFault())
		out = append(out, r.controlPhases()...)
		return append(out, phasesFrom(fault, from, cuts)...), whole
	}
	if len(out) > 0 {
		return out, false
	}
	out = r.controlPhases()
	whole = len(out) > 0
	for i, f := range faults {
		if len(f.Nodes) > 0 {
			continue
		}
		from, to := r.at(f.At), time.Now()
		if i+1 < len(faults) {
			to = r.at(faults[i+1].At)
		}
		up, down := r.growing(from, to), r.shrinking(from, to)
		if len(up) > 0 && len(down) > 0 {
			down[0].rule = "upgradeStrategy: when old tasks may go; then docker_stop_timeout 0 s"
		}
		out = append(out, phasesFrom(fault, from, up)...)
		out = append(out, phasesFrom(fault, from, down)...)
		whole = whole || len(up)+len(down) > 0
	}
	return out, whole
}

func (r *run) at(sinceBegun float64) time.Time {
	return r.begun.Add(time.Duration(sinceBegun * float64(time.Second)))
}

// phasesFrom turns cuts into phases, up to the first that was not seen: later
// ones have no beginning.
func phasesFrom(zero, from time.Time, cuts []cut) []Phase {
	var out []Phase
	for _, c := range cuts {
		if c.at.IsZero() {
			break
		}
		length := max(0, c.at.Sub(from))
		p := Phase{Name: c.name, From: from.Sub(zero).Seconds(), Seconds: length.Seconds(), RuledBy: c.rule}
		if c.own != nil {
			own := max(0, *c.own).Seconds()
			p.Own = &own
		}
		out = append(out, p)
		if c.at.After(from) {
			from = c.at
		}
	}
	return out
}

// healing are the cuts of a failover: from the fault to the slowest new task
// and to the last client that noticed.
func (r *run) healing(fault time.Time) (start time.Time, cuts []cut, whole bool) {
	h, s := r.history, r.settings()
	var lost time.Time
	ending := ""
	first := time.Now() // when the first of the machines was broken
	for _, v := range r.victims {
		t := h.Task(v.ID)
		if t.Ended.IsZero() {
			return fault, nil, false
		}
		broken, _ := r.brokenAt(t.Node)
		if broken.Before(first) {
			first = broken
		}
		if t.Ended.After(lost) {
			lost, start, ending = t.Ended, broken, t.EndState
		}
	}
	early, late := s.Law()
	detect := cut{name: phaseDetect, at: lost, own: r.beyondPings(lost),
		rule: fmt.Sprintf("mesos.slave_ping_timeout %s × %d: %s–%s", s.PingTimeout, s.PingTimeouts, seconds(early), seconds(late))}
	if ending != "TASK_LOST" {
		detect.own, detect.rule = nil, "no setting: the slave tells its master, the master tells Marathon as soon as that is there"
	}
	cuts = append(cuts, detect)
	from := lost
	if back := firstSlaveAfter(h.Agents(), lost); !back.IsZero() {
		from = back
		cuts = append(cuts, cut{name: phaseNoSlave, at: back, rule: "you: no slave is left until one is powered on"})
	}
	fresh := freshTasks(h.Tasks(), first, time.Now())
	if len(fresh) < len(r.victims) {
		return start, cuts, false
	}
	last := latestRunning(fresh[:len(r.victims)])
	backoff := cut{name: phaseBackoff, at: launched(last, from), rule: "backoffSeconds 1 × 1.15ⁿ of the app"}
	if over := r.history.OverdueAfter(lost); from.Equal(lost) && !over.IsZero() && backoff.at.Sub(over) > longOffer {
		cuts = append(cuts, cut{name: phaseBackoff, at: over, rule: backoff.rule})
		backoff.name, backoff.rule = phaseNoFit, "no offer fits: a constraint, or too little room"
	} else if from.Equal(lost) {
		own := backoff.at.Sub(lost) - s.Backoff
		backoff.own = &own
	} else {
		backoff.name, backoff.rule = phaseOffer, "Mesos' offers: allocation_interval 1 s"
	}
	cuts = append(cuts, backoff)
	serving, whole := r.serving(last)
	cuts = append(cuts, serving...)
	if whole {
		end := cuts[len(cuts)-1].at
		if t := r.probe.PeaceAfter(fault, end); t.After(end) {
			cuts = append(cuts, cut{name: phaseClients, at: t, rule: "connect and retry times of the load balancer"})
		}
	}
	return start, cuts, whole
}

// longOffer is how long a launch that is overdue waits at most where an offer
// fits: some allocation_intervals of 1 s.
const longOffer = 3 * time.Second

// beyondPings is what lies beyond the pings that a master sends each T from
// the slave's registration on. It can only be told by the master's own clock.
func (r *run) beyondPings(lost time.Time) *time.Duration {
	s := r.lab.Settings()
	if !s.SameClock || s.PingTimeout <= 0 {
		return nil
	}
	var own *time.Duration
	for _, a := range r.history.Agents() { // the last one counts: its machine may have been broken before
		if slices.Contains(r.brokenNodes(), a.Node) && a.Seen.Before(lost) && !a.Registered.IsZero() && (own == nil || !r.leg.from.IsZero()) {
			beyond := lost.Sub(a.Registered) % s.PingTimeout
			own = &beyond
		}
	}
	return own
}

// serving are the cuts from a task's launch to its serving.
func (r *run) serving(t TaskHistory) (cuts []cut, whole bool) {
	cuts = []cut{{name: phaseLaunch, at: t.Running, rule: "no setting: starting the container"}}
	lb := cut{name: phaseLB, at: t.InLB, rule: r.history.ruleLB()}
	if !r.history.App().HasChecks {
		return append(cuts, lb), !t.InLB.IsZero()
	}
	health := cut{name: phaseHealth, at: t.Healthy, rule: fmt.Sprintf("intervalSeconds of the app's check: %s", seconds(r.settings().CheckEvery))}
	if t.Healthy.IsZero() || !t.InLB.IsZero() && t.InLB.Before(t.Healthy) {
		return append(cuts, lb, health), !t.InLB.IsZero() && !t.Healthy.IsZero()
	}
	return append(cuts, health, lb), !t.InLB.IsZero()
}

// growing are the cuts of a request for more instances.
func (r *run) growing(from, to time.Time) []cut {
	fresh := freshTasks(r.history.Tasks(), from, to)
	for i, t := range fresh { // what comes after one has ended stands for that one
		if slices.ContainsFunc(fresh[:i], func(f TaskHistory) bool { return !f.Ended.IsZero() && f.Ended.Before(t.Seen) }) {
			fresh = fresh[:i]
			break
		}
	}
	last := latestRunning(fresh)
	if last.ID == "" {
		return nil
	}
	cuts := []cut{{name: phaseOffer, at: launched(last, from), rule: "Mesos' offers: allocation_interval 1 s, max_tasks_per_offer 5"}}
	serving, _ := r.serving(last)
	return append(cuts, serving...)
}

// shrinking are the cuts of a request for fewer instances.
func (r *run) shrinking(from, to time.Time) []cut {
	var ended, out time.Time
	for _, t := range r.history.Tasks() {
		if t.Seen.Before(from) && !t.Ended.Before(from) && t.Ended.Before(to) {
			ended = later(ended, t.Ended)
			out = later(out, t.OutOfLB)
		}
	}
	if ended.IsZero() {
		return nil
	}
	return []cut{
		{name: phaseStop, at: ended, rule: "docker_stop_timeout: 0 s, no time to finish requests"},
		{name: phaseOut, at: later(ended, out), rule: "no setting: the load balancer follows Marathon's events"},
	}
}

// freshTasks are those first seen between two moments, in that order.
func freshTasks(all []TaskHistory, from, to time.Time) []TaskHistory {
	var out []TaskHistory
	for _, t := range all {
		if !t.Seen.Before(from) && t.Seen.Before(to) && !t.Running.IsZero() {
			out = append(out, t)
		}
	}
	return out
}

func latestRunning(tasks []TaskHistory) TaskHistory {
	var last TaskHistory
	for _, t := range tasks {
		if t.Running.After(last.Running) {
			last = t
		}
	}
	return last
}

// launched is when Marathon launched a task. Samples see it up to 50 ms late;
// Marathon's own time is exact where its clock is ours.
func launched(t TaskHistory, after time.Time) time.Time {
	if !t.Staged.Before(after) && t.Staged.Before(t.Seen) {
		return t.Staged
	}
	return t.Seen
}

// firstSlaveAfter is when the first slave was there again, if at that moment
// none was left; else zero.
func firstSlaveAfter(agents []AgentHistory, at time.Time) time.Time {
	var first time.Time
	for _, a := range agents {
		if a.Seen.Before(at) && (a.Gone.IsZero() || a.Gone.After(at.Add(tolerance))) { // samples come after events
			return time.Time{}
		}
		for _, t := range []time.Time{a.Seen, a.Back} {
			if t.After(at) && (first.IsZero() || t.Before(first)) {
				first = t
			}
		}
	}
	return first
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// settings are the lab's, with those of the app that is watched.
func (r *run) settings() Settings {
	s := r.lab.Settings()
	if r.probe != nil {
		app := r.history.App()
		s.AppURL, s.Backoff, s.CheckEvery = r.url, app.Backoff, app.CheckEvery
	}
	return s
}
