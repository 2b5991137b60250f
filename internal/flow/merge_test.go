package flow

import (
	"errors"
	"testing"

	"github.com/mesoslab/lab"
)

func recordedSpec() lab.Spec {
	s := lab.Spec{Name: "lab", Subnet: "127.168.59.0/24", Slaves: 2}.WithDefaults()
	s.Mesos.SlavePingTimeout, s.Mesos.MaxSlavePingTimeouts = 2e9, 3
	return s
}

func TestMergeKeepsWhatIsNotGiven(t *testing.T) {
	was := recordedSpec()
	same := merge(was, lab.Spec{Name: "lab"})
	if same.Slaves != 2 || same.Subnet != was.Subnet || same.Mesos.MaxSlavePingTimeouts != 3 || same.Docker.Opts != was.Docker.Opts {
		t.Errorf("nothing given, yet changed: %+v", same)
	}
	more := merge(was, lab.Spec{Slaves: 4, Mesos: lab.MesosSpec{SlavePingTimeout: lab.FastPing, MaxSlavePingTimeouts: lab.FastPings}, App: "none"})
	if more.Slaves != 4 || more.Mesos.SlavePingTimeout != lab.FastPing || more.App != "none" || more.Subnet != was.Subnet {
		t.Errorf("given values are not there: %+v", more)
	}
	byIP := merge(was, lab.Spec{IPs: []string{"127.168.59.1", "127.168.59.2", "127.168.59.3", "127.168.59.9"}})
	if byIP.Subnet != "" || byIP.Slaves != 3 {
		t.Errorf("addresses one by one: %+v", byIP)
	}
	fewer := merge(byIP, lab.Spec{Slaves: 1})
	if len(fewer.IPs) != 2 || fewer.Slaves != 1 {
		t.Errorf("fewer slaves: %+v", fewer)
	}
}

func TestChangeable(t *testing.T) {
	was := recordedSpec()
	for _, c := range []struct {
		name  string
		given lab.Spec
		ok    bool
	}{
		{"nothing", lab.Spec{}, true},
		{"more slaves", lab.Spec{Slaves: 5}, true},
		{"the same addresses, one more", lab.Spec{IPs: []string{"127.168.59.1", "127.168.59.2", "127.168.59.3", "127.168.59.9"}}, true},
		{"another subnet", lab.Spec{Subnet: "127.168.60.0/24"}, false},
		{"another address", lab.Spec{IPs: []string{"127.168.59.1", "127.168.59.7"}}, false},
		{"another provider", lab.Spec{Provider: "vagrant"}, false},
		{"the same provider", lab.Spec{Provider: "local"}, true},
		{"another port", lab.Spec{Ports: lab.PortsSpec{Marathon: 8081}}, false},
	} {
		err := changeable(was, merge(was, c.given), "local")
		if c.ok != (err == nil) || (!c.ok && (lab.ErrorID(err) != "spec-fixed" || !errors.Is(err, lab.ErrUsage))) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
