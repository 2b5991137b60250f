package marathonlb

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathonlb/haproxy"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

var _ mini.Program = Run

// Run is marathon-lb. It returns 0 when ctx ends, 1 if the statistics' port
// cannot be bound, the HAProxy of --haproxy PATH does not run, or, with --dry,
// if there is no configuration, 2 for words it does not know.
func Run(ctx context.Context, env mini.Env) int {
	o, err := parse(env)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(env.Stdout, "usage: marathon_lb.py --marathon URL… --group GROUP… [--sse] [--health-check] [--strict] [--dont-bind-http-https] [--haproxy-map] [--haproxy never|auto|PATH] [--haproxy-config FILE] [--auth-credentials USER:PASS] [--dry]")
		return 0
	}
	if err != nil {
		fmt.Fprintf(env.Stderr, "marathon_lb.py: error: %v\n", err)
		return 2
	}
	lb := newBalance(env, o)
	if o.dry {
		return lb.dry(ctx)
	}
	return lb.serve(ctx)
}

// balance is a running marathon-lb.
type balance struct {
	env      mini.Env
	options  options
	limits   proxy.Limits
	find     func(context.Context) (haproxy.Program, error) // the HAProxy that is asked for
	marathon *marathon
	builder  builder
	balancer balancer
	open     shared
	logMu    sync.Mutex
	reported map[string]bool // ignored labels that were named in the log
	inForce  atomic.Pointer[configuration]
	problems atomic.Pointer[[]problem]
}

func newBalance(env mini.Env, o options) *balance {
	return &balance{
		env: env, options: o, limits: proxy.DefaultLimits(),
		marathon: &marathon{client: env.HTTPClient(), urls: o.marathon, user: o.user, pass: o.pass},
		builder:  builder{groups: o.groups, healthy: o.healthy, strict: o.strict},
		reported: map[string]bool{},
		find:     func(ctx context.Context) (haproxy.Program, error) { return haproxy.Find(ctx, env, o.haproxy) },
	}
}

// log writes one line to the container's log.
func (lb *balance) log(format string, args ...any) {
	lb.logMu.Lock()
	defer lb.logMu.Unlock()
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	fmt.Fprintf(lb.env.Stderr, "%s marathon_lb: %s\n", time.Now().Format("2006-01-02 15:04:05,000"), line)
}

// dry prints the configuration instead of serving it.
func (lb *balance) dry(ctx context.Context) int {
	lb.open = shared{vhosts: lb.options.bindShared, appIDs: true}
	lb.builder.reserve(lb.open, lb.options.statsPort)
	apps, err := lb.read(ctx, lb.marathon.url())
	if err != nil {
		lb.log("%v", err)
		return 1
	}
	c, err := lb.configure(apps, nil)
	if err != nil {
		lb.log("%v", err)
		return 1
	}
	lb.report(c.problems)
	if _, err := io.WriteString(lb.env.Stdout, c.text); err != nil {
		return 1
	}
	return 0
}

func (lb *balance) serve(ctx context.Context) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := lb.env.Listen(ctx, "tcp", net.JoinHostPort("", lb.options.statsPort))
	if err != nil {
		lb.log("cannot bind the statistics: %v", err)
		return 1
	}
	if lb.balancer, err = lb.choose(ctx); err != nil {
		l.Close()
		lb.log("%v", err)
		return 1
	}
	defer lb.balancer.Close()
	server := lb.env.Server(lb.stats())
	// As HAProxy's own frontend has it: nobody stays for nothing.
	server.ReadTimeout, server.WriteTimeout, server.IdleTimeout = lb.limits.Request, lb.limits.Client, lb.limits.KeepAlive
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			lb.log("statistics: %v", err)
		}
	})
	lb.probeShared(ctx)
	f := &follower{
		marathon: lb.marathon, refresh: lb.refresh, poll: lb.options.poll,
		random: rand.Float64, log: lb.log, trigger: make(chan string, 1),
	}
	switch lb.options.follow {
	case events:
		tasks.Go(func() { f.events(ctx) })
		tasks.Go(func() { f.refreshes(ctx) })
	case polling:
		f.poke("start")
		tasks.Go(func() { f.refreshes(ctx) })
	case once:
		tasks.Go(func() {
			if err := lb.refresh(ctx, lb.marathon.url()); err != nil {
				lb.log("%v", err)
			}
		})
	}
	<-ctx.Done()
	server.Close()
	tasks.Wait()
	return 0
}

// probeShared finds out which of the ports that only the shared frontends
// need can be bound here.
func (lb *balance) probeShared(ctx context.Context) {
	can := func(port string) bool {
		l, err := lb.env.Listen(ctx, "tcp", ":"+port)
		if err != nil {
			lb.log("port %s stays closed: %v", port, err)
			return false
		}
		l.Close()
		return true
	}
	lb.open.vhosts = lb.options.bindShared && can("80")
	lb.open.appIDs = can("9091")
	lb.builder.reserve(lb.open, lb.options.statsPort)
}

// configure builds the configuration for apps. Refused is what could not be
// brought into force; nil is nothing.
func (lb *balance) configure(apps []app, refused *refusals) (*configuration, error) {
	services, problems, err := lb.builder.build(apps, refused)
	if err != nil {
		return nil, err
	}
	return &configuration{
		services: services,
		problems: problems,
		open:     lb.open,
		model:    model(services, lb.open),
		text:     render(services, lb.open, lb.limits, lb.options.statsPort),
	}, nil
}

// read asks Marathon for all apps.
func (lb *balance) read(ctx context.Context, base string) ([]app, error) {
	apps, err := lb.marathon.apps(ctx, base)
	if err != nil {
		return nil, fmt.Errorf("reading Marathon's state: %w", err)
	}
	lb.reportIgnored(apps)
	return apps, nil
}

// refresh reads the state and brings it into force. Only a failed read is
// returned: an invalid configuration is not mended by reading it again.
func (lb *balance) refresh(ctx context.Context, base string) error {
	apps, err := lb.read(ctx, base)
	if err != nil {
		return err
	}
	if err := lb.follow(ctx, apps); err != nil && ctx.Err() == nil {
		lb.log("invalid configuration, skipping reload, the old one stays in force: %v", err)
	}
	return nil
}

func (lb *balance) apply(ctx context.Context, c *configuration) error {
	old := lb.inForce.Load()
	if old == nil || old.text != c.text {
		start := time.Now()
		if err := lb.balancer.Apply(ctx, c); err != nil {
			return err
		}
		lb.inForce.Store(c)
		servers := 0
		for _, s := range c.services {
			servers += len(s.servers)
		}
		lb.log("reloaded: %d services, %d servers, in %v", len(c.services), servers, time.Since(start).Round(10*time.Microsecond))
	}
	lb.builder.remember(c.services)
	if _, err := writeFile(lb.env.Path(lb.options.config), c.text); err != nil {
		lb.log("%v", err) // what is served does not hang on the file
	}
	return nil
}

// report names in the log what has become a problem, and what has ceased to be
// one, and keeps all of them for the page.
func (lb *balance) report(problems []problem) {
	var before []problem
	if p := lb.problems.Swap(&problems); p != nil {
		before = *p
	}
	same := func(p problem) func(problem) bool {
		return func(o problem) bool { return o.String() == p.String() }
	}
	for _, p := range problems {
		if !slices.ContainsFunc(before, same(p)) {
			lb.log("%v", p)
		}
	}
	for _, p := range before {
		if !slices.ContainsFunc(problems, func(o problem) bool { return o.appID == p.appID && o.index == p.index }) {
			lb.log("app %s: service port number %d is as its labels say again", p.appID, p.index)
		}
	}
}

// reportIgnored names labels without effect, each once.
func (lb *balance) reportIgnored(apps []app) {
	for _, a := range apps {
		for _, name := range ignored(a) {
			if key := a.ID + " " + name; !lb.reported[key] {
				lb.reported[key] = true
				lb.log("app %s: label %s has no effect here", a.ID, name)
			}
		}
	}
}
