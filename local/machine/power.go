//go:build unix

package machine

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/silence"
)

// freezeTimeout bounds how long children may take to stand still.
const freezeTimeout = 5 * time.Second

// freeze takes the machine's power away: children first, then the listeners,
// then itself. It returns when SIGCONT has come, and reports whether the
// machine may go on: after a cut it may not.
func (m *machine) freeze(ctx context.Context, state folder.State, signals <-chan os.Signal) bool {
	limited, cancel := context.WithTimeout(ctx, freezeTimeout)
	defer cancel()
	if err := m.children.freeze(limited); err != nil {
		m.log.Error("freeze", "error", err)
	}
	if err := m.net.hush(limited); err != nil {
		m.log.Error("hush", "error", err)
	}
	deaf := m.deafen()
	drain(signals)
	m.report(folder.Life{State: state})
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		m.log.Error("freeze", "error", err)
		return false
	}
	// The kernel may let this thread go on for a moment: only SIGCONT counts.
	for s := range signals {
		if s == syscall.SIGCONT {
			break
		}
	}
	if life, err := m.folder.Life(); state == folder.Cut || err != nil || life.State == folder.Cut {
		return false
	}
	if err := deaf.Restore(m.net.unheard()); err != nil {
		m.log.Error("listeners of foreign programs", "error", err)
	}
	if err := m.net.speak(); err != nil {
		m.log.Error("listeners", "error", err)
	}
	if err := m.children.thaw(); err != nil {
		m.log.Error("thaw", "error", err)
	}
	m.children.reap()
	m.report(folder.Life{State: folder.Running})
	return true
}

// deafen hushes the listeners that foreign programs have opened themselves.
// They stand still by now, so nobody opens another.
func (m *machine) deafen() *silence.Deaf {
	var pids []int
	for _, id := range m.children.living() {
		pids = append(pids, id.PID)
	}
	deaf, err := silence.Deafen(pids)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		m.log.Error("hush foreign programs", "error", err)
	}
	return deaf
}

// drain forgets signals that came before.
func drain(signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
		default:
			return
		}
	}
}
