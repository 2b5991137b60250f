package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// Machine is how the stack reaches one machine.
type Machine struct {
	Docker Docker
	// Shell is used where a slave's definition has changed; nil skips that.
	Shell Runner
}

// Options say how Converge and Deploy report and how long they wait.
type Options struct {
	Op     string        // the command's word in events; "" means create
	Report lab.Report    // may be nil
	Wait   time.Duration // for each container, for each app; 0 means 3 minutes
}

func (o Options) filled() Options {
	o.Op = cmp.Or(o.Op, "create")
	o.Wait = cmp.Or(o.Wait, 3*time.Minute)
	return o
}

// Result says what Converge did, as names of containers.
type Result struct {
	Created, Recreated, Started, Removed, Kept []string
}

// Changed reports whether anything was done.
func (r Result) Changed() bool {
	return len(r.Created)+len(r.Recreated)+len(r.Started)+len(r.Removed) > 0
}

// Converge makes the machines' engines (by node name) hold the platform's
// containers: it creates what is missing, makes anew what has another
// definition or a superseded image, starts what stands still, and removes ours that are wanted no
// longer. Each starts when those it needs are ready; it returns when all are,
// and the master counts all slaves. Containers without this lab's label are
// never touched: one with a name of ours is the error container-foreign, found
// before anything is changed. Other ids: image-missing,
// stack-timeout, container-exits.
//
// Events: a step per container, with its node and name; notes with the step
// "ready", a text for people and Data gate and seconds since the start.
func Converge(ctx context.Context, p Platform, machines map[string]Machine, c Clients, o Options) (Result, error) {
	r := &run{platform: p, machines: machines, gates: newGates(p, c), Options: o.filled(), start: time.Now(), ready: map[string]chan struct{}{}}
	wanted := p.Containers()
	for _, w := range wanted {
		if machines[w.Node].Docker == nil {
			return Result{}, fmt.Errorf("stack: no engine for %s", w.Node)
		}
		r.ready[w.Name] = make(chan struct{})
	}
	have, err := r.look(ctx)
	if err != nil {
		return Result{}, err
	}
	plan, err := decide(wanted, have, p.Label)
	if err != nil {
		return Result{}, err
	}
	if err := r.cleanStart(ctx, &plan); err != nil {
		return Result{}, err
	}
	for _, s := range plan.surplus {
		if err := remove(ctx, machines[s.node].Docker, s.node, s.name, s.id); err != nil {
			return Result{}, err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, a := range plan.actions {
		group.Go(func() error { return r.bring(groupCtx, a) })
	}
	group.Go(func() error { return r.awaitSlaves(groupCtx) })
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	return plan.result(), nil
}

// run is one call of Converge.
type run struct {
	Options
	platform Platform
	machines map[string]Machine
	gates    gates
	start    time.Time
	ready    map[string]chan struct{} // closed when the container is ready
}

// look lists the containers of all engines at once.
func (r *run) look(ctx context.Context) (map[string][]existing, error) {
	lists := make([][]existing, len(r.platform.Nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i, n := range r.platform.Nodes {
		group.Go(func() error {
			var err error
			if lists[i], err = list(ctx, r.machines[n.Name].Docker); err != nil {
				return fmt.Errorf("%s: list containers: %w", n.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := map[string][]existing{}
	for i, n := range r.platform.Nodes {
		out[n.Name] = lists[i]
	}
	return out, nil
}

// bring makes one container run and waits until it is ready.
func (r *run) bring(ctx context.Context, a action) error {
	c := a.want
	return r.Report.Step(r.Op, c.Node, c.Name, func(wait func(string)) error {
		docker := r.machines[c.Node].Docker
		id, state, err := r.prepare(ctx, docker, a)
		if err != nil {
			return err
		}
		for _, name := range c.After {
			select {
			case <-r.ready[name]:
			default:
				wait("waiting for " + name)
				select {
				case <-r.ready[name]:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		if err := start(ctx, docker, c, id, state); err != nil {
			return err
		}
		if err := r.awaitGate(ctx, docker, c, id, wait); err != nil {
			return err
		}
		close(r.ready[c.Name])
		r.note(c.Node, r.gates.opened(c), string(c.Ready))
		return nil
	})
}

// prepare makes the container exist with the wanted definition.
func (r *run) prepare(ctx context.Context, d Docker, a action) (id string, state container.ContainerState, err error) {
	switch a.kind {
	case keepIt, startIt:
		return a.have.id, a.have.state, nil
	case recreateIt:
		if err := remove(ctx, d, a.want.Node, a.want.Name, a.have.id); err != nil {
			return "", "", err
		}
	}
	if a.forget {
		if err := r.forgetSlave(ctx, a.want); err != nil {
			return "", "", err
		}
	}
	id, err = create(ctx, d, a.want)
	return id, container.StateCreated, err
}

// awaitGate waits for the container's gate, and gives up early on a container
// that exits again and again.
func (r *run) awaitGate(ctx context.Context, d Docker, c Container, id string, wait func(string)) error {
	ask := r.gates.probe(c)
	restarts, err := newRestarts(ctx, d, c, id)
	if err != nil {
		return err
	}
	waitCtx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	err = await(waitCtx, c.Name+" to be ready", func(ctx context.Context) error {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		wait(err.Error())
		if dead := restarts.check(ctx); dead != nil {
			return lab.Permanent(dead)
		}
		return err
	})
	if _, timedOut := errors.AsType[*lab.WaitError](err); timedOut && ctx.Err() == nil {
		return &lab.Error{ID: "stack-timeout", Op: "start " + c.Name, Machine: c.Node, Err: err,
			Advice: fmt.Sprintf("see what it says: lab logs %s %s", c.Node, c.Name)}
	}
	return err
}

// awaitSlaves waits until the master counts as many slaves as the lab has,
// once each has been seen.
func (r *run) awaitSlaves(ctx context.Context) error {
	for i := range r.platform.Slaves() {
		select {
		case <-r.ready[fmt.Sprint(nameSlave, i+1)]:
		case <-ctx.Done():
			return nil // the cause is another container's error
		}
	}
	waitCtx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	err := await(waitCtx, "the master to count all slaves", r.gates.allSlaves)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return &lab.Error{ID: "stack-timeout", Op: "count slaves", Machine: r.platform.Master().Name, Err: err,
			Advice: "a slave that is gone counts until its pings run out; lab create may be repeated"}
	}
	r.note("", fmt.Sprintf("%d of %[1]d slaves", len(r.platform.Slaves())), "slaves")
	return nil
}

func (r *run) note(node, text, gate string) {
	r.Report.Emit(lab.Event{Op: r.Op, Kind: lab.EventNote, Node: node, Step: "ready", Text: text,
		Data: map[string]any{"gate": gate, "seconds": time.Since(r.start).Seconds()}})
}

// restarts watches whether a container that should run exits.
type restarts struct {
	docker Docker
	c      Container
	id     string
	before int // restarts when the watch began
	next   time.Time
}

// tooMany restarts while waiting mean that it will not get better; Docker's
// growing pauses make this some seconds.
const tooMany = 5

func newRestarts(ctx context.Context, d Docker, c Container, id string) (*restarts, error) {
	r := &restarts{docker: d, c: c, id: id, next: time.Now().Add(time.Second)}
	state, err := d.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: inspect %s: %w", c.Node, c.Name, err)
	}
	r.before = state.Container.RestartCount
	return r, nil
}

// check looks at most once a second.
func (r *restarts) check(ctx context.Context) error {
	if time.Now().Before(r.next) {
		return nil
	}
	r.next = time.Now().Add(time.Second)
	got, err := r.docker.ContainerInspect(ctx, r.id, client.ContainerInspectOptions{})
	if err != nil || got.Container.State == nil {
		return nil // the gate's own error tells more
	}
	s := got.Container.State
	stands := slices.Contains([]container.ContainerState{container.StateExited, container.StateDead}, s.Status)
	if !stands && got.Container.RestartCount-r.before < tooMany {
		return nil
	}
	return &lab.Error{ID: "container-exits", Op: "start " + r.c.Name, Machine: r.c.Node,
		Err:    fmt.Errorf("it exits again and again, last with code %d %s", s.ExitCode, s.Error),
		Advice: fmt.Sprintf("see why: lab logs %s %s", r.c.Node, r.c.Name)}
}
