//go:build unix

package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/handoff"
)

// programs runs what is not lab's own, for the processes of the machine: each
// under "lab mini supervise" (package mini/supervise), which is recorded as
// every process of the machine and outlives the one that asked for it.
type programs struct {
	children *children
	// allowed says why a program may not run, or nil.
	allowed func() error
}

var _ handoff.Programs = programs{}

// errRootCmd is the machine's last word; the agent has said the same before.
var errRootCmd = errors.New("root runs this lab, so a command would run as root on this computer: it needs local.allow_root_cmd in lab.yaml")

// allowed reads the settings anew: the provider writes them while the machine
// runs.
func (m *machine) allowed() error {
	if os.Geteuid() != 0 {
		return nil
	}
	s, err := m.folder.Settings()
	if err != nil {
		return err
	}
	if !s.AllowRootCmd {
		return errRootCmd
	}
	return nil
}

// Start implements handoff.Programs.
func (p programs) Start(ctx context.Context, name, order string) (proctab.ID, error) {
	if name == "" || !filepath.IsAbs(order) {
		return proctab.ID{}, fmt.Errorf("start supervisor %q: the order %q is no absolute path", name, order)
	}
	if err := p.allowed(); err != nil {
		return proctab.ID{}, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return proctab.ID{}, err
	}
	defer read.Close()
	c := p.children
	cmd := &exec.Cmd{
		Path: c.executable, Args: []string{c.executable, "mini", "supervise", order},
		Env: append(c.environ[:len(c.environ):len(c.environ)], envContainer+"="+name), ExtraFiles: []*os.File{read},
		// Not killed with the machine: it ends what it runs when it sees the
		// pipe's end.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	j := &child{all: c, cmd: cmd, container: name, control: write, done: make(chan struct{})}
	if err := c.launch(ctx, j, name, []string{"supervise", name}); err != nil {
		write.Close()
		return proctab.ID{}, err
	}
	go j.wait(write.Close)
	return j.record.ID, nil
}

// Wait implements handoff.Programs.
func (p programs) Wait(ctx context.Context, id proctab.ID) error {
	j := p.find(id)
	if j == nil {
		return nil // the machine knows all that live
	}
	_, err := j.Wait(ctx)
	return err
}

// Stop implements handoff.Programs.
func (p programs) Stop(_ context.Context, id proctab.ID, grace time.Duration) error {
	if j := p.find(id); j != nil {
		return j.stop(grace)
	}
	return nil
}

func (p programs) find(id proctab.ID) *child {
	c := p.children
	c.mu.Lock()
	defer c.mu.Unlock()
	if j := c.procs[id.PID]; j != nil && j.record.ID == id && j.control != nil {
		return j
	}
	return nil
}

// stop tells a supervisor to end everything. One that has ended is no error.
func (p *child) stop(grace time.Duration) error {
	_, err := fmt.Fprintf(p.control, "stop %s\n", max(grace, 0))
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// programGrace is how long foreign programs may take to end when the machine
// shuts down.
const programGrace = 3 * time.Second

// end stops all foreign programs and waits for their end, at the longest until
// ctx ends.
func (p programs) end(ctx context.Context) {
	var all sync.WaitGroup
	for _, j := range p.children.list() {
		if j.control == nil {
			continue
		}
		if err := j.stop(programGrace); err != nil {
			p.children.log.Warn("stop", "program", j.record.Name, "error", err)
			continue
		}
		all.Go(func() { _, _ = j.Wait(ctx) }) // who takes longer is killed
	}
	all.Wait()
}
