package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// Created tells what create found and did.
type Created struct {
	Name      string           `json:"name"`
	Provider  string           `json:"provider"`
	Why       string           `json:"why,omitempty"`
	Subnet    string           `json:"subnet,omitempty"`
	MasterIP  string           `json:"master_ip"`
	Changed   []string         `json:"changed"` // what was made or mended; empty on a whole lab
	Seconds   float64          `json:"seconds"`
	Gates     []Gate           `json:"gates"` // as they opened
	Endpoints []stack.Endpoint `json:"endpoints"`
	Placement []string         `json:"placement,omitempty"` // node2:31841, the random ports of the sample app
}

// changes collects what create did, from several goroutines.
type changes struct {
	since time.Time // the start of create
	fresh bool      // the lab's record is of this create
	mu    sync.Mutex
	list  []string
}

func (c *changes) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

// noting is a report that also collects what providers say they have changed.
func (c *changes) noting(report lab.Report) lab.Report {
	return func(e lab.Event) {
		if text, ok := e.Data[lab.DataChanged].(string); ok {
			c.add("%s", text)
		}
		report.Emit(e)
	}
}

// Create builds the lab that given describes, or repairs what is missing of
// it. What is given wins over what the lab was made with; the rest stays.
func (f *Flow) Create(ctx context.Context, given lab.Spec) (out *Created, err error) {
	start := time.Now()
	name := given.Name
	if name == "" {
		name = "lab"
	}
	err = f.locked(name, "lab create", func() error {
		did := changes{since: start}
		l, why, err := f.recall(ctx, given, &did)
		if err != nil {
			return err
		}
		report, closeLog, err := f.recorded(l)
		if err != nil {
			return err
		}
		out, err = f.create(ctx, l, why, report, &did)
		err = errors.Join(err, closeLog())
		if err != nil && did.fresh {
			f.forgetUnmade(context.WithoutCancel(ctx), l)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(start).Seconds()
	return out, nil
}

// forgetUnmade removes the record that a create has made, and then no machine:
// a port that was taken must not leave a lab behind. Where that fails, the
// record stays, and create and destroy go on from there. A lab that was there
// before stays: somebody may have changed its files.
func (f *Flow) forgetUnmade(ctx context.Context, l *state.Lab) {
	provider, err := f.provider(l.Provider)
	if err != nil {
		return
	}
	plan, err := f.plan(l, nil)
	if err != nil {
		return
	}
	status, err := provider.Status(ctx, plan)
	if err != nil || slices.ContainsFunc(status, func(s lab.MachineStatus) bool { return s.State != lab.StateMissing }) {
		return
	}
	// What machines share (a network) may be there without them.
	if err = provider.Destroy(ctx, plan); err == nil {
		err = l.Remove()
	}
	if err != nil {
		f.Report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Text: err.Error()})
	}
}

// recall loads the lab and lays the given spec over it, or makes a new
// record. The record is written before anything is made.
func (f *Flow) recall(ctx context.Context, given lab.Spec, did *changes) (l *state.Lab, why string, err error) {
	name := given.Name
	if name == "" {
		name = "lab"
	}
	l, err = f.Store.Load(name)
	if errors.Is(err, lab.ErrNotFound) {
		did.add("lab %s", name)
		did.fresh = true
		return f.record(ctx, given)
	}
	if err != nil {
		return nil, "", err
	}
	spec := merge(l.Spec, given)
	if problems := spec.Validate(); len(problems) > 0 {
		return nil, "", &lab.Error{ID: "spec-invalid", Op: "change lab " + name, Err: fmt.Errorf("%w: %s", lab.ErrUsage, problems[0]), Advice: "nothing was changed"}
	}
	if err := changeable(l.Spec, spec, l.Provider); err != nil {
		return nil, "", err
	}
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, "", err
	}
	if err := f.admit(ctx, provider, lab.Plan{Dir: l.Dir, ID: l.ID, Spec: spec}); err != nil {
		return nil, "", err
	}
	if spec.Slaves != l.Spec.Slaves {
		did.add("slaves: %d instead of %d", spec.Slaves, l.Spec.Slaves)
	}
	l.Spec = spec
	return l, "", l.Save()
}

func (f *Flow) record(ctx context.Context, given lab.Spec) (*state.Lab, string, error) {
	chosen, err := f.choose(ctx, given)
	if err != nil {
		return nil, "", err
	}
	spec := given.WithDefaults()
	features := chosen.provider.Features()
	if spec.Mesos.SlavePingTimeout == 0 {
		spec.Mesos.SlavePingTimeout = features.PingTimeout
	}
	if spec.Mesos.MaxSlavePingTimeouts == 0 {
		spec.Mesos.MaxSlavePingTimeouts = features.PingTimeouts
	}
	admit := func(spec lab.Spec) error {
		return f.admit(ctx, chosen.provider, lab.Plan{Dir: f.Store.LabDir(spec.Name), Spec: spec})
	}
	l, err := f.Store.AllocateIf(spec, chosen.name, lab.Pool(chosen.provider, spec), subnetFree(ctx, chosen.provider, spec.Ports), admit)
	if lab.ErrorID(err) == "subnet-exhausted" {
		// One program that listens everywhere takes them all: its name says more.
		spec.Subnet = lab.Pool(chosen.provider, spec)[0]
		if reason := admit(spec); reason != nil {
			err = reason
		}
	}
	return l, chosen.why(), err
}

// subnetFree asks a provider whether a subnet is in nobody's way.
func subnetFree(ctx context.Context, p lab.Provider, ports lab.PortsSpec) func(subnet string) bool {
	return func(subnet string) bool {
		prober, ok := p.(subnetProber)
		return !ok || prober.SubnetFree(ctx, subnet, ports)
	}
}

func (f *Flow) create(ctx context.Context, l *state.Lab, why string, report lab.Report, did *changes) (*Created, error) {
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	app, err := definition(l.Spec)
	if err != nil {
		return nil, err
	}
	if err := f.checkImages(l, provider, app); err != nil {
		return nil, err
	}
	f.announce(l, why, report)
	if err := f.mendPower(ctx, l, did); err != nil {
		return nil, err
	}
	if err := f.removeSurplus(ctx, l, provider, report, did); err != nil {
		return nil, err
	}
	hosts, machines, err := f.machines(ctx, l, provider, report, did)
	defer closeAll(hosts)
	if err != nil {
		return nil, err
	}
	l.Machines = machines
	if err := l.Save(); err != nil {
		return nil, err
	}
	return f.platform(ctx, l, provider, hosts, app, report, did)
}

// announce says what is about to be made, where, and why there.
func (f *Flow) announce(l *state.Lab, why string, report lab.Report) {
	note := func(text string) { report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Text: text}) }
	note(fmt.Sprintf("lab %s · provider %s · %d machines on %s", l.Spec.Name, l.Provider, l.Spec.Slaves+1, where(l.Spec)))
	if why != "" {
		note(why)
	}
}

// where names the addresses of a spec.
func where(spec lab.Spec) string {
	if spec.Subnet == "" {
		return strings.Join(spec.IPs, ", ")
	}
	return spec.Subnet
}

// mendPower undoes faults that an interrupted scenario has left.
func (f *Flow) mendPower(ctx context.Context, l *state.Lab, did *changes) error {
	mended, err := f.heal(ctx, l)
	for _, fault := range mended {
		if fault.Mender != "" {
			did.add("went on: %s", fault)
			continue
		}
		did.add("healed: %s", fault)
	}
	return err
}

// removeSurplus ends machines that the spec no longer wants.
func (f *Flow) removeSurplus(ctx context.Context, l *state.Lab, provider lab.Provider, report lab.Report, did *changes) error {
	plan, err := f.plan(l, report)
	if err != nil {
		return err
	}
	all, err := allNodes(l, slices.Clone(plan.Nodes))
	if err != nil {
		return err
	}
	surplus := all[len(plan.Nodes):]
	if len(surplus) == 0 {
		return nil
	}
	plan.Nodes = surplus
	for _, n := range surplus {
		did.add("removed %s", n.Name)
	}
	return report.Step("create", "", "remove", func(wait func(string)) error {
		wait(fmt.Sprintf("%d machines to end", len(surplus)))
		return provider.Destroy(ctx, plan)
	})
}

// machines boots the machines and opens their engines, all at once.
func (f *Flow) machines(ctx context.Context, l *state.Lab, provider lab.Provider, report lab.Report, did *changes) (map[string]*provision.Host, []lab.Machine, error) {
	p, err := f.resolve(l, provider)
	if err != nil {
		return nil, nil, err
	}
	plan, err := f.plan(l, did.noting(grouped(report, "machine")))
	if err != nil {
		return nil, nil, err
	}
	before, err := provider.Status(ctx, plan)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range before {
		if s.State != lab.StateRunning {
			did.add("booted %s", s.Machine.Name)
		}
	}
	for _, n := range plan.Nodes {
		report.Emit(lab.Event{Op: "create", Kind: lab.EventStart, Node: n.Name, Step: "machine"})
	}
	machines, err := provider.Up(ctx, plan)
	if err != nil {
		return nil, nil, err
	}
	hosts, err := prepareAll(ctx, p, machines, report, did)
	return hosts, machines, err
}

func closeAll(hosts map[string]*provision.Host) {
	for _, h := range hosts {
		h.Close()
	}
}
