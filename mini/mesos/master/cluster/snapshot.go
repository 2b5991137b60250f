package cluster

import (
	"maps"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// Snapshot is the whole state at one moment, for those who print it. It
// shares memory with nobody who writes.
type Snapshot struct {
	Elected     time.Time
	Agents      []AgentView
	Recovered   []mesos.AgentInfo // in the registry, not seen by this master yet
	Unreachable map[string]time.Time
	Frameworks  []FrameworkView
	Completed   []FrameworkView // oldest first
	Total       resource.Set
	Allocated   resource.Set
	Offers      int
	Counters    map[string]float64
	Weights     map[string]float64
	Quotas      map[string]resource.Set
	Roles       []string // that exist without a framework, too: of --roles, or with a quota
}

// AgentView is one registered agent. Times are zero where they never were.
type AgentView struct {
	ID, PID, Version         string
	Info                     mesos.AgentInfo
	Connected                bool
	Registered, Reregistered time.Time
	Total, Used, Offered     resource.Set
	UsedBy, OfferedTo        map[string]resource.Set // by role
	Tasks                    []TaskView
}

// FrameworkView is one framework.
type FrameworkView struct {
	ID                                     string
	Info                                   mesos.FrameworkInfo
	Roles                                  []string
	Connected, Recovered, MultiRole        bool
	Registered, Reregistered, Unregistered time.Time
	Used, Offered                          resource.Set
	Tasks, Unreachable, Done               []TaskView
	Offers                                 []OfferView
}

// OfferView is one outstanding offer.
type OfferView struct {
	mesos.Offer
	Role      string
	Resources resource.Set
}

// TaskView is one task; State is the latest known. A terminal one among the
// Tasks of an agent or framework waits for its acknowledgement.
type TaskView struct {
	mesos.Task
	Role string
}

// Over says whether the task has ended.
func (t *TaskView) Over() bool { return t.State != nil && terminal(*t.State) }

// Resources is what the task was launched with.
func (t *TaskView) Resources() resource.Set {
	r, _ := resource.FromProto(t.Task.Resources) // the master took it in: it is readable
	return r
}

// Master is what the leading master tells of itself.
func (c *Cluster) Master() mesos.MasterInfo { return c.o.Master }

// Generation is the Mesos that is followed.
func (c *Cluster) Generation() Generation { return c.o.Compat }

// Snapshot returns the present state.
func (c *Cluster) Snapshot() Snapshot {
	c.lock()
	defer c.mu.Unlock()
	return c.snapshot()
}

func (c *Cluster) snapshot() Snapshot {
	s := Snapshot{
		Elected: c.elected, Unreachable: maps.Clone(c.reg.unreachable),
		Total: c.alloc.Total().Flat(), Allocated: c.alloc.Allocated().Flat(), Offers: len(c.offers),
		Counters: maps.Clone(c.metrics), Weights: c.weights, Quotas: c.quotas, Roles: c.explicitRoles(),
	}
	for _, a := range inOrder(c.agents) {
		if a.admitted {
			s.Agents = append(s.Agents, a.view())
		}
	}
	for _, info := range c.reg.recovered {
		s.Recovered = append(s.Recovered, info)
	}
	for _, f := range inOrder(c.frameworks) {
		s.Frameworks = append(s.Frameworks, f.view())
	}
	for _, f := range c.completed {
		s.Completed = append(s.Completed, f.view())
	}
	return s
}

func (a *agent) view() AgentView {
	v := AgentView{
		ID: a.id, PID: a.pid, Version: a.version, Info: a.info, Connected: a.connected(),
		Registered: a.registered, Reregistered: a.reregistered, Total: a.total,
		UsedBy: map[string]resource.Set{}, OfferedTo: map[string]resource.Set{},
	}
	for _, t := range tasksInOrder(a.tasks) {
		if !terminal(*t.State) {
			v.Used = v.Used.Add(t.resources)
			v.UsedBy[t.role] = v.UsedBy[t.role].Add(t.resources)
		}
		v.Tasks = append(v.Tasks, t.view())
	}
	for _, o := range a.offers {
		v.Offered = v.Offered.Add(o.resources)
		v.OfferedTo[o.role] = v.OfferedTo[o.role].Add(o.resources)
	}
	return v
}

func (f *framework) view() FrameworkView {
	v := FrameworkView{
		ID: f.id, Info: f.info, Roles: f.roles(), MultiRole: f.multiRole(),
		Connected: f.connected(), Recovered: f.recovered,
		Registered: f.registered, Reregistered: f.reregistered, Unregistered: f.unregistered,
		Unreachable: append([]TaskView(nil), f.unreachable...),
		Done:        append([]TaskView(nil), f.done...),
	}
	for _, t := range inOrder(f.tasks) {
		if !terminal(*t.State) {
			v.Used = v.Used.Add(t.resources.Flat())
		}
		v.Tasks = append(v.Tasks, t.view())
	}
	for _, o := range inOrder(f.offers) {
		v.Offered = v.Offered.Add(o.resources.Flat())
		v.Offers = append(v.Offers, OfferView{Offer: o.proto(), Role: o.role, Resources: o.resources})
	}
	return v
}

func (t *task) view() TaskView { return TaskView{Task: t.Task, Role: t.role} }
