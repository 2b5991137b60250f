//go:build linux

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// TestNamespaces goes the whole way on embedded machines with network
// namespaces of their own: the article's addresses, exact cuts.
func TestNamespaces(t *testing.T) {
	labtest.NeedProgram(t, "ip")
	labtest.NeedProgram(t, "iptables")
	if !labtest.Alone(t) {
		return
	}
	l := rig.New(t)
	l.Subnet = "192.168.59.0/24" // the first of the pool
	l.Write("lab.yaml", "local: {network: netns, allow_other_users: true}\n")
	l.Must("create", "--fast")
	l.AwaitWhole()
	if a := l.Get("http://192.168.59.1:10000/"); a.Status != http.StatusOK {
		t.Errorf("the article's nginx: %+v", a)
	}
	id := l.Status().ID
	if got := interfaces(t); !slices.Contains(got, "lab-"+id) {
		t.Errorf("no bridge among %q", got)
	}
	createAgain(t, l)
	for _, c := range []struct{ node, command, want string }{
		{"node2", "hostname", "node2\n"},
		{"node2", "curl -s -o /dev/null -w '%{http_code}' http://node1:5050/state", "200"},
	} {
		if r := l.Must("ssh", c.node, c.command); r.Stdout != c.want {
			t.Errorf("want %q: %s", c.want, r)
		}
	}

	l.Must("break", "cut", "node2", "from=node1")
	reaches := func(from, to string) bool {
		r := l.Run("ssh", from, "curl -s -m 1 -o /dev/null http://"+to+":2375/_ping")
		if r.Code != 0 && r.Code != 28 { // curl: "operation timeout"
			t.Errorf("neither there nor silent: %s", r)
		}
		return r.Code == 0
	}
	for _, c := range []struct {
		from, to string
		want     bool
	}{{"node1", "node2", false}, {"node2", "node1", false}, {"node3", "node2", true}, {"node1", "node3", true}} {
		if got := reaches(c.from, c.to); got != c.want {
			t.Errorf("cut: %s reaches %s: %t", c.from, c.to, got)
		}
	}
	l.Must("heal")
	if !reaches("node1", "node2") {
		t.Error("not mended")
	}
	slowed(t, l)

	var res struct{ Verdict string }
	r := l.Run("scenario", "failover", "-o", "json")
	if r.JSON(t, &res); res.Verdict != "PASS" && res.Verdict != "INCONCLUSIVE" {
		t.Error(r)
	}
	l.AwaitWhole()
	l.Must("destroy")
	if got := interfaces(t); len(got) != 1 {
		t.Errorf("interfaces left: %q", got)
	}
	if names, err := os.ReadDir("/run/netns"); err != nil || len(names) > 0 {
		t.Errorf("namespaces left: %v, %v", names, err)
	}
	l.MustBeGone()
}

// slowed asks for a delay, which kernels without netem refuse in words.
func slowed(t *testing.T, l *rig.Lab) {
	t.Helper()
	r := l.Run("break", "slow", "node2", "delay=200ms")
	if r.Code != 0 {
		if !strings.Contains(r.Stderr, "sch_netem") {
			t.Error(r)
		}
		noFaults(t, l)
		return
	}
	took := l.Must("ssh", "node2", "curl -s -o /dev/null -w '%{time_connect}' http://node1:5050/state").Stdout
	if took < "0.2" { // a handshake waits for one packet of node2's
		t.Errorf("connected after %s s, with 200 ms on the way", took)
	}
	l.Must("heal")
}

func interfaces(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("ip", "-br", "link").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.Fields(line)[0], "@")
		names = append(names, name)
	}
	return names
}
