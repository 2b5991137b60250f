package shell

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

func runCommands() map[string]Command {
	return map[string]Command{
		"sudo": sudo, "su": su, "sh": sh, "bash": sh, "dash": sh, "env": env, "printenv": printenv, "nohup": nohup, "nice": nohup, "setsid": nohup,
		"timeout": timeout, "sleep": sleep, "xargs": xargs, "logger": succeed,
	}
}

// runs reports whether there is a program of that name; some are builtins here.
func (p *Proc) runs(name string) bool {
	switch name {
	case "echo", "true", "false", "test", "[", "printf", "pwd", "kill":
		return true
	}
	cmd, file := p.session.find(name, p.Dir, p.Getenv("PATH"))
	return cmd != nil || file != ""
}

// start runs an argument list in a shell of its own with another setting.
func (p *Proc) start(ctx context.Context, cfg Config, argv []string) int {
	return p.session.nested(cfg, func(n *Session) (int, error) { return n.argv(ctx, argv) })
}

// userEnv is the environment of a command that another user starts.
func (p *Proc) userEnv(user string) []string {
	out := []string{"HOME=" + homeOf(user), "USER=" + user, "LOGNAME=" + user}
	for _, key := range []string{"PATH", "LANG", "TERM", "LAB_HOSTS"} {
		if v := p.Getenv(key); v != "" {
			out = append(out, key+"="+v)
		}
	}
	return out
}

// sudo never asks: vagrant may do everything.
func sudo(ctx context.Context, p *Proc) int {
	args, user, shell, login, keep := p.Args[1:], "root", false, false, false
	var extra []string
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "-u" || a == "-g" || a == "-p" || a == "-C":
			if len(args) < 2 {
				return p.errorf("option requires an argument -- '%s'", a[1:])
			}
			if a == "-u" {
				user = args[1]
			}
			args = args[1:]
		case a == "-i" || a == "--login":
			login = true
		case a == "-s" || a == "--shell":
			shell = true
		case a == "-v" || a == "-k" || a == "-K" || a == "-l":
			return 0
		case a == "-E":
			keep = true
		case a == "--":
			args = args[1:]
			goto run
		case strings.HasPrefix(a, "-"): // -n -H -S -b: nothing to do
		case strings.Contains(a, "=") && !strings.HasPrefix(a, "="):
			extra = append(extra, a)
		default:
			goto run
		}
		args = args[1:]
	}
run:
	cfg := p.config()
	cfg.User, cfg.Env = user, p.userEnv(user)
	if keep {
		cfg.Env = append(p.Environ, cfg.Env...)
	}
	cfg.Env = append(append(cfg.Env, "SUDO_USER="+p.User()), extra...)
	if login {
		cfg.Dir = homeOf(user)
	}
	switch {
	case len(args) == 0 && !login && !shell:
		return p.errorf("usage: sudo [-AbEHiknPSs] [-u user] [VAR=value] [command]")
	case len(args) == 0 && login:
		args = []string{"sh", "-l"}
	case len(args) == 0:
		args = []string{"sh"}
	case !p.runs(args[0]):
		p.errorf("%s: command not found", args[0])
		if advice := absent(args[0]); advice != "" {
			fmt.Fprintf(p.Stderr, "(%s)\n", advice)
		}
		return 1
	}
	return p.start(ctx, cfg, args)
}

func su(ctx context.Context, p *Proc) int {
	user, command, login := "root", []string{"sh"}, false
	for args := p.Args[1:]; len(args) > 0; args = args[1:] {
		switch a := args[0]; {
		case a == "-c" && len(args) > 1:
			command, args = []string{"sh", "-c", args[1]}, args[1:]
		case a == "-" || a == "-l" || a == "--login":
			login = true
		case strings.HasPrefix(a, "-"):
		default:
			user = a
		}
	}
	if _, known := homes[user]; !known {
		return p.errorf("user %s does not exist", user)
	}
	cfg := p.config()
	cfg.User, cfg.Env = user, p.userEnv(user)
	if login {
		cfg.Dir = homeOf(user)
		if len(command) == 1 {
			command = []string{"sh", "-l"}
		}
	}
	return p.start(ctx, cfg, command)
}

// sh runs -c's script, a file, or what comes from standard input; at a
// terminal it is interactive.
func sh(ctx context.Context, p *Proc) int {
	args, prefix := p.Args[1:], ""
	isScript, login := false, false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') && args[0] != "--" {
		for _, c := range args[0][1:] {
			switch c {
			case 'c':
				isScript = true
			case 'e', 'u', 'x', 'f', 'n', 'a':
				prefix += "set " + args[0][:1] + string(c) + "; "
			case 'l':
				login = true
			case 'i', 's', '-':
			default:
				p.errorf("-%c: invalid option", c)
				return 2
			}
		}
		args = args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	cfg := p.config()
	switch {
	case isScript && len(args) == 0:
		p.errorf("-c: option requires an argument")
		return 2
	case isScript:
		name := "bash"
		if len(args) > 1 {
			name = args[1]
		}
		return p.session.nested(cfg, func(n *Session) (int, error) {
			return n.script(ctx, prefix+args[0], name, args[min(2, len(args)):])
		})
	case len(args) > 0 && !slices.Contains(p.Args, "-s"):
		return p.session.runScript(ctx, cfg, p.Path(args[0]), args[0], args[1:])
	case p.Keyboard() != nil && screenOf(p.Stderr) != nil:
		cfg.Login = login
		return p.session.nested(cfg, func(n *Session) (int, error) { return n.dialogue(ctx) })
	}
	text, err := io.ReadAll(p.Stdin)
	if err != nil {
		return p.errorf("%s", words(err))
	}
	cfg.Stdin = nil
	return p.session.nested(cfg, func(n *Session) (int, error) { return n.script(ctx, prefix+string(text), "bash", args) })
}

func env(ctx context.Context, p *Proc) int {
	args, environ := p.Args[1:], slices.Clone(p.Environ)
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "-i" || a == "-":
			environ = nil
		case a == "-u" && len(args) > 1:
			gone := args[1] + "="
			environ = slices.DeleteFunc(environ, func(v string) bool { return strings.HasPrefix(v, gone) })
			args = args[1:]
		case strings.Contains(a, "="):
			environ = append(environ, a)
		default:
			cfg := p.config()
			cfg.Env = environ
			return p.start(ctx, cfg, args)
		}
		args = args[1:]
	}
	for _, v := range environ {
		p.printf("%s\n", v)
	}
	return 0
}

func printenv(_ context.Context, p *Proc) int {
	if len(p.Args) == 1 {
		p.printf("%s\n", strings.Join(p.Environ, "\n"))
		return 0
	}
	status := 0
	for _, name := range p.Args[1:] {
		if i := slices.IndexFunc(p.Environ, func(v string) bool { return strings.HasPrefix(v, name+"=") }); i >= 0 {
			p.printf("%s\n", p.Environ[i][len(name)+1:])
		} else {
			status = 1
		}
	}
	return status
}

func nohup(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-n" {
			args = args[min(1, len(args)-1):]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return p.errorf("missing operand")
	}
	return p.start(ctx, p.config(), args)
}

// Known reports whether a command of that name, or with that path, exists.
func Known(commands map[string]Command, name string) bool {
	if dir := path.Dir(name); dir != "." && !isBinDir(dir) {
		return false
	}
	return commands[path.Base(name)] != nil
}
