package match

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Task writes the TaskInfo for a task of the app in a slot of the offer,
// with the resources that Take returned.
func (o *Offer) Task(a app.App, id string, s Slot, resources []mesos.Resource) mesos.TaskInfo {
	t := mesos.TaskInfo{
		Name: hostname(a.ID), TaskID: mesos.TaskID{Value: id}, AgentID: o.AgentID, Resources: resources,
		Command: command(a), Container: container(a, s.Ports), Labels: labels(a.Labels),
		Discovery: discovery(a, s.Ports), HealthCheck: healthCheck(a),
	}
	env := environment(a, id, o.rules.EnvPrefix, o.Hostname, s.Ports)
	t.Command.Environment = &mesos.Environment{}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		t.Command.Environment.Variables = append(t.Command.Environment.Variables, mesos.Environment_Variable{Name: k, Value: ptr(env[k])})
	}
	return t
}

func ptr[T any](v T) *T { return &v }

// hostname turns an id into a host name: "/a/b" → "b.a".
func hostname(id string) string {
	s := app.Segments(id)
	slices.Reverse(s)
	return strings.Join(s, ".")
}

func command(a app.App) *mesos.CommandInfo {
	c := &mesos.CommandInfo{User: a.User}
	switch {
	case a.Cmd != nil:
		c.Value, c.Shell = a.Cmd, ptr(true)
	case len(a.Args) > 0:
		c.Shell, c.Arguments = ptr(false), slices.Clone(a.Args)
		if a.Container == nil {
			c.Value = &a.Args[0]
		}
	default:
		c.Shell = ptr(false)
	}
	for _, f := range a.Fetch {
		c.URIs = append(c.URIs, mesos.CommandInfo_URI{Value: f.URI, Extract: &f.Extract, Executable: &f.Executable, Cache: &f.Cache})
	}
	return c
}

func container(a app.App, ports []int) *mesos.ContainerInfo {
	if a.Container == nil {
		return nil
	}
	kind := mesos.ContainerInfo_DOCKER
	if a.Container.Type == "MESOS" {
		kind = mesos.ContainerInfo_MESOS
	}
	c := &mesos.ContainerInfo{Type: &kind}
	for _, v := range a.Container.Volumes {
		mode := mesos.RW
		if v.Mode == "RO" {
			mode = mesos.RO
		}
		c.Volumes = append(c.Volumes, mesos.Volume{Mode: &mode, ContainerPath: v.ContainerPath, HostPath: v.HostPath})
	}
	d := a.Container.Docker
	if d == nil || kind != mesos.ContainerInfo_DOCKER {
		return c
	}
	c.Docker = &mesos.ContainerInfo_DockerInfo{Image: d.Image, Privileged: &d.Privileged, ForcePullImage: &d.ForcePullImage}
	if n, ok := map[string]mesos.ContainerInfo_DockerInfo_Network{"BRIDGE": mesos.ContainerInfo_DockerInfo_BRIDGE,
		"HOST": mesos.ContainerInfo_DockerInfo_HOST, "NONE": mesos.ContainerInfo_DockerInfo_NONE}[d.Network]; ok {
		c.Docker.Network = &n
	}
	for _, p := range d.Parameters {
		c.Docker.Parameters = append(c.Docker.Parameters, mesos.Parameter{Key: p.Key, Value: p.Value})
	}
	if a.Mapped() {
		c.Docker.PortMappings = mappings(d.PortMappings, ports)
	}
	return c
}

func mappings(ms []app.PortMapping, ports []int) []mesos.ContainerInfo_DockerInfo_PortMapping {
	var out []mesos.ContainerInfo_DockerInfo_PortMapping
	for i, m := range ms {
		inside := m.ContainerPort
		if inside == 0 {
			inside = ports[i]
		}
		for proto := range strings.SplitSeq(m.Protocol, ",") {
			out = append(out, mesos.ContainerInfo_DockerInfo_PortMapping{
				HostPort: uint32(ports[i]), ContainerPort: uint32(inside), Protocol: ptr(proto)})
		}
	}
	return out
}

func labels(m map[string]string) *mesos.Labels {
	if len(m) == 0 {
		return nil
	}
	l := &mesos.Labels{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		l.Labels = append(l.Labels, mesos.Label{Key: k, Value: ptr(m[k])})
	}
	return l
}

func discovery(a app.App, ports []int) *mesos.DiscoveryInfo {
	d := &mesos.DiscoveryInfo{Visibility: mesos.FRAMEWORK, Name: ptr(hostname(a.ID)), Ports: &mesos.Ports{}}
	for i, p := range ports {
		port := mesos.Port{Number: uint32(p), Protocol: ptr("tcp")}
		if a.Mapped() {
			m := a.Container.Docker.PortMappings[i]
			port.Protocol, port.Name, port.Labels = ptr(m.Protocol), m.Name, labels(m.Labels)
		} else if i < len(a.PortDefinitions) {
			def := a.PortDefinitions[i]
			port.Protocol, port.Name, port.Labels = ptr(def.Protocol), def.Name, labels(def.Labels)
		}
		d.Ports.Ports = append(d.Ports.Ports, port)
	}
	return d
}

// healthCheck is the COMMAND check, which the executor does; one per task.
func healthCheck(a app.App) *mesos.HealthCheck {
	for _, h := range a.HealthChecks {
		if h.Protocol != "COMMAND" || h.Command == nil {
			continue
		}
		failures := uint32(min(max(h.MaxConsecutiveFailures, 0), math.MaxInt32))
		return &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND,
			Command:             &mesos.CommandInfo{Shell: ptr(true), Value: ptr(h.Command.Value)},
			IntervalSeconds:     ptr(float64(h.IntervalSeconds)),
			TimeoutSeconds:      ptr(float64(h.TimeoutSeconds)),
			GracePeriodSeconds:  ptr(float64(h.GracePeriodSeconds)),
			ConsecutiveFailures: ptr(failures)}
	}
	return nil
}

var notName = regexp.MustCompile(`[^A-Z0-9_]+`)

// varName makes the tail of an environment variable's name.
func varName(s string) string { return notName.ReplaceAllString(strings.ToUpper(s), "_") }

// maxVar is how long a label's variable may be, name and value each; 1.1.1
// leaves longer ones out.
const maxVar = 512

// environment is what 1.1.1 tells a task (contracts 2.1). The app's own
// variables win.
func environment(a app.App, id, prefix, host string, ports []int) map[string]string {
	env := map[string]string{
		prefix + "HOST": host, "MESOS_TASK_ID": id, "MARATHON_APP_ID": a.ID, "MARATHON_APP_VERSION": a.Version.String(),
		"MARATHON_APP_RESOURCE_CPUS": decimal(a.CPUs), "MARATHON_APP_RESOURCE_MEM": decimal(a.Mem),
		"MARATHON_APP_RESOURCE_DISK": decimal(a.Disk),
	}
	if a.Container != nil && a.Container.Docker != nil {
		env["MARATHON_APP_DOCKER_IMAGE"] = a.Container.Docker.Image
	}
	var keys []string
	const label = "MARATHON_APP_LABEL_"
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		if len(k) < maxVar-len(label) && len(a.Labels[k]) < maxVar {
			keys = append(keys, varName(k))
			env[label+varName(k)] = a.Labels[k]
		}
	}
	env["MARATHON_APP_LABELS"] = strings.Join(keys, " ")
	var all []string
	for i, p := range ports {
		v := strconv.Itoa(p)
		all = append(all, v)
		env[fmt.Sprintf("%sPORT%d", prefix, i)] = v
		declared, name := declaredPort(a, i)
		if declared != 0 {
			env[fmt.Sprintf("%sPORT_%d", prefix, declared)] = v
		}
		if name != nil {
			env[prefix+"PORT_"+varName(*name)] = v
		}
	}
	if len(all) > 0 {
		env[prefix+"PORT"], env[prefix+"PORTS"] = all[0], strings.Join(all, ",")
	}
	maps.Copy(env, a.Env)
	return env
}

// declaredPort is the number and name under which the app knows its i-th
// port: the container's port, or the service port.
func declaredPort(a app.App, i int) (int, *string) {
	if a.Mapped() {
		m := a.Container.Docker.PortMappings[i]
		return m.ContainerPort, m.Name
	}
	if i < len(a.PortDefinitions) {
		return a.PortDefinitions[i].Port, a.PortDefinitions[i].Name
	}
	return 0, nil
}

// decimal prints as the JVM does: 1.0, 0.2.
func decimal(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
