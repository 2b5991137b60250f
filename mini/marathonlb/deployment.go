package marathonlb

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// mergeDeployments makes one app out of the two of a zero-downtime
// deployment (contracts 11.5): it has the name of the group, the settings of
// the app that started first and the tasks of both; of the old tasks as many
// are drained as new ones can stand in for.
func (b *builder) mergeDeployments(apps []app) []app {
	merged := make([]app, 0, len(apps))
	groups := map[string][]app{}
	for _, a := range apps {
		if g := a.Labels["HAPROXY_DEPLOYMENT_GROUP"]; g != "" {
			groups[g] = append(groups[g], a)
			continue
		}
		merged = append(merged, a)
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		group := groups[name]
		slices.SortStableFunc(group, func(x, y app) int {
			return cmp.Or(cmp.Compare(startedAt(x), startedAt(y)), cmp.Compare(x.ID, y.ID))
		})
		base := group[0]
		base.ID = "/" + name
		base.Tasks = slices.Clone(base.Tasks)
		for _, next := range group[1:] {
			drain(base.Tasks, b.drained(group[0], next))
			base.Tasks = append(base.Tasks, next.Tasks...)
		}
		merged = append(merged, base)
	}
	return merged
}

func startedAt(a app) string { return a.Labels["HAPROXY_DEPLOYMENT_STARTED_AT"] }

// drained is how many tasks of old the new app's healthy tasks replace.
func (b *builder) drained(old, new app) int {
	target, err := strconv.Atoi(new.Labels["HAPROXY_DEPLOYMENT_TARGET_INSTANCES"])
	if err != nil {
		target = new.Instances
	}
	healthy := 0
	for _, t := range new.Tasks {
		ok := len(t.HealthCheckResults) > 0 || len(new.HealthChecks) == 0
		for _, r := range t.HealthCheckResults {
			ok = ok && r.Alive
		}
		if ok {
			healthy++
		}
	}
	return max(0, min(len(old.Tasks), healthy, healthy+old.Instances-target))
}

// drain marks the n tasks with the lowest ids.
func drain(tasks []task, n int) {
	slices.SortFunc(tasks, func(x, y task) int { return cmp.Compare(x.ID, y.ID) })
	for i := range min(n, len(tasks)) {
		tasks[i].drained = true
	}
}
