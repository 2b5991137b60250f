package provision

import (
	"context"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
)

// The Docker daemon of a machine as something that can be broken. All of it
// goes by what every Linux system with Docker has: the file with dockerd's
// process id, signals, and the init system's own command for the service.

// daemonHead defines what the scripts need: $s makes them root.
const daemonHead = `PATH=$PATH:/usr/sbin:/sbin
s='sudo -n'; [ "$(id -u)" = 0 ] && s=
pid=$(cat /var/run/docker.pid 2>/dev/null)
`

// service runs a verb of the init system. Without the socket unit, systemd
// would start the daemon again for the next who asks.
const stopScript = daemonHead + `[ -n "$pid" ] && $s kill -s CONT "$pid" 2>/dev/null
if [ -d /run/systemd/system ]; then $s systemctl stop docker.socket 2>/dev/null; $s systemctl stop docker.service
elif [ -e /sbin/initctl ]; then $s initctl stop docker
else $s service docker stop
fi`

const startScript = daemonHead + `if [ -d /run/systemd/system ]; then $s systemctl reset-failed docker.service docker.socket 2>/dev/null; $s systemctl start docker.socket 2>/dev/null; $s systemctl start docker.service
elif [ -e /sbin/initctl ]; then $s initctl start docker
else $s service docker start
fi`

// signalScript sends dockerd a signal.
const signalScript = daemonHead + `[ -n "$pid" ] || { echo 'no /var/run/docker.pid: Docker does not run' >&2; exit 1; }
$s kill -s %s "$pid"`

// daemonWait is how long the daemon may take to stop or start: containers have
// ten seconds for their end, and an engine that insists on its warning about
// TCP needs 16 s.
const daemonWait = 60 * time.Second

// StopDocker stops the Docker daemon as the init system does, and returns when
// nobody answers its socket.
func (h *Host) StopDocker(ctx context.Context) error {
	_, said := h.Run(ctx, stopScript, nil)
	if err := h.awaitNoDocker(ctx); err != nil {
		return fmt.Errorf("%s: stop Docker: %w", h.machine.Name, firstError(said, err))
	}
	return nil
}

// KillDocker kills the Docker daemon with SIGKILL. With stay it is kept from
// being started again; else the init system does what it does after a crash.
func (h *Host) KillDocker(ctx context.Context, stay bool) error {
	if err := h.SignalDocker(ctx, "KILL"); err != nil || !stay {
		return err
	}
	return h.StopDocker(ctx)
}

// SignalDocker sends a signal to the Docker daemon: KILL, STOP or CONT.
func (h *Host) SignalDocker(ctx context.Context, signal string) error {
	if _, err := h.Run(ctx, fmt.Sprintf(signalScript, signal), nil); err != nil {
		return fmt.Errorf("%s: SIG%s for Docker: %w", h.machine.Name, signal, err)
	}
	return nil
}

// StartDocker makes the Docker daemon run and answer, from whatever state it
// is in.
func (h *Host) StartDocker(ctx context.Context) error {
	_, _ = h.Run(ctx, daemonHead+`[ -n "$pid" ] && $s kill -s CONT "$pid" 2>/dev/null`, nil) // one that is not frozen does not mind
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	_, err := h.EngineVersion(soon)
	cancel()
	if err == nil {
		return nil
	}
	_, said := h.Run(ctx, startScript, nil)
	if _, err := h.AwaitDocker(ctx, daemonWait); err != nil {
		return fmt.Errorf("%s: start Docker: %w", h.machine.Name, firstError(said, err))
	}
	return nil
}

func (h *Host) awaitNoDocker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonWait)
	defer cancel()
	return lab.Until(ctx, 50*time.Millisecond, "Docker's end", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if e, err := h.EngineVersion(ctx); err == nil {
			return fmt.Errorf("engine %s still answers", e.Number)
		}
		return nil
	})
}

// firstError prefers what a command has said.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
