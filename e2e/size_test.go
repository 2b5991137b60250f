//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/local"
)

// TestSlavesComeAndGo changes the number of slaves of a running lab.
func TestSlavesComeAndGo(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create()
	before := l.Containers(3)
	grown := l.Create("--slaves", "3")
	if !contains(grown.Changed, "booted node4") || !contains(grown.Changed, "mesos_slave3") {
		t.Errorf("changed: %v", grown.Changed)
	}
	s := l.AwaitWhole()
	if s.Mesos.ActiveSlaves != 3 || len(s.Machines) != 4 {
		t.Errorf("after --slaves 3: %+v", s.Mesos)
	}
	after := l.Containers(3)
	for name, c := range before {
		if after[name] != c {
			t.Errorf("%s was touched: %v, now %v", name, c, after[name])
		}
	}
	if again := l.Create(); len(again.Changed) != 0 {
		t.Errorf("the third slave is forgotten: %v", again.Changed)
	}

	shrunk := l.Create("--slaves", "2")
	if !contains(shrunk.Changed, "removed node4") {
		t.Errorf("changed: %v", shrunk.Changed)
	}
	if len(l.Processes()) == 0 || slices.ContainsFunc(l.Processes(), func(p rig.Process) bool { return strings.HasSuffix(p.String(), "/node4") }) {
		t.Errorf("node4 lives: %v", l.Processes())
	}
	if p := rig.Listeners(l.IP(4) + "/32"); len(p) > 0 {
		t.Errorf("node4 listens: %v", p)
	}
	l.Await("Mesos to forget the third slave", func(context.Context) error {
		if s = l.Status(); !s.Whole || len(s.Mesos.Slaves) != 2 || len(s.Machines) != 3 {
			return fmt.Errorf("%d machines, slaves %+v", len(s.Machines), s.Mesos.Slaves)
		}
		return nil
	})
	l.Refuse(2, []string{"must be 1 to"}, "create", "--slaves", "0")
	l.Must("destroy")
	l.MustBeGone()
}

func contains(list []string, words string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, words) })
}

// TestAddressesOneByOne is the article's own way: an address for each node.
func TestAddressesOneByOne(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	ips := []string{l.IP(11), l.IP(7), l.IP(30)}
	l.Write("lab.yaml", fmt.Sprintf("ips: [%s]\napp: none\n", strings.Join(ips, ", ")))
	var made flow.Created
	l.Must("create", "-o", "json").JSON(t, &made)
	if made.MasterIP != ips[0] {
		t.Errorf("master at %s, want %s", made.MasterIP, ips[0])
	}
	s := l.AwaitWhole()
	for i, m := range s.Machines {
		if m.IP != ips[i] {
			t.Errorf("%s at %s, want %s", m.Node, m.IP, ips[i])
		}
	}
	for _, slave := range s.Mesos.Slaves {
		if !slices.Contains(ips[1:], slave.IP) {
			t.Errorf("slave at %s", slave.IP)
		}
	}
	// One more, in the same words.
	ips = append(ips, l.IP(3))
	l.Must("create", "--ips", strings.Join(ips, ","))
	if s := l.AwaitWhole(); len(s.Machines) != 4 || s.Machines[3].IP != ips[3] || s.Mesos.ActiveSlaves != 4-1 {
		t.Errorf("after a fourth address: %+v", s)
	}
	// An address of a machine that stays cannot change.
	l.Refuse(2, []string{"address of node1", "spec-fixed"}, "create", "--ips", strings.Join([]string{l.IP(99), ips[1], ips[2], ips[3]}, ","))
	l.Must("destroy")
	l.MustBeGone()
}

// TestTwoLabs has two labs side by side, one quick and without an app.
func TestTwoLabs(t *testing.T) {
	t.Parallel()
	one := rig.New(t)
	two := one.Beside("two")
	one.Create()
	two.Create("--fast", "--no-app", "--slaves", "1")
	s := two.AwaitWhole()
	if len(s.Marathon.Apps) != 0 || s.Mesos.ActiveSlaves != 1 {
		t.Errorf("two: %+v", s)
	}
	var flags struct{ Flags map[string]string }
	getJSON(t, two, two.URL(1, 5050, "/state.json"), &flags)
	if got := flags.Flags["agent_ping_timeout"] + " × " + flags.Flags["max_agent_ping_timeouts"]; got != "1secs × 2" {
		t.Errorf("--fast gives %s", got)
	}
	var labs []struct{ Name string }
	one.Must("list", "-o", "json").JSON(t, &labs)
	if len(labs) != 2 {
		t.Errorf("list: %+v", labs)
	}
	if r := one.Must("create", "--name", "two"); !strings.Contains(r.Stdout, "Lab two is whole") || !strings.Contains(r.Stdout, "lab destroy --name two") {
		t.Errorf("hints must name the lab: %s", r)
	}
	// A lab of another name on the same addresses is refused, and leaves no trace.
	one.Refuse(2, []string{"belongs to lab lab", "subnet-taken"}, "create", "--name", "three", "--subnet", one.Subnet)
	one.Refuse(1, []string{`no lab "three"`}, "status", "--name", "three")

	before := one.Containers(3)
	two.Must("destroy")
	two.MustBeGone()
	if after := one.Containers(3); !mapsEqual(before, after) || !one.Status().Whole {
		t.Errorf("destroying two has touched one: %v, now %v", before, after)
	}
	// The only lab there is needs no name.
	if r := one.Must("destroy"); !strings.Contains(r.Stdout, "Lab lab is gone") {
		t.Error(r)
	}
	one.MustBeGone()
	one.MustLeaveOnlyLocks()
}

func getJSON(t *testing.T, l *rig.Lab, url string, v any) {
	t.Helper()
	a := l.Get(url)
	if err := json.Unmarshal([]byte(a.Body), v); err != nil || a.Status != http.StatusOK {
		t.Fatalf("%s: %d %q: %v", url, a.Status, a.Body, err)
	}
}

// TestUsedFromAnyDirectory makes a lab from a lab.yaml with an app file of its
// own, and goes on from where neither of them is.
func TestUsedFromAnyDirectory(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Write("web.json", second)
	l.Write("lab.yaml", "app: web.json\nslaves: 1\nports: {app: 10001}\nsubnet: "+l.Subnet+"\n")
	l.Must("create")
	if s := l.AwaitWhole(); len(s.Marathon.Apps) != 1 || s.Marathon.Apps[0].ID != "/second" {
		t.Errorf("apps: %+v", s.Marathon.Apps)
	}
	elsewhere := *l
	elsewhere.Work = t.TempDir()
	if made := elsewhere.Create(); len(made.Changed) != 0 {
		t.Errorf("changed: %v", made.Changed)
	}
	if !elsewhere.Status().Whole {
		t.Error("status from elsewhere: not whole")
	}
	elsewhere.Must("ssh", "node2", "true")
	elsewhere.Must("destroy")
	l.MustBeGone()
}

// pool is the local provider with other subnets to choose from.
type pool struct {
	*local.Provider
	subnets []string
}

// Pool implements lab.Pooler.
func (p pool) Pool(lab.Spec) []string { return p.subnets }

// TestBusySubnetsAreLeftOut leaves the choice of a subnet to lab while another
// program listens in the first one of its pool.
func TestBusySubnetsAreLeftOut(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	busy, free := l.Subnet, l.Beside("other").Subnet
	listener, err := net.Listen("tcp", l.IP(1)+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	provider := pool{local.New(local.Options{Executable: rig.Binary(t), DieWithFD: l.Life()}), []string{busy, free}}
	f := &flow.Flow{Store: state.NewStore(l.State), Providers: map[string]lab.Provider{"local": provider}, Auto: []string{"local"}}
	made, err := f.Create(t.Context(), lab.Spec{Slaves: 1, App: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if made.Subnet != free {
		t.Errorf("subnet %s, want %s", made.Subnet, free)
	}
	if record, err := state.NewStore(l.State).Load("lab"); err != nil || record.Spec.Subnet != free {
		t.Errorf("recorded: %+v, %v", record, err)
	}
	l.Must("destroy")
	if p := rig.Listeners(free); len(p) > 0 {
		t.Errorf("listening ports are left: %v", p)
	}
}
