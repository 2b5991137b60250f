package docker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func ptr[T any](v T) *T { return &v }

var place = Placement{Name: "mesos-S0.c", AgentID: "S0", Framework: "F", Sandbox: "/tmp/mesos/sandbox1", Mapped: "/mnt/mesos/sandbox"}

func task() mesos.TaskInfo {
	ports := &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: 31000, End: 31001}}}
	return mesos.TaskInfo{
		TaskID: mesos.TaskID{Value: "t"},
		Resources: []mesos.Resource{
			{Name: "cpus", Scalar: &mesos.Value_Scalar{Value: 0.25}},
			{Name: "cpus", Scalar: &mesos.Value_Scalar{Value: 0.25}},
			{Name: "mem", Scalar: &mesos.Value_Scalar{Value: 64}},
			{Name: "ports", Ranges: ports},
		},
		Command: &mesos.CommandInfo{Shell: ptr(false)},
		Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(),
			Docker: &mesos.ContainerInfo_DockerInfo{Image: "nginx", Network: mesos.ContainerInfo_DockerInfo_HOST.Enum()}},
	}
}

func spec(t *testing.T, change func(*mesos.TaskInfo)) Spec {
	t.Helper()
	ti := task()
	change(&ti)
	s, err := SpecOf(ti, place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlainSpec(t *testing.T) {
	want := Spec{
		Name: "mesos-S0.c", Image: "nginx", Network: "host", CPUShares: 512, MemoryBytes: 64 << 20,
		Env:    []string{"MESOS_SANDBOX=/mnt/mesos/sandbox", "MESOS_CONTAINER_NAME=mesos-S0.c", "MESOS_TASK_ID=t"},
		Binds:  []string{"/tmp/mesos/sandbox1:/mnt/mesos/sandbox"},
		Labels: map[string]string{"MESOS_TASK_ID": "t", "MESOS_FRAMEWORK_ID": "F", "MESOS_AGENT_ID": "S0"},
	}
	if d := cmp.Diff(want, spec(t, func(*mesos.TaskInfo) {})); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	small := spec(t, func(ti *mesos.TaskInfo) { ti.Resources = nil; ti.Command = nil })
	if small.CPUShares != 2 || small.MemoryBytes != 4<<20 {
		t.Errorf("least resources: %d shares, %d bytes", small.CPUShares, small.MemoryBytes)
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		command         mesos.CommandInfo
		entrypoint, cmd []string
	}{
		{mesos.CommandInfo{Value: ptr("echo $A")}, []string{"/bin/sh"}, []string{"-c", "echo $A"}},
		{mesos.CommandInfo{Shell: ptr(false)}, nil, nil},
		{mesos.CommandInfo{Shell: ptr(false), Arguments: []string{"-v", "x"}}, nil, []string{"-v", "x"}},
		{mesos.CommandInfo{Shell: ptr(false), Value: ptr("run"), Arguments: []string{"x"}}, nil, []string{"run", "x"}},
	} {
		s := spec(t, func(ti *mesos.TaskInfo) { ti.Command = &c.command })
		if d := cmp.Diff(c.entrypoint, s.Entrypoint) + cmp.Diff(c.cmd, s.Cmd); d != "" {
			t.Errorf("%v:\n%s", c.command, d)
		}
	}
}

func TestTasksOwnWordsWin(t *testing.T) {
	s := spec(t, func(ti *mesos.TaskInfo) {
		ti.Command.Environment = &mesos.Environment{Variables: []mesos.Environment_Variable{{Name: "MESOS_TASK_ID", Value: ptr("own")}, {Name: "A", Value: ptr("1")}}}
		ti.Command.User = ptr("nobody")
		d := ti.Container.Docker
		d.Network = mesos.ContainerInfo_DockerInfo_BRIDGE.Enum()
		d.Privileged = ptr(true)
		d.PortMappings = []mesos.ContainerInfo_DockerInfo_PortMapping{{HostPort: 31001, ContainerPort: 80}, {HostPort: 31000, ContainerPort: 53, Protocol: ptr("UDP")}}
		d.Parameters = []mesos.Parameter{{Key: "env", Value: "A=2"}, {Key: "label", Value: "k=v"}, {Key: "hostname", Value: "box"},
			{Key: "volume", Value: "/x:/y"}, {Key: "v", Value: "/anon"}, {Key: "user", Value: "root"}, {Key: "workdir", Value: "/w"},
			{Key: "add-host", Value: "db:10.0.0.1"}, {Key: "dns", Value: "10.0.0.2"}, {Key: "cap-add", Value: "NET_ADMIN"}, {Key: "entrypoint", Value: "/e"}}
		ti.Container.Volumes = []mesos.Volume{
			{ContainerPath: "/data", HostPath: ptr("/srv"), Mode: mesos.RO.Enum()},
			{ContainerPath: "rel", HostPath: ptr("sub"), Mode: mesos.RW.Enum()},
			{ContainerPath: "/only", Mode: mesos.RW.Enum()},
		}
	})
	want := Spec{
		Name: "mesos-S0.c", Image: "nginx", Network: "bridge", CPUShares: 512, MemoryBytes: 64 << 20, Privileged: true,
		Env: []string{"MESOS_SANDBOX=/mnt/mesos/sandbox", "MESOS_CONTAINER_NAME=mesos-S0.c", "MESOS_TASK_ID=own", "A=2"},
		Binds: []string{"/tmp/mesos/sandbox1:/mnt/mesos/sandbox", "/srv:/data:ro",
			"/tmp/mesos/sandbox1/sub:/mnt/mesos/sandbox/rel:rw", "/x:/y"},
		Volumes: []string{"/only", "/anon"}, User: "root", WorkDir: "/w", Hostname: "box", Entrypoint: []string{"/e"},
		ExtraHosts: []string{"db:10.0.0.1"}, DNS: []string{"10.0.0.2"}, CapAdd: []string{"NET_ADMIN"},
		Ports:  []Port{{31001, 80, "tcp"}, {31000, 53, "udp"}},
		Labels: map[string]string{"MESOS_TASK_ID": "t", "MESOS_FRAMEWORK_ID": "F", "MESOS_AGENT_ID": "S0", "k": "v"},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	s = spec(t, func(ti *mesos.TaskInfo) {
		ti.Container.Docker.Network = mesos.ContainerInfo_DockerInfo_USER.Enum()
		ti.Container.NetworkInfos = []mesos.NetworkInfo{{Name: ptr("mynet")}}
	})
	if s.Network != "mynet" {
		t.Errorf("network %q", s.Network)
	}
}

func TestImpossibleSpecs(t *testing.T) {
	mapping := func(host, container uint32) []mesos.ContainerInfo_DockerInfo_PortMapping {
		return []mesos.ContainerInfo_DockerInfo_PortMapping{{HostPort: host, ContainerPort: container}}
	}
	bridge := mesos.ContainerInfo_DockerInfo_BRIDGE.Enum()
	for want, change := range map[string]func(*mesos.TaskInfo){
		"no docker container": func(ti *mesos.TaskInfo) { ti.Container = nil },
		"no docker image":     func(ti *mesos.TaskInfo) { ti.Container.Docker.Image = "" },
		"no value":            func(ti *mesos.TaskInfo) { ti.Command = &mesos.CommandInfo{} },
		"only supported for":  func(ti *mesos.TaskInfo) { ti.Container.Docker.PortMappings = mapping(31000, 80) },
		"not included": func(ti *mesos.TaskInfo) {
			ti.Container.Docker.Network, ti.Container.Docker.PortMappings = bridge, mapping(31002, 80)
		},
		"out of range": func(ti *mesos.TaskInfo) {
			ti.Container.Docker.Network, ti.Container.Docker.PortMappings = bridge, mapping(31000, 70000)
		},
		"USER needs":      func(ti *mesos.TaskInfo) { ti.Container.Docker.Network = mesos.ContainerInfo_DockerInfo_USER.Enum() },
		"hostname cannot": func(ti *mesos.TaskInfo) { ti.Container.Hostname = ptr("h") },
		"host path is": func(ti *mesos.TaskInfo) {
			ti.Container.Volumes = []mesos.Volume{{ContainerPath: "/a", HostPath: ptr("")}}
		},
		"images and source": func(ti *mesos.TaskInfo) {
			ti.Container.Volumes = []mesos.Volume{{ContainerPath: "/a", Source: &mesos.Volume_Source{}}}
		},
		"NAME=value": func(ti *mesos.TaskInfo) { ti.Container.Docker.Parameters = []mesos.Parameter{{Key: "env", Value: "x"}} },
		`"pid" is not`: func(ti *mesos.TaskInfo) {
			ti.Container.Docker.Parameters = []mesos.Parameter{{Key: "pid", Value: "host"}}
		},
		"parameter dns": func(ti *mesos.TaskInfo) { ti.Container.Docker.Parameters = []mesos.Parameter{{Key: "dns", Value: "x"}} },
	} {
		ti := task()
		change(&ti)
		if _, err := SpecOf(ti, place); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something with %q", err, want)
		}
	}
}
