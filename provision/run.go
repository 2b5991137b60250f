package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// CommandError is a command that ended with another exit code than 0.
type CommandError struct {
	Cmd    string // as given to the shell
	Host   string // the machine's name
	Exit   int    // -1 where there is none: the connection or the process was cut off
	Signal string // KILL, if a signal ended it
	Stderr string // the last 20 lines
}

func (e *CommandError) Error() string {
	how := fmt.Sprintf("exit code %d", e.Exit)
	if e.Signal != "" {
		how = "signal " + e.Signal
	} else if e.Exit < 0 {
		how = "no exit code: cut off"
	}
	last := e.Stderr[strings.LastIndexByte(e.Stderr, '\n')+1:]
	if last != "" {
		last = ": " + last
	}
	return fmt.Sprintf("%s: %s: %s%s", e.Host, shorten(e.Cmd, 120), how, last)
}

// Run runs a command line by the login shell of the SSH user and returns its
// output. stdin may be nil. Another exit code than 0 is a *CommandError.
// When ctx ends, the command's channel is closed.
func (h *Host) Run(ctx context.Context, cmd string, stdin io.Reader) ([]byte, error) {
	var stdout bytes.Buffer
	err := h.run(ctx, cmd, stdin, &stdout, nil)
	if _, exited := errors.AsType[*CommandError](err); err != nil && !exited {
		return nil, err
	}
	return stdout.Bytes(), err
}

// RunLines is Run for commands that take long: said gets each line of output
// and of errors as it comes, one call at a time.
func (h *Host) RunLines(ctx context.Context, cmd string, said func(line string)) error {
	var mu sync.Mutex
	out, errs := &lineWriter{mu: &mu, said: said}, &lineWriter{mu: &mu, said: said}
	err := h.run(ctx, cmd, nil, out, errs)
	out.end()
	errs.end()
	return err
}

// run connects a command with what reads and writes for it; stderr may be nil.
func (h *Host) run(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	session, err := h.session(ctx)
	if err != nil {
		return fmt.Errorf("%s: run %s: %w", h.machine.Name, shorten(cmd, 60), err)
	}
	defer session.Close()
	last := &tail{limit: 16 << 10}
	session.Stdin, session.Stdout, session.Stderr = stdin, stdout, last
	if stderr != nil {
		session.Stderr = io.MultiWriter(last, stderr)
	}
	if err := session.Start(cmd); err != nil {
		return fmt.Errorf("%s: start %s: %w", h.machine.Name, shorten(cmd, 60), h.explain(err))
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		session.Signal(ssh.SIGKILL)
		session.Close()
		return fmt.Errorf("%s: run %s: %w", h.machine.Name, shorten(cmd, 60), context.Cause(ctx))
	}
	if err == nil {
		return nil
	}
	failed := &CommandError{Cmd: cmd, Host: h.machine.Name, Exit: -1, Stderr: last.lines(20)}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		failed.Exit, failed.Signal = exit.ExitStatus(), exit.Signal()
		return failed
	}
	return h.explain(errors.Join(failed, err))
}

// session opens a channel for a command without waiting longer than ctx.
func (h *Host) session(ctx context.Context) (*ssh.Session, error) {
	type opened struct {
		session *ssh.Session
		err     error
	}
	ch := make(chan opened, 1)
	go func() {
		s, err := h.client.NewSession()
		ch <- opened{s, err}
	}()
	select {
	case o := <-ch:
		return o.session, h.explain(o.err)
	case <-ctx.Done():
		go func() {
			if o := <-ch; o.session != nil {
				o.session.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// Quote writes an argument list as a POSIX shell command line.
func Quote(argv ...string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		plain := a != "" && strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-") == ""
		if plain {
			words[i] = a
		} else {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// privileged prefixes an argument list with sudo unless root runs it. -n:
// never ask for a password, fail.
func privileged(root bool, argv ...string) []string {
	if root {
		return argv
	}
	return append([]string{"sudo", "-n"}, argv...)
}

// lineWriter cuts what is written to it into lines. A carriage return ends a
// line, too: programs draw their progress so.
type lineWriter struct {
	mu   *sync.Mutex
	said func(string)
	part []byte
}

// longestLine bounds what is kept of a line that does not end.
const longestLine = 4 << 10

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range p {
		if c == '\n' || c == '\r' {
			w.say()
		} else if len(w.part) < longestLine {
			w.part = append(w.part, c)
		}
	}
	return len(p), nil
}

// end says what is left. What a command writes that was given up is nobody's
// business any more.
func (w *lineWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say()
	w.said = func(string) {}
}

func (w *lineWriter) say() {
	if line := strings.TrimSpace(string(w.part)); line != "" {
		w.said(line)
	}
	w.part = w.part[:0]
}

// tail keeps the last bytes that are written to it.
type tail struct {
	buf   []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) lines(n int) string {
	all := strings.Split(strings.TrimRight(string(t.buf), "\r\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

func shorten(s string, n int) string {
	if s, _, more := strings.Cut(s, "\n"); more || len(s) > n {
		return s[:min(n, len(s))] + " …"
	}
	return s
}
