package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// Power implements lab.Provider.
func (p *Provider) Power(ctx context.Context, plan lab.Plan, names []string, power lab.Power) (err error) {
	ctx, end := p.watched(ctx)
	defer end(&err)
	if !slices.Contains(p.Features().PowerModes, power) {
		return fmt.Errorf("power %q: %w", power, errors.ErrUnsupported)
	}
	all, err := sites(plan, names)
	if err != nil || len(all) == 0 {
		return err
	}
	if err := p.reach(ctx); err != nil {
		return err
	}
	var public []byte
	if power == lab.PowerOn {
		if public, err = ensureKey(keyFile(all[0].dir)); err != nil {
			return err
		}
	}
	return each(all, func(_ int, s site) error {
		v, err := p.look(ctx, s)
		if err != nil {
			return err
		}
		if v.state == lab.StateMissing {
			return &lab.Error{ID: "machine-missing", Op: "power " + string(power), Machine: s.node.Name, Err: lab.ErrNotFound, Advice: "lab create makes it"}
		}
		switch power {
		case lab.PowerOn:
			err = p.powerOn(ctx, s, public, func(string) {})
		case lab.PowerOff:
			err = p.off(ctx, s, v)
		case lab.PowerCut:
			err = p.cut(ctx, s, v)
		case lab.PowerCrash:
			err = p.crash(ctx, s, v)
		case lab.PowerPause:
			err = p.pause(ctx, s, v)
		}
		return named(s, "power "+string(power), err)
	})
}

// named says on which machine what failed, unless the error does.
func named(s site, op string, err error) error {
	if err == nil || lab.ErrorID(err) != "" {
		return err
	}
	return fmt.Errorf("%s: %s: %w", s.node.Name, op, err)
}

// powerOn brings a machine that was made to running, from wherever it is, and
// returns when it answers SSH.
func (p *Provider) powerOn(ctx context.Context, s site, public []byte, wait func(string)) error {
	v, err := p.look(ctx, s)
	if err != nil {
		return err
	}
	switch {
	case v.state == lab.StatePaused:
		if err := p.plug(ctx, s); err != nil {
			return err
		}
		if err := p.thaw(ctx, v.id); err != nil {
			return err
		}
		if err := p.mendKey(ctx, s, v.id, public); err != nil {
			return err
		}
	case v.state == lab.StateRunning:
		if err := p.mendKey(ctx, s, v.id, public); err != nil {
			return err
		}
	default:
		if err := p.kill(ctx, v); err != nil { // of a cut that was interrupted
			return err
		}
		if err := p.plug(ctx, s); err != nil {
			return err
		}
		if err := p.giveIdentity(ctx, s, v.id, public); err != nil {
			return err
		}
		if _, err := p.engine.ContainerStart(ctx, v.id, client.ContainerStartOptions{}); err != nil {
			return &lab.Error{ID: "machine-start", Op: "start", Machine: s.node.Name, Err: err, Advice: "see docker logs " + s.machineName()}
		}
	}
	return p.awaitSSH(ctx, s, v.id, v.alive, wait)
}

// off shuts a machine down cleanly, or pulls the plug of one that cannot hear.
func (p *Provider) off(ctx context.Context, s site, v view) error {
	if v.state == lab.StatePaused {
		if err := p.plug(ctx, s); err != nil {
			return err
		}
		if err := p.thaw(ctx, v.id); err != nil {
			return err
		}
		v.state = lab.StateRunning
	}
	if v.state == lab.StateRunning {
		seconds := stopSeconds // then the engine kills it
		_, err := p.engine.ContainerStop(ctx, v.id, client.ContainerStopOptions{Timeout: &seconds})
		if err != nil && !errdefs.IsNotModified(err) {
			return err
		}
	}
	return p.crash(ctx, s, v)
}

// crash ends all processes while the card answers for them.
func (p *Provider) crash(ctx context.Context, s site, v view) error {
	if v.state == lab.StateCut { // what is alive of it must not be heard again
		if err := p.kill(ctx, v); err != nil {
			return err
		}
		return p.plug(ctx, s)
	}
	if v.state == lab.StatePaused {
		if err := p.plug(ctx, s); err != nil {
			return err
		}
	}
	if err := p.kill(ctx, v); err != nil {
		return err
	}
	return p.plug(ctx, s)
}

// cut silences a machine, then kills it: nobody hears its kernel clean up. If
// it is interrupted in between, the machine is seen as cut, not as paused, and
// no later call lets its old life go on.
func (p *Provider) cut(ctx context.Context, s site, v view) error {
	if v.state == lab.StateOff {
		return nil // there is no power to cut
	}
	if v.plugged {
		if err := p.unplug(ctx, s); err != nil {
			return err
		}
	}
	return p.kill(ctx, v)
}

// pause freezes a machine and unplugs it: a frozen machine's kernel would
// still accept connections.
func (p *Provider) pause(ctx context.Context, s site, v view) error {
	switch v.state {
	case lab.StatePaused:
	case lab.StateRunning:
		if err := p.freeze(ctx, v.id); err != nil {
			return err
		}
	default:
		return &lab.Error{ID: "machine-off", Op: "pause", Machine: s.node.Name, Err: fmt.Errorf("the machine is %s", v.state), Advice: "lab heal switches it on"}
	}
	if v.plugged {
		return p.unplug(ctx, s)
	}
	return nil
}

func (p *Provider) freeze(ctx context.Context, id string) error {
	_, err := p.engine.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	if err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	return nil
}

func (p *Provider) thaw(ctx context.Context, id string) error {
	_, err := p.engine.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	if err != nil {
		return fmt.Errorf("thaw: %w", err)
	}
	return nil
}

// killWait is how long the engine may take to see that a killed machine is
// dead.
const killWait = 30 * time.Second

// kill ends all processes of a machine and returns when they are gone.
func (p *Provider) kill(ctx context.Context, v view) error {
	if !v.alive {
		return nil
	}
	_, killErr := p.engine.ContainerKill(ctx, v.id, client.ContainerKillOptions{Signal: "SIGKILL"})
	limited, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	return lab.Until(limited, 20*time.Millisecond, "the machine to die", func(ctx context.Context) error {
		c, err := p.engine.ContainerInspect(ctx, v.id, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			return nil
		} else if err != nil {
			return lab.Permanent(errors.Join(killErr, err))
		}
		if st := c.Container.State; st != nil && (st.Running || st.Paused) {
			if killErr != nil { // refused while alive: that will not change
				return lab.Permanent(killErr)
			}
			return fmt.Errorf("it is %s", st.Status)
		}
		return nil
	})
}
