//go:build unix

package machine

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
)

// starter starts processes from one thread that lives as long as the machine:
// "die with the parent" means the parent's thread, and Go's come and go.
type starter struct{ requests chan startRequest }

type startRequest struct {
	cmd  *exec.Cmd
	done chan<- error
}

func newStarter() *starter {
	s := &starter{requests: make(chan startRequest)}
	go s.loop()
	return s
}

func (s *starter) loop() {
	runtime.LockOSThread() // never unlocked: the thread must not end
	for r := range s.requests {
		r.done <- r.cmd.Start()
	}
}

func (s *starter) start(ctx context.Context, cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		setProcessAttributes(cmd)
	}
	done := make(chan error, 1)
	select {
	case s.requests <- startRequest{cmd, done}:
	case <-ctx.Done():
		return fmt.Errorf("start %s: %w", cmd.Path, context.Cause(ctx))
	}
	return <-done
}
