package scenarios

import "time"

// A script may have several legs: each begins with "victim", and what comes
// after it is about the faults that follow. Times in the timeline count from
// the first fault of all.

// leg is the one that a run is in.
type leg struct {
	from time.Time // when it began; zero in the first
	past []Phase   // of the legs before
}

// nextLeg begins another one, if anything was broken in the last.
func (r *run) nextLeg() {
	if r.faultTime().IsZero() {
		return
	}
	past, _ := r.phases()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leg = leg{time.Now(), past}
	r.victims = nil
}

// inLeg says whether something belongs to the leg. The caller holds the lock.
// Records have their times in seconds, rounded.
func (r *run) inLeg(f FaultRecord) bool {
	return !r.at(f.At).Before(r.leg.from.Add(-time.Microsecond))
}

// legFault is when the first fault or change of the leg was asked for; zero
// before.
func (r *run) legFault() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leg.from.IsZero() {
		return r.fault
	}
	for _, f := range r.faults {
		if r.inLeg(f) {
			return r.at(f.At)
		}
	}
	return time.Time{}
}

// running are the tasks that a victim is chosen by: those of the baseline, or,
// once something was broken, those that run.
func (r *run) running() []TaskHistory {
	if r.faultTime().IsZero() {
		return r.before
	}
	var out []TaskHistory
	for _, t := range r.history.App().Tasks {
		if h := r.history.Task(t.ID); !h.Running.IsZero() && h.Ended.IsZero() {
			out = append(out, h)
		}
	}
	return out
}
