// Package core is a leading Marathon without its mouth: the state machine
// between what people want (apps) and what Mesos has (tasks).
//
// Nouns: Core (one term of leadership), Change (what people may ask for, as a
// new tree of apps), deployment (a Plan under way), Config (the flags that
// matter). Tasks, the launch queue and the written state have packages of
// their own: task, launch, record.
//
// A Core is made from the Store when leadership begins and ends with its
// context; the next leader takes the same tasks up again. Everything happens
// under one lock and in reaction to something: an API call, a word from
// Mesos, a probe's result, a timer. A decision is always taken from the
// whole current state ("too few tasks: queue more"), never from a memory of
// what was done, so that any sequence of losses converges. What must survive
// is written to the Store before it takes effect: a task before it is
// launched, a change before it is deployed.
//
// The order of locks: Core's own, then Bus or Client; nobody calls into Core
// while holding theirs. Core's own is held over what is written to the Store,
// which bounds how long that takes: it is a turn, not a mutex, and lent to those
// who only read when the Store is slow. What a write is for takes effect after
// it, so that they see the state before it. Rules: contracts
// sections 2.3–2.6 and 4, Marathon 1.1.1. Left out: readiness of resident
// tasks, authentication, artifact resolving.
package core

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/launch"
	"github.com/mesoslab/lab/mini/marathon/match"
	"github.com/mesoslab/lab/mini/marathon/record"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/task"
	"github.com/mesoslab/lab/mini/marathon/turn"
)

// Config is what Marathon's flags say about the core.
type Config struct {
	Ports             group.PortRange // --local_port_min, --local_port_max
	LaunchTimeout     time.Duration   // --task_launch_timeout
	ConfirmTimeout    time.Duration   // --task_launch_confirm_timeout
	ReconcileDelay    time.Duration   // --reconciliation_initial_delay
	ReconcileInterval time.Duration   // --reconciliation_interval
	ScaleDelay        time.Duration   // --scale_apps_initial_delay
	ScaleInterval     time.Duration   // --scale_apps_interval
	MaxTasksPerOffer  int             // --max_tasks_per_offer
	DeclineFor        time.Duration   // --decline_offer_duration
	MinRevive         time.Duration   // --min_revive_offers_interval
	Revives           int             // --revive_offers_repetitions
	LaunchTokens      int             // --launch_tokens
	TokenRefresh      time.Duration   // --launch_token_refresh_interval
	MaxVersions       int             // --zk_max_versions
	MaxApps           int             // --max_apps; 0 = any number
	Rules             match.Rules     // --default_accepted_resource_roles, --env_vars_prefix
}

// Defaults are those of 1.1.1.
func Defaults() Config {
	return Config{Ports: group.PortRange{Min: 10000, Max: 20000}, LaunchTimeout: 300 * time.Second, ConfirmTimeout: 300 * time.Second,
		ReconcileDelay: 15 * time.Second, ReconcileInterval: 600 * time.Second,
		ScaleDelay: 15 * time.Second, ScaleInterval: 300 * time.Second,
		MaxTasksPerOffer: 5, DeclineFor: 120 * time.Second, MinRevive: 5 * time.Second, Revives: 3,
		LaunchTokens: 100, TokenRefresh: 30 * time.Second, MaxVersions: 25}
}

// Deps are what a Core works with.
type Deps struct {
	Store store.Store
	Mesos scheduler.Mesos
	Bus   *event.Bus
	Probe health.Prober
	// Rand picks host ports and the order of offers; nil means random.
	Rand *rand.Rand
	// Fatal is called, once, when Mesos says that this framework has no
	// future; removed tells that it is gone for good. It must not block.
	Fatal func(message string, removed bool)
	// Disconnected is called when the master is gone that this term was
	// subscribed at; may be nil. It must not block.
	Disconnected func()
	// Log gets one line for each thing worth it; may be nil.
	Log func(format string, args ...any)
}

// Core is one term of leadership.
type Core struct {
	cfg Config
	Deps
	ctx context.Context
	wg  sync.WaitGroup

	turn        *turn.Turn // guards all below
	book        *record.Book
	frameworkID string
	master      string // host:port while subscribed
	registered  bool   // this term has been subscribed before
	root        group.Root
	lastVersion app.Time
	tasks       map[string]*task.Task   // by id
	byApp       map[string][]*task.Task // the same, oldest first; see add and forget
	failures    map[string]task.Failure // last one, by app
	queue       launch.Queue
	deployments []*deployment
	checks      map[checkKey]context.CancelFunc
	readiness   map[string]health.Readiness // by task
	tokens      int
	revive      reviver
	wakeup      *time.Timer // fires at alarm
	alarm       time.Time   // when the next back-off ends, or zero
}

// New makes the core of a term that lasts as long as ctx: it loads the state
// and starts the clocks. Wait for its end with Wait.
func New(ctx context.Context, cfg Config, deps Deps) (*Core, error) {
	if deps.Rand == nil {
		deps.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if deps.Log == nil {
		deps.Log = func(string, ...any) {}
	}
	book := &record.Book{Store: deps.Store, MaxVersions: cfg.MaxVersions, Log: deps.Log}
	s, err := book.Load(ctx, now())
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	c := &Core{cfg: cfg, Deps: deps, ctx: ctx, turn: turn.New(), book: book, frameworkID: s.FrameworkID, root: s.Root, lastVersion: s.Root.Version,
		tasks: map[string]*task.Task{}, byApp: map[string][]*task.Task{}, failures: s.Failures, tokens: cfg.LaunchTokens,
		checks: map[checkKey]context.CancelFunc{}, readiness: map[string]health.Readiness{}}
	for _, t := range slices.SortedFunc(maps.Values(s.Tasks), task.ByAge) {
		c.add(t)
	}
	book.Store = lending{deps.Store, c.turn} // from here on somebody has the turn
	c.wakeup = time.AfterFunc(time.Hour, c.backoffEnded)
	c.wakeup.Stop()
	c.turn.Insist()
	defer c.leave()
	for id, a := range c.root.Apps {
		c.startChecks(a)
		c.startOldChecks(id)
	}
	for _, p := range s.Plans {
		c.deployments = append(c.deployments, &deployment{Plan: p})
	}
	for _, d := range slices.Clone(c.deployments) {
		c.begin(d)
	}
	c.startClocks()
	return c, nil
}

// Wait returns when the term is over and everything it started has ended.
func (c *Core) Wait() {
	<-c.ctx.Done()
	c.turn.Insist()
	c.wakeup.Stop()
	c.turn.Give()
	c.wg.Wait()
}

// enter takes the lock; false means that the term is over.
func (c *Core) enter() bool { return c.turn.Take(c.ctx) == nil }

// leave gives the lock back after doing what the changes call for: asking
// for offers, waking up for the next back-off.
func (c *Core) leave() {
	c.settleOffers()
	c.turn.Give()
}

// every runs fn under the lock, first after delay, then each interval.
func (c *Core) every(delay, interval time.Duration, fn func()) {
	c.wg.Go(func() {
		t := time.NewTimer(delay)
		defer t.Stop()
		for {
			select {
			case <-c.ctx.Done():
				return
			case <-t.C:
			}
			if !c.enter() {
				return
			}
			fn()
			c.leave()
			t.Reset(interval)
		}
	})
}

// startClocks starts everything that happens because time passes.
func (c *Core) startClocks() {
	c.every(c.cfg.ScaleDelay, c.cfg.ScaleInterval, c.scaleAll)
	c.every(c.cfg.ReconcileDelay, c.cfg.ReconcileInterval, c.reconcile)
	c.every(30*time.Second, 5*time.Second, c.killOverdue)
	c.every(killRetry, killRetry, c.repeatKills)
	c.every(10*time.Second, 10*time.Second, c.queue.Forget)
	c.every(c.cfg.TokenRefresh, c.cfg.TokenRefresh, func() { c.tokens = c.cfg.LaunchTokens; c.wantOffers() })
	c.every(time.Second, time.Second, func() { c.book.Flush(c.ctx) })
	c.every(time.Second, time.Second, c.repeatRevive)
}

// now is the time as it is written down.
func now() app.Time { return app.At(time.Now()) }

// nextVersion is now, but never a version that was given out before.
func (c *Core) nextVersion() app.Time {
	v := now()
	if !v.After(c.lastVersion.Time) {
		v = app.At(c.lastVersion.Add(time.Millisecond))
	}
	c.lastVersion = v
	return v
}
