package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/mesoslab/lab/local/terminal"
)

// prompt is what an interactive shell has besides.
type prompt struct {
	life    context.Context // ends with the shell
	jobs    *jobs
	last    int // number of the last job, for $!
	history *history

	mu      sync.Mutex
	running context.CancelCauseFunc   // ends the line that runs, else nil
	early   terminal.Signal           // came since the line was entered
	left    []context.CancelCauseFunc // of lines that left something in the background
	waiting bool                      // for those
}

// Interactive is a shell for somebody at a terminal, which cfg.Terminal must
// be: prompts, history, completion, jobs. It returns the exit status of the
// last command when the user leaves, or the cause of ctx.
func Interactive(ctx context.Context, cfg Config) (int, error) {
	if cfg.Stdin == nil {
		cfg.Stdin, cfg.Stdout, cfg.Stderr = cfg.Terminal, cfg.Terminal, cfg.Terminal
	}
	s, err := New(cfg)
	if err != nil {
		return 126, err
	}
	defer s.Close()
	return s.dialogue(ctx)
}

// dialogue reads and runs commands until the shell is left. At every instant
// one party reads the keyboard: the line editor while there is a prompt, in a
// mode of its own, and else what runs, in the mode that stty shows.
func (s *Session) dialogue(ctx context.Context) (int, error) {
	life, cancel := context.WithCancel(ctx)
	s.prompt = &prompt{life: life, jobs: &jobs{}, history: s.loadHistory()}
	defer s.prompt.jobs.end()
	defer cancel()
	defer s.saveHistory()
	t := s.cfg.Terminal
	var notes sync.WaitGroup
	defer notes.Wait()
	defer t.Foreground(func(sig terminal.Signal) {
		if sig == terminal.Suspend {
			notes.Go(func() { io.WriteString(t, unstoppable) })
			return
		}
		s.prompt.interrupt(sig)
	})()
	exit, exited, err := s.startFiles(ctx)
	for !exited && err == nil {
		s.prompt.jobs.report(s.cfg.Stderr)
		mode := t.SetMode(terminal.Keys())
		var src string
		src, err = s.readCommand(ctx)
		s.prompt.begin()
		t.SetMode(mode)
		switch {
		case err == nil:
			exit, exited, err = s.run(ctx, src)
		case errors.Is(err, io.EOF):
			fmt.Fprintln(s.cfg.Stderr, s.farewell())
			return exit, nil
		}
	}
	return exit, err
}

func (s *Session) farewell() string {
	if s.cfg.Login {
		return "logout"
	}
	return "exit"
}

// startFiles greets and reads what a user has prepared.
func (s *Session) startFiles(ctx context.Context) (exit int, exited bool, err error) {
	names := []string{"~/.bashrc"}
	if s.cfg.Login {
		names = append(names, "~/.profile")
		if text, err := s.files.ReadFile("/etc/motd"); err == nil {
			s.cfg.Terminal.Write(text)
		}
	}
	for _, name := range names {
		s.prompt.begin()
		if exit, exited, err = s.run(ctx, "[ ! -r "+name+" ] || . "+name+"\n"); exited || err != nil {
			break
		}
	}
	return exit, exited, err
}

// run runs one command line. An interrupt ends it, and is no error.
func (s *Session) run(ctx context.Context, src string) (exit int, exited bool, err error) {
	line, cancel := context.WithCancelCause(ctx)
	s.prompt.started(cancel)
	exit, exited, err = s.Line(line, src, s.cfg.Stdin)
	s.prompt.ended(cancel, leavesSomething(src))
	if sig, ok := errors.AsType[signalled](err); ok {
		if sig.signal == terminal.Quit {
			io.WriteString(s.cfg.Terminal, "Quit")
		}
		io.WriteString(s.cfg.Terminal, "\n")
		s.setStatus(ctx, sig.status())
		return sig.status(), false, nil
	}
	return exit, exited, err
}

// leavesSomething reports whether a line starts commands in the background in
// places where they do not become jobs: in loops and functions.
func leavesSomething(src string) bool {
	file, err := parse(src, "")
	if err != nil {
		return false
	}
	found := false
	for _, stmt := range file.Stmts {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			inner, ok := n.(*syntax.Stmt)
			found = found || ok && inner.Background && inner != stmt
			return !found
		})
	}
	return found
}

// begin forgets what was pressed before the line was entered.
func (p *prompt) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.early = 0
}

// started takes what ends the line that now runs. A ctrl-C that came since it
// was entered counts.
func (p *prompt) started(cancel context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running = cancel; p.early != 0 {
		cancel(signalled{p.early})
	}
}

func (p *prompt) ended(cancel context.CancelCauseFunc, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.waiting = nil, false
	if keep {
		p.left = append(p.left, cancel)
		return
	}
	cancel(nil)
}

func (p *prompt) interrupt(sig terminal.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.early = sig
	if p.running != nil {
		p.running(signalled{sig})
	}
	if p.waiting {
		p.endLeftLocked(sig)
	}
}

// waits notes that the line waits for what earlier ones left behind: the
// interpreter does so until they end, whatever happens to the line.
func (p *prompt) waits() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting = true; p.early != 0 {
		p.endLeftLocked(p.early)
	}
}

func (p *prompt) endLeftLocked(sig terminal.Signal) {
	for _, cancel := range p.left {
		cancel(signalled{sig})
	}
	p.left = nil
}

// readCommand reads lines until they make a whole command.
func (s *Session) readCommand(ctx context.Context) (string, error) {
	src, ps := "", s.promptText("PS1", `\u@\h:\w\$ `)
	for {
		line, err := s.edit(ctx, ps)
		switch {
		case errors.Is(err, errKeyInterrupt):
			s.setStatus(ctx, 130)
			return "", nil
		case errors.Is(err, io.EOF) && src != "":
			fmt.Fprintln(s.cfg.Stderr, "bash: syntax error: unexpected end of file")
			s.setStatus(ctx, 2)
			return "", nil
		case err != nil:
			return "", err
		}
		expanded, err := s.prompt.history.expand(line)
		if err != nil {
			fmt.Fprintln(s.cfg.Stderr, err)
			return "", nil
		}
		if expanded != line {
			fmt.Fprintln(s.cfg.Stderr, expanded)
		}
		s.prompt.history.add(expanded, src != "")
		if src += expanded + "\n"; !Incomplete(src) {
			return src, nil
		}
		ps = s.promptText("PS2", "> ")
	}
}

// variable is a variable of the shell, or a default.
func (s *Session) variable(name, otherwise string) string {
	if v, ok := s.runner.Vars[name]; ok && v.IsSet() {
		return v.String()
	}
	return otherwise
}

// promptText is a prompt with its escapes replaced, those that bash's manual
// lists under PROMPTING and that mean something here.
func (s *Session) promptText(name, otherwise string) string {
	text := s.variable(name, otherwise)
	home := s.variable("HOME", homeOf(s.cfg.User))
	dir := s.Dir()
	if dir == home {
		dir = "~"
	} else if rest, ok := strings.CutPrefix(dir, home+"/"); ok {
		dir = "~/" + rest
	}
	sign := "$"
	if s.cfg.User == "root" {
		sign = "#"
	}
	host, _, _ := strings.Cut(s.cfg.Hostname, ".")
	return strings.NewReplacer(
		`\u`, s.cfg.User, `\h`, host, `\H`, s.cfg.Hostname, `\w`, dir, `\W`, path.Base(dir), `\$`, sign, `\t`, time.Now().Format(time.TimeOnly),
		`\A`, time.Now().Format("15:04"), `\s`, "bash", `\e`, "\x1b", `\033`, "\x1b", `\[`, "", `\]`, "", `\n`, "\n", `\\`, `\`,
	).Replace(text)
}
