package scenarios

import (
	"slices"
	"strings"
	"time"
)

// controlPhase notes phases that end where an expectation has seen it.
func (r *run) controlPhase(from time.Time, cuts ...cut) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.control = append(r.control, phasesFrom(r.fault, from, cuts)...)
}

// controlPhases are all of them up to now.
func (r *run) controlPhases() []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Phase{}, r.control...)
}

// outage is when the last fault of one of some components began, and when it
// was mended: zero while it lasts.
func (r *run) outage(components ...string) (from, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from = r.fault
	for _, f := range r.faults {
		name, _, _ := strings.Cut(f.Text, " ") // a fault's text begins with its thing
		if !slices.Contains(components, name) {
			continue
		}
		from, until = r.at(f.At), time.Time{}
		if f.Until != nil {
			until = r.at(*f.Until)
		}
	}
	return from, until
}

// The phases of a control plane that is away and comes back.
const (
	phaseDown     = "down"        // fault → undone
	phaseElection = "election"    // → it leads
	phaseBack     = "re-register" // → its slaves and its framework are back
	phaseServing  = "serving"     // undone → clients are served
)

// ruleSession is what rules an election: ZooKeeper keeps the place of one that
// died until its session is over.
const ruleSession = "zk_session_timeout 10 s: until then ZooKeeper keeps the place of the one that died"

// ruleDown is what rules how long something is away.
const ruleDown = "you: until it is started again"

// ruleLB is what rules how soon the load balancer follows. It loses its stream
// when the observers lose theirs (marathon-lb 1.3.0: 3 s × 1.5ⁿ at most).
func (h *History) ruleLB() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.missed {
		return "marathon-lb's own back-off after a stream that broke: up to 3 s × 1.5ⁿ"
	}
	return "no setting: the load balancer follows Marathon's events"
}
