package endpoints

import (
	"maps"
	"runtime"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/quota"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// system is what the computer says of itself; what it does not say is left
// out.
func system() map[string]float64 {
	all := map[string]float64{"cpus_total": float64(runtime.NumCPU())}
	if m, err := mem.VirtualMemory(); err == nil {
		all["mem_total_bytes"], all["mem_free_bytes"] = float64(m.Total), float64(m.Free)
	}
	if l, err := load.Avg(); err == nil {
		all["load_1min"], all["load_5min"], all["load_15min"] = l.Load1, l.Load5, l.Load15
	}
	return all
}

// SystemStats is the answer of /system/stats.json.
func SystemStats() mjson.Object {
	all := system()
	o := mjson.Object{}
	for _, name := range []string{"load_15min", "load_1min", "load_5min"} {
		v, ok := all[name]
		o = o.PutIf(ok, "avg_"+name, v)
	}
	for _, name := range []string{"cpus_total", "mem_free_bytes", "mem_total_bytes"} {
		v, ok := all[name]
		o = o.PutIf(ok, name, int64(v))
	}
	return o
}

// Registry is the answer of /registrar(1)/registry: which master wrote it and
// what it holds.
func Registry(m mesos.MasterInfo, v cluster.RegistryView) mjson.Object {
	o := mjson.Object{}
	if len(v.Machines) > 0 {
		o = o.Put("machines", mjson.Object{}.Put("machines", each(v.Machines, func(m mesos.MachineInfo) mjson.Object { return entry(&m) })))
	}
	o = o.Put("master", entry(&m))
	if len(v.Quotas.Infos) > 0 {
		o = o.Put("quotas", each(v.Quotas.Infos, func(q quota.QuotaInfo) mjson.Object { return entry(&q) }))
	}
	if len(v.Machines) > 0 {
		o = o.Put("schedules", mjson.Array{mjson.Proto(&v.Schedule)})
	}
	if len(v.Agents) > 0 {
		list := []mjson.Object{}
		for _, id := range slices.Sorted(maps.Keys(v.Agents)) {
			info := v.Agents[id]
			list = append(list, entry(&info))
		}
		o = o.Put("slaves", mjson.Object{}.Put("slaves", list))
	}
	if len(v.Weights) > 0 {
		list := []mjson.Object{}
		for _, role := range sortedKeys(v.Weights) {
			list = append(list, entry(&mesos.WeightInfo{Role: &role, Weight: v.Weights[role]}))
		}
		o = o.Put("weights", list)
	}
	return o
}

// entry is how the registry holds one thing.
func entry(message any) mjson.Object {
	return mjson.Object{}.Put("info", mjson.Proto(message))
}
