package scenarios

import (
	"context"
	"time"
)

// Leaders is what leads the platform, by its own words. Clusters know it.
type Leaders interface {
	// Master is what the Mesos master says of itself; one that does not lead
	// knows nothing else.
	Master(ctx context.Context) (Master, error)
	// Scheduler is what the leading Marathon says of itself.
	Scheduler(ctx context.Context) (Scheduler, error)
}

// Master is a Mesos master.
type Master struct {
	ID         string    // new with each process
	Elected    time.Time // by its own clock
	Leads      bool
	Agents     []Agent
	Frameworks []string // ids of those that are connected
}

// Scheduler is a leading Marathon.
type Scheduler struct {
	Leader    string // host:port
	Framework string // its id in Mesos, "" before it has one
}

// Processes is what a machine's engine knows of the platform's containers,
// out of band.
type Processes interface {
	Process(ctx context.Context, c Component) (Process, error)
}

// Process is the container of a component. All times are its engine's.
type Process struct {
	Running bool
	Started time.Time // when it was started last
	// Ends are the ends of its process that the engine remembers, oldest
	// first.
	Ends []End
}

// End is the end of a process.
type End struct {
	At   time.Time
	Code int
}

// lastEnd is when the process ended last, as far as is remembered.
func (p Process) lastEnd() time.Time {
	if len(p.Ends) == 0 {
		return time.Time{}
	}
	return p.Ends[len(p.Ends)-1].At
}

// sampledOf lists the samplers that have nobody to ask while a component is
// broken. Without ZooKeeper, or without a master, Marathon does not lead
// either, and its streams end.
func sampledOf(component string) []string {
	switch component {
	case "zookeeper", "mesos_master":
		return []string{samplerMesos, samplerMarathon}
	case "marathon":
		return []string{samplerMarathon}
	case "marathon-lb":
		return []string{samplerBalancer}
	}
	return nil
}

// The samplers by name.
const (
	samplerMarathon = "marathon"
	samplerMesos    = "mesos"
	samplerBalancer = "load balancer"
)

// A hole in a sampler's record is no blindness where the run itself took away
// whom the sampler asks, and has seen it back: that is what is to be shown.
// Until an expectation has seen it back, the hole counts as any other.

// upset notes that the run takes away whom samplers ask.
func (h *History) upset(samplers ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range samplers {
		if _, known := h.away[s]; !known {
			h.away[s] = time.Now()
		}
	}
}

// explained notes that whom a sampler asks was seen back: its holes since it
// was taken away are explained by that.
func (h *History) explained(sampler string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since, known := h.away[sampler]
	if !known {
		return
	}
	delete(h.away, sampler)
	since = since.Add(-maxGap) // the last good sample may have been a little earlier
	kept := h.gaps[:0:0]
	for _, g := range h.gaps {
		if g.Sampler != sampler || g.At.Before(since) {
			kept = append(kept, g)
		}
	}
	h.gaps = kept
	if sampler == samplerMarathon && !h.lost.Before(since) {
		h.lost = time.Time{}
	}
}

// missing says whether a sampler has nobody to ask, by the run's own doing.
func (h *History) missing(sampler string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, away := h.away[sampler]
	return away
}

// lastKnown is the cluster for aiming: while Marathon is away, the app that
// is watched is as it was seen last.
type lastKnown struct {
	Cluster
	r *run
}

func (c lastKnown) App(ctx context.Context, id string) (App, error) {
	if id == c.r.app && c.r.history.missing(samplerMarathon) {
		if app := c.r.history.App(); app.ID != "" {
			return app, nil
		}
	}
	return c.Cluster.App(ctx, id)
}

// takeAway tells the observers whom a fault takes from them.
func (r *run) takeAway(f Fault) {
	name := f.Task
	if f.Part == PartComponent {
		name = f.Container
	}
	if name == "" || r.opt.Placebo {
		return
	}
	r.mu.Lock()
	r.brokenParts = append(r.brokenParts, name)
	r.mu.Unlock()
	r.history.upset(sampledOf(f.Container)...)
}

// endUntold is the end of a task of which no event told: Marathon lists it no
// more after its stream has broken. Streams are not replayed (contracts of
// Marathon, section 3): who was away reads the state again.
const endUntold = "ended, untold"

// untoldAfter is how long an event may come later than the list shows it.
const untoldAfter = 300 * time.Millisecond

// relist finds tasks that Marathon has ceased to list. h.mu is held.
func (h *History) relist(now time.Time, app App) {
	for _, s := range app.Tasks {
		t := h.tasks[s.ID]
		t.listed, t.unlisted = now, time.Time{}
	}
	for _, id := range h.order {
		t := h.tasks[id]
		switch {
		case t.listed.IsZero() || t.listed.Equal(now) || !t.Ended.IsZero():
		case t.unlisted.IsZero():
			t.unlisted = now
		case h.missed && now.Sub(t.unlisted) >= untoldAfter:
			t.Ended, t.EndState = t.unlisted, endUntold
			h.changed("◆ Marathon lists " + t.Name + " no more: it ended while nobody could tell")
		}
	}
}

// harmless notes that what the run took away was not missed: holes in the
// record are holes.
func (h *History) harmless(samplers ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range samplers {
		delete(h.away, s)
	}
}

// sampledAfter says whether a sampler has had an answer since a moment.
func (h *History) sampledAfter(sampler string, at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lastSeen[sampler].After(at)
}
