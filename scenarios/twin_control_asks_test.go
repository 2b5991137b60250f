package scenarios

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/mesoslab/lab/stack"
)

// marathonErr is what Marathon answers while it cannot.
func (p *platform) marathonErr() error {
	switch {
	case p.control.marathonGone:
		return fmt.Errorf("marathon: %w", syscall.ECONNREFUSED)
	case p.control.marathonAway:
		return fmt.Errorf("marathon: %w", &stack.StatusError{Method: http.MethodGet, URL: "/v2/apps", Status: http.StatusServiceUnavailable})
	}
	return nil
}

func (p *platform) masterErr() error {
	if p.control.masterGone || p.control.masterAway {
		return fmt.Errorf("mesos: %w", syscall.ECONNREFUSED)
	}
	return nil
}

// refuses says that the load balancer serves nobody.
func (p *platform) refuses() bool {
	c := &p.control
	if p.otherDoor {
		return false
	}
	return c.lbGone || p.shutDoor && c.died["marathon-lb"] != (time.Time{}) || p.fragile && (c.masterAway || c.marathonAway)
}

func (p *platform) Master(context.Context) (Master, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.control.masterGone {
		return Master{}, p.masterErr()
	}
	if p.control.masterAway {
		return Master{ID: "nobody"}, nil
	}
	m := p.control.master
	for _, ip := range p.slaveIPs() {
		if a := p.agents[ip]; a != nil {
			m.Agents = append(m.Agents, *a)
		}
	}
	if p.control.connected {
		m.Frameworks = []string{p.control.framework}
	}
	return m, nil
}

func (p *platform) Scheduler(context.Context) (Scheduler, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Scheduler{Leader: "10.0.0.1:8080", Framework: p.control.framework}, p.marathonErr()
}

func (p *platform) Process(_ context.Context, c Component) (Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.control.processes[c.Name], nil
}

// streams is closed when those that are open break; the error says why none
// can be opened.
func (p *platform) streams() (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.control.broken, p.marathonErr()
}

var errStream = io.ErrUnexpectedEOF
