//go:build linux

package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

// Result is a command that has ended.
type Result struct {
	Args   []string
	Code   int // exit code; 128+n after signal n
	Stdout string
	Stderr string
}

func (r Result) String() string {
	return fmt.Sprintf("lab %s: exit code %d\n--- stdout\n%s--- stderr\n%s", strings.Join(r.Args, " "), r.Code, r.Stdout, r.Stderr)
}

// JSON reads what stdout holds.
func (r Result) JSON(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(r.Stdout), v); err != nil {
		tb.Fatalf("%v\n%s", err, r)
	}
}

// Command prepares a lab command with the environment of the tests: nothing of
// the user's, a home of its own, and the pipe that ends the machines.
func (l *Lab) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(l.binary, args...)
	cmd.Dir = l.Work
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.Work, "LANG=C.UTF-8",
		"LAB_STATE_DIR=" + l.State, "LAB_NAME=" + l.Name, "LAB_PROVIDER=" + l.Provider,
	}, l.Env...)
	if l.engine != nil {
		cmd.Env = append(cmd.Env, "DOCKER_HOST="+l.engine.Host)
	} else {
		cmd.Env = append(cmd.Env, "LAB_DIE_WITH_FD=3")
		cmd.ExtraFiles = []*os.File{l.life}
	}
	return cmd
}

// Run runs a lab command to its end, whatever its exit code is.
func (l *Lab) Run(args ...string) Result {
	l.tb.Helper()
	var out, errs bytes.Buffer
	cmd := l.Command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		l.tb.Fatal(err)
	}
	late := time.AfterFunc(Patience, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !late.Stop() {
		l.tb.Errorf("lab %s was ended after %s", strings.Join(args, " "), Patience)
	}
	return Result{args, exitCode(l.tb, err), out.String(), errs.String()}
}

// Must runs a lab command that has to succeed.
func (l *Lab) Must(args ...string) Result {
	l.tb.Helper()
	r := l.Run(args...)
	if r.Code != 0 {
		l.tb.Fatal(r)
	}
	return r
}

// Refuse runs a lab command that has to fail with this exit code and these
// words on stderr.
func (l *Lab) Refuse(code int, words []string, args ...string) Result {
	l.tb.Helper()
	r := l.Run(args...)
	if r.Code != code {
		l.tb.Errorf("exit code %d, want %d: %s", r.Code, code, r)
	}
	for _, w := range words {
		if !strings.Contains(r.Stderr, w) {
			l.tb.Errorf("stderr lacks %q: %s", w, r)
		}
	}
	return r
}

func exitCode(tb testing.TB, err error) int {
	tb.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal())
		}
		return exit.ExitCode()
	}
	tb.Fatalf("run lab: %v", err)
	return 0
}

// Running is a lab command that runs with -o jsonl.
type Running struct {
	lab    *Lab
	args   []string
	cmd    *exec.Cmd
	events chan lab.Event
	stderr *bytes.Buffer

	mu   sync.Mutex
	last []byte // the last line that was no event: the result
}

// Start runs a lab command in the background and follows its events.
func (l *Lab) Start(args ...string) *Running {
	l.tb.Helper()
	args = append(args, "-o", "jsonl")
	r := &Running{lab: l, args: args, cmd: l.Command(args...), events: make(chan lab.Event, 1<<14), stderr: &bytes.Buffer{}}
	r.cmd.Stderr = r.stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		l.tb.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		l.tb.Fatal(err)
	}
	go r.read(out)
	l.tb.Cleanup(func() { r.cmd.Process.Kill() })
	return r
}

func (r *Running) read(out io.Reader) {
	defer close(r.events)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e lab.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil && e.Kind != "" {
			r.events <- e
			continue
		}
		r.mu.Lock()
		r.last = append([]byte(nil), lines.Bytes()...)
		r.mu.Unlock()
	}
}

// Next returns the next event; ok is false when the command has said all.
func (r *Running) Next() (e lab.Event, ok bool) {
	r.lab.tb.Helper()
	select {
	case e, ok = <-r.events:
		return e, ok
	case <-time.After(Patience):
		r.cmd.Process.Kill()
		r.lab.tb.Fatalf("lab %s says nothing", strings.Join(r.args, " "))
		return e, false
	}
}

// Ended passes over the events so far and reports whether those were all.
func (r *Running) Ended() bool {
	for {
		select {
		case _, ok := <-r.events:
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}

// AwaitEvent returns the first event from now on that has these words in its
// text.
func (r *Running) AwaitEvent(words string) lab.Event {
	r.lab.tb.Helper()
	return r.AwaitEvents(words)[0]
}

// AwaitEvents returns, for each of some words, the first event from now on that
// has them in its text. They may come in any order.
func (r *Running) AwaitEvents(words ...string) []lab.Event {
	r.lab.tb.Helper()
	found := make([]lab.Event, len(words))
	var seen []string
	for {
		i := slices.IndexFunc(found, func(e lab.Event) bool { return e.Kind == "" })
		if i < 0 {
			return found
		}
		e, ok := r.Next()
		if !ok {
			r.lab.tb.Fatalf("lab %s ended without %q; it said:\n%s\n%s", strings.Join(r.args, " "), words[i], strings.Join(seen, "\n"), r.Wait(nil))
		}
		for i, w := range words {
			if found[i].Kind == "" && strings.Contains(e.Text, w) {
				found[i] = e
			}
		}
		seen = append(seen, compact(e))
	}
}

// Signal sends a signal to the command alone.
func (r *Running) Signal(sig os.Signal) {
	r.lab.tb.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.lab.tb.Fatal(err)
	}
}

// PID is the command's process.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Wait drains the events into each, if that is not nil, waits for the end and
// returns the result document as stdout.
func (r *Running) Wait(each func(lab.Event)) Result {
	r.lab.tb.Helper()
	for {
		e, ok := r.Next()
		if !ok {
			break
		}
		if each != nil {
			each(e)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { r.cmd.Process.Kill() })
	defer stop()
	code := exitCode(r.lab.tb, r.cmd.Wait())
	r.mu.Lock()
	defer r.mu.Unlock()
	return Result{r.args, code, string(r.last) + "\n", r.stderr.String()}
}
