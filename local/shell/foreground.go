package shell

import (
	"context"
	"io"
	"sync"

	"github.com/mesoslab/lab/local/terminal"
)

// signalled is why a command ended that was interrupted at the terminal.
type signalled struct{ signal terminal.Signal }

func (s signalled) Error() string {
	if s.signal == terminal.Quit {
		return "quit"
	}
	return "interrupted"
}

// status is the exit status of a process that the signal ended.
func (s signalled) status() int {
	if s.signal == terminal.Quit {
		return 131
	}
	return 130
}

// unstoppable answers ctrl-Z.
const unstoppable = "\nbash: commands of an embedded machine cannot be stopped: ctrl-C ends this one, & at its end runs one in the background\n"

// foreground gives fn's commands the terminal: ctrl-C and ctrl-\ end ctx with
// a signalled as its cause. Nothing happens where there is no keyboard.
func (s *Session) foreground(ctx context.Context) (_ context.Context, release func()) {
	t := keyboardOf(s.cfg.Stdin)
	if t == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var notes sync.WaitGroup
	restore := t.Foreground(func(sig terminal.Signal) {
		if sig != terminal.Suspend {
			cancel(signalled{sig})
			return
		}
		notes.Go(func() { io.WriteString(t, unstoppable) })
	})
	return ctx, func() {
		restore()
		cancel(nil)
		notes.Wait()
	}
}
