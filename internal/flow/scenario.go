package flow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/stack"
)

// Scenarios runs scenarios on a lab, one after the other, while it holds the
// lab's lock. Between two, it waits until the lab is whole again. each gets
// every result at once, with the error that says its verdict; no result and no
// error for one that is left out (Options.LeaveOut). Any other run without a
// result ends the series.
func (f *Flow) Scenarios(ctx context.Context, name string, all []scenarios.Scenario, opt scenarios.Options, each func(*scenarios.Result, error) error) error {
	return f.locked(name, "lab scenario "+all[0].Name, func() error {
		l, err := f.Store.Load(name)
		if err != nil {
			return err
		}
		report, closeLog, err := f.recorded(l)
		if err != nil {
			return err
		}
		opt.Report = report
		return errors.Join(f.series(ctx, l, all, opt, each), closeLog())
	})
}

func (f *Flow) series(ctx context.Context, l *state.Lab, all []scenarios.Scenario, opt scenarios.Options, each func(*scenarios.Result, error) error) error {
	var verdicts error
	ran := false // something that has to heal before the next
	for i, sc := range all {
		if ran {
			if err := f.awaitWholeAgain(ctx, l, "scenario", opt.Report); err != nil {
				return errors.Join(verdicts, err)
			}
		}
		if len(all) > 1 {
			opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: fmt.Sprintf("━━ %s (%d of %d)", sc.Name, i+1, len(all))})
		}
		live, err := f.live(ctx, l, "scenario "+sc.Name)
		if err != nil {
			return errors.Join(verdicts, err)
		}
		platform := &cluster{live.clients, live.platform}
		if why := leftOut(ctx, live, platform, sc, opt); why != "" {
			live.close()
			opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: "left out: " + why})
			if err := each(nil, nil); err != nil {
				return errors.Join(verdicts, err)
			}
			continue
		}
		ran = true
		res, err := scenarios.Run(ctx, live, platform, sc, opt)
		live.close()
		verdicts = errors.Join(verdicts, err)
		if res == nil {
			return verdicts
		}
		if err := each(res, err); err != nil {
			return errors.Join(verdicts, err)
		}
	}
	return verdicts
}

// leftOut says what this lab lacks for a scenario, if such ones are to be left
// out.
func leftOut(ctx context.Context, v *live, c *cluster, sc scenarios.Scenario, opt scenarios.Options) string {
	if !opt.LeaveOut {
		return ""
	}
	if err := scenarios.Possible(ctx, v, c, sc); errors.Is(err, lab.ErrUsage) {
		return err.Error()
	}
	return ""
}

// awaitWholeAgain waits for the state from which a scenario's run starts: every
// machine on, everything answers, all instances run and are healthy, nothing is
// being deployed. op is who waits.
func (f *Flow) awaitWholeAgain(ctx context.Context, l *state.Lab, op string, report lab.Report) error {
	return report.Step(op, "", "whole again", func(wait func(string)) error {
		ctx, cancel := context.WithTimeout(ctx, wholePatience)
		defer cancel()
		return lab.Until(ctx, 200*time.Millisecond, "the lab to be whole", func(ctx context.Context) error {
			s, err := f.Status(ctx, l)
			if err == nil {
				err = notWhole(s)
			}
			if err != nil {
				wait(err.Error())
			}
			return err
		})
	})
}

func notWhole(s *Status) error {
	for _, a := range s.Marathon.Apps {
		if a.Deploying || a.Running != a.Instances || a.Checked && a.Healthy != a.Instances {
			return fmt.Errorf("%s: %d of %d instances run, %d are healthy", a.ID, a.Running, a.Instances, a.Healthy)
		}
	}
	if len(s.Faults) > 0 {
		return fmt.Errorf("still broken: %s", s.Faults[0])
	}
	if !s.Whole {
		return errors.New("something does not answer yet")
	}
	return nil
}

// live is a running lab as scenarios act on it: the only place where a fault
// and its journal entry meet.
type live struct {
	lab      *state.Lab
	by       string
	provider lab.Provider
	plan     lab.Plan
	platform stack.Platform
	clients  stack.Clients

	flags map[string][]string // that containers run with beyond the spec's

	mu    sync.Mutex
	hosts map[string]*provision.Host
}

var _ scenarios.Lab = (*live)(nil)

// live checks that the lab is in a state from which a scenario can start.
func (f *Flow) live(ctx context.Context, l *state.Lab, by string) (*live, error) {
	v, err := f.open(l, by)
	if err != nil {
		return nil, err
	}
	if faults, err := l.Faults(); err != nil {
		return nil, err
	} else if len(faults) > 0 {
		return nil, &lab.Error{ID: "lab-broken", Op: "start scenario", Err: fmt.Errorf("still broken: %s", faults[0]), Advice: faults[0].Mends() + " mends it"}
	}
	power, err := v.provider.Status(ctx, v.plan)
	if err != nil {
		return nil, err
	}
	for _, s := range power {
		if s.State != lab.StateRunning {
			return nil, &lab.Error{ID: "lab-not-whole", Op: "start scenario", Machine: s.Machine.Name, Err: fmt.Errorf("it is %s", s.State), Advice: "lab create repairs what is missing"}
		}
	}
	return v, nil
}

// open makes a lab ready to be acted on, whatever state it is in.
func (f *Flow) open(l *state.Lab, by string) (*live, error) {
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	plan, err := f.plan(l, f.Report)
	if err != nil {
		return nil, err
	}
	p, err := f.resolve(l, provider)
	if err != nil {
		return nil, err
	}
	return &live{lab: l, by: by, provider: provider, plan: plan, platform: p, clients: p.Clients(nil), hosts: map[string]*provision.Host{}}, nil
}

func (v *live) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	closeAll(v.hosts)
}

// Machines returns the lab's machines.
func (v *live) Machines() []lab.Machine { return v.lab.Machines }

// Settings returns the figures that rule the phases of healing.
func (v *live) Settings() scenarios.Settings {
	return scenarios.Settings{
		PingTimeout: v.platform.PingTimeout, PingTimeouts: v.platform.PingTimeouts,
		SameClock: !v.provider.Features().Real, // what is not a whole system has this computer's clock
		AppURL:    fmt.Sprintf("http://%s:%d/", v.platform.Master().IP, v.platform.Spec.Ports.App),
	}
}

// reachPatience is how long a peer waits before it calls a machine silent.
const reachPatience = 500 * time.Millisecond

// Reach lets one machine knock at another's SSH port.
func (v *live) Reach(ctx context.Context, from, to string) error {
	host, err := v.host(ctx, from)
	if err != nil {
		return fmt.Errorf("ask %s: %w", from, err)
	}
	i := slices.IndexFunc(v.lab.Machines, func(m lab.Machine) bool { return m.Name == to })
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	conn, err := host.Dial(ctx, "tcp", v.lab.Machines[i].SSH.Addr)
	switch {
	case err == nil:
		return conn.Close()
	case ctx.Err() != nil || isTimeout(err):
		return fmt.Errorf("%s waits for %s: %w", from, to, os.ErrDeadlineExceeded)
	}
	if strings.Contains(err.Error(), "refused") { // sshd passes it on in words
		err = errors.Join(syscall.ECONNREFUSED, err)
	}
	return fmt.Errorf("%s asks %s: %w", from, to, err)
}

// isTimeout also knows the words in which sshd passes on that a connection
// timed out.
func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout() || strings.Contains(err.Error(), "timed out") || strings.Contains(err.Error(), "i/o timeout")
}

// Containers asks a machine's own engine for Mesos' task containers.
func (v *live) Containers(ctx context.Context, node string) ([]scenarios.Container, error) {
	docker, err := v.docker(ctx, node)
	if err != nil {
		return nil, err
	}
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return nil, err
	}
	var out []scenarios.Container
	for _, c := range list.Items {
		if !slices.ContainsFunc(c.Names, isTask) {
			continue
		}
		info, err := docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
		if err != nil {
			return nil, err
		}
		out = append(out, scenarios.Container{ID: c.ID, TaskID: taskOf(info.Container.Config.Env), Started: startedAt(info.Container)})
	}
	return out, nil
}

// Logged reads what a task's container has logged.
func (v *live) Logged(ctx context.Context, node, taskID, word string) (int, error) {
	containers, err := v.Containers(ctx, node)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(containers, func(c scenarios.Container) bool { return c.TaskID == taskID })
	if i < 0 {
		return 0, fmt.Errorf("container of task %s on %s: %w", taskID, node, lab.ErrNotFound)
	}
	docker, err := v.docker(ctx, node)
	if err != nil {
		return 0, err
	}
	stream, err := docker.ContainerLogs(ctx, containers[i].ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return 0, fmt.Errorf("read log of task %s: %w", taskID, err)
	}
	defer stream.Close()
	// Lines are counted as they are: the frames around them hold no word.
	n := 0
	for lines := bufio.NewReader(stream); ; {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, word) {
			n++
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("read log of task %s: %w", taskID, err)
		}
	}
}

// isTask tells the containers of tasks from others, and from those in which
// their executors run (with docker_mesos_image, contracts 9).
func isTask(name string) bool {
	return strings.HasPrefix(name, "/mesos-") && !strings.HasSuffix(name, ".executor")
}

// machines are all of the lab's, as the stack is brought onto them.
func (v *live) machines(ctx context.Context) (map[string]stack.Machine, error) {
	out := map[string]stack.Machine{}
	for _, n := range v.plan.Nodes {
		host, err := v.host(ctx, n.Name)
		if err != nil {
			return nil, err
		}
		docker, err := host.Docker(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		out[n.Name] = stack.Machine{Docker: docker, Shell: host}
	}
	return out, nil
}

// host connects once to a machine and keeps the connection until the machine
// is broken.
func (v *live) host(ctx context.Context, node string) (*provision.Host, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := v.hosts[node]; h != nil {
		select {
		case <-h.Done():
		default:
			return h, nil
		}
	}
	i := slices.IndexFunc(v.lab.Machines, func(m lab.Machine) bool { return m.Name == node })
	if i < 0 {
		return nil, fmt.Errorf("machine %s: %w", node, lab.ErrNotFound)
	}
	h, err := provision.Connect(ctx, v.lab.Machines[i])
	if err != nil {
		return nil, err
	}
	v.hosts[node] = h
	return h, nil
}

func (v *live) forget(node string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := v.hosts[node]; h != nil {
		h.Close()
		delete(v.hosts, node)
	}
}
