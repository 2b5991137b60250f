package election

import (
	"context"
	"sync"
)

// Memory is a Group without a server: the twin of ZooKeeper for tests. Its
// zero value is an empty group.
type Memory struct {
	mu      sync.Mutex
	entries []entry
	down    bool
	changed chan struct{}
}

type entry struct {
	m    Master
	lost chan struct{}
}

var _ Group = (*Memory)(nil)

// Contend enters m behind those already there.
func (g *Memory) Contend(ctx context.Context, m Master) (<-chan struct{}, error) {
	for {
		g.mu.Lock()
		if !g.down {
			break // with the lock held
		}
		c := g.wait()
		g.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	defer g.mu.Unlock()
	e := entry{m, make(chan struct{})}
	g.entries = append(g.entries, e)
	g.wake()
	context.AfterFunc(ctx, func() { g.remove(func(x entry) bool { return x.lost == e.lost }) })
	return e.lost, nil
}

// Detect returns the first that entered and is still there.
func (g *Memory) Detect(ctx context.Context, previous Master) (Master, error) {
	for {
		g.mu.Lock()
		var leader Master
		if len(g.entries) > 0 && !g.down {
			leader = g.entries[0].m
		}
		c := g.wait()
		g.mu.Unlock()
		if leader != previous {
			return leader, nil
		}
		select {
		case <-c:
		case <-ctx.Done():
			return Master{}, context.Cause(ctx)
		}
	}
}

// Expire ends the candidacy of the master with this id, as the end of its
// session would.
func (g *Memory) Expire(id string) {
	g.remove(func(e entry) bool { return e.m.ID == id })
}

// SetDown(true) is ZooKeeper gone for longer than a session: every candidacy
// is lost and nobody is known to lead until SetDown(false).
func (g *Memory) SetDown(down bool) {
	g.mu.Lock()
	g.down = down
	g.wake()
	g.mu.Unlock()
	if down {
		g.remove(func(entry) bool { return true })
	}
}

func (g *Memory) remove(which func(entry) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var kept []entry
	for _, e := range g.entries {
		if which(e) {
			close(e.lost)
		} else {
			kept = append(kept, e)
		}
	}
	g.entries = kept
	g.wake()
}

// wait returns a channel closed at the next change; the lock must be held.
func (g *Memory) wait() <-chan struct{} {
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.changed
}

func (g *Memory) wake() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}
