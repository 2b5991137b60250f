package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// ErrNoService says that a machine has no service of that name.
var ErrNoService = errors.New("unrecognized service")

func serviceCommands() map[string]Command {
	upstart := func(_ context.Context, p *Proc) []string { return []string{p.name()} }
	commands := map[string]Command{
		"service": service, "systemctl": systemctl,
		"initctl": func(ctx context.Context, p *Proc) int {
			if len(p.Args) < 2 || p.Args[1] == "list" || p.Args[1] == "version" {
				p.printf("init (upstart 1.12.1)\n")
				return 0
			}
			return initctl(ctx, p, p.Args[1], p.Args[2:])
		},
		"journalctl":  journalctl,
		"update-rc.d": succeed, "insserv": succeed,
	}
	for _, verb := range []string{"restart", "start", "stop", "reload", "status"} {
		commands[verb] = func(ctx context.Context, p *Proc) int { return initctl(ctx, p, upstart(ctx, p)[0], p.Args[1:]) }
	}
	return commands
}

const powerAdvice = "the power of embedded machines is switched from outside: lab scenario cuts it, lab heal gives it back"

func (p *Proc) act(ctx context.Context, name, verb string) (ServiceResult, error) {
	if p.Machine() == nil {
		return ServiceResult{}, ErrNoService
	}
	return p.Machine().Service(ctx, name, verb)
}

// service speaks as Ubuntu's service(8) with an upstart job.
func service(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	if len(args) == 1 && args[0] == "--status-all" {
		r, _ := p.act(ctx, "docker", "status")
		p.printf(" [ %s ]  docker\n [ + ]  ssh\n", map[bool]string{true: "+", false: "-"}[r.Running])
		return 0
	}
	if len(args) < 2 {
		p.errorf("Usage: service < option > | --status-all | [ service_name [ command | --full-restart ] ]")
		return 1
	}
	name, verb := args[0], args[1]
	if verb == "--full-restart" || verb == "force-reload" {
		verb = "restart"
	}
	return p.job(ctx, verb, name, func() { fmt.Fprintf(p.Stderr, "%s: unrecognized service\n", name) })
}

func initctl(ctx context.Context, p *Proc, verb string, names []string) int {
	if len(names) == 0 {
		return p.errorf("missing job name")
	}
	return p.job(ctx, verb, names[0], func() { fmt.Fprintf(p.Stderr, "%s: Unknown job: %s\n", verb, names[0]) })
}

// job acts and says what upstart says about it.
func (p *Proc) job(ctx context.Context, verb, name string, unknown func()) int {
	if !slices.Contains([]string{"start", "stop", "restart", "reload", "status"}, verb) {
		p.errorf("unknown command %q for %s: use start, stop, restart or status", verb, name)
		return 1
	}
	r, err := p.act(ctx, name, verb)
	switch {
	case errors.Is(err, ErrNoService):
		unknown()
		return 1
	case err != nil:
		return p.errorf("%v", err)
	}
	line := name + " stop/waiting"
	if r.Running {
		line = fmt.Sprintf("%s start/running, process %d", name, r.PID)
	}
	switch {
	case verb == "start" && r.Was:
		return p.errorf("Job is already running: %s", name)
	case verb == "stop" && !r.Was:
		return p.errorf("Unknown instance: ")
	case verb == "restart" && r.Was:
		p.printf("%s stop/waiting\n%s\n", name, line)
	default:
		p.printf("%s\n", line)
	}
	if r.Failed != "" {
		fmt.Fprintf(p.Stderr, "%s: %s\n", name, r.Failed)
		if verb == "status" {
			return 3
		}
		return 1
	}
	return 0
}

// units are the services of a machine, with systemd's descriptions.
var units = []struct{ name, about, program string }{
	{"docker", "Docker Application Container Engine", "dockerd"},
	{"ssh", "OpenBSD Secure Shell server", "sshd"},
}

// systemctl does what it can for scripts and fingers used to systemd; the
// machine's init is not systemd.
func systemctl(ctx context.Context, p *Proc) int {
	o, args, ok := p.options("qalf:n:t: quiet all no-pager no-block now full no-legend plain type= state= lines= output= failed system")
	if !ok {
		return 1
	}
	if len(args) == 0 {
		args = []string{"list-units"}
	}
	verb, names := args[0], args[1:]
	switch verb {
	case "daemon-reload", "reset-failed", "enable", "disable", "unmask", "mask", "daemon-reexec":
		return 0
	case "is-system-running":
		p.printf("running\n")
		return 0
	case "list-units", "list-unit-files":
		return p.listUnits(ctx)
	case "cat", "edit":
		p.printf("No files found for %s: the services of an embedded machine are parts of it.\n", strings.Join(names, " "))
		return 1
	case "start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "force-reload", "status", "is-active", "is-enabled", "is-failed", "show", "kill":
	case "reboot", "poweroff", "halt", "suspend":
		return p.errorf("%s", powerAdvice)
	default:
		fmt.Fprintf(p.Stderr, "Unknown command verb %s.\n", verb)
		return 1
	}
	if len(names) == 0 {
		if verb == "status" {
			return p.listUnits(ctx)
		}
		fmt.Fprintln(p.Stderr, "Too few arguments.")
		return 1
	}
	status := 0
	for _, unit := range names {
		if s := p.unit(ctx, verb, unit, o); s != 0 {
			status = s
		}
	}
	return status
}

func (p *Proc) listUnits(ctx context.Context) int {
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "UNIT\tLOAD\tACTIVE\tSUB\tDESCRIPTION")
	for _, u := range units {
		r, err := p.act(ctx, u.name, "status")
		if err != nil {
			continue // not on this machine
		}
		active, sub := unitState(r)
		fmt.Fprintf(w, "%s.service\tloaded\t%s\t%s\t%s\n", u.name, active, sub, u.about)
	}
	return flushed(p, w)
}

func unitState(r ServiceResult) (active, sub string) {
	switch {
	case r.Failed != "":
		return "failed", "failed"
	case r.Running:
		return "active", "running"
	}
	return "inactive", "dead"
}

// unit does what a verb says with one service.
func (p *Proc) unit(ctx context.Context, verb, unit string, o options) int {
	name := strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".socket")
	action := verb
	switch verb {
	case "is-active", "is-enabled", "is-failed", "show":
		action = "status"
	case "try-restart", "reload-or-restart", "force-reload":
		action = "restart"
	}
	r, err := p.act(ctx, name, action)
	switch {
	case errors.Is(err, ErrNoService) && verb == "status":
		fmt.Fprintf(p.Stderr, "Unit %s.service could not be found.\n", name)
		return 4
	case errors.Is(err, ErrNoService) && verb == "is-active":
		p.printf("inactive\n")
		return 3
	case errors.Is(err, ErrNoService):
		fmt.Fprintf(p.Stderr, "Failed to %s %s.service: Unit %s.service not found.\n", verb, name, name)
		return 5
	case err != nil:
		fmt.Fprintf(p.Stderr, "Failed to %s %s.service: %v\n", verb, name, err)
		return 1
	}
	active, _ := unitState(r)
	switch verb {
	case "is-active", "is-failed":
		if !o.has("q", "quiet") {
			p.printf("%s\n", active)
		}
		if verb == "is-active" && !r.Running {
			return 3
		}
		if verb == "is-failed" && active != "failed" {
			return 1
		}
	case "is-enabled":
		p.printf("enabled\n")
	case "show":
		p.printf("Id=%s.service\nActiveState=%s\nMainPID=%d\n", name, active, r.PID)
	case "status":
		return p.unitStatus(ctx, name, r, o)
	default:
		if r.Failed != "" {
			fmt.Fprintf(p.Stderr, "Job for %s.service failed: %s\nSee \"systemctl status %s.service\" and \"journalctl -xeu %s.service\" for details.\n", name, r.Failed, name, name)
			return 1
		}
	}
	return 0
}

// unitStatus is the page that systemctl status shows, the end of the log
// included.
func (p *Proc) unitStatus(_ context.Context, name string, r ServiceResult, o options) int {
	about, program := name, name
	for _, u := range units {
		if u.name == name {
			about, program = u.about, u.program
		}
	}
	active, sub := unitState(r)
	dot := map[string]string{"active": "●", "failed": "×"}[active]
	if dot == "" {
		dot = "○"
	}
	p.printf("%s %s.service - %s\n     Loaded: loaded (part of this embedded machine; enabled)\n     Active: %s (%s)", dot, name, about, active, sub)
	if !r.Since.IsZero() {
		p.printf(" since %s; %s ago", r.Since.Format("Mon 2006-01-02 15:04:05 MST"), upFor(time.Since(r.Since)))
	}
	p.printf("\n")
	if r.Running {
		p.printf("   Main PID: %d (%s)\n", r.PID, program)
	}
	if r.Failed != "" {
		p.printf("      Error: %s\n", r.Failed)
	}
	if text, err := p.Files().ReadFile(dockerLog); err == nil && name == "docker" {
		count := 10
		if n, err := strconv.Atoi(o["n"] + o["lines"]); err == nil {
			count = n
		}
		if log, err := p.journal(bytes.NewReader(text), count, false); err == nil && log != "" {
			p.printf("\n%s", log)
		}
	}
	if !r.Running {
		return 3
	}
	return 0
}

// DockerSocket is where the machine's engine listens.
const DockerSocket = "/var/run/docker.sock"
