//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/stack"
)

// The steps of TestFromCreateToDestroy that use the lab.

func listAndOpen(t *testing.T, l *rig.Lab) {
	var labs []struct {
		Name, Provider, Subnet, Dir string
		Machines                    int
	}
	l.Must("list", "-o", "json").JSON(t, &labs)
	if len(labs) != 1 || labs[0].Name != "lab" || labs[0].Subnet != l.Subnet || labs[0].Machines != 3 || labs[0].Dir != l.Dir() {
		t.Errorf("list: %+v", labs)
	}
	for word, url := range map[string]string{
		"mesos": l.URL(1, 5050, "/"), "marathon": l.URL(1, 8080, "/"), "nginx": l.URL(1, 10000, "/"), "stats": l.URL(1, 9090, "/haproxy?stats"),
	} {
		if r := l.Must("open", word, "--print"); strings.TrimSpace(r.Stdout) != url {
			t.Errorf("open %s: %s", word, r)
		}
	}
}

func overSSH(t *testing.T, l *rig.Lab) {
	labtest.NeedProgram(t, "ssh")
	want := `DOCKER_OPTS="-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock"`
	for _, name := range []string{"node2", "slave1", l.IP(2)} {
		if r := l.Must("ssh", name, "cat /etc/default/docker"); !strings.Contains(r.Stdout, want) {
			t.Error(r)
		}
	}
	if r := l.Must("ssh", "master", "hostname"); strings.TrimSpace(r.Stdout) != "node1" {
		t.Error(r)
	}
	if r := l.Run("ssh", "node2", "false"); r.Code != 1 || r.Stderr != "" {
		t.Errorf("a failing command: %s", r)
	}
	// Without an ssh command, lab has a client of its own.
	l.Env = append(l.Env, "PATH=/nowhere")
	if r := l.Must("ssh", "node2", "cat", "/etc/default/docker"); !strings.Contains(r.Stdout, want) {
		t.Error(r)
	}
	if r := l.Run("ssh", "node2", "exit 7"); r.Code != 7 || r.Stderr != "" {
		t.Errorf("a failing command: %s", r)
	}
}

func logs(t *testing.T, l *rig.Lab) {
	if r := l.Must("logs", "node2"); strings.Count(r.Stdout, "\n") == 0 {
		t.Errorf("a machine without a log: %s", r)
	}
	if r := l.Must("logs", "node2", "mesos_slave1"); !strings.Contains(r.Stdout+r.Stderr, "egistered") {
		t.Errorf("the slave's log does not tell of its registration: %s", r)
	}
	if r := l.Must("logs", "node1", "mesos_master", "--tail", "1"); strings.Count(r.Stdout+r.Stderr, "\n") != 1 {
		t.Errorf("one line was wanted: %s", r)
	}
}

func failover(t *testing.T, l *rig.Lab) {
	passed(t, *mustPass(t, l, "failover"))
	s := l.AwaitWhole()
	if s.Mesos.ActiveSlaves != 2 || s.Marathon.Apps[0].Healthy != 2 {
		t.Errorf("after failover: %+v", s)
	}
	answering(t, l, 2)
}

// tries is how often a scenario may be run until its samplers got their time: a
// computer that is busy with other things beside the tests has none to give, and
// INCONCLUSIVE is the right word for that.
const tries = 6

// mustPass runs a scenario that has to pass. Only if a sampler got no time may
// it be tried again.
func mustPass(t *testing.T, l *rig.Lab, name string, flags ...string) *scenarios.Result {
	t.Helper()
	for try := 1; ; try++ {
		r := l.Run(append([]string{"scenario", name, "-o", "json"}, flags...)...)
		var res scenarios.Result
		r.JSON(t, &res)
		if res.Verdict == scenarios.Inconclusive && strings.HasPrefix(res.Why, "no sample of ") && try < tries {
			t.Logf("again: %s", res.Why)
			l.AwaitWhole()
			continue
		}
		if r.Code != 0 || res.Verdict != scenarios.Pass {
			t.Fatal(r)
		}
		return &res
	}
}

func passed(t *testing.T, res scenarios.Result) {
	t.Helper()
	var names []string
	for _, c := range res.Criteria {
		if c.State != scenarios.Held || c.Detail == "" {
			t.Errorf("PASS with %+v", c)
		}
		names = append(names, c.Name)
	}
	if want := []string{"baseline", "victim", "silence", "lost", "replaced", "serving", "agents", "whole"}; !slices.Equal(names, want) {
		t.Errorf("criteria %v, want %v", names, want)
	}
	if len(res.Phases) < 5 || res.Traffic.Sent < 100 || len(res.Timeline) < 6 {
		t.Fatalf("result: %+v", res)
	}
	early, late := res.Settings.Law()
	if d := res.Phases[0]; d.Name != "detect" || d.Seconds < early.Seconds() || d.Seconds > late.Seconds()+1 {
		t.Errorf("detection took %.2f s, the law says %s–%s", d.Seconds, early, late)
	}
}

const second = `{
  "id": "second", "cpus": 0.1, "mem": 16, "instances": 1, "labels": {"HAPROXY_GROUP": "external"},
  "healthChecks": [{"path": "/", "protocol": "HTTP", "gracePeriodSeconds": 10, "intervalSeconds": 1, "timeoutSeconds": 1}],
  "container": {"type": "DOCKER", "docker": {"image": "nginx:1.10", "network": "BRIDGE", "portMappings": [{"containerPort": 80, "hostPort": 0, "servicePort": 10001}]}}
}`

// deploy also runs the curl line that it prints.
func deploy(t *testing.T, l *rig.Lab) {
	file := l.Write("second app.json", second)
	r := l.Must("deploy", file)
	if !regexp.MustCompile(`(?m)^/second created: 1 instances? on node[23]:31\d{3}$`).MatchString(r.Stdout) || !strings.Contains(r.Stdout, l.URL(1, 10001, "/")) {
		t.Error(r)
	}
	if a := l.Get(l.URL(1, 10001, "/")); a.Status != http.StatusOK {
		t.Errorf("the new app answers %d", a.Status)
	}
	var same struct{ Did string }
	l.Must("deploy", file, "-o", "json").JSON(t, &same)
	if same.Did != "unchanged" {
		t.Errorf("deployed twice: %+v", same)
	}
	labtest.NeedProgram(t, "curl")
	_, line, _ := strings.Cut(strings.TrimSpace(r.Stdout), "By hand: ")
	l.Write("second app.json", strings.Replace(second, `"instances": 1`, `"instances": 2`, 1))
	var out bytes.Buffer
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.Work, &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out.String())
	}
	l.Await("the curl line to take effect", func(context.Context) error {
		i := slices.IndexFunc(l.Status().Marathon.Apps, func(a stack.AppView) bool { return a.ID == "/second" && a.Running == 2 })
		if i < 0 {
			return errors.New("not 2 instances")
		}
		return nil
	})
	deployLate(t, l, file)
	var event lab.Event
	data, err := exec.Command("tail", "-n", "1", filepath.Join(l.Dir(), "events.jsonl")).Output()
	if err != nil || json.Unmarshal(data, &event) != nil || event.Kind == "" {
		t.Errorf("the event log ends in %q, %v", data, err)
	}
}

// deployLate changes an app so that its first health check comes after a
// minute: deploy waits for the new tasks, not for their health, and never
// takes the old ones for them.
func deployLate(t *testing.T, l *rig.Lab, file string) {
	l.Write(file, strings.Replace(second, `"intervalSeconds": 1`, `"intervalSeconds": 60`, 1))
	var did struct{ Did string }
	l.Must("deploy", file, "-o", "json").JSON(t, &did)
	app, err := (&stack.Marathon{Base: l.URL(1, 8080, ""), HTTP: http.DefaultClient}).App(t.Context(), "/second")
	if err != nil {
		t.Fatal(err)
	}
	if did.Did != "updated" || !slices.ContainsFunc(app.Tasks, func(task stack.Task) bool { return task.Version == app.Version && task.Running() }) {
		t.Errorf("%s, but no task of version %s runs: %+v", did.Did, app.Version, app.Tasks)
	}
}

// clusterEvents follows what others do to the cluster, to its end.
func clusterEvents(t *testing.T, l *rig.Lab) {
	ask := func(method, path, body string) {
		t.Helper()
		if a, err := rig.Ask(t.Context(), method, l.URL(1, 8080, "/v2/apps//"+path), body, nil); err != nil || a.Status >= 300 {
			t.Fatalf("%s %s: %v %+v", method, path, err, a)
		}
	}
	put := func(path, body string) { ask(http.MethodPut, path, body) }
	put("spoilt", `{"cmd":"true","instances":0,"ports":[10011],"labels":{"HAPROXY_GROUP":"external","HAPROXY_0_BALANCE":"nonsense"}}`)
	following := l.Start("events", "-f", "--tail", "0")
	following.AwaitEvent(`app /spoilt: label HAPROXY_0_BALANCE="nonsense": `)
	put("nginx?force=true", `{"instances":3}`)
	if e := following.AwaitEvent("is in the load balancer"); e.Op != "balancer" || !strings.Contains(e.Text, "nginx_10000: ") {
		t.Errorf("%+v", e)
	}
	ask(http.MethodDelete, "spoilt", "") // the load balancer hears of it with the next task
	put("nginx?force=true", `{"instances":2}`)
	told := following.AwaitEvents("a deployment's next step: ScaleApplication /nginx", " is TASK_KILLED", "nothing more stands against /spoilt port 0")
	for i, teller := range []string{"marathon", "marathon", "balancer"} {
		if told[i].Op != teller {
			t.Errorf("told by %s, want %s: %+v", told[i].Op, teller, told[i])
		}
	}
	l.Must("break", "restart", "marathon")
	for i, e := range following.AwaitEvents("does not answer: ", "answers again") {
		if e.Op != "marathon" {
			t.Errorf("told by %s, %d: %+v", e.Op, i, e)
		}
	}
	following.Signal(os.Interrupt)
	if r := following.Wait(nil); r.Code != 0 { // leaving is how it ends
		t.Error(r)
	}
}
