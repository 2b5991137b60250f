package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// firstJobPID is the first number of a job: no process of a computer has it.
const firstJobPID = 5_000_001

// jobs are what an interactive shell runs in the background. They are parts of
// this process: they can be ended, but not stopped, and have no keyboard.
type jobs struct {
	work sync.WaitGroup

	mu   sync.Mutex
	list []*job
	pids int
}

type job struct {
	number, pid int
	text        string
	cancel      context.CancelCauseFunc
	done        chan struct{}
	status      int // set before done is closed
	signal      syscall.Signal
}

// killed is why a job ended that somebody killed.
type killed struct{ signal syscall.Signal }

func (k killed) Error() string { return k.signal.String() }

// start runs a statement beside the shell until it ends or ctx does.
func (j *jobs) start(ctx context.Context, s *Session, stmt *syntax.Stmt) *job {
	ctx, cancel := context.WithCancelCause(ctx)
	j.mu.Lock()
	x := &job{number: 1, pid: firstJobPID + j.pids, text: source(stmt), cancel: cancel, done: make(chan struct{})}
	j.pids++
	for _, other := range j.list {
		x.number = max(x.number, other.number+1)
	}
	j.list = append(j.list, x)
	j.mu.Unlock()
	sub := s.runner.Subshell()
	copied := *stmt
	copied.Background = false
	j.work.Go(func() {
		defer cancel(nil)
		defer close(x.done)
		x.status = s.runJob(ctx, sub, &copied)
		if k, ok := errors.AsType[killed](context.Cause(ctx)); ok {
			x.signal, x.status = k.signal, 128+int(k.signal)
		}
	})
	return x
}

// runJob runs a job's statement to its end and returns its exit status.
func (s *Session) runJob(ctx context.Context, sub *interp.Runner, stmt *syntax.Stmt) int {
	in, err := standIn() // /dev/null: the keyboard belongs to the foreground
	if err != nil {
		fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
		return 126
	}
	defer in.Close()
	if err := interp.StdIO(in, s.cfg.Stdout, s.cfg.Stderr)(sub); err != nil {
		fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
		return 126
	}
	err = sub.Run(ctx, stmt)
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		return int(status)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(s.cfg.Stderr, "bash: %v\n", err)
		return 1
	}
	return 0
}

// source is a statement as it would be typed.
func source(stmt *syntax.Stmt) string {
	var b strings.Builder
	copied := *stmt
	copied.Background = false
	if len(copied.Redirs) > 0 && !copied.Redirs[0].OpPos.IsValid() {
		copied.Redirs = copied.Redirs[1:] // the one that rewrite put there
	}
	if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, &copied); err != nil {
		return "(a command)" // nothing that was parsed
	}
	return strings.TrimSpace(b.String())
}

// end ends all jobs and waits for that.
func (j *jobs) end() {
	for _, x := range j.all() {
		x.cancel(killed{syscall.SIGHUP})
	}
	j.work.Wait()
}

func (j *jobs) all() []*job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.list)
}

// find knows %1, %%, %+, %name, and a job's pid; "" is the latest.
func (j *jobs) find(spec string) *job {
	all := j.all()
	if len(all) == 0 {
		return nil
	}
	word, isSpec := strings.CutPrefix(spec, "%")
	if spec == "" || isSpec && (word == "" || word == "%" || word == "+") {
		return all[len(all)-1]
	}
	n, err := strconv.Atoi(word)
	for _, x := range slices.Backward(all) {
		if isSpec && (err == nil && x.number == n || err != nil && strings.HasPrefix(x.text, word)) || !isSpec && err == nil && x.pid == n {
			return x
		}
	}
	return nil
}

func (j *jobs) forget(x *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = slices.DeleteFunc(j.list, func(other *job) bool { return other == x })
}

func (x *job) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// line is what jobs says about it.
func (x *job) line() string {
	state, text := "Running", x.text+" &"
	if x.ended() {
		text = x.text
		switch {
		case x.signal == syscall.SIGKILL:
			state = "Killed"
		case x.signal == syscall.SIGINT:
			state = "Interrupt"
		case x.signal != 0:
			state = "Terminated"
		case x.status != 0:
			state = fmt.Sprintf("Exit %d", x.status)
		default:
			state = "Done"
		}
	}
	return fmt.Sprintf("[%d]  %-24s%s\n", x.number, state, text)
}

// report tells of the jobs that have ended and forgets them.
func (j *jobs) report(w io.Writer) {
	for _, x := range j.all() {
		if x.ended() {
			io.WriteString(w, x.line())
			j.forget(x)
		}
	}
}

// background starts a job of an interactive shell.
func (s *Session) background(ctx context.Context, stmt *syntax.Stmt) int {
	x := s.prompt.jobs.start(s.prompt.life, s, stmt)
	s.prompt.last = x.pid
	fmt.Fprintf(s.cfg.Stderr, "[%d] %d\n", x.number, x.pid)
	s.setStatus(ctx, 0)
	return 0
}

// lastJob puts the number of the last job where a statement says $!.
func (p *prompt) lastJob(stmt *syntax.Stmt) *syntax.Stmt {
	if p == nil || p.last == 0 {
		return stmt
	}
	replace := func(parts []syntax.WordPart) {
		for i, part := range parts {
			if x, ok := part.(*syntax.ParamExp); ok && x.Param != nil && x.Param.Value == "!" {
				parts[i] = &syntax.Lit{Value: strconv.Itoa(p.last)}
			}
		}
	}
	syntax.Walk(stmt, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Word:
			replace(n.Parts)
		case *syntax.DblQuoted:
			replace(n.Parts)
		}
		return true
	})
	return stmt
}
