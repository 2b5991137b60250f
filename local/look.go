//go:build unix

package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/machine"
)

// view is what is to be seen of a machine from outside.
type view struct {
	state lab.MachineState
	alive bool // its lock is locked
	life  folder.Life
}

// errUnsettled says that the lock is held by a process that has not signed
// yet, or that is about to be gone.
var errUnsettled = errors.New("the lock's holder is coming or going")

// look changes nothing. It waits for a moment where a machine is just being
// born or dying.
func (s site) look(ctx context.Context) (v view, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = lab.Until(ctx, pollEvery, s.node.Name+" to come or go", func(context.Context) error {
		if v, err = s.glance(); errors.Is(err, errUnsettled) {
			return err
		}
		return lab.Permanent(err)
	})
	return v, err
}

// glance looks once.
func (s site) glance() (view, error) {
	if _, err := os.Stat(s.folder.Path(folder.SettingsFile)); errors.Is(err, fs.ErrNotExist) {
		return view{state: lab.StateMissing}, nil
	} else if err != nil {
		return view{}, err
	}
	v := view{state: lab.StateOff}
	var err error
	if v.life, err = s.folder.Life(); err != nil {
		return v, err
	}
	if v.alive, err = s.folder.Alive(); err != nil || !v.alive {
		return v, err
	}
	id, ok := s.folder.Holder()
	if !ok || id.State() == proctab.Gone {
		return v, errUnsettled
	}
	if id != v.life.Process {
		v.life = folder.Life{State: folder.Booting, Process: id} // state.json is an earlier life's
	}
	switch v.life.State {
	case folder.Cut:
		v.state = lab.StateCut
	case folder.Paused:
		v.state = lab.StatePaused
	default:
		v.state = lab.StateRunning
	}
	if v.state == lab.StateRunning && v.life.Process.State() == proctab.Stopped {
		v.state = lab.StatePaused // frozen by a stranger's hand
	}
	return v, nil
}

// own are the machine's processes, as the lock and state.json name them; they
// may be gone.
func (s site) own() []proctab.ID {
	var own []proctab.ID
	if id, ok := s.folder.Holder(); ok {
		own = append(own, id)
	}
	if life, err := s.folder.Life(); err == nil && life.Process.PID > 0 && !slices.Contains(own, life.Process) {
		own = append(own, life.Process)
	}
	return own
}

// remains are all processes of the machine that live, this life's and those
// of earlier ones; the machine itself comes last.
func (s site) remains() []proctab.ID {
	procs, _ := s.folder.Procs() // without a record the mark has to do
	own := s.own()
	var out []proctab.ID
	for _, id := range without(append(machine.Remains(string(s.folder), procs, proctab.ID{}), below(own)...), own) {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, id := range own {
		if id.State() != proctab.Gone {
			out = append(out, id)
		}
	}
	return out
}

// below are the living descendants of those of the processes that live.
func below(roots []proctab.ID) []proctab.ID {
	var pids []int
	for _, id := range roots {
		if id.State() != proctab.Gone {
			pids = append(pids, id.PID)
		}
	}
	return without(proctab.Descendants(pids...), roots)
}

// without is ids without some of them.
func without(ids, some []proctab.ID) []proctab.ID {
	return slices.DeleteFunc(ids, func(id proctab.ID) bool { return slices.Contains(some, id) })
}
