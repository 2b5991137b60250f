//go:build unix

package machine

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/silence"
)

// rescanEvery is how soon a socket is found that a foreign program opens while
// the network is cut: listeners of lab's own programs are the machine's, and
// deaf from their first moment.
const rescanEvery = 250 * time.Millisecond

// afterglow is how long sockets are looked for once the cut is over: some were
// in a listener's queue, where nobody can reach them.
const afterglow = 2 * time.Second

// ears is what the machine does not hear.
type ears struct {
	mu   sync.Mutex
	stop context.CancelFunc // of the looking for new sockets
	done sync.WaitGroup
}

// listenTo brings the network into the state that network.json tells, and
// says so in heard.json.
func (m *machine) listenTo(ctx context.Context) {
	wanted, err := m.folder.Network()
	if err == nil {
		err = m.ears.become(ctx, m, wanted)
	}
	heard := folder.Heard{Version: wanted.Version}
	if err != nil {
		m.log.Error("network", "error", err)
		heard.Problem = err.Error()
	}
	if err := m.folder.WriteHeard(heard); err != nil {
		m.log.Error("network", "error", err)
	}
}

func (e *ears) become(ctx context.Context, m *machine, wanted folder.Network) error {
	var list silence.List
	for _, text := range wanted.Cut {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		list = append(list, a.Unmap())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop != nil {
		e.stop()
		e.done.Wait()
	}
	m.net.mu.Lock()
	m.net.quiet = list // of listeners to come
	m.net.mu.Unlock()
	sockets := silence.NewSockets(list)
	// Twice: while the first pass comes to a process, another may have got a
	// connection. Listeners are this process' own and come first.
	for range 2 {
		if err := m.silenceAll(sockets); err != nil {
			return err
		}
	}
	looking, stop := context.WithCancel(ctx)
	if len(list) == 0 {
		time.AfterFunc(afterglow, stop)
	}
	e.stop = stop
	e.done.Go(func() {
		t := time.NewTicker(rescanEvery)
		defer t.Stop()
		for {
			select {
			case <-looking.Done():
				return
			case <-t.C:
			}
			if err := m.silenceAll(sockets); err != nil {
				m.log.Warn("network", "error", err)
			}
		}
	})
	return nil
}

// silenceAll reaches all processes of the machine.
func (m *machine) silenceAll(sockets *silence.Sockets) error {
	errs := []error{sockets.Process(os.Getpid())}
	for _, id := range proctab.Marked(folder.EnvMark, m.mark) {
		errs = append(errs, sockets.Process(id.PID))
	}
	return errors.Join(errs...)
}
