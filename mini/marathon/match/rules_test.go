package match

import (
	"slices"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// mixed is an offer with 1 cpu, 100 MiB and ports 31000–31001 of role "*",
// and 2 cpus, 200 MiB and ports 31010–31011 of role "web".
func mixed() mesos.Offer {
	o := offer(31000, 31001)
	o.Resources = nil
	scalar, ranges := mesos.SCALAR, mesos.RANGES
	for i, role := range []string{"*", "web"} {
		n := float64(i + 1)
		o.Resources = append(o.Resources,
			mesos.Resource{Name: "cpus", Type: &scalar, Role: &role, Scalar: &mesos.Value_Scalar{Value: n}},
			mesos.Resource{Name: "mem", Type: &scalar, Role: &role, Scalar: &mesos.Value_Scalar{Value: 100 * n}},
			mesos.Resource{Name: "ports", Type: &ranges, Role: &role, Ranges: &mesos.Value_Ranges{Range: []mesos.Value_Range{
				{Begin: 31000 + uint64(10*i), End: 31001 + uint64(10*i)}}}})
	}
	return o
}

// TestOnlyAcceptedRolesAreUsed: acceptedResourceRoles of the app, else the
// flag, else everything that is offered.
func TestOnlyAcceptedRolesAreUsed(t *testing.T) {
	for _, c := range []struct {
		roles, rules []string
		cpus         float64
		why          string
		used         string // roles of what is taken, in order
	}{
		{nil, nil, 2.5, "", "web * web"},
		{[]string{"*"}, nil, 0.5, "", "* *"},
		{[]string{"*"}, nil, 1.5, "cpus", ""},
		{[]string{"web"}, nil, 1.5, "", "web web"},
		{[]string{"web"}, nil, 2.5, "cpus", ""},
		{[]string{"db"}, nil, 0.1, "cpus", ""},
		{nil, []string{"*"}, 1.5, "cpus", ""},
		{[]string{"web", "*"}, []string{"*"}, 2.5, "", "web * web"},
	} {
		a := app.Default("/x")
		a.CPUs, a.Mem, a.AcceptedResourceRoles = c.cpus, 50, c.roles
		o := Rules{Roles: c.rules}.Open(mixed())
		s, why, ok := o.Fit(a, nil, rnd())
		if ok != (c.why == "") || why != c.why && c.why != "" && !strings.Contains("cpus mem disk", why) {
			t.Errorf("%+v: %v %q", c, ok, why)
		}
		if !ok {
			continue
		}
		var used []string
		for _, r := range o.Take(a, s) {
			if r.Name != "ports" {
				used = append(used, r.GetRole())
			} else if c.roles != nil && !slices.Contains(c.roles, r.GetRole()) {
				t.Errorf("%+v: a port of %s", c, r.GetRole())
			}
		}
		if got := strings.Join(used, " "); got != c.used {
			t.Errorf("%+v: used %s", c, got)
		}
	}
}

// TestReservedResourcesAreLeftAlone: what somebody reserved dynamically is for
// resident tasks, whatever role it is for.
func TestReservedResourcesAreLeftAlone(t *testing.T) {
	o := mixed()
	for i, r := range o.Resources {
		if r.GetRole() == "web" {
			o.Resources[i].Reservation = &mesos.Resource_ReservationInfo{}
		}
	}
	a := app.Default("/x")
	a.CPUs, a.Mem = 1.5, 50
	if _, why, ok := New(o).Fit(a, nil, rnd()); ok || why != "cpus" {
		t.Errorf("fits: %v, %s", ok, why)
	}
	a.CPUs = 0.5
	opened := New(o)
	s, why, ok := opened.Fit(a, nil, rnd())
	if !ok {
		t.Fatalf("does not fit: %s", why)
	}
	for _, r := range opened.Take(a, s) {
		if r.GetRole() != "*" {
			t.Errorf("%s of role %s is used", r.Name, r.GetRole())
		}
	}
}

// TestAttributesThatAreNoText are empty texts to 1.1.1: UNIQUE on one means a
// single task, LIKE never matches, UNLIKE always does.
func TestAttributesThatAreNoText(t *testing.T) {
	o := offer(31000, 31009)
	kind := mesos.SCALAR
	o.Attributes = []mesos.Attribute{{Name: "disks", Type: kind, Scalar: &mesos.Value_Scalar{Value: 2}}}
	here := New(o)
	peers := []Peer{{"10.0.0.9", map[string]string{"disks": ""}}}
	for c, want := range map[string]bool{"UNIQUE": false, "CLUSTER": true, "GROUP_BY": true, "LIKE 2": false, "UNLIKE 2": true} {
		if got := satisfied(append(app.Constraint{"disks"}, strings.Fields(c)...), here.Hostname, here.Attributes, peers); got != want {
			t.Errorf("disks %s: %v", c, got)
		}
	}
}

// TestEnvironmentHasLimits: long labels are left out, the prefix of
// --env_vars_prefix stands before HOST and ports only.
func TestEnvironmentHasLimits(t *testing.T) {
	a := app.Default("/x")
	a.Labels = map[string]string{"short": "v", "long": strings.Repeat("v", 512), strings.Repeat("k", 493): "v", strings.Repeat("m", 492): "v"}
	image := "nginx:1.10"
	a.Container = &app.Container{Type: "DOCKER", Docker: &app.Docker{Image: image}}
	o := Rules{EnvPrefix: "LAB_"}.Open(offer(31000, 31009))
	env := map[string]string{}
	for _, v := range o.Task(a, "x.1", Slot{[]int{31003}}, nil).Command.Environment.Variables {
		env[v.Name] = v.GetValue()
	}
	if got := env["MARATHON_APP_LABELS"]; got != strings.Repeat("M", 492)+" SHORT" {
		t.Errorf("labels %q", got)
	}
	for k, want := range map[string]string{"LAB_HOST": "10.0.0.1", "LAB_PORT": "31003", "LAB_PORT0": "31003", "LAB_PORTS": "31003", "HOST": "", "PORT": "", "PORT0": "",
		"MARATHON_APP_LABEL_LONG": "", "MARATHON_APP_LABEL_SHORT": "v", "MESOS_TASK_ID": "x.1", "MARATHON_APP_DOCKER_IMAGE": image} {
		if env[k] != want {
			t.Errorf("%s is %q, want %q", k, env[k], want)
		}
	}
}
