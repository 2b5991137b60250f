// Package cluster is the state machine of a leading master: which agents
// there are, which frameworks, who was offered what, and which task runs
// where.
//
// Nouns. An agent is connected while its Link stands, active while it gets
// offers, and listed until its pings went unanswered for so long that it is
// removed. A framework is connected while its Stream stands; a disconnected
// one is kept for its failover time-out. An offer is a grant of the allocator
// that its framework has not answered; an inverse offer asks a framework to leave
// an agent whose machine will be maintained. A task holds resources from its launch
// until its last state; it is forgotten when the scheduler acknowledged that.
//
// What happens when is Mesos' behaviour as measured on 0.26.2 and 1.3.2
// (contracts sections 7, 8 and 10, mesos-measured). Where the two
// generations differ Options.Compat chooses.
//
// Promises. All methods may be called from any goroutine; one lock orders
// them. Nothing blocks: messages to agents and schedulers go into their Link
// and Stream, which must take them without waiting. A task id has at most one
// live task in its framework, and no resource is offered or used twice;
// Options.Audit hears of it if that should ever be untrue.
//
// Memory only: what a restarted master must know (which agents there are,
// weights, quotas, planned maintenance) goes through Options.Registry, beside
// the lock: what rests on a change leaves when that is stored (registrar), and
// the cluster ends if it cannot be. Everything else, dynamic reservations and
// volumes too, comes back from agents and schedulers.
//
// Not here, on purpose: custom executors, task groups, shared volumes, volumes on
// disks of their own. Tasks that need them get TASK_ERROR,
// operations are dropped.
package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/allocator"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// Generation is a Mesos version whose behaviour is followed where versions
// differ.
type Generation int

// The generations. In V026 a removed agent that comes back is told to shut
// down; in V13 it is taken back, and PARTITION_AWARE frameworks exist.
const (
	V026 Generation = iota
	V13
)

// Link carries messages to one agent. Send must not block; what is sent
// after Close is dropped.
type Link interface {
	Send(wire.Message)
	Close()
}

// Stream carries events to one subscribed scheduler. Send must not block;
// Close lets what was sent go out first.
type Stream interface {
	Send(*scheduler.Event)
	Close()
}

// Options are fixed for a Cluster's life.
type Options struct {
	Master mesos.MasterInfo
	Compat Generation
	// PingTimeout and MaxPings: an agent is removed when MaxPings pings, one
	// every PingTimeout, were not answered.
	PingTimeout time.Duration
	MaxPings    int
	// ReregisterTimeout is how long agents of the registry may take to come
	// back after a restart of the master.
	ReregisterTimeout  time.Duration
	AllocationInterval time.Duration
	// OfferTimeout rescinds unanswered offers; 0 = never.
	OfferTimeout time.Duration
	Weights      map[string]float64
	// Roles, if not empty, are the only roles besides "*" that frameworks
	// may have. In 0.26 that goes for an empty list, too.
	Roles []string
	// How much of what is over is remembered.
	MaxCompletedFrameworks, MaxCompletedTasks, MaxUnreachableTasks int
	Registry                                                       Registry
	// StoreTimeout is how long the Registry may take to store.
	StoreTimeout time.Duration
	Logf         func(format string, args ...any)
	// Audit, if set, is called after every change with the invariants'
	// verdict, nil if they hold. For tests: it looks at everything.
	Audit func(error)
}

// Cluster is one leading master's state. Make it with New and run it with
// Run.
type Cluster struct {
	o Options

	mu         sync.Mutex
	closed     bool
	elected    time.Time
	alloc      *allocator.Allocator
	agents     map[string]*agent
	links      map[Link]*agent
	frameworks map[string]*framework
	completed  []*framework
	offers     map[string]*offer
	inverses   map[string]*inverse
	ends       offerEnds
	reg        registered
	removed    map[string]bool // agents that must not come back
	lostHere   map[string]bool // those that this master, no former one, found unreachable
	metrics    map[string]float64
	weights    map[string]float64      // by role; never written to, only replaced
	quotas     map[string]resource.Set // by role; never written to, only replaced
	awaited    int                     // agents without which there are no offers, for the quotas' sake
	upkeep     upkeep
	observers  map[Observer]bool
	nextAgent, nextFramework, nextOffer,
	nextSeq int
}

// New returns a cluster that has just been elected. The registry is read.
func New(o Options) (*Cluster, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	c := &Cluster{
		o: o, elected: time.Now(),
		alloc:      allocator.New(o.Weights, rand.Shuffle),
		agents:     map[string]*agent{},
		links:      map[Link]*agent{},
		frameworks: map[string]*framework{},
		offers:     map[string]*offer{},
		inverses:   map[string]*inverse{},
		removed:    map[string]bool{},
		lostHere:   map[string]bool{},
		metrics:    map[string]float64{},
		observers:  map[Observer]bool{},
	}
	if err := c.recoverRegistry(); err != nil {
		return nil, fmt.Errorf("recover registry: %w", err)
	}
	return c, nil
}

// Run makes offers every allocation interval until ctx ends, or until the
// registry cannot be stored, which is an error; then all links and streams are
// closed and all timers stopped.
func (c *Cluster) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var failed error
	var keeper sync.WaitGroup
	defer keeper.Wait()
	keeper.Go(func() {
		if failed = c.keepRegistry(ctx); failed != nil {
			cancel(failed)
		}
	})
	tick := time.NewTicker(c.o.AllocationInterval)
	defer tick.Stop()
	c.lock()
	giveUp := c.after(c.o.ReregisterTimeout, c.dropRecovered)
	c.unlock()
	defer giveUp.Stop()
	for {
		select {
		case <-tick.C:
			c.lock()
			c.allocate()
			c.unlock()
		case <-ctx.Done():
			c.close()
			keeper.Wait()
			return failed
		}
	}
}

func (c *Cluster) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	close(c.reg.over)
	for _, a := range c.agents {
		a.timer.Stop()
	}
	for l := range c.links {
		l.Close()
	}
	for _, f := range c.frameworks {
		if f.timer != nil {
			f.timer.Stop()
		}
		if f.stream != nil {
			f.stream.Close()
		}
	}
	for o := range c.observers {
		o.Close()
	}
	for _, o := range c.offers {
		if o.timer != nil {
			o.timer.Stop()
		}
	}
	for _, i := range c.inverses {
		c.removeInverse(i)
	}
}

func (c *Cluster) lock() { c.mu.Lock() }

func (c *Cluster) unlock() {
	if c.o.Audit != nil && !c.closed {
		c.o.Audit(c.verify())
	}
	c.mu.Unlock()
}

// after runs fn with the lock held, unless the cluster was closed.
func (c *Cluster) after(d time.Duration, fn func()) *time.Timer {
	return time.AfterFunc(d, func() {
		c.lock()
		defer c.unlock()
		if !c.closed {
			fn()
		}
	})
}

// word returns old for 0.26 and new for 1.3: what was called a slave became
// an agent in between.
func (c *Cluster) word(old, new string) string {
	if c.o.Compat == V026 {
		return old
	}
	return new
}

func (c *Cluster) seq() int {
	c.nextSeq++
	return c.nextSeq
}

func (c *Cluster) count(metric string) { c.metrics["master/"+metric]++ }

// inOrder returns m's values in the order in which they came.
func inOrder[V interface{ came() int }](m map[string]V) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b V) int { return a.came() - b.came() })
	return list
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func ptr[T any](v T) *T { return &v }
