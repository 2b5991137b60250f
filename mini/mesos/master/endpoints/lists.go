package endpoints

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// summaryStates are the states that /state-summary counts, in its order.
var summaryStates = [...]mesos.TaskState{
	mesos.TASK_STAGING, mesos.TASK_STARTING, mesos.TASK_RUNNING, mesos.TASK_KILLING, mesos.TASK_FINISHED,
	mesos.TASK_KILLED, mesos.TASK_FAILED, mesos.TASK_LOST, mesos.TASK_ERROR, mesos.TASK_UNREACHABLE,
}

// Summary is the answer of /state-summary. Tasks count for their agent and
// framework even when they are over, as long as they are remembered.
func Summary(m Master, s cluster.Snapshot) mjson.Object {
	byAgent := map[string]*tally{}
	tallyFor := func(agent string) *tally {
		if byAgent[agent] == nil {
			byAgent[agent] = &tally{states: map[mesos.TaskState]int{}}
		}
		return byAgent[agent]
	}
	frameworks := []mjson.Object{}
	for _, f := range s.Frameworks {
		own := tally{states: map[mesos.TaskState]int{}}
		for _, t := range slices.Concat(f.Tasks, f.Unreachable, f.Done) {
			own.add(*t.State, t.AgentID.Value)
			tallyFor(t.AgentID.Value).add(*t.State, f.ID)
		}
		frameworks = append(frameworks, own.put(frameworkHead(f)).Put("slave_ids", own.others))
	}
	agents := []mjson.Object{}
	for _, a := range s.Agents {
		t := tallyFor(a.ID)
		agents = append(agents, t.put(agent(a)).Put("framework_ids", t.others))
	}
	o := mjson.Object{}.Put("hostname", m.Info.Hostname)
	return putFlag(o, m, "cluster").Put("slaves", agents).Put("frameworks", frameworks)
}

// tally counts tasks by state, and who else is in them.
type tally struct {
	states map[mesos.TaskState]int
	others []string
}

func (t *tally) add(s mesos.TaskState, other string) {
	t.states[s]++
	if !slices.Contains(t.others, other) {
		t.others = append(t.others, other)
	}
}

func (t *tally) put(o mjson.Object) mjson.Object {
	for _, s := range summaryStates {
		o = o.Put(s.String(), t.states[s])
	}
	return o
}

// Tasks is the answer of /tasks: all remembered tasks, newest first, at most
// ?limit= (100) from ?offset= on, ?order=asc for oldest first.
func Tasks(s cluster.Snapshot, q url.Values) mjson.Object {
	var all []cluster.TaskView
	for _, f := range slices.Concat(s.Frameworks, s.Completed) {
		all = append(all, slices.Concat(f.Tasks, f.Unreachable, f.Done)...)
	}
	slices.SortStableFunc(all, func(x, y cluster.TaskView) int { return cmp.Compare(firstSeen(y), firstSeen(x)) })
	if q.Get("order") == "asc" {
		slices.Reverse(all)
	}
	offset := min(count(q, "offset", 0), len(all))
	end := offset + min(count(q, "limit", 100), len(all)-offset)
	return mjson.Object{}.Put("tasks", each(all[offset:end], task))
}

func count(q url.Values, key string, otherwise int) int {
	n, err := strconv.Atoi(q.Get(key))
	if err != nil || n < 0 {
		return otherwise
	}
	return n
}

// firstSeen is the time of a task's first status; a task without any is the
// newest.
func firstSeen(t cluster.TaskView) float64 {
	if len(t.Statuses) == 0 {
		return 1e18
	}
	return t.Statuses[0].GetTimestamp()
}

// Role is a role that a framework has, a weight was set for, or --roles names.
type Role struct {
	Name       string
	Weight     float64
	Frameworks []string     // ids
	Held       resource.Set // used and offered
}

// RoleList lists the roles, by name.
func RoleList(s cluster.Snapshot) []Role {
	byName := map[string]*Role{}
	role := func(name string) *Role {
		if byName[name] == nil {
			byName[name] = &Role{Name: name, Weight: 1, Frameworks: []string{}}
		}
		return byName[name]
	}
	for _, name := range s.Roles {
		role(name)
	}
	for name, w := range s.Weights {
		role(name).Weight = w
	}
	for _, f := range s.Frameworks {
		for _, name := range f.Roles {
			r := role(name)
			r.Frameworks = append(r.Frameworks, f.ID)
		}
	}
	for _, a := range s.Agents {
		for _, byRole := range []map[string]resource.Set{a.UsedBy, a.OfferedTo} {
			for name, held := range byRole {
				if r := byName[name]; r != nil {
					r.Held = r.Held.Add(held)
				}
			}
		}
	}
	list := make([]Role, 0, len(byName))
	for _, name := range sortedKeys(byName) {
		list = append(list, *byName[name])
	}
	return list
}

// Roles is the answer of /roles.
func Roles(s cluster.Snapshot) mjson.Object {
	return mjson.Object{}.Put("roles", each(RoleList(s), func(r Role) mjson.Object {
		return mjson.Object{}.
			Put("frameworks", r.Frameworks).Put("name", r.Name).
			Put("resources", roleResources(r.Held.Flat())).Put("weight", r.Weight)
	}))
}

// roleResources sorts by name, and prints a missing scalar as the integer 0
// (contracts 6.2: that is how the real ones tell it from 0.0).
func roleResources(s resource.Set) mjson.Object {
	all := map[string]any{"cpus": 0, "disk": 0, "gpus": 0, "mem": 0}
	for _, it := range s.Items() {
		if it.Kind == resource.Scalar {
			all[it.Name] = s.Scalar(it.Name)
		} else {
			all[it.Name] = it.Value()
		}
	}
	o := mjson.Object{}
	for _, name := range sortedKeys(all) {
		o = o.Put(name, all[name])
	}
	return o
}

// Weights is the answer of /weights.
func Weights(s cluster.Snapshot) mjson.Array {
	list := mjson.Array{}
	for _, role := range sortedKeys(s.Weights) {
		list = append(list, mjson.Object{}.Put("role", role).Put("weight", s.Weights[role]))
	}
	return list
}
