package shell

import (
	"context"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/interp"
)

// exec runs what is neither a function nor a builtin.
func (s *Session) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	// What a command leaves behind ends with it: it must not read on.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, stop := s.input(ctx, hc.Stdin)
	defer stop()
	p := &Proc{
		Args: args, Environ: exported(hc.Env), Dir: hc.Dir,
		Stdin: in, Stdout: output{ctx, hc.Stdout}, Stderr: output{ctx, hc.Stderr}, session: s,
	}
	if s.cfg.Terminal != nil {
		p.tty = s.cfg.Terminal.Reader(ctx)
	}
	if status := p.survive(ctx); status != 0 {
		return interp.ExitStatus(uint8(status))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// binDirs are where commands seem to lie.
func isBinDir(dir string) bool {
	return slices.Contains([]string{"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin", "/usr/local/sbin"}, dir)
}

// Crashed may be implemented by a Machine that wants to know of a command's
// panic.
type Crashed interface {
	Crashed(args []string, cause any, stack []byte)
}

// survive runs the command; a panic in it is the end of that command, as a
// segmentation fault is, and not of the machine with all its containers.
func (p *Proc) survive(ctx context.Context) (status int) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if m, ok := p.Machine().(Crashed); ok {
			m.Crashed(p.Args, cause, debug.Stack())
		}
		fmt.Fprintf(p.Stderr, "bash: %s: Segmentation fault (a mistake in this embedded machine: %v)\n", strings.TrimPrefix(p.Args[0], builtinPrefix), cause)
		status = 139
	}()
	return p.run(ctx)
}

// run finds args[0] and runs it.
func (p *Proc) run(ctx context.Context) int {
	name := p.Args[0]
	if internal, ok := strings.CutPrefix(name, builtinPrefix); ok {
		p.Args[0] = internal
		return ownBuiltins(internal)(ctx, p)
	}
	if name == "" {
		fmt.Fprintln(p.Stderr, "bash: : command not found")
		return 127
	}
	cmd, file := p.session.find(name, p.Dir, p.Getenv("PATH"))
	switch {
	case cmd != nil:
		return cmd(ctx, p)
	case file != "":
		return p.runFile(ctx, file)
	case strings.Contains(name, "/"):
		fmt.Fprintf(p.Stderr, "bash: %s: No such file or directory\n", name)
	default:
		p.notFound(name)
	}
	return 127
}

// notFound says bash's words; people at a terminal, or who look for something
// well known, are told a little more.
func (p *Proc) notFound(name string) {
	fmt.Fprintf(p.Stderr, "bash: %s: command not found\n", name)
	switch advice := absent(name); {
	case advice != "":
		fmt.Fprintf(p.Stderr, "(%s)\n", advice)
	case screenOf(p.Stderr) != nil:
		fmt.Fprintln(p.Stderr, "(an embedded machine has commands of its own: help lists them)")
	}
}

func (p *Proc) runFile(ctx context.Context, file string) int {
	i, err := p.session.files.Stat(file)
	switch {
	case err != nil:
		fmt.Fprintf(p.Stderr, "bash: %s: %s\n", p.Args[0], words(err))
		return 127
	case i.IsDir():
		fmt.Fprintf(p.Stderr, "bash: %s: Is a directory\n", p.Args[0])
		return 126
	case i.Mode()&0o111 == 0:
		fmt.Fprintf(p.Stderr, "bash: %s: Permission denied\n", p.Args[0])
		return 126
	}
	name := file
	if strings.Contains(p.Args[0], "/") {
		name = p.Args[0]
	}
	return p.session.runScript(ctx, p.config(), file, name, p.Args[1:])
}

// find returns the command or the file that name stands for.
func (s *Session) find(name, dir, searchPath string) (Command, string) {
	if strings.Contains(name, "/") {
		p := abs(dir, name)
		if _, err := s.files.Stat(p); err == nil {
			return nil, p
		}
		if isBinDir(path.Dir(p)) {
			return s.cfg.Commands[path.Base(p)], ""
		}
		return nil, ""
	}
	if cmd := s.cfg.Commands[name]; cmd != nil {
		return cmd, ""
	}
	for d := range strings.SplitSeq(searchPath, ":") {
		p := path.Join(abs(dir, d), name)
		if i, err := s.files.Stat(p); d != "" && err == nil && !i.IsDir() && i.Mode()&0o111 != 0 {
			return nil, p
		}
	}
	return nil, ""
}
