package match

import (
	"math/rand/v2"
	"slices"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// offer has cpus and mem under two roles and the given port ranges under "*".
func offer(ranges ...uint64) mesos.Offer {
	scalar, rng := mesos.SCALAR, mesos.RANGES
	star, own := "*", "web"
	o := mesos.Offer{AgentID: mesos.AgentID{Value: "S1"}, Hostname: "10.0.0.1",
		Attributes: []mesos.Attribute{{Name: "rack", Type: mesos.TEXT, Text: &mesos.Value_Text{Value: "r1"}}, {Name: "n", Type: mesos.SCALAR, Scalar: &mesos.Value_Scalar{Value: 1}}},
		Resources: []mesos.Resource{
			{Name: "cpus", Type: &scalar, Role: &star, Scalar: &mesos.Value_Scalar{Value: 2}},
			{Name: "cpus", Type: &scalar, Role: &own, Scalar: &mesos.Value_Scalar{Value: 1}},
			{Name: "cpus", Type: &scalar, Role: &star, Scalar: &mesos.Value_Scalar{Value: 50}, Revocable: &mesos.Resource_RevocableInfo{}},
			{Name: "mem", Type: &scalar, Role: &star, Scalar: &mesos.Value_Scalar{Value: 1024}}}}
	var rs []mesos.Value_Range
	for i := 0; i+1 < len(ranges); i += 2 {
		rs = append(rs, mesos.Value_Range{Begin: ranges[i], End: ranges[i+1]})
	}
	o.Resources = append(o.Resources, mesos.Resource{Name: "ports", Type: &rng, Role: &star, Ranges: &mesos.Value_Ranges{Range: rs}})
	return o
}

func rnd() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

func TestResourcesOfTheOwnRoleGoFirst(t *testing.T) {
	o := New(offer(31000, 31009))
	a := app.Default("/x")
	a.CPUs, a.Mem, a.Disk = 2.5, 1000, 0
	s, why, ok := o.Fit(a, nil, rnd())
	if !ok {
		t.Fatal(why)
	}
	got := map[string]float64{}
	for _, r := range o.Take(a, s) {
		if r.Scalar != nil {
			got[r.Name+" "+r.GetRole()] = r.Scalar.Value
		}
	}
	if got["cpus web"] != 1 || got["cpus *"] != 1.5 || got["mem *"] != 1000 || len(got) != 3 {
		t.Errorf("took %v", got)
	}
	for _, c := range []struct {
		cpus, mem, disk float64
		why             string
	}{{0.6, 1, 0, "cpus"}, {0.5, 25, 0, "mem"}, {0.5, 24, 1, "disk"}, {0.5, 24, 0, ""}} {
		b := app.Default("/y")
		b.CPUs, b.Mem, b.Disk = c.cpus, c.mem, c.disk
		if _, why, ok := o.Fit(b, nil, rnd()); why != c.why || ok != (c.why == "") {
			t.Errorf("%+v: %v %q", c, ok, why)
		}
	}
}

func TestEveryPortIsGivenOnce(t *testing.T) {
	o := New(offer(31000, 31002, 31010, 31011))
	a := app.Default("/x")
	a.CPUs, a.Mem = 0.01, 1
	var all []int
	for range 5 {
		s, why, ok := o.Fit(a, nil, rnd())
		if !ok {
			t.Fatalf("%v are given, then %s", all, why)
		}
		o.Take(a, s)
		all = append(all, s.Ports...)
	}
	slices.Sort(all)
	if !slices.Equal(all, []int{31000, 31001, 31002, 31010, 31011}) {
		t.Errorf("ports %v", all)
	}
	if _, why, ok := o.Fit(a, nil, rnd()); ok || why != "ports" {
		t.Errorf("a sixth fits: %v %q", ok, why)
	}
}

func TestPortsThatAreAskedFor(t *testing.T) {
	a := app.Default("/x")
	a.CPUs, a.Mem = 0.01, 1
	a = a.WithServicePorts([]int{31005})
	a.RequirePorts = true
	o := New(offer(31000, 31009))
	s, _, ok := o.Fit(a, nil, rnd())
	if !ok || s.Ports[0] != 31005 {
		t.Errorf("required port: %v %v", ok, s)
	}
	o.Take(a, s)
	if _, why, ok := o.Fit(a, nil, rnd()); ok || why != "ports" {
		t.Error("the same port is given twice")
	}
	b := app.Default("/b")
	b.CPUs, b.Mem = 0.01, 1
	b.Container = &app.Container{Type: "DOCKER", Docker: &app.Docker{Image: "i", Network: "BRIDGE", PortMappings: []app.PortMapping{
		{ContainerPort: 80, HostPort: 31007, Protocol: "tcp"}, {ContainerPort: 0, Protocol: "udp,tcp"}}}}
	b = b.Normalize()
	s, _, ok = o.Fit(b, nil, rnd())
	if !ok || s.Ports[0] != 31007 || s.Ports[1] == 31007 {
		t.Fatalf("%v %v", ok, s)
	}
	info := o.Task(b, "b.1", s, o.Take(b, s))
	m := info.Container.Docker.PortMappings
	if len(m) != 3 || m[0].HostPort != 31007 || m[0].ContainerPort != 80 || m[1].ContainerPort != uint32(s.Ports[1]) || m[1].GetProtocol() != "udp" || m[2].GetProtocol() != "tcp" {
		t.Errorf("mappings %v", m)
	}
}

func TestEnvironment(t *testing.T) {
	o := New(offer(31000, 31009))
	a := app.Default("/shop/web")
	cmd, user, name := "run", "nobody", "http"
	a.Cmd, a.User = &cmd, &user
	a.CPUs, a.Mem = 0.5, 64
	a.Labels = map[string]string{"a.b": "c"}
	a.Env = map[string]string{"X": "1", "PORT": "mine"}
	a.PortDefinitions = []app.PortDefinition{{Port: 10000, Protocol: "tcp", Name: &name}, {Port: 10001, Protocol: "tcp"}}
	a.Ports = []int{10000, 10001}
	a.Fetch = []app.Fetch{{URI: "u", Extract: true}}
	info := o.Task(a, "shop_web.1", Slot{[]int{31003, 31004}}, nil)
	env := map[string]string{}
	for _, v := range info.Command.Environment.Variables {
		env[v.Name] = v.GetValue()
	}
	for k, want := range map[string]string{"HOST": "10.0.0.1", "PORT": "mine", "PORT0": "31003", "PORT1": "31004", "PORTS": "31003,31004", "PORT_10000": "31003",
		"PORT_HTTP": "31003", "MESOS_TASK_ID": "shop_web.1", "MARATHON_APP_ID": "/shop/web", "MARATHON_APP_RESOURCE_CPUS": "0.5", "MARATHON_APP_RESOURCE_MEM": "64.0",
		"MARATHON_APP_LABELS": "A_B", "MARATHON_APP_LABEL_A_B": "c", "X": "1"} {
		if env[k] != want {
			t.Errorf("%s is %q, want %q", k, env[k], want)
		}
	}
	if info.Name != "web.shop" || info.Command.GetValue() != "run" || info.Command.GetUser() != "nobody" || !info.Command.GetShell() || info.Command.URIs[0].Value != "u" {
		t.Errorf("task %v", info)
	}
}

// TestCommands: what the slave runs for an app with a command. Without a
// container the first of args is the program, too (1.1.1, TaskBuilder).
func TestCommands(t *testing.T) {
	image := &app.Container{Type: "DOCKER", Docker: &app.Docker{Image: "i"}}
	cmd := "echo $PORT0"
	for _, c := range []struct {
		app   app.App
		value string // "-" for none
		shell bool
		args  []string
	}{
		{app.App{Cmd: &cmd}, cmd, true, nil},
		{app.App{Cmd: &cmd, Container: image}, cmd, true, nil},
		{app.App{Args: []string{"sleep", "1"}}, "sleep", false, []string{"sleep", "1"}},
		{app.App{Args: []string{"sleep", "1"}, Container: image}, "-", false, []string{"sleep", "1"}},
		{app.App{Container: image}, "-", false, nil},
	} {
		c.app.ID = "/x"
		info := New(offer(31000, 31009)).Task(c.app, "x.1", Slot{[]int{31003}}, nil)
		value := "-"
		if info.Command.Value != nil {
			value = *info.Command.Value
		}
		if value != c.value || info.Command.GetShell() != c.shell || !slices.Equal(info.Command.Arguments, c.args) || (info.Container == nil) != (c.app.Container == nil) {
			t.Errorf("%+v: %v", c.app, info.Command)
		}
	}
}

func TestConstraintsOnAttributes(t *testing.T) {
	peers := []Peer{{"10.0.0.1", map[string]string{"rack": "r1"}}, {"10.0.0.2", map[string]string{"rack": "r2"}}, {"10.0.0.2", map[string]string{"rack": "r2"}}}
	for _, c := range []struct {
		c    app.Constraint
		host string
		rack string
		want bool
	}{
		{app.Constraint{"hostname", "UNIQUE"}, "10.0.0.1", "r1", false}, {app.Constraint{"hostname", "UNIQUE"}, "10.0.0.3", "r1", true},
		{app.Constraint{"rack", "UNIQUE"}, "10.0.0.3", "", false}, {app.Constraint{"rack", "CLUSTER", "r2"}, "h", "r2", true},
		{app.Constraint{"rack", "CLUSTER"}, "h", "r1", false}, {app.Constraint{"rack", "GROUP_BY"}, "h", "r1", true},
		{app.Constraint{"rack", "GROUP_BY"}, "h", "r2", false}, {app.Constraint{"rack", "GROUP_BY"}, "h", "r3", true},
		{app.Constraint{"rack", "GROUP_BY", "3"}, "h", "r1", false}, {app.Constraint{"rack", "LIKE", "r[12]"}, "h", "r2", true},
		{app.Constraint{"rack", "LIKE", "r"}, "h", "r2", false}, {app.Constraint{"rack", "LIKE", "r.*"}, "h", "", false},
		{app.Constraint{"rack", "UNLIKE", "r.*"}, "h", "", true}, {app.Constraint{"rack", "UNLIKE", "r1"}, "h", "r2", true}, {app.Constraint{"rack", "UNLIKE", "r1"}, "h", "r1", false},
	} {
		attrs := map[string]string{}
		if c.rack != "" {
			attrs["rack"] = c.rack
		}
		if got := satisfied(c.c, c.host, attrs, peers); got != c.want {
			t.Errorf("%v at %s/%s: %v", c.c, c.host, c.rack, got)
		}
	}
}
