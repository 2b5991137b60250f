//go:build unix

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// Plain starts supervisors as children of this process and keeps the other
// ends of their pipes: when this process ends, however, they end everything.
// It is what a real container has, where the end of the first process is the
// end of all. Safe for concurrent use.
type Plain struct {
	executable string

	mu   sync.Mutex
	jobs map[proctab.ID]*job
}

type job struct {
	control *os.File
	done    chan struct{}
}

// NewPlain returns a Plain that starts "executable mini supervise".
func NewPlain(executable string) *Plain {
	return &Plain{executable: executable, jobs: map[proctab.ID]*job{}}
}

// Start implements mini.Launcher.
func (p *Plain) Start(_ context.Context, name, order string) (proctab.ID, error) {
	fail := func(err error) (proctab.ID, error) {
		return proctab.ID{}, fmt.Errorf("start supervisor of %s: %w", name, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer read.Close()
	cmd := exec.Command(p.executable, "mini", "supervise", order)
	cmd.Env = append(os.Environ(), EnvContainer+"="+name)
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return fail(err)
	}
	id, err := proctab.Of(cmd.Process.Pid)
	if err != nil { // it is not reaped yet, so this is no matter of it being gone
		write.Close()
		return fail(errors.Join(err, cmd.Process.Kill(), cmd.Wait()))
	}
	j := &job{write, make(chan struct{})}
	p.mu.Lock()
	p.jobs[id] = j
	p.mu.Unlock()
	go p.await(cmd, name, id, j)
	return id, nil
}

// await ends with the supervisor and whatever it has left.
func (p *Plain) await(cmd *exec.Cmd, name string, id proctab.ID, j *job) {
	_ = cmd.Wait() // how the command ended stands in its result
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// One that does not go within that is not to be had.
	_ = proctab.Kill(ctx, func() []proctab.ID { return proctab.Marked(EnvContainer, name) })
	p.mu.Lock()
	delete(p.jobs, id)
	p.mu.Unlock()
	j.control.Close()
	close(j.done)
}

func (p *Plain) find(id proctab.ID) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.jobs[id]
}

// Wait implements mini.Launcher.
func (p *Plain) Wait(ctx context.Context, id proctab.ID) error {
	j := p.find(id)
	if j == nil {
		return proctab.Await(ctx, []proctab.ID{id}, proctab.Gone) // an earlier process's
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop implements mini.Launcher.
func (p *Plain) Stop(_ context.Context, id proctab.ID, grace time.Duration) error {
	j := p.find(id)
	if j == nil {
		// Its pipe ended with the process that started it: it is on its way.
		if err := id.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, proctab.ErrGone) {
			return fmt.Errorf("stop supervisor %d: %w", id.PID, err)
		}
		return nil
	}
	return SendStop(j.control, grace)
}

// SendStop tells a supervisor over its pipe to end everything. That it has
// ended meanwhile is no error.
func SendStop(control *os.File, grace time.Duration) error {
	_, err := fmt.Fprintf(control, "stop %s\n", max(grace, 0))
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
