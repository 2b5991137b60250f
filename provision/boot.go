package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// bootWait is how long the services of a machine that answers SSH may take to
// start; machines in software emulation need half a minute.
const bootWait = 3 * time.Minute

// Booting is what AwaitBoot needs of a host.
type Booting interface {
	Target
	Prober
}

// AwaitBoot waits, on a machine whose engine is installed and does not answer,
// as long as the init system is about to start it: sshd answers well before
// dockerd. It returns the engine if it came, or EngineStopped if nothing is
// going to start it, so that ConfigureDocker does. say gets what is waited for.
func AwaitBoot(ctx context.Context, host Booting, f Facts, say func(string)) (Engine, error) {
	if f.Engine.State != EngineStopped || f.Engine.Embedded {
		return f.Engine, nil
	}
	command, ok := bootQuestion[f.Init]
	if !ok {
		return f.Engine, nil
	}
	ctx, cancel := context.WithTimeout(ctx, bootWait)
	defer cancel()
	engine, said := f.Engine, ""
	err := lab.Until(ctx, 250*time.Millisecond, "Docker to start with "+host.Machine().Name, remembering(func(ctx context.Context) error {
		// First the init system: what it has started by then must answer.
		out, err := host.Run(ctx, command, nil)
		if _, exited := errors.AsType[*CommandError](err); err != nil && !exited {
			return lab.Permanent(err)
		}
		e, asked := host.EngineVersion(ctx)
		if asked == nil {
			engine = e
			return nil
		}
		state := strings.Join(strings.Fields(string(out)), " ")
		if !comingUp(f.Init, state) {
			return nil
		}
		if state != said {
			said = state
			say("the machine is booting: " + state)
		}
		return fmt.Errorf("%s; %w", state, asked)
	}))
	if waited, ok := errors.AsType[*lab.WaitError](err); ok && !errors.Is(waited.Cause, context.Canceled) {
		return engine, nil // ConfigureDocker restarts it, and tells why that fails
	}
	return engine, err
}

// bootQuestion asks an init system for the state of Docker and of its boot.
// upstart and sysvinit know a running rc only by its process; [/] keeps pgrep
// from finding the shell that runs it.
var bootQuestion = map[Init]string{
	Systemd:  "systemctl show --value -p ActiveState,UnitFileState docker.service; systemctl is-system-running",
	Upstart:  "PATH=$PATH:/sbin:/usr/sbin; initctl status docker; runlevel; if pgrep -f '[/]etc/init.d/rc ' >/dev/null; then echo rc; fi",
	SysVinit: "PATH=$PATH:/sbin:/usr/sbin; if service docker status >/dev/null 2>&1; then echo started; fi; runlevel; if pgrep -x startpar >/dev/null || pgrep -f '[/]etc/init.d/rc ' >/dev/null; then echo rc; fi",
}

// comingUp reads the answer: whether somebody is going to start Docker, or has
// and it does not answer yet.
func comingUp(init Init, state string) bool {
	words := strings.Fields(state)
	any := func(of ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(of, w) })
	}
	switch init {
	case Systemd: // inactive enabled starting
		if any("active", "activating", "reloading") {
			return true
		}
		return any("starting", "initializing") && !any("failed", "disabled", "masked")
	case Upstart: // docker start/running, process 987 N 2
		return strings.Contains(state, "start/") || any("rc", "unknown")
	default: // started N 2; "unknown" before the first runlevel
		return any("started", "rc", "unknown")
	}
}

// rebootWait is how long a machine may take to come back; in software
// emulation it is a minute and a half.
const rebootWait = 6 * time.Minute

// Reboot restarts a machine once and returns a connection to its next boot,
// told by its boot id; h is closed. say gets what is waited for. The error id
// is reboot-timeout, and ssh-… where another machine answers.
func (c Connector) Reboot(ctx context.Context, h *Host, bootID string, say func(string)) (*Host, error) {
	m := h.Machine()
	fail := func(err error) (*Host, error) {
		return nil, &lab.Error{ID: "reboot-timeout", Op: "restart the machine", Machine: m.Name, Err: err,
			Advice: "look at the machine's screen or log; when it answers again, lab create goes on"}
	}
	if bootID == "" {
		return fail(errors.New("the machine does not tell its boots apart (no /proc/sys/kernel/random/boot_id)"))
	}
	_, err := h.Run(ctx, Quote(rebootCommand(h.Root())...), nil)
	h.Close() // it dies with the machine, sooner or later
	if failed, ok := errors.AsType[*CommandError](err); ok && failed.Exit > 0 {
		return fail(err)
	}
	say("going down to boot again")
	ctx, cancel := context.WithTimeout(ctx, rebootWait)
	defer cancel()
	c.Wait = 10 * time.Second // then the loop here says something
	var next *Host
	err = lab.Until(ctx, 500*time.Millisecond, m.Name+" to boot again", remembering(func(ctx context.Context) error {
		h, err := c.Connect(ctx, m)
		if id := lab.ErrorID(err); id == "ssh-host-key" || id == "ssh-key" {
			return lab.Permanent(err)
		} else if err != nil {
			say("waiting for SSH after the reboot")
			return err
		}
		out, err := h.Run(ctx, "cat "+bootIDPath, nil)
		if err == nil && strings.TrimSpace(string(out)) == bootID {
			err = errors.New("the machine still runs its old boot")
		}
		if err != nil {
			h.Close()
			return err
		}
		next = h
		return nil
	}))
	if err != nil && ctx.Err() != nil && context.Cause(ctx) == context.DeadlineExceeded {
		return fail(err)
	}
	return next, err
}

const bootIDPath = "/proc/sys/kernel/random/boot_id"

// rebootCommand is understood by every init system.
func rebootCommand(root bool) []string { return privileged(root, "shutdown", "-r", "now") }
