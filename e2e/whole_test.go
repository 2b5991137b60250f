//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// TestFromCreateToDestroy goes the way of a new user, each step on what the
// one before it has left.
func TestFromCreateToDestroy(t *testing.T) {
	l := rig.New(t)
	created := l.Must(l.CreateArgs()...)
	for _, step := range []struct {
		name string
		do   func(*testing.T, *rig.Lab)
	}{
		{"create tells what it made", func(t *testing.T, l *rig.Lab) { createTells(t, l, created) }},
		{"endpoints answer", endpointsAnswer},
		{"create again changes nothing", createAgain},
		{"status", status},
		{"list and open", listAndOpen},
		{"ssh", overSSH},
		{"logs", logs},
		{"heal has nothing to do", healNothing},
		{"failover", failover},
		{"deploy", deploy},
		{"events of the cluster", clusterEvents},
		{"destroy leaves nothing", destroyAll},
	} {
		t.Run(step.name, func(t *testing.T) { step.do(t, l.In(t)) })
	}
}

func healNothing(t *testing.T, l *rig.Lab) {
	if r := l.Must("heal"); !strings.Contains(r.Stdout, "Nothing is broken") {
		t.Error(r)
	}
}

func destroyAll(t *testing.T, l *rig.Lab) {
	if r := l.Must("destroy"); !strings.Contains(r.Stdout, "Lab lab is gone: 3 machines") {
		t.Error(r)
	}
	l.MustBeGone()
	l.MustLeaveOnlyLocks()
	if r := l.Must("destroy"); !strings.Contains(r.Stdout, "nothing to remove") {
		t.Errorf("destroyed twice: %s", r)
	}
}

// createTells reads every line of what create prints.
func createTells(t *testing.T, l *rig.Lab, r rig.Result) {
	known := []string{
		`^lab lab · provider ` + l.Provider + `( \(.+\))? · 3 machines on ` + regexp.QuoteMeta(l.Subnet) + `$`,
		`^node[123]  boot ✔  ssh ✔  DOCKER_OPTS ✔  :2375 ✔$`,
		`^node1  zookeeper ✔  mesos_master ✔  marathon ✔  marathon-lb ✔$`,
		`^node2  mesos_slave1 ✔$`, `^node3  mesos_slave2 ✔$`,
		`^nginx ✔$`,
		`^… .+ \(\d+ s\)$`, // waited for longer than a second
	}
	seen := linesMatch(t, "stderr", r.Stderr, known)
	for i, line := range known[:len(known)-1] {
		if want := map[int]int{1: 3}[i]; seen[i] != max(want, 1) {
			t.Errorf("line %q was seen %d times:\n%s", line, seen[i], r.Stderr)
		}
	}
	ip := regexp.QuoteMeta(l.IP(1))
	known = []string{
		`^ZooKeeper answers \d+\.\d s · .*2 of 2 slaves \d+\.\d s.* · nginx 2 of 2 \d+\.\d s$`, `^Ready in \d+\.\d s\.$`,
		`^  nginx +http://` + ip + `:10000/ +on node[23]:31\d{3}, node[23]:31\d{3} \(random ports\)$`,
		`^  Marathon +http://` + ip + `:8080/$`, `^  Mesos +http://` + ip + `:5050/$`,
		`^  load balancer +http://` + ip + `:9090/haproxy\?stats$`,
		`192\.168\.59\.`, `^Next: lab status   ·   lab scenario failover   ·   lab destroy$`,
	}
	for i, n := range linesMatch(t, "stdout", r.Stdout, known) {
		if n != 1 {
			t.Errorf("line %q was seen %d times:\n%s", known[i], n, r.Stdout)
		}
	}
}

// linesMatch counts the lines that each pattern matches; a line that none
// matches is an error.
func linesMatch(t *testing.T, what, text string, patterns []string) []int {
	t.Helper()
	seen := make([]int, len(patterns))
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		i := slices.IndexFunc(patterns, func(p string) bool { return regexp.MustCompile(p).MatchString(line) })
		if i < 0 {
			t.Errorf("%s has a line that nobody expects: %q", what, line)
			continue
		}
		seen[i]++
	}
	return seen
}

func endpointsAnswer(t *testing.T, l *rig.Lab) {
	for _, url := range []string{l.URL(1, 8080, "/ui/"), l.URL(1, 5050, "/"), l.URL(1, 9090, "/haproxy?stats"), l.URL(1, 8080, "/v2/apps"), l.URL(2, 5051, "/state.json")} {
		if a := l.Get(url); a.Status != http.StatusOK || a.Body == "" {
			t.Errorf("%s: %d %q", url, a.Status, a.Body)
		}
	}
	for n := range 3 {
		if a := l.Get(l.URL(n+1, 2375, "/version")); !strings.Contains(a.Body, "ApiVersion") {
			t.Errorf("engine of node%d: %d %q", n+1, a.Status, a.Body)
		}
	}
	tasks := answering(t, l, 2)
	machines := map[string]bool{}
	for _, a := range tasks {
		machines[a.Header.Get("X-Lab-Machine")] = true
	}
	for _, m := range l.Status().Marathon.Tasks {
		if _, ok := tasks[m.ID]; !ok {
			t.Errorf("task %s has not answered through the load balancer: %v", m.ID, tasks)
		}
		if !machines[m.Host] {
			t.Errorf("%s runs a task but has not answered: %v", m.Node, machines)
		}
	}
}

// answering asks the service port until so many different tasks have
// answered, and returns one answer of each.
func answering(t *testing.T, l *rig.Lab, want int) map[string]rig.Answer {
	t.Helper()
	seen := map[string]rig.Answer{}
	l.Await(fmt.Sprintf("answers of %d tasks", want), func(ctx context.Context) error {
		a, err := rig.Ask(ctx, http.MethodGet, l.URL(1, 10000, "/"), "", nil)
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK || a.Header.Get("X-Lab-Task") == "" || a.Header.Get("Server") != "lab-web" {
			return fmt.Errorf("%d %v", a.Status, a.Header)
		}
		if seen[a.Header.Get("X-Lab-Task")] = a; len(seen) < want {
			return fmt.Errorf("%d tasks have answered", len(seen))
		}
		return nil
	})
	return seen
}

func createAgain(t *testing.T, l *rig.Lab) {
	before, machines := l.Containers(3), l.Lasting()
	r := l.Must("create")
	if !strings.Contains(r.Stdout, "Lab lab is whole: nothing to do") {
		t.Error(r)
	}
	if made := l.Create(); len(made.Changed) != 0 {
		t.Errorf("changed: %v", made.Changed)
	}
	if after := l.Containers(3); !mapsEqual(before, after) {
		t.Errorf("containers before %v, after %v", before, after)
	}
	if after := l.Lasting(); fmt.Sprint(after) != fmt.Sprint(machines) {
		t.Errorf("processes before %v, after %v", machines, after)
	}
}

func mapsEqual(a, b map[string]rig.Container) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func status(t *testing.T, l *rig.Lab) {
	s := l.AwaitWhole()
	if len(s.Machines) != 3 || len(s.Power) != 3 || len(s.Faults) != 0 || len(s.Endpoints) != 4 {
		t.Errorf("status: %+v", s)
	}
	if s.Mesos.ActiveSlaves != 2 || len(s.Mesos.Slaves) != 2 || s.Mesos.Slaves[0].Node == s.Mesos.Slaves[1].Node {
		t.Errorf("slaves: %+v", s.Mesos)
	}
	if len(s.Marathon.Apps) != 1 || s.Marathon.Apps[0].ID != "/nginx" || s.Marathon.Apps[0].Healthy != 2 || s.Marathon.Apps[0].ServicePort != 10000 {
		t.Errorf("apps: %+v", s.Marathon.Apps)
	}
	for _, task := range s.Marathon.Tasks {
		if a := l.Get(fmt.Sprintf("http://%s:%d/", task.Host, task.Ports[0])); a.Header.Get("X-Lab-Task") != task.ID {
			t.Errorf("%s answers at the address of task %s", a.Header.Get("X-Lab-Task"), task.ID)
		}
	}
	text := l.Must("status").Stdout
	for _, want := range []string{
		"Lab lab · provider " + l.Provider + " · whole", `node1 +master +` + l.IP(1) + ` +running`, `node3 +slave2 +` + l.IP(3) + ` +running +mesos_slave2 \+ 1 task\n`,
		`S\d +node2 +active`, `/nginx +2 of 2 +2 of 2 +10000 +settled`, `nginx\.[0-9a-f-]+ +node[23] +1[0-9.]+:31\d+ +running +healthy`, `Marathon +http://`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("status lacks %q:\n%s", want, text)
		}
	}
}
