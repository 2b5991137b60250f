package vagrant

import (
	"errors"
	"sync"
)

// errKilled is why nothing more is started.
var errKilled = errors.New("ended by force")

// processes are those that a Provider has running.
type processes struct {
	mu     sync.Mutex
	killed bool
	next   int
	kill   map[int]func()
}

// Kill ends every vagrant process that this Provider has running, each with
// its whole group, and starts no more: it is for the second Ctrl-C, after
// which nobody waits for Vagrant to end cleanly. What was half made is found
// by the next call of another Provider.
func (p *Provider) Kill() {
	p.procs.mu.Lock()
	defer p.procs.mu.Unlock()
	p.procs.killed = true
	for _, kill := range p.procs.kill {
		kill()
	}
}

// start runs start, and remembers how to kill what it started until ended is
// called. Kill sees a process, or the process is never started.
func (p *processes) start(start func() error, kill func()) (ended func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return nil, errKilled
	}
	if err := start(); err != nil {
		return nil, err
	}
	if p.kill == nil {
		p.kill = map[int]func(){}
	}
	p.next++
	id := p.next
	p.kill[id] = kill
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.kill, id)
	}, nil
}
