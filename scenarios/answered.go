package scenarios

import (
	"context"
	"fmt"
	"time"
)

// Rule R4 wants answers by identity. lab's own web server names the instance
// that answers; other images do not. For these, the load balancer's counters
// say who got how many requests, and the container's own access log has to
// show as many of the probe's.

// nameless says whether answers come, but nobody says from whom.
func nameless(t Traffic) bool { return t.ByTask[""] > 0 && len(t.ByTask) == 1 }

// traffic is what clients have seen so far, by who answered.
func (r *run) traffic() Traffic {
	t := r.probe.Traffic()
	if nameless(t) {
		t.ByTask = r.served()
	}
	return t
}

// served is how many requests each task got, by the load balancer.
func (r *run) served() map[string]int {
	out := map[string]int{}
	for _, t := range r.history.Tasks() {
		if t.Served > 0 {
			out[t.ID] = t.Served
		}
	}
	return out
}

// between is the same for a stretch of time that began with the counters of
// then.
func (r *run) between(from time.Time, then map[string]int) Traffic {
	t := r.probe.Between(from, time.Now())
	if !nameless(t) {
		return t
	}
	t.ByTask = r.served()
	for id, n := range then {
		if t.ByTask[id] -= n; t.ByTask[id] == 0 {
			delete(t.ByTask, id)
		}
	}
	return t
}

// logEvery is how often an access log is read: that takes a connection to the
// machine.
const logEvery = 500 * time.Millisecond

// logged checks that a task's access log shows as many requests as are
// claimed. Instances that name themselves need no log.
func (r *run) logged(ctx context.Context, t TaskHistory, requests int) error {
	if !nameless(r.probe.Traffic()) || r.inLog[t.ID] >= requests {
		return nil
	}
	if time.Since(r.logRead[t.ID]) < logEvery {
		return fmt.Errorf("%s: its access log shows %d requests", t.Name, r.inLog[t.ID])
	}
	n, err := r.lab.Logged(ctx, t.Node, t.ID, r.probe.Agent)
	r.logRead[t.ID] = time.Now()
	if err != nil {
		return fmt.Errorf("read the access log of %s: %v", t.Name, err) // not found yet is no reason to give up
	}
	if r.inLog[t.ID] = n; n < requests {
		return fmt.Errorf("%s: its access log shows %d requests", t.Name, n)
	}
	return nil
}
