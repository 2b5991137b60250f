package endpoints

import (
	"maps"
	"runtime"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

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

// Registry is the answer of /registrar(1)/registry: which master wrote it, the
// agents that were let in and what maintenance is planned.
func Registry(m mesos.MasterInfo, agents map[string]mesos.AgentInfo, s maintenance.Schedule, machines []mesos.MachineInfo) mjson.Object {
	o := mjson.Object{}
	if len(machines) > 0 {
		o = o.Put("machines", mjson.Object{}.Put("machines", each(machines, func(m mesos.MachineInfo) mjson.Object {
			return mjson.Object{}.Put("info", mjson.Proto(&m))
		})))
	}
	o = o.Put("master", mjson.Object{}.Put("info", mjson.Proto(&m)))
	if len(machines) > 0 {
		o = o.Put("schedules", mjson.Array{mjson.Proto(&s)})
	}
	if len(agents) == 0 {
		return o
	}
	list := []mjson.Object{}
	for _, id := range slices.Sorted(maps.Keys(agents)) {
		info := agents[id]
		list = append(list, mjson.Object{}.Put("info", mjson.Proto(&info)))
	}
	return o.Put("slaves", mjson.Object{}.Put("slaves", list))
}
