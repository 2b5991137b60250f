//go:build unix

package machine

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/mesoslab/lab/local/shell"
)

// script is a container whose process is the sandbox shell: it lives within
// the machine's own process. It is an engine.Process.
type script struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	exit   int

	mu     sync.Mutex
	change *sync.Cond
	paused bool
	signal syscall.Signal
}

// startScript starts a command line in a shell.
func startScript(ctx context.Context, cfg shell.Config, argv []string) *script {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &script{cancel: cancel, done: make(chan struct{})}
	s.change = sync.NewCond(&s.mu)
	cfg.Stdout, cfg.Stderr = gate{s, cfg.Stdout}, gate{s, cfg.Stderr}
	go func() {
		defer close(s.done)
		defer cancel(nil)
		exit, err := shell.RunArgv(ctx, cfg, argv)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.exit = exit; err != nil && s.signal != 0 {
			s.exit = 128 + int(s.signal)
		}
	}()
	return s
}

// gate holds back output while the script is paused.
type gate struct {
	s *script
	w io.Writer
}

func (g gate) Write(p []byte) (int, error) {
	g.s.mu.Lock()
	for g.s.paused {
		g.s.change.Wait()
	}
	g.s.mu.Unlock()
	return g.w.Write(p)
}

// Unwrap lets the shell find a terminal behind the gate.
func (g gate) Unwrap() io.Writer { return g.w }

// Pid implements engine.Process: it has none of its own.
func (s *script) Pid() int { return 0 }

// Wait implements engine.Process.
func (s *script) Wait(ctx context.Context) (int, error) {
	select {
	case <-s.done:
		return s.exit, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

var errSignalled = errors.New("signalled")

// Signal implements engine.Process: those that end a process end the script.
func (s *script) Signal(sig syscall.Signal) error {
	switch sig {
	case 0, syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGWINCH, syscall.SIGURG:
		return nil
	}
	s.mu.Lock()
	s.signal, s.paused = sig, false
	s.change.Broadcast()
	s.mu.Unlock()
	s.cancel(errSignalled)
	return nil
}

// Pause implements engine.Process: the script stands at its next output.
func (s *script) Pause() error { return s.pause(true) }

// Unpause implements engine.Process.
func (s *script) Unpause() error { return s.pause(false) }

func (s *script) pause(on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = on
	s.change.Broadcast()
	return nil
}
