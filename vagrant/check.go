package vagrant

import (
	"context"
	"net/netip"
	"sync"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

var _ lab.Checker = (*Provider)(nil)

// Check implements lab.Checker. Quick checks start no Ruby: they look at files
// and networks, and ask VBoxManage or virsh. On a lab whose machines all exist,
// what is in the way of making them is left out.
func (p *Provider) Check(ctx context.Context, plan lab.Plan, depth lab.Depth) []lab.Finding {
	s := p.sight
	if depth == lab.CheckFull {
		s = newSight(p.opts) // something may have been mended since
	}
	q := s.about(plan)
	q.depth = depth
	return computer.Survey(ctx, plan.Report, depth, q.checks())
}

// sight is what has been seen of this computer; each thing is looked at once.
type sight struct {
	computer.Computer
	opts Options

	vbox      answer[release]
	vagrant   answer[string]
	plugins   answer[string]
	hostOnly  answer[[]hostNet]
	libvirt   answer[[]hostNet]
	libvirtUp answer[struct{}]
}

func newSight(o Options) *sight { return &sight{Computer: o.Computer, opts: o} }

// answer is asked for by several checks at once and found by the first.
type answer[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (a *answer[T]) get(find func() (T, error)) (T, error) {
	a.once.Do(func() { a.value, a.err = find() })
	return a.value, a.err
}

// inquiry is a sight in view of one plan.
type inquiry struct {
	*sight
	plan    lab.Plan
	depth   lab.Depth
	kind    string       // the VM provider
	page    *page        // nil if the plan cannot be rendered
	wrong   error        // why it cannot
	subnet  netip.Prefix // not valid without nodes
	missing []lab.Node   // machines that do not exist yet
}

func (s *sight) about(plan lab.Plan) *inquiry {
	q := &inquiry{sight: s, plan: plan, kind: vmProvider(plan.Spec)}
	q.page, q.wrong = pageOf(plan)
	if len(plan.Nodes) > 0 && plan.Nodes[0].IP.Is4() {
		q.subnet = netip.PrefixFrom(plan.Nodes[0].IP, 24).Masked()
	}
	for _, n := range plan.Nodes {
		if !exists(plan.Dir, n.Name) {
			q.missing = append(q.missing, n)
		}
	}
	return q
}

// checks lists what is to be looked at, in the order in which people read it.
func (q *inquiry) checks() []computer.Check {
	checks := []computer.Check{
		{ID: "vagrant", Look: q.vagrantFound},
		{ID: "vagrant-version", Depth: lab.CheckFull, Look: q.vagrantVersion},
		{ID: "vagrant-locked", Look: q.vagrantBusy},
	}
	checks = append(checks, q.vmChecks()...)
	if len(q.missing) == 0 && len(q.plan.Nodes) > 0 {
		return checks
	}
	checks = append(checks,
		computer.Check{ID: "plan", Look: q.renderable},
		computer.Check{ID: "subnet", Look: q.addressesFree},
		computer.Check{ID: "box", Look: q.boxThere},
		computer.Check{ID: "memory", Look: q.memoryEnough},
		computer.Check{ID: "disk-boxes", Look: q.boxRoom},
		computer.Check{ID: "disk-machines", Depth: lab.CheckFull, Look: q.machineRoom},
		computer.Check{ID: "leftover-machines", Depth: lab.CheckFull, Look: q.leftovers},
		computer.Check{ID: "leftover-folders", Depth: lab.CheckFull, Look: q.forgotten},
	)
	return append(checks, computer.Check{ID: "proxy", Depth: lab.CheckFull, Look: func(context.Context) []lab.Finding { return q.CheckProxy(q.plan.Nodes) }})
}

// vmChecks are those of the VM provider itself.
func (q *inquiry) vmChecks() []computer.Check {
	switch q.kind {
	case "virtualbox":
		return []computer.Check{
			{ID: "virtualbox", Look: q.virtualBox},
			{ID: "virtualbox-version", Depth: lab.CheckFull, Look: q.virtualBoxFits},
			{ID: "virtualization", Look: q.virtualization},
			{ID: "kvm-busy", Look: q.kvmHolds},
			{ID: "wsl", Look: q.windows},
			{ID: "sudo", Look: q.sudo},
			{ID: "host-only-range", Look: q.hostOnlyRange},
		}
	case "libvirt":
		return []computer.Check{
			{ID: "libvirt", Look: q.libvirtAnswers},
			{ID: "vagrant-plugin", Depth: lab.CheckFull, Look: q.plugin},
			{ID: "kvm", Look: q.kvm},
			{ID: "libvirt-pool", Depth: lab.CheckFull, Look: q.pool},
		}
	}
	return []computer.Check{
		{ID: q.kind, Look: q.otherProvider},
		{ID: "vagrant-plugin", Depth: lab.CheckFull, Look: q.plugin},
	}
}

// renderable says what of the spec cannot stand in a Vagrantfile.
func (q *inquiry) renderable(context.Context) []lab.Finding {
	if q.wrong != nil {
		return []lab.Finding{computer.Failure("plan", q.wrong)}
	}
	return nil
}

func (q *inquiry) memoryEnough(context.Context) []lab.Finding {
	var need lab.Size
	for _, n := range q.missing {
		need += lab.Size(n.MemoryMiB) * lab.MiB
	}
	return q.CheckMemory(need, count(len(q.missing), "machine"), "make them smaller (machine.memory in lab.yaml) or fewer (--slaves 1), or end other programs", false)
}
