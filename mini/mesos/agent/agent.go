package agent

import (
	"context"
	"net/netip"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/fetcher"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// agent is one run. Its maps and everything in them belong to the goroutine
// of loop; others hand it functions with do.
type agent struct {
	env     mini.Env
	cfg     *config.Config
	engine  docker.Engine
	store   *meta.Store
	log     *logger
	fetcher *fetcher.Fetcher // made when it is first needed

	calls      chan func()
	ended      chan struct{} // closed when loop returns
	background sync.WaitGroup
	ctx        context.Context // of everything in the background
	stop       context.CancelFunc

	started time.Time
	ip      netip.Addr
	port    int
	info    mesos.AgentInfo // ID is nil until registered for the first time
	// reserved is what is dynamically reserved of info's resources, and what is
	// a volume
	reserved []mesos.Resource
	master   string // host name of the leading master, "" if none is known

	session    *session // the connection, nil while there is none
	registered bool     // the master has answered on it

	frameworks map[string]*framework
	done       []*framework // completed, oldest first
	tasks      map[wire.TaskRef]*task
	streams    map[wire.TaskRef]*stream
	counts     counters

	leaving  bool // shutting down: nothing new is started
	exit     bool
	exitCode int
}

// framework is one that has or had tasks here.
type framework struct {
	info      mesos.FrameworkInfo
	completed []*task
	ending    bool // its tasks are being ended and their updates forgotten
}

func newAgent(ctx context.Context, env mini.Env, cfg *config.Config, engine docker.Engine, disk *meta.Store, out *logger) *agent {
	ctx, stop := context.WithCancel(ctx)
	return &agent{
		env: env, cfg: cfg, engine: engine, log: out,
		store:      disk,
		calls:      make(chan func()),
		ended:      make(chan struct{}),
		ctx:        ctx,
		stop:       stop,
		started:    time.Now(),
		frameworks: map[string]*framework{},
		tasks:      map[wire.TaskRef]*task{},
		streams:    map[wire.TaskRef]*stream{},
		counts:     counters{terminal: map[mesos.TaskState]int{}},
	}
}

// loop runs what do hands in, until ctx ends or something set exit, and
// returns the exit code.
func (a *agent) loop(ctx context.Context) int {
	defer func() {
		a.stop()
		close(a.ended)
	}()
	for !a.exit {
		select {
		case f := <-a.calls:
			f()
		case <-ctx.Done():
			a.log.infof("Terminating; containers go on running")
			return 0
		}
	}
	return a.exitCode
}

// do hands f to the loop and says whether it was taken. It must not be called
// from the loop.
func (a *agent) do(f func()) bool {
	select {
	case a.calls <- f:
		return true
	case <-a.ended:
		return false
	}
}

// ask is do that waits until f has run.
func (a *agent) ask(f func()) bool {
	ran := make(chan struct{})
	if !a.do(func() { defer close(ran); f() }) {
		return false
	}
	<-ran
	return true
}

// spawn runs f beside the loop; run waits for it before it returns.
func (a *agent) spawn(f func()) { a.background.Go(f) }

// after runs f in the loop after d, unless the agent has ended by then.
func (a *agent) after(d time.Duration, f func()) {
	a.spawn(func() {
		if pause(a.ctx, d) {
			a.do(f)
		}
	})
}

// fail ends the agent with exit code 1.
func (a *agent) fail(err error) {
	a.log.errorf("%v", err)
	a.exit, a.exitCode = true, 1
}

func (a *agent) id() string { return a.info.GetID().GetValue() }

// pid is the libprocess name under which the agent is known.
func (a *agent) pid() string {
	return "slave(1)@" + netip.AddrPortFrom(a.ip, uint16(a.port)).String()
}

// insist calls f until it succeeds or the agent ends, with longer and longer
// pauses, and says whether it did. The engine may be restarting.
func (a *agent) insist(ctx context.Context, what string, f func(context.Context) error) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := f(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		a.log.warningf("Failed to %s, trying again in %v: %v", what, wait, err)
		if !pause(ctx, wait) {
			return false
		}
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
