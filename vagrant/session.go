package vagrant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	client "github.com/bmatcuk/go-vagrant"

	"github.com/mesoslab/lab"
)

// session is one holder of a lab's lock at work.
type session struct {
	opts     Options
	plan     lab.Plan
	dir      string // without links: Vagrant compares paths
	provider string
	mem      *memory
	lock     *lock
	procs    *processes
}

// folder returns the lab's folder without links.
func folder(plan lab.Plan) (string, error) {
	dir, err := filepath.Abs(plan.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("folder of the lab: %w", err)
	}
	return dir, nil
}

// changeWait is how long a change waits for another vagrant of the same lab.
const changeWait = 5 * time.Minute

// questionWait is how long a question does.
const questionWait = 10 * time.Second

// open takes the lab's lock and reads its record.
func (p *Provider) open(ctx context.Context, plan lab.Plan, wait time.Duration) (*session, error) {
	dir, err := folder(plan)
	if err != nil {
		return nil, err
	}
	if p.opts.LockWait != 0 {
		wait = p.opts.LockWait
	}
	l, err := takeLock(ctx, dir, wait)
	if err != nil {
		return nil, err
	}
	m, err := readMemory(dir)
	if err != nil {
		l.release()
		return nil, err
	}
	return &session{opts: p.opts, plan: plan, dir: dir, provider: vmProvider(plan.Spec), mem: m, lock: l, procs: &p.procs}, nil
}

func (s *session) close() { s.lock.release() }

// question is what go-vagrant's commands have in common.
type question interface {
	Start() error
	Wait() error
}

// ask runs a question of go-vagrant. That library would kill on cancel, and
// only the outermost process; here Vagrant is interrupted and given time. And
// it waits for ever after a line of 64 KiB, which it stops reading while
// Vagrant still writes: a question that takes too long is ended.
func (s *session) ask(ctx context.Context, q question, base *client.BaseCommand) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	base.Env = overrides(s.dir, s.provider)
	ended, err := s.procs.start(q.Start, func() { _ = base.Process.Kill() })
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		err := q.Wait()
		ended()
		done <- err
	}()
	limit := time.NewTimer(s.opts.question)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return errors.Join(fmt.Errorf("no answer after %s", s.opts.question), kill(base.Process, done))
	case <-ctx.Done():
	}
	// It may have ended just now.
	_ = base.Process.Signal(os.Interrupt)
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	select {
	case <-done:
		return context.Cause(ctx)
	case <-grace.C:
	}
	return errors.Join(context.Cause(ctx), kill(base.Process, done))
}

// kill ends a question. What it started may hold its output open for a while.
func kill(p *os.Process, done <-chan error) error {
	_ = p.Kill() // it may have ended just now
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errors.New("its output is still open")
	}
}

// client returns go-vagrant's client, or vagrant-missing.
func (s *session) client(op string) (*client.VagrantClient, error) {
	c, err := client.NewVagrantClient(s.dir)
	if errors.Is(err, fs.ErrNotExist) && err != nil {
		if _, statErr := os.Stat(filepath.Join(s.dir, "Vagrantfile")); statErr != nil {
			return nil, fmt.Errorf("%s: %w", op, statErr)
		}
	}
	if err != nil {
		return nil, missing(op, err)
	}
	return c, nil
}

// states asks Vagrant for the states of all machines, in Vagrant's words.
func (s *session) states(ctx context.Context) (map[string]string, error) {
	c, err := s.client("status")
	if err != nil {
		return nil, err
	}
	cmd := c.Status()
	err = s.ask(ctx, cmd, &cmd.BaseCommand)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("status: %w", context.Cause(ctx))
	}
	if err == nil && cmd.Error == nil && s.complete(cmd.Status) {
		return cmd.Status, nil
	}
	// It failed, or go-vagrant was stopped by a long line. Asked again in
	// our own way, it says why.
	states := map[string]string{}
	err = s.run(ctx, "status", func(r record) {
		if r.Kind == "state" && r.Target != "" {
			states[r.Target] = r.data(0)
		}
	}, "status")
	if err != nil {
		return nil, err
	}
	if !s.complete(states) {
		return nil, &lab.Error{ID: "vagrant-failed", Op: "status", Err: fmt.Errorf("vagrant speaks of %d machines, %d are in the lab", len(states), len(s.plan.Nodes)), Advice: "look at the Vagrantfile in the lab's folder; lab create --force renders it anew"}
	}
	return states, nil
}

// complete reports whether every machine that exists has a state.
func (s *session) complete(states map[string]string) bool {
	for _, n := range s.plan.Nodes {
		if states[n.Name] == "" && exists(s.dir, n.Name) {
			return false
		}
	}
	return true
}

// checkVersion refuses a Vagrant that is too old, once per lab.
func (s *session) checkVersion(ctx context.Context) error {
	if s.mem.Version != "" {
		return nil
	}
	c, err := s.client("version")
	if err != nil {
		return err
	}
	cmd := c.Version()
	err = s.ask(ctx, cmd, &cmd.BaseCommand)
	if ctx.Err() != nil {
		return fmt.Errorf("version: %w", context.Cause(ctx))
	}
	version := cmd.InstalledVersion
	if err != nil || cmd.Error != nil || version == "" {
		err := s.run(ctx, "version", func(r record) {
			if r.Kind == "version-installed" {
				version = r.data(0)
			}
		}, "version")
		if err != nil {
			return err
		}
	}
	if err := judgeVersion(version); err != nil {
		return err
	}
	s.mem.Version = version
	return s.mem.write(s.dir)
}
