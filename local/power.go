//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
)

// Power implements lab.Provider.
func (p *Provider) Power(ctx context.Context, plan lab.Plan, names []string, power lab.Power) error {
	if !slices.Contains(p.Features().PowerModes, power) {
		return fmt.Errorf("power %q: %w", power, errors.ErrUnsupported)
	}
	sites, err := p.sites(plan, names)
	if err != nil {
		return err
	}
	if len(sites) == 0 {
		return nil
	}
	binary := p.binaryFor(ctx, sites[0].dir)
	return each(sites, func(_ int, s site) error {
		v, err := s.look(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.node.Name, err)
		}
		if v.state == lab.StateMissing {
			return &lab.Error{ID: "machine-missing", Op: "power " + string(power), Machine: s.node.Name, Err: lab.ErrNotFound, Advice: "lab create makes it"}
		}
		switch power {
		case lab.PowerOn:
			return p.powerOn(ctx, s, binary, func(string) {})
		case lab.PowerOff:
			return s.off(ctx, v)
		case lab.PowerCrash:
			return s.crash(ctx)
		case lab.PowerCut:
			return s.freeze(ctx, v, syscall.SIGUSR1, folder.Cut)
		default:
			return s.freeze(ctx, v, syscall.SIGUSR2, folder.Paused)
		}
	})
}

// powerOn brings a machine to running from wherever it is.
func (p *Provider) powerOn(ctx context.Context, s site, binary func() (string, error), wait func(string)) error {
	v, err := s.look(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	switch v.state {
	case lab.StatePaused:
		if err := s.plug(true); err != nil {
			return err
		}
		return s.resume(ctx, v)
	case lab.StateRunning:
		if err := s.plug(true); err != nil {
			return err
		}
		if v.life.State == folder.Running {
			return s.refresh()
		}
		// It boots for somebody who was interrupted.
		wait("the machine's SSH server")
		if err := s.attach(ctx, v.life.Process); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return err
		}
	}
	return p.start(ctx, s, binary, wait)
}

// resume lets a paused machine go on.
func (s site) resume(ctx context.Context, v view) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return lab.Until(ctx, pollEvery, s.node.Name+" to go on", func(context.Context) error {
		if err := v.life.Process.Signal(syscall.SIGCONT); err != nil {
			return lab.Permanent(err)
		}
		if now, err := s.look(ctx); err != nil || now.state != lab.StateRunning || now.life.State != folder.Running {
			return errors.Join(err, fmt.Errorf("machine is %s", now.state))
		}
		return nil
	})
}

// offTimeout bounds a clean shutdown; then the plug is pulled.
const offTimeout = 30 * time.Second

// off shuts a machine down cleanly, or pulls the plug of one that cannot hear.
func (s site) off(ctx context.Context, v view) error {
	if v.state == lab.StatePaused {
		if err := s.plug(true); err != nil {
			return err
		}
		if err := s.resume(ctx, v); err != nil {
			return err
		}
		v.state = lab.StateRunning
	}
	if v.state == lab.StateRunning {
		if err := v.life.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, proctab.ErrGone) {
			return fmt.Errorf("%s: shut down: %w", s.node.Name, err)
		}
		limited, cancel := context.WithTimeout(ctx, offTimeout)
		// When it takes too long the plug is pulled below.
		_ = proctab.Await(limited, []proctab.ID{v.life.Process}, proctab.Gone)
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("%s: shut down: %w", s.node.Name, context.Cause(ctx))
		}
	}
	return s.crash(ctx)
}

// crash ends all processes at once: none has time to react to another's death.
func (s site) crash(ctx context.Context) error {
	if err := s.kill(ctx); err != nil {
		return err
	}
	if err := s.plug(true); err != nil { // its kernel answers for the dead
		return err
	}
	if life, err := s.folder.Life(); err == nil && life.State == folder.Off {
		return nil
	}
	return s.folder.WriteLife(folder.Life{State: folder.Off})
}

// freeze tells the machine to freeze and returns when every process of it
// stands still.
func (s site) freeze(ctx context.Context, v view, sig syscall.Signal, state folder.State) error {
	switch {
	case v.life.State == state && v.alive:
		return s.awaitFrozen(ctx, v.life.Process, state)
	case state == folder.Cut && !v.alive:
		return nil // there is no power to cut
	case state == folder.Cut && v.state == lab.StatePaused:
		return s.folder.WriteLife(folder.Life{State: folder.Cut, Process: v.life.Process})
	case v.state != lab.StateRunning:
		return &lab.Error{ID: "machine-off", Op: "pause", Machine: s.node.Name, Err: fmt.Errorf("the machine is %s", v.state), Advice: "lab heal switches it on"}
	}
	if v.life.State == folder.Booting {
		if err := s.attach(ctx, v.life.Process); err != nil {
			return err
		}
	}
	if err := s.plug(false); err != nil {
		return err
	}
	if err := v.life.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s: %s: %w", s.node.Name, state, err)
	}
	return s.awaitFrozen(ctx, v.life.Process, state)
}

func (s site) awaitFrozen(ctx context.Context, id proctab.ID, state folder.State) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return lab.Until(ctx, pollEvery, s.node.Name+" to stand still", func(context.Context) error {
		life, err := s.folder.Life()
		switch {
		case err != nil:
			return err
		case id.State() == proctab.Gone:
			return lab.Permanent(errors.New("the machine has ended"))
		case life.State != state:
			return fmt.Errorf("machine is %s", life.State)
		}
		for _, id := range s.remains() {
			if st := id.State(); st == proctab.Running {
				return fmt.Errorf("process %d is %s", id.PID, st)
			}
		}
		return nil
	})
}

// Destroy implements lab.Provider.
func (p *Provider) Destroy(ctx context.Context, plan lab.Plan) error {
	if _, err := os.Stat(plan.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	sites, err := p.sites(plan, nil)
	if err != nil {
		return err
	}
	err = each(sites, func(_ int, s site) error {
		return plan.Report.Step("destroy", s.node.Name, "remove", func(func(string)) error {
			if err := s.kill(ctx); err != nil {
				return err
			}
			if err := s.disconnect(); err != nil {
				return err
			}
			return remove(string(s.folder))
		})
	})
	if err == nil {
		err = removeNetwork(sites)
	}
	if err == nil && len(sites) > 0 {
		// Machines of others, if any, keep it.
		_ = os.Remove(filepath.Join(sites[0].dir, "machines"))
	}
	return err
}

// remove removes a tree whose folders may have been made unwritable.
func remove(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}
