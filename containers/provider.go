package containers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/moby/moby/client"
)

// Options are what a Provider needs to know of the program around it. The
// zero value is this computer's engine at its usual socket.
type Options struct {
	// Engine is the Docker engine; nil means a client of Host.
	Engine Engine
	// Host is the engine's address as in DOCKER_HOST; "" is the usual socket.
	Host string
	// Dial opens connections to machines; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Routes returns the networks that this computer has routes to, without
	// the default route; nil means to ask the system.
	Routes func() ([]netip.Prefix, error)
	// Build runs mmdebstrap; nil means the program of that name, if there is one.
	Build Bootstrap
	// Computer is what checks look at; the zero value is this one.
	Computer computer.Computer
}

// Provider makes machines of containers.
type Provider struct {
	engine Engine
	broken error // why there is no engine
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	routes func() ([]netip.Prefix, error)
	build  Bootstrap

	patience patience
	host     string // as in DOCKER_HOST
	computer computer.Computer

	making sync.Mutex
}

var _ lab.Provider = (*Provider)(nil)

// New returns a Provider. A Host that is no address shows as
// engine-unreachable at the first call.
func New(opts Options) *Provider {
	p := &Provider{
		engine: opts.Engine, dial: opts.Dial, routes: opts.Routes, build: opts.Build, host: opts.Host, computer: opts.Computer.Or(),
		patience: patience{ping: 5 * time.Second, silence: 30 * time.Second, revive: 3 * time.Second},
	}
	if p.engine == nil {
		var o []client.Opt
		if opts.Host != "" {
			o = append(o, client.WithHost(opts.Host))
		}
		c, err := client.New(o...)
		p.engine, p.broken = c, err
	}
	if p.dial == nil {
		p.dial = (&net.Dialer{}).DialContext
	}
	if p.routes == nil {
		p.routes = p.computer.Routes
	}
	if p.build == nil {
		p.build = findBootstrap()
	}
	return p
}

// Features implements lab.Provider.
func (p *Provider) Features() lab.Features {
	f := lab.Features{
		Name: "docker", Real: true, Stack: "mini", PingTimeout: 3 * time.Second, PingTimeouts: 5,
		PowerModes: []lab.Power{lab.PowerOn, lab.PowerOff, lab.PowerCut, lab.PowerCrash, lab.PowerPause},
	}
	for third := 59; third <= 254; third++ {
		f.Subnets = append(f.Subnets, "192.168."+strconv.Itoa(third)+".0/24")
	}
	return f
}

// Up implements lab.Provider. Error ids: engine-unreachable, engine-silent,
// engine-too-old, engine-unsuitable, image-build, subnet-taken, subnet-unfit,
// name-taken, machine-renamed, machine-start, privileged-impossible,
// machine-boot, ssh-timeout.
func (p *Provider) Up(ctx context.Context, plan lab.Plan) (_ []lab.Machine, err error) {
	ctx, end := p.watched(ctx)
	defer end(&err)
	all, err := sites(plan, nil)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	net, err := subnet(plan)
	if err != nil {
		return nil, err
	}
	if err := p.reach(ctx); err != nil {
		return nil, err
	}
	g, err := p.prepare(ctx, plan, net, all)
	if err != nil {
		return nil, err
	}
	machines := make([]lab.Machine, len(all))
	err = each(all, func(i int, s site) error {
		return plan.Report.Step("create", s.node.Name, "boot", func(wait func(string)) (err error) {
			if !g.complete {
				if err = p.make(ctx, s, g.host); err != nil {
					return err
				}
			}
			if err = p.powerOn(ctx, s, g.public, wait); err != nil {
				return err
			}
			machines[i], err = s.machine()
			return err
		})
	})
	if err != nil {
		return nil, p.refused(ctx, plan, g, err)
	}
	return machines, nil
}

// refused asks, where no machine could be started, whether this engine gives
// any container the rights of a machine. Where it gives none, what has been made
// of a new lab goes again: nothing will ever run there.
func (p *Provider) refused(ctx context.Context, plan lab.Plan, g ground, err error) error {
	if lab.ErrorID(err) != "machine-start" || ctx.Err() != nil {
		return err
	}
	impossible := p.tryRights(ctx, plan)
	if lab.ErrorID(impossible) == "" {
		return err
	}
	if g.fresh {
		return errors.Join(impossible, p.Destroy(ctx, plan))
	}
	return impossible
}

// ground is what machines stand on.
type ground struct {
	complete bool // no machine has to be made
	fresh    bool // there was nothing of the lab
	host     size
	public   []byte // the lab's key, an authorized_keys line
}

// prepare looks at what can be in the way before the long work begins, then
// makes what all machines share: image, key, network.
func (p *Provider) prepare(ctx context.Context, plan lab.Plan, net netip.Prefix, all []site) (g ground, err error) {
	if g.host, err = p.suitable(ctx); err != nil {
		return g, err
	}
	made, err := p.findNetwork(ctx, plan, net)
	if err != nil {
		return g, err
	}
	if err = p.restoreNames(ctx, plan, all); err != nil {
		return g, err
	}
	g.complete = made && p.complete(ctx, all)
	if !g.complete {
		if err = p.EnsureImage(ctx, plan.Report); err != nil {
			return g, err
		}
	}
	if g.public, err = ensureKey(keyFile(all[0].dir)); err != nil || g.complete {
		return g, err
	}
	if !made {
		if err = p.createNetwork(ctx, plan, net); err != nil {
			return g, err
		}
		g.fresh = true
	}
	return g, nil
}

// complete reports whether no machine has to be made. What cannot be looked at
// is for those who make it to report.
func (p *Provider) complete(ctx context.Context, all []site) bool {
	err := each(all, func(_ int, s site) error {
		v, err := p.look(ctx, s)
		if err == nil && v.state == lab.StateMissing {
			err = lab.ErrNotFound
		}
		return err
	})
	return err == nil
}

// Status implements lab.Provider.
func (p *Provider) Status(ctx context.Context, plan lab.Plan) (_ []lab.MachineStatus, err error) {
	ctx, end := p.watched(ctx)
	defer end(&err)
	all, err := sites(plan, nil)
	if err != nil {
		return nil, err
	}
	if err := p.reach(ctx); err != nil {
		return nil, err
	}
	out := make([]lab.MachineStatus, len(all))
	err = each(all, func(i int, s site) error {
		v, err := p.look(ctx, s)
		if err != nil {
			return err
		}
		out[i] = lab.MachineStatus{Machine: lab.Machine{Node: s.node}, State: v.state, Since: v.since, PID: v.pid}
		if v.state != lab.StateMissing {
			if r, ok := s.record(); ok && r.Container == v.id {
				out[i].Machine.SSH = s.endpoint(r.HostKey)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// each calls fn for all sites at once and joins the errors.
func each(all []site, fn func(i int, s site) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { errs[i] = fn(i, s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
