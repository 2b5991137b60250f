package vagrant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// Provider makes VMs. Safe for concurrent use: calls for one lab wait for
// each other.
type Provider struct {
	opts  Options
	procs processes
	sight *sight
}

var _ lab.Provider = (*Provider)(nil)

// New returns a Provider.
func New(opts Options) *Provider {
	opts = opts.withDefaults()
	return &Provider{opts: opts, sight: newSight(opts)}
}

// Features implements lab.Provider. The subnets are those that VirtualBox
// allows without being told (192.168.56.0/21), the article's first. See the
// package comment for what is inexact about the power modes; there is no
// PowerCrash.
func (p *Provider) Features() lab.Features {
	return lab.Features{
		Name: "vagrant", Real: true, OwnKernel: true, Stack: "seed", PingTimeout: 3 * time.Second, PingTimeouts: 5,
		PowerModes: []lab.Power{lab.PowerOn, lab.PowerOff, lab.PowerCut, lab.PowerPause},
		Subnets:    subnets(),
	}
}

// subnets is the pool to choose from.
func subnets() []string {
	var all []string
	for _, third := range []int{59, 60, 61, 62, 63, 56, 57, 58} {
		all = append(all, "192.168."+strconv.Itoa(third)+".0/24")
	}
	return all
}

// view is one machine as it is seen.
type view struct {
	node  lab.Node
	state lab.MachineState
	half  bool // it exists, but was never made to the end
	sure  bool // seen now, not remembered
}

// glance looks at machines without Vagrant: whether they exist by Vagrant's
// files, whether they answer by answers, which may be nil, and by their pinned
// host keys. What does neither is remembered, and not sure.
func (o Options) glance(ctx context.Context, dir string, nodes []lab.Node, m *memory, answers func(context.Context, string) bool) []view {
	views := make([]view, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		v, r := &views[i], m.Machines[n.Name]
		v.node, v.state = n, r.State
		if !exists(dir, n.Name) {
			v.state, v.sure = lab.StateMissing, true
			continue
		}
		if !r.Made {
			v.state, v.half = lab.StateOff, true
			continue
		}
		wg.Go(func() {
			if (answers != nil && answers(ctx, n.Name)) || o.answers(ctx, r.SSH) {
				v.state, v.sure = lab.StateRunning, true
			}
		})
	}
	wg.Wait()
	return views
}

// look is glance, and asks Vagrant about whoever did not answer.
func (s *session) look(ctx context.Context, nodes []lab.Node) ([]view, error) {
	views := s.opts.glance(ctx, s.dir, nodes, s.mem, nil)
	doubt := false
	for _, v := range views {
		doubt = doubt || !v.sure
	}
	if !doubt {
		return views, nil
	}
	states, err := s.states(ctx)
	if err != nil {
		return nil, err
	}
	for i := range views {
		v := &views[i]
		if v.sure {
			continue
		}
		v.state, v.sure = meaning(states[v.node.Name], s.mem.Machines[v.node.Name].State), true
		if v.state == lab.StateMissing {
			v.half = false
		} else if v.half {
			v.state = lab.StateOff
		}
	}
	return views, nil
}

// meaning translates a state of Vagrant's VM providers. Vagrant knows no
// difference between a shutdown and a cut: the record does.
func meaning(state string, remembered lab.MachineState) lab.MachineState {
	switch state {
	case "not_created", "not created", "":
		return lab.StateMissing
	case "running":
		return lab.StateRunning
	case "saved", "paused", "suspended", "pmsuspended":
		return lab.StatePaused
	}
	if remembered == lab.StateCut {
		return lab.StateCut
	}
	return lab.StateOff
}

// machine describes a machine that has been up.
func (m *memory) machine(n lab.Node) lab.Machine {
	return lab.Machine{Node: n, SSH: m.Machines[n.Name].SSH}
}

// Up implements lab.Provider.
func (p *Provider) Up(ctx context.Context, plan lab.Plan) ([]lab.Machine, error) {
	if len(plan.Nodes) == 0 {
		return nil, nil
	}
	if _, err := Render(plan); err != nil {
		return nil, err
	}
	s, err := p.open(ctx, plan, changeWait)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.ensureFile(); err != nil {
		return nil, err
	}
	views, err := s.look(ctx, plan.Nodes)
	if err != nil {
		return nil, err
	}
	if err := s.bring(ctx, views, plan.Report); err != nil {
		return nil, err
	}
	var out []lab.Machine
	for _, n := range plan.Nodes {
		out = append(out, s.mem.machine(n))
	}
	return out, nil
}

// Status implements lab.Provider. Machines that answer at their remembered
// endpoints, that lab itself switched off, or that do not exist cost no start
// of Vagrant.
func (p *Provider) Status(ctx context.Context, plan lab.Plan) ([]lab.MachineStatus, error) {
	dir, err := folder(plan)
	if err != nil {
		return nil, err
	}
	m, err := readMemory(dir)
	if err != nil {
		return nil, err
	}
	views := p.opts.glance(ctx, dir, plan.Nodes, m, plan.Answers)
	for _, v := range views {
		if v.sure || v.half || (v.state != lab.StateRunning && v.state != "") {
			continue
		}
		s, err := p.open(ctx, plan, questionWait)
		if err != nil {
			return nil, err
		}
		defer s.close()
		if views, err = s.look(ctx, plan.Nodes); err != nil {
			return nil, err
		}
		m = s.mem
		break
	}
	var out []lab.MachineStatus
	for _, v := range views {
		st := lab.MachineStatus{Machine: lab.Machine{Node: v.node}, State: v.state}
		if v.state != lab.StateMissing && !v.half {
			st.Machine = m.machine(v.node)
			if r := m.Machines[v.node.Name]; r.State == v.state {
				st.Since = r.Since
			}
		}
		out = append(out, st)
	}
	return out, nil
}

// Destroy implements lab.Provider.
func (p *Provider) Destroy(ctx context.Context, plan lab.Plan) error {
	if _, err := os.Stat(plan.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := p.open(ctx, plan, changeWait)
	if err != nil {
		return err
	}
	defer s.close()
	var names []string
	for _, n := range plan.Nodes {
		if exists(s.dir, n.Name) {
			names = append(names, n.Name)
		}
	}
	if len(names) > 0 {
		if err := s.fileForDestroy(); err != nil {
			return err
		}
		if err := s.destroy(ctx, names, plan.Report); err != nil {
			return err
		}
	}
	for _, n := range plan.Nodes {
		delete(s.mem.Machines, n.Name)
		if err := os.RemoveAll(s.mark(n.Name)); err != nil {
			return fmt.Errorf("destroy %s: %w", n.Name, err)
		}
	}
	return s.cleanUp()
}

// destroy removes machines and checks that they are gone.
func (s *session) destroy(ctx context.Context, names []string, report lab.Report) error {
	t := newTracker(report, "destroy", "remove", names)
	err := s.run(ctx, "destroy", t.record, append([]string{"destroy", "--force"}, names...)...)
	for _, name := range names {
		if !exists(s.dir, name) {
			delete(s.mem.Machines, name)
			t.done(name)
		}
	}
	if left := t.unfinished(); err == nil && len(left) > 0 {
		err = &lab.Error{ID: "vagrant-failed", Op: "destroy", Machine: left[0], Err: fmt.Errorf("vagrant left %v behind", left), Advice: "vagrant destroy in the lab's folder says why"}
	}
	t.end(err)
	return errors.Join(err, s.mem.write(s.dir))
}
