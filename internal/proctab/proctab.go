// Package proctab knows processes by identity: a pid together with the moment
// it started, so that nobody ever signals a stranger who got the same pid
// later, not even after the computer was restarted.
//
// An ID is such an identity; a State what the process is doing. Descendants,
// Children and Marked find processes nobody wrote down.
//
// Safe for concurrent use. On Linux it reads /proc and signals through pidfds;
// on Darwin it asks sysctl, and Marked, Children and Descendants find nothing.
package proctab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrGone says that the process has ended, or that its pid is another's now.
var ErrGone = errors.New("process is gone")

// ID is one process, ever. Start is opaque: it tells two processes apart that
// had the same pid at different times.
type ID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

// State is what a process is doing.
type State int

// A zombie counts as Gone: it holds neither files nor sockets.
const (
	Gone State = iota
	Running
	Stopped
)

func (s State) String() string { return [...]string{"gone", "running", "stopped"}[s] }

// Self returns the identity of this process.
func Self() (ID, error) { return Of(os.Getpid()) }

// Of returns the identity of the process that has this pid now.
func Of(pid int) (ID, error) {
	start, _, err := lookup(pid)
	if err != nil {
		return ID{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return ID{PID: pid, Start: start}, nil
}

// State looks at the process.
func (id ID) State() State {
	if id.PID <= 0 {
		return Gone
	}
	start, state, err := lookup(id.PID)
	if err != nil || start != id.Start {
		return Gone
	}
	return state
}

// Signal sends sig to exactly this process. ErrGone means there is nobody.
func (id ID) Signal(sig syscall.Signal) error {
	if id.PID <= 0 {
		return ErrGone
	}
	return id.signal(sig)
}

// Await waits until every process is in one of the wanted states.
func Await(ctx context.Context, ids []ID, wanted ...State) error {
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		missing := ""
		for _, id := range ids {
			if s := id.State(); !contains(wanted, s) {
				missing = fmt.Sprintf("process %d is %s", id.PID, s)
				break
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", missing, context.Cause(ctx))
		case <-pause.C:
		}
	}
}

func contains(states []State, s State) bool {
	for _, x := range states {
		if x == s {
			return true
		}
	}
	return false
}

// Kill ends all the processes that find returns with SIGKILL, again and again
// until it returns none that live: processes start others while they die.
func Kill(ctx context.Context, find func() []ID) error {
	for {
		var alive []ID
		for _, id := range find() {
			if id.State() != Gone {
				alive = append(alive, id)
			}
		}
		if len(alive) == 0 {
			return nil
		}
		var errs []error
		for _, id := range alive {
			if err := id.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, ErrGone) {
				errs = append(errs, fmt.Errorf("kill process %d: %w", id.PID, err))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if err := Await(ctx, alive, Gone); err != nil {
			return err
		}
	}
}
