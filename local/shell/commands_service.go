package shell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoService says that a machine has no service of that name.
var ErrNoService = errors.New("unrecognized service")

func serviceCommands() map[string]Command {
	upstart := func(_ context.Context, p *Proc) []string { return []string{p.name()} }
	commands := map[string]Command{
		"service": service, "systemctl": systemctl, "dockerd": notHere("dockerd is started by its service: service docker start"),
		"initctl": func(ctx context.Context, p *Proc) int {
			if len(p.Args) < 2 || p.Args[1] == "list" || p.Args[1] == "version" {
				p.printf("init (upstart 1.12.1)\n")
				return 0
			}
			return initctl(ctx, p, p.Args[1], p.Args[2:])
		},
		"reboot": notHere(powerAdvice), "poweroff": notHere(powerAdvice), "shutdown": notHere(powerAdvice), "halt": notHere(powerAdvice),
		"apt-get": notHere("this machine installs nothing: its Docker is built in"), "apt": notHere("this machine installs nothing: its Docker is built in"),
		"update-rc.d": succeed, "insserv": succeed,
	}
	for _, verb := range []string{"restart", "start", "stop", "reload", "status"} {
		commands[verb] = func(ctx context.Context, p *Proc) int { return initctl(ctx, p, upstart(ctx, p)[0], p.Args[1:]) }
	}
	return commands
}

const powerAdvice = "the power of embedded machines is switched from outside: lab kill, lab crash, lab heal"

func notHere(advice string) Command {
	return func(_ context.Context, p *Proc) int { return p.errorf("%s", advice) }
}

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

// systemctl does what it can for scripts written for systemd; the machine's
// init is not systemd.
func systemctl(ctx context.Context, p *Proc) int {
	o, args, ok := p.options("qa quiet no-pager no-block now full")
	if !ok || len(args) == 0 {
		return 1
	}
	verb, names := args[0], args[1:]
	switch verb {
	case "daemon-reload", "reset-failed", "enable", "disable", "unmask", "mask":
		return 0
	case "is-system-running":
		p.printf("running\n")
		return 0
	}
	status := 0
	for _, unit := range names {
		name := strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".socket")
		action := map[string]string{"is-active": "status", "is-enabled": "status", "is-failed": "status", "show": "status", "try-restart": "restart", "reload-or-restart": "restart"}[verb]
		if action == "" {
			action = verb
		}
		r, err := p.act(ctx, name, action)
		if err != nil {
			fmt.Fprintf(p.Stderr, "Failed to %s %s: Unit %s not found.\n", verb, unit, unit)
			return 5
		}
		state := map[bool]string{true: "active", false: "inactive"}[r.Running]
		if r.Failed != "" {
			state = "failed"
		}
		switch verb {
		case "is-active":
			if !o.has("q", "quiet") {
				p.printf("%s\n", state)
			}
			if !r.Running {
				status = 3
			}
		case "is-enabled":
			p.printf("enabled\n")
		case "show":
			p.printf("Id=%s\nActiveState=%s\nMainPID=%d\n", unit, state, r.PID)
		case "status":
			p.printf("* %s.service\n   Active: %s\n Main PID: %d\n", name, state, r.PID)
			if r.Failed != "" {
				p.printf("   Error: %s\n", r.Failed)
			}
			if !r.Running {
				status = 3
			}
		default:
			if r.Failed != "" {
				fmt.Fprintf(p.Stderr, "Job for %s.service failed: %s\n", name, r.Failed)
				status = 1
			}
		}
	}
	return status
}

// DockerSocket is where the machine's engine listens.
const DockerSocket = "/var/run/docker.sock"
