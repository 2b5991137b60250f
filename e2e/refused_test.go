//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// TestTakenPort creates a lab while somebody listens on a port of it: the
// error names port, holder and line, and nothing is half done.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		node, port int
		line       string
	}{{1, 8080, "ports.marathon"}, {1, 10000, "ports.app"}, {3, 2375, "ports.docker"}} {
		t.Run(c.line, func(t *testing.T) {
			l := rig.New(t)
			taker, err := net.Listen("tcp", fmt.Sprintf("%s:%d", l.IP(c.node), c.port))
			if err != nil {
				t.Fatal(err)
			}
			defer taker.Close()
			at := taker.Addr().String()
			l.Refuse(1, []string{
				fmt.Sprintf("node%d: ", c.node), fmt.Sprintf("port %d of %s is taken by ", c.port, l.IP(c.node)), fmt.Sprintf("process %d", os.Getpid()), "[port-taken]",
				"lab: try: ", fmt.Sprintf("%s in lab.yaml (now %d)", c.line, c.port),
			}, l.CreateArgs()...)
			if p := l.Processes(); len(p) > 0 {
				t.Errorf("half done: %v", p)
			}
			if p := rig.Listeners(l.Subnet); len(p) != 1 || p[0] != at {
				t.Errorf("half done: %v listen", p)
			}
			taker.Close()
			l.Create("--no-app")
			l.AwaitWhole()
			l.Must("destroy")
			l.MustBeGone()
			l.MustLeaveOnlyLocks()
		})
	}
}

// TestForeignState meets a state folder that this version does not know.
func TestForeignState(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--no-app", "--slaves", "1")
	file := filepath.Join(l.Dir(), "lab.json")
	ours, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	later := regexp.MustCompile(`"format": *1`).ReplaceAll(ours, []byte(`"format": 99`))
	before := l.Lasting()
	for name, text := range map[string]string{"format 99": string(later), "not ours": "{}\n", "no JSON": "meow"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, words := range [][]string{{"create"}, {"status"}, {"destroy"}, {"ssh", "node1"}, {"heal"}, {"scenario", "failover"}} {
			r := l.Refuse(1, []string{"state-foreign", l.Dir(), "nothing was changed or removed"}, words...)
			if name == "format 99" && !strings.Contains(r.Stderr, "format 99") {
				t.Errorf("%s is not named: %s", name, r)
			}
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != text {
			t.Errorf("%s: the record was touched: %q, %v", name, now, err)
		}
	}
	if after := l.Lasting(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes before %v, after %v", before, after)
	}
	if err := os.WriteFile(file, ours, 0o600); err != nil {
		t.Fatal(err)
	}
	if !l.Status().Whole {
		t.Error("the lab is not whole any more")
	}
	l.Must("destroy")
	l.MustBeGone()
}

// TestWrongWords gives names that a lab does not have.
func TestWrongWords(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create()
	before := l.Containers(3)
	l.Write("unknown-app.txt", "# Break an app that is not there\nspread ngnix within=2s\n")
	l.Write("unknown-machine.txt", "# Break a machine that is not there\nkill node9\n")
	l.Write("unknown-verb.txt", "# Words that no verb has\nkil node2\nexpect replacd nginx\nspread nginx within=soon\n")
	l.Write("refused.json", `{"id": "/Not Allowed!", "cmd": "true", "instances": 1}`)
	l.Write("negative.json", `{"id": "/negative", "cpus": -1, "instances": 1, "container": {"type": "DOCKER", "docker": {"image": "nginx"}}}`)
	l.Write("broken.json", "{\n\"id\": \"/x\",\n}")
	l.Write("list.json", "[]")
	for _, c := range []struct {
		args  []string
		code  int
		words []string
	}{
		{[]string{"ssh", "node9"}, 2, []string{`no machine "node9"`, "unknown-machine", "node1, node2, node3, master, slave1, slave2"}},
		{[]string{"ssh", "slav1", "true"}, 2, []string{"did you mean slave1?"}},
		{[]string{"logs", "nod2"}, 2, []string{"did you mean node2?"}},
		{[]string{"logs", "node2", "mesos_slav1"}, 2, []string{"unknown-container", "did you mean mesos_slave1?"}},
		{[]string{"open", "grafana"}, 2, []string{`no page "grafana"`, "mesos, marathon, nginx, stats"}},
		{[]string{"scenario", "failovr"}, 2, []string{"unknown-scenario", "did you mean failover?"}},
		{[]string{"scenario", "./missing.txt"}, 2, []string{"missing.txt"}},
		{[]string{"scenario", "./unknown-verb.txt"}, 2, []string{"unknown-verb.txt:2", "did you mean kill?", "unknown-verb.txt:3", "did you mean replaced?", "unknown-verb.txt:4", "duration"}},
		{[]string{"scenario", "./unknown-machine.txt"}, 2, []string{`no machine "node9"`}},
		{[]string{"scenario", "./unknown-app.txt"}, 2, []string{"ngnix", "did you mean nginx?"}},
		{[]string{"status", "--name", "lub"}, 1, []string{`no lab "lub"`, "did you mean lab?"}},
		{[]string{"deploy", "missing.json"}, 2, []string{"missing.json", "app-missing"}},
		{[]string{"deploy", "broken.json"}, 2, []string{"broken.json", "line 3", "app-invalid"}},
		{[]string{"deploy", "list.json"}, 2, []string{"list.json", "app-invalid"}},
		{[]string{"deploy", "refused.json"}, 1, []string{"app-refused", "Marathon says: ", "/id", "lab: try: "}},
		{[]string{"deploy", "negative.json"}, 1, []string{"app-refused", "Marathon says: ", "/cpus", "lab: try: "}},
		{[]string{"create", "--subnet", "8.8.8.0/24"}, 2, []string{"is public"}},
		{[]string{"create", "--subnet", "127.200.0.0/16"}, 2, []string{"must be a /24"}},
		{[]string{"create", "--subnet", "127.199.0.0/24"}, 2, []string{"spec-fixed", "address of node1"}},
		{[]string{"create", "--provider", "vagrant"}, 2, []string{"provider"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			r := l.In(t).Refuse(c.code, c.words, c.args...)
			if first, _, _ := strings.Cut(r.Stderr, "\n"); !strings.Contains(r.Stderr, "lab: error: ") || strings.Contains(r.Stderr, "goroutine") {
				t.Errorf("no clear error: %q", first)
			}
			if strings.Count(r.Stderr, "lab: error: ") != 1 {
				t.Errorf("not one error: %s", r)
			}
			if r.Stdout != "" {
				t.Errorf("a failure is no result: %s", r)
			}
		})
	}
	if after := l.Containers(3); !mapsEqual(before, after) {
		t.Errorf("containers before %v, after %v", before, after)
	}
	if !l.Status().Whole {
		t.Error("the lab is not whole any more")
	}
	l.Must("destroy")
}
