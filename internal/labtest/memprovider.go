package labtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// MemProvider is a lab.Provider whose machines are hosts of a Network: for
// tests of what leads labs, without a process or a file. A machine that is on
// listens on its SSH port, greets, and echoes what it is sent.
//
// Fail, if set, is asked before each act and may refuse it.
type MemProvider struct {
	Network *Network
	Fail    func(op, machine string) error

	mu       sync.Mutex
	machines map[string]*memMachine // by address
}

type memMachine struct {
	node  lab.Node
	port  int
	state lab.MachineState
	since time.Time
	lives int
	stop  func()
}

var _ lab.Provider = (*MemProvider)(nil)

// NewMemProvider returns a provider without machines.
func NewMemProvider(n *Network) *MemProvider {
	return &MemProvider{Network: n, machines: map[string]*memMachine{}}
}

// Features implements lab.Provider.
func (p *MemProvider) Features() lab.Features {
	return lab.Features{
		Name: "memory", PingTimeout: time.Second, PingTimeouts: 2, Subnets: []string{"127.200.1.0/24", "127.200.2.0/24"},
		PowerModes: []lab.Power{lab.PowerOn, lab.PowerOff, lab.PowerCut, lab.PowerCrash, lab.PowerPause},
	}
}

// Dial dials as somebody beside the machines.
func (p *MemProvider) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return p.Network.Host("127.0.0.1").Dial(ctx, network, address)
}

// Up implements lab.Provider.
func (p *MemProvider) Up(ctx context.Context, plan lab.Plan) ([]lab.Machine, error) {
	var out []lab.Machine
	var errs []error
	for _, n := range plan.Nodes {
		err := plan.Report.Step("create", n.Name, "boot", func(func(string)) error { return p.on(ctx, plan, n) })
		errs = append(errs, err)
		out = append(out, p.machine(n, plan.Spec.WithDefaults().Ports.SSH))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func (p *MemProvider) machine(n lab.Node, port int) lab.Machine {
	return lab.Machine{Node: n, SSH: lab.SSHEndpoint{Addr: net.JoinHostPort(n.IP.String(), strconv.Itoa(port)), User: "vagrant", KeyFile: "none", HostKey: "none"}}
}

// on starts a machine, or lets it go on.
func (p *MemProvider) on(ctx context.Context, plan lab.Plan, n lab.Node) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.may(ctx, "on", n.Name); err != nil {
		return err
	}
	ip := n.IP.String()
	m := p.machines[ip]
	if m == nil {
		m = &memMachine{node: n, port: plan.Spec.WithDefaults().Ports.SSH, state: lab.StateOff}
		p.machines[ip] = m
	}
	switch m.state {
	case lab.StateRunning:
		return nil
	case lab.StatePaused:
		p.Network.Mend(ip)
		m.set(lab.StateRunning)
		return nil
	case lab.StateCut: // nothing of the old life is seen again
		p.Network.Crash(ip)
		p.Network.Mend(ip)
	}
	l, err := p.Network.Host(ip).Listen(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(m.port)))
	if err != nil {
		return &lab.Error{ID: "port-taken", Op: "listen", Machine: n.Name, Err: err, Advice: "end what listens there"}
	}
	m.lives++
	m.stop = func() { l.Close() }
	go greet(l)
	m.set(lab.StateRunning)
	return nil
}

func (m *memMachine) set(s lab.MachineState) { m.state, m.since = s, time.Now() }

func (p *MemProvider) may(ctx context.Context, op, machine string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.Fail != nil {
		return p.Fail(op, machine)
	}
	return nil
}

// greet serves a machine's port.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := io.WriteString(c, "SSH-2.0-memory\r\n"); err == nil {
				_, _ = io.Copy(c, c) // ends with the connection
			}
		}()
	}
}

// Status implements lab.Provider.
func (p *MemProvider) Status(_ context.Context, plan lab.Plan) ([]lab.MachineStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []lab.MachineStatus
	for _, n := range plan.Nodes {
		m := p.machines[n.IP.String()]
		if m == nil {
			out = append(out, lab.MachineStatus{Machine: lab.Machine{Node: n}, State: lab.StateMissing})
			continue
		}
		out = append(out, lab.MachineStatus{Machine: p.machine(n, m.port), State: m.state, Since: m.since, PID: m.lives})
	}
	return out, nil
}

// Power implements lab.Provider.
func (p *MemProvider) Power(ctx context.Context, plan lab.Plan, names []string, power lab.Power) error {
	if !slices.Contains(p.Features().PowerModes, power) {
		return fmt.Errorf("power %q: %w", power, errors.ErrUnsupported)
	}
	var nodes []lab.Node
	for _, name := range names {
		n, err := lab.FindNode(plan.Nodes, name)
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	var errs []error
	for _, n := range nodes {
		errs = append(errs, p.power(ctx, plan, n, power))
	}
	return errors.Join(errs...)
}

func (p *MemProvider) power(ctx context.Context, plan lab.Plan, n lab.Node, power lab.Power) error {
	p.mu.Lock()
	m := p.machines[n.IP.String()]
	p.mu.Unlock()
	if m == nil {
		return &lab.Error{ID: "machine-missing", Op: "power " + string(power), Machine: n.Name, Err: lab.ErrNotFound}
	}
	if power == lab.PowerOn {
		return p.on(ctx, plan, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.may(ctx, string(power), n.Name); err != nil {
		return err
	}
	ip := n.IP.String()
	switch power {
	case lab.PowerOff, lab.PowerCrash:
		if m.state != lab.StateOff {
			m.stop()
			p.Network.Crash(ip)
			p.Network.Mend(ip)
			m.set(lab.StateOff)
		}
	case lab.PowerCut:
		if m.state != lab.StateOff && m.state != lab.StateCut {
			p.Network.Cut(ip)
			m.set(lab.StateCut)
		}
	case lab.PowerPause:
		switch m.state {
		case lab.StatePaused:
		case lab.StateRunning:
			p.Network.Cut(ip)
			m.set(lab.StatePaused)
		default:
			return &lab.Error{ID: "machine-off", Op: "pause", Machine: n.Name, Err: fmt.Errorf("the machine is %s", m.state)}
		}
	}
	return nil
}

// Destroy implements lab.Provider.
func (p *MemProvider) Destroy(ctx context.Context, plan lab.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range plan.Nodes {
		m := p.machines[n.IP.String()]
		if m == nil {
			continue
		}
		if err := p.may(ctx, "destroy", n.Name); err != nil {
			return err
		}
		m.stop()
		p.Network.Crash(n.IP.String())
		p.Network.Mend(n.IP.String())
		delete(p.machines, n.IP.String())
	}
	return nil
}
