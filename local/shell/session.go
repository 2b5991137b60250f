package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// Session is a shell that keeps variables, functions and its directory from
// one Line to the next. It is for one caller at a time; Close it.
type Session struct {
	cfg      Config
	files    Files
	runner   *interp.Runner
	depth    int      // of scripts that run scripts
	status   int      // of the last Line
	keyboard *os.File // stands for the terminal; nil where that is not the input
	ttys     sync.Map // other files that stand for it: /dev/tty
	prompt   *prompt  // of an interactive shell, else nil
}

// maxDepth bounds scripts that call themselves.
const maxDepth = 64

// New returns a shell that has run nothing yet.
func New(cfg Config) (*Session, error) { return newSession(cfg, 0) }

// Close gives back what the shell holds. Nothing may run in it any more.
func (s *Session) Close() error {
	if s.keyboard == nil {
		return nil
	}
	return s.keyboard.Close()
}

func newSession(cfg Config, depth int) (*Session, error) {
	if depth > maxDepth {
		return nil, errors.New("shell: scripts call each other too deeply")
	}
	if cfg.Commands == nil {
		cfg.Commands = Standard()
	}
	if cfg.User == "" {
		cfg.User = "root"
	}
	if cfg.Stdout == nil {
		cfg.Stdout = io.Discard
	}
	if cfg.Stderr == nil {
		cfg.Stderr = io.Discard
	}
	if t := keyboardOf(cfg.Stdin); t != nil {
		cfg.Stdin = t
		if cfg.Terminal == nil {
			cfg.Terminal = t
		}
	}
	s := &Session{cfg: cfg, files: Files{Root: cfg.Root, Base: cfg.Base}, depth: depth}
	env := newEnviron(cfg, depth == 0)
	r, err := interp.New(
		interp.Env(env), interp.StdIO(nil, cfg.Stdout, cfg.Stderr),
		interp.OpenHandler(s.open), interp.StatHandler(s.stat), interp.ReadDirHandler2(s.readDir), interp.AccessHandler(s.access),
		interp.CallHandler(s.call), interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
	)
	if err != nil {
		return nil, fmt.Errorf("shell: %w", err)
	}
	r.Dir = s.startDir(cfg.Dir) // interp.Dir would look at the computer
	r.Reset()
	env.starting.Store(false)
	s.runner = r
	if keyboardOf(cfg.Stdin) != nil {
		if s.keyboard, err = standIn(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// startDir is dir if it is there, else "/".
func (s *Session) startDir(dir string) string {
	dir = path.Clean("/" + dir)
	if i, err := s.files.Stat(dir); err == nil && i.IsDir() {
		return dir
	}
	return "/"
}

// Run runs one script in a new shell and returns its exit status. The error
// says why there is none; then the status is one that fits. On a terminal
// ctrl-C ends it with 130.
func Run(ctx context.Context, cfg Config, script string) (int, error) {
	return once(ctx, cfg, func(ctx context.Context, s *Session) (int, error) { return s.script(ctx, script, "bash", nil) })
}

// RunArgv runs a command by its words, without splitting or expanding them.
func RunArgv(ctx context.Context, cfg Config, argv []string) (int, error) {
	return once(ctx, cfg, func(ctx context.Context, s *Session) (int, error) { return s.argv(ctx, argv) })
}

func once(ctx context.Context, cfg Config, fn func(context.Context, *Session) (int, error)) (int, error) {
	s, err := New(cfg)
	if err != nil {
		return 126, err
	}
	defer s.Close()
	ctx, release := s.foreground(ctx)
	defer release()
	exit, err := fn(ctx, s)
	if sig, ok := errors.AsType[signalled](err); ok {
		// The key itself is to be seen before the terminal goes; a screen that is
		// gone sees nothing.
		_, _ = s.cfg.Terminal.Write(nil)
		return sig.status(), nil
	}
	return exit, err
}

func (s *Session) argv(ctx context.Context, argv []string) (int, error) {
	if len(argv) == 0 {
		return 126, errors.New("shell: no command")
	}
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return s.script(ctx, strings.Join(quoted, " "), "bash", nil)
}

// script runs a whole script with its own name and parameters.
func (s *Session) script(ctx context.Context, src, name string, params []string) (int, error) {
	file, err := parse(src, name)
	if err != nil {
		fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
		return 2, nil
	}
	s.runner.Params = params
	return s.interpret(ctx, s.cfg.Stdin, file)
}

// Line runs the statements of src one by one, as an interactive shell does,
// with stdin as their input. exited says that the shell wants to end.
func (s *Session) Line(ctx context.Context, src string, stdin io.Reader) (exit int, exited bool, err error) {
	file, err := parse(src, "")
	if err != nil {
		fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
		s.setStatus(ctx, 2)
		return 2, false, nil
	}
	exit = s.status // of a line without a command
	for _, stmt := range file.Stmts {
		if stmt.Background && s.prompt != nil {
			exit = s.background(ctx, stmt)
			continue
		}
		exit, err = s.interpret(ctx, stdin, s.prompt.lastJob(stmt))
		s.status = exit
		if err != nil || s.runner.Exited() {
			return exit, err == nil && s.runner.Exited(), err
		}
	}
	return exit, false, nil
}

// setStatus makes status the last one, $?: of what the interpreter did not run
// to its end, or not at all.
func (s *Session) setStatus(ctx context.Context, status int) {
	file, err := parse(fmt.Sprintf("(exit %d)", status), "")
	if err == nil {
		s.status, err = s.interpret(context.WithoutCancel(ctx), s.cfg.Stdin, file)
	}
	if err != nil { // the computer has no more pipes
		fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
	}
}

// Dir is the current directory.
func (s *Session) Dir() string { return s.runner.Dir }

// interpret runs a node with stdin behind a pipe of its own, which is closed
// when the node has ended: the copying ends with the reader's next byte. A
// terminal is read by the commands themselves.
func (s *Session) interpret(ctx context.Context, stdin io.Reader, node syntax.Node) (int, error) {
	in := s.keyboard
	if keyboardOf(stdin) == nil {
		pr, done, err := pipe(stdin)
		if err != nil {
			return 126, err
		}
		defer done()
		in = pr
	}
	if err := interp.StdIO(in, s.cfg.Stdout, s.cfg.Stderr)(s.runner); err != nil {
		return 126, fmt.Errorf("shell: %w", err)
	}
	err := s.runner.Run(ctx, node)
	if ctx.Err() != nil {
		return 130, context.Cause(ctx)
	}
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		return int(status), nil
	}
	if err == nil {
		return 0, nil
	}
	fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
	return 1, nil
}

// pipe makes r readable as a file, as the interpreter needs it.
func pipe(r io.Reader) (*os.File, func(), error) {
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("shell: %w", err)
	}
	if r == nil {
		pw.Close()
	} else {
		go func() {
			// Ends with r, or when nobody reads any more.
			io.Copy(pw, r)
			pw.Close()
		}()
	}
	return pr, func() { pr.Close() }, nil
}

// runScript runs a file as a script: sh NAME ARGS.
func (s *Session) runScript(ctx context.Context, cfg Config, file, name string, args []string) int {
	f, err := s.files.Open(file)
	if err == nil {
		defer f.Close()
		var text []byte
		if text, err = io.ReadAll(f); err == nil {
			if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.IndexByte(first, 0) >= 0 {
				fmt.Fprintf(cfg.Stderr, "bash: %s: cannot execute binary file: Exec format error\n", name)
				return 126
			}
			return s.nested(cfg, func(n *Session) (int, error) { return n.script(ctx, string(text), name, args) })
		}
	}
	fmt.Fprintf(cfg.Stderr, "bash: %s: %s\n", name, words(err))
	if errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

// nested runs fn in a new shell below this one.
func (s *Session) nested(cfg Config, fn func(*Session) (int, error)) int {
	n, err := newSession(cfg, s.depth+1)
	if err != nil {
		fmt.Fprintf(cfg.Stderr, "bash: %v\n", err)
		return 126
	}
	defer n.Close()
	// An error here is the end of ctx, which the caller sees by itself.
	exit, _ := fn(n)
	return exit
}
