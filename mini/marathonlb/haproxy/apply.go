package haproxy

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// Apply brings a configuration into force or returns why it cannot, and leaves
// the old one in force. Frontends and sections say the same: sections are the
// lines of the defaults, then frontends and backends; a frontend's wildcard
// becomes what it means on this machine. A port that cannot be bound is a
// *proxy.BindError, a text that HAProxy does not take a *RefusedError.
func (h *HAProxy) Apply(ctx context.Context, frontends []proxy.Frontend, sections string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	binds, err := h.tryPorts(ctx, frontends)
	if err != nil {
		return err
	}
	sections = bound(sections, binds)
	if h.id.State() == proctab.Gone { // keep has not started it again yet
		was := h.sections
		h.sections = sections
		if err := h.begin(ctx); err != nil {
			h.sections = was
			return fmt.Errorf("reload HAProxy: it has ended and does not start: %w", err)
		}
		h.binds = binds
		return nil
	}
	h.generation++
	old, err := os.ReadFile(filepath.Join(h.runner.dir, configFile))
	if err != nil {
		return fmt.Errorf("reload HAProxy: %w", err)
	}
	if err := h.reload(ctx, sections); err != nil {
		// So that a master that starts anew does not read what failed.
		if werr := h.write(configFile, string(old)); werr != nil {
			h.options.Log("reload HAProxy: %v", werr)
		}
		return fmt.Errorf("reload HAProxy: %w", err)
	}
	h.sections, h.binds = sections, binds
	return nil
}

var bindLine = regexp.MustCompile(`(?m)^  bind (\S+)$`)

// bound puts the addresses that binds mean on this machine into the sections.
func bound(sections string, binds map[string]string) string {
	return bindLine.ReplaceAllStringFunc(sections, func(line string) string {
		bind := bindLine.FindStringSubmatch(line)[1]
		return "  bind " + cmp.Or(binds[bind], bind)
	})
}

// reload hands the text to the master. The caller holds the lock.
func (h *HAProxy) reload(ctx context.Context, sections string) error {
	text := h.sized(sections)
	if withoutServers(sections) == withoutServers(h.sections) {
		// Reading a text costs HAProxy a tenth of a second, however short it is,
		// and what has changed is what changes all the time. If it is wrong all
		// the same, the master says so, and keeps the old worker.
		if err := h.write(candidate, text); err != nil {
			return err
		}
	} else if err := h.check(ctx, text); err != nil {
		return err
	}
	h.saveState(ctx)
	if err := os.Rename(filepath.Join(h.runner.dir, candidate), filepath.Join(h.runner.dir, configFile)); err != nil {
		return err
	}
	h.log.mark()
	if _, err := h.tell(ctx, "reload"); err != nil {
		return err
	}
	err := h.ready(ctx)
	if _, failed := h.log.failure(); err != nil && failed {
		if r := refused(h.log.since(), text); r != nil {
			return r
		}
	}
	return err
}

var serverLine = regexp.MustCompile(`(?m)^  server .*\n`)

// withoutServers is what of sections does not change with tasks.
func withoutServers(sections string) string { return serverLine.ReplaceAllString(sections, "") }

// candidate is the file with a text that is not yet in force.
const candidate = "candidate.cfg"

// check writes a text as the candidate and has HAProxy read it. The caller holds
// the lock.
func (h *HAProxy) check(ctx context.Context, text string) error {
	if err := h.write(candidate, text); err != nil {
		return err
	}
	said, err := h.runner.run(ctx, "-c", "-f", candidate)
	if err != nil {
		if r := refused(said, text); r != nil {
			return r
		}
	}
	return err
}

// Check says what HAProxy has against sections, without bringing them into
// force: nil, or a *RefusedError, or why it could not be asked.
func (h *HAProxy) Check(ctx context.Context, sections string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.check(ctx, h.sized(bound(sections, h.binds))); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

// tell sends the master a command and returns its answer. It answers nobody for
// a moment while it replaces itself.
func (h *HAProxy) tell(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		answer, err := h.master.ask(ctx, command)
		if err == nil {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-look.C:
		}
	}
}

// saveState writes down what is known of the servers, for the next worker.
// Without it they begin as new ones, which is no reason not to reload.
func (h *HAProxy) saveState(ctx context.Context) {
	text, err := h.worker.ask(ctx, "show servers state")
	if err == nil {
		err = h.write(stateFile, text)
	}
	if err != nil {
		h.options.Log("keep the state of servers: %v", err)
	}
}

// tryPorts binds the ports that HAProxy does not have yet, for a moment: one
// that is taken would make it hold its other ports back while it fails. It
// returns what each bind means on this machine.
func (h *HAProxy) tryPorts(ctx context.Context, frontends []proxy.Frontend) (map[string]string, error) {
	binds := map[string]string{}
	for _, f := range frontends {
		if was, ok := h.binds[f.Bind]; ok {
			binds[f.Bind] = was
			continue
		}
		l, err := h.env.Listen(ctx, "tcp", strings.TrimPrefix(f.Bind, "*"))
		if err != nil {
			return nil, &proxy.BindError{Frontend: f.Name, Bind: f.Bind, Err: err}
		}
		binds[f.Bind] = f.Bind
		if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
			binds[f.Bind] = a.String()
		}
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("try port %s: %w", f.Bind, err)
		}
	}
	return binds, nil
}
