package supervise

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// Memory is a mini.Launcher without processes, for tests and synctest bubbles.
// Claims and results are real files. A command runs until Exit, Kill or Stop.
type Memory struct {
	// OnStart is asked about every command that starts; with ends set it ends
	// at once, with the result. nil means that all run on.
	OnStart func(name string, o Order) (r Result, ends bool)
	// OnStop is asked with how much grace a command is stopped, and says how
	// long it takes to end by itself and how; nil means at once, by SIGTERM.
	OnStop func(name string, grace time.Duration) (time.Duration, Result)
	// Used is what every running command uses.
	Used Usage

	mu      sync.Mutex
	down    error
	started []string
	procs   []*memoryProcess
}

type memoryProcess struct {
	id    proctab.ID
	name  string
	order Order
	gone  chan struct{}
	ended bool
}

// SetDown makes Start fail with err, until SetDown(nil).
func (m *Memory) SetDown(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// Started returns the names of all that was ever started, in order.
func (m *Memory) Started() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.started)
}

// Running returns the names of what runs, sorted.
func (m *Memory) Running() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, p := range m.procs {
		if !p.ended {
			out = append(out, p.name)
		}
	}
	slices.Sort(out)
	return out
}

// OrderOf returns what was started last under a name.
func (m *Memory) OrderOf(name string) (Order, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.lastOf(name); p != nil {
		return p.order, true
	}
	return Order{}, false
}

func (m *Memory) lastOf(name string) *memoryProcess {
	for _, p := range slices.Backward(m.procs) {
		if p.name == name {
			return p
		}
	}
	return nil
}

// Exit ends a command by itself.
func (m *Memory) Exit(name string, r Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.lastOf(name); p != nil {
		p.end(&r)
	}
}

// Kill ends a supervisor, with all it has, by SIGKILL: there is no result.
func (m *Memory) Kill(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.lastOf(name); p != nil {
		p.end(nil)
	}
}

func (p *memoryProcess) end(r *Result) {
	if p.ended {
		return
	}
	if r != nil {
		if err := WriteResult(p.order.Result, *r); err != nil {
			panic("supervise: write the result of a test: " + err.Error())
		}
	}
	p.ended = true
	close(p.gone)
}

// Start implements mini.Launcher.
func (m *Memory) Start(_ context.Context, name, file string) (proctab.ID, error) {
	o, err := ReadOrder(file)
	if err != nil {
		return proctab.ID{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return proctab.ID{}, m.down
	}
	n := len(m.procs) + 1
	p := &memoryProcess{id: proctab.ID{PID: 1<<30 + n, Start: "memory " + strconv.Itoa(n)}, name: name, order: o, gone: make(chan struct{})}
	m.procs = append(m.procs, p)
	if err := Claim(o.Claim, p.id); err != nil {
		p.end(nil) // as a real one, it starts and goes
		return p.id, nil
	}
	m.started = append(m.started, name)
	if m.OnStart != nil {
		if r, ends := m.OnStart(name, o); ends {
			p.end(&r)
		}
	}
	return p.id, nil
}

func (m *Memory) find(id proctab.ID) *memoryProcess {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.procs {
		if p.id == id {
			return p
		}
	}
	return nil
}

// Usage measures a supervisor, in place of UsageOf.
func (m *Memory) Usage(_ context.Context, id proctab.ID) (Usage, error) {
	p := m.find(id)
	m.mu.Lock()
	defer m.mu.Unlock()
	if p == nil || p.ended {
		return Usage{}, proctab.ErrGone
	}
	return m.Used, nil
}

// Wait implements mini.Launcher.
func (m *Memory) Wait(ctx context.Context, id proctab.ID) error {
	p := m.find(id)
	if p == nil {
		return nil
	}
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop implements mini.Launcher.
func (m *Memory) Stop(_ context.Context, id proctab.ID, grace time.Duration) error {
	p := m.find(id)
	if p == nil {
		return nil
	}
	after, r := time.Duration(0), Result{Signal: int(syscall.SIGTERM)}
	if m.OnStop != nil {
		after, r = m.OnStop(p.name, grace)
	}
	if after >= grace && (after > 0 || grace == 0) {
		after, r = grace, Result{Signal: int(syscall.SIGKILL)}
	}
	time.AfterFunc(after, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		p.end(&r)
	})
	return nil
}
