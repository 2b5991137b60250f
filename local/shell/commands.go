package shell

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Standard returns the commands of a machine by name.
func Standard() map[string]Command {
	all := map[string]Command{}
	for _, some := range []map[string]Command{
		fileCommands(), listCommands(), textCommands(), systemCommands(), serviceCommands(), runCommands(), netCommands(), terminalCommands(),
	} {
		maps.Copy(all, some)
	}
	return all
}

// ownBuiltins are the builtins that the interpreter has not, or has in a way
// that looks at the computer.
func ownBuiltins(name string) Command {
	switch name {
	case "refuse":
		return func(_ context.Context, p *Proc) int {
			p.Args[0] = "bash"
			return p.errorf("%s", strings.Join(p.Args[1:], " "))
		}
	case "command":
		return builtinCommand
	case "type":
		return builtinType
	case "kill":
		return func(ctx context.Context, p *Proc) int {
			p.Args[0] = "bash: kill"
			return kill(ctx, p)
		}
	case "umask":
		return func(_ context.Context, p *Proc) int {
			if len(p.Args) == 1 {
				p.printf("0022\n")
			}
			return 0
		}
	case "ulimit":
		return func(_ context.Context, p *Proc) int {
			if len(p.Args) == 1 || slices.Contains([]string{"-n", "-u", "-f", "-a"}, p.Args[len(p.Args)-1]) {
				p.printf("unlimited\n")
			}
			return 0
		}
	case "usage":
		return func(_ context.Context, p *Proc) int {
			p.Args[0] = "bash"
			p.errorf("%s", strings.Join(p.Args[1:], " "))
			return 2
		}
	case "status":
		return func(_ context.Context, p *Proc) int {
			status, _ := strconv.Atoi(p.Args[1]) // our own number
			return status
		}
	case "menu":
		return func(_ context.Context, p *Proc) int {
			showMenu(p.Stderr, p.Args[1:])
			return 0
		}
	case "jobs":
		return listJobs
	case "fg":
		return fg
	case "bg":
		return bg
	case "disown":
		return disown
	case "history":
		return listHistory
	case "help":
		return help
	}
	return func(_ context.Context, p *Proc) int { return p.errorf("not available on this machine") }
}

// where tells what a word would run: "builtin", a path, or "".
func (p *Proc) where(name string) string {
	cmd, file := p.session.find(name, p.Dir, p.Getenv("PATH"))
	switch {
	case cmd != nil && strings.Contains(name, "/"):
		return p.Path(name)
	case cmd != nil:
		return binPath(name)
	}
	return file
}

// absent says what to do instead of a program that people look for on a machine
// and that is not on this one.
func absent(name string) string {
	const (
		machines = "machines are entered from your computer: lab ssh MACHINE"
		editors  = "there is no editor on this machine: cat > FILE writes a file (ctrl-D ends it), sed -i changes one, and cat FILE | lab ssh MACHINE 'cat > FILE' copies one in"
		packages = "nothing is installed on this machine: its Docker is built in"
		langs    = "this machine runs no programs but its own commands: help lists them"
	)
	return map[string]string{
		"ssh": machines, "sftp": machines, "vi": editors, "vim": editors, "nano": editors, "emacs": editors, "ed": editors, "pico": editors, "view": editors,
		"apt": packages, "apt-get": packages, "yum": packages, "dnf": packages, "apk": packages, "snap": packages, "dpkg": packages, "rpm": packages,
		"reboot": powerAdvice, "poweroff": powerAdvice, "shutdown": powerAdvice, "halt": powerAdvice,
		"dockerd": "it is a service of this machine: sudo service docker start", "docker-compose": "containers are started one by one here: docker run",
		"python": langs, "python3": langs, "perl": langs, "ruby": langs, "java": langs, "git": langs, "make": langs, "gcc": langs, "busybox": langs,
	}[name]
}

// binPath is where a command seems to lie.
func binPath(name string) string {
	switch name {
	case "service", "initctl", "restart", "start", "stop", "status", "ss", "reboot", "poweroff", "shutdown", "ip":
		return "/sbin/" + name
	case "docker", "dockerd", "curl", "tty", "clear", "reset", "less", "more", "top", "man", "journalctl", "free", "uptime", "sudo", "scp", "wc", "head", "tail", "env", "id", "whoami", "install", "which":
		return "/usr/bin/" + name
	}
	return "/bin/" + name
}

func builtinCommand(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	for len(args) > 0 && args[0] == "-p" {
		args = args[1:]
	}
	if len(args) == 0 {
		return 0
	}
	if args[0] != "-v" && args[0] != "-V" {
		return p.session.nested(p.config(), func(n *Session) (int, error) { return n.argv(ctx, args) })
	}
	status := 0
	for _, name := range args[1:] {
		switch at := p.where(name); {
		case isShellWord(name):
			p.printf("%s\n", name)
		case at != "":
			p.printf("%s\n", at)
		default:
			status = 1
		}
	}
	return status
}

func builtinType(_ context.Context, p *Proc) int {
	status := 0
	short := len(p.Args) > 1 && p.Args[1] == "-t"
	for _, name := range p.Args[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		at, kind := p.where(name), "file"
		if isShellWord(name) {
			kind = "builtin"
		}
		switch {
		case at == "" && kind == "file":
			p.Args[0] = "bash"
			status = p.errorf("type: %s: not found", name)
		case short:
			p.printf("%s\n", kind)
		case kind == "builtin":
			p.printf("%s is a shell builtin\n", name)
		default:
			p.printf("%s is %s\n", name, at)
		}
	}
	return status
}

func isShellWord(name string) bool {
	return slices.Contains(strings.Fields(shellWords), name)
}

// shellWords are the builtins that can be relied on.
const shellWords = ". : [ alias bg break cd command continue declare dirs disown echo eval exec exit export false fg getopts hash help history " +
	"jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source test times trap true type " +
	"ulimit umask unalias unset wait"
