//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/proctab"
)

// loop is the app of the lessons about tasks without a container.
const loop = `{"id":"loop","cmd":"while true; do echo $MESOS_TASK_ID; sleep 1; done","cpus":0.1,"mem":16,"instances":%d}`

// commandLab is a lab where root may have commands run, as these tests are.
func commandLab(t *testing.T) *rig.Lab {
	t.Helper()
	l := rig.New(t)
	l.Write("lab.yaml", "local: {allow_root_cmd: true}\napp: none\n")
	l.Create("--fast")
	return l
}

// commands are the processes of a lab's tasks on a machine, or on all.
func commands(l *rig.Lab, nodes ...string) []proctab.ID {
	if nodes == nil {
		nodes = []string{"node1", "node2", "node3"}
	}
	var out []proctab.ID
	for _, n := range nodes {
		for _, p := range l.Commands(n) {
			if id, err := proctab.Of(p.PID); err == nil && id.State() != proctab.Gone {
				out = append(out, id)
			}
		}
	}
	return out
}

// tasks maps the ids of an app's running tasks to the numbers of their nodes.
func tasks(l *rig.Lab, app string) map[string]int {
	out := map[string]int{}
	for _, task := range l.Status().Marathon.Tasks {
		if task.App == app && task.State == "running" {
			for n := 1; n <= 3; n++ {
				if task.Node == fmt.Sprintf("node%d", n) {
					out[task.ID] = n
				}
			}
		}
	}
	return out
}

// stdout reads what a task has printed from its sandbox, as a browser would:
// from the files of the slave.
func stdout(t *testing.T, l *rig.Lab, task string, node int) string {
	t.Helper()
	var state struct {
		Frameworks []struct {
			Executors []struct{ ID, Directory string }
		}
	}
	if err := json.Unmarshal([]byte(l.Get(l.URL(node, 5051, "/state")).Body), &state); err != nil {
		t.Fatal(err)
	}
	for _, f := range state.Frameworks {
		for _, e := range f.Executors {
			if e.ID == task {
				var page struct{ Data string }
				a := l.Get(l.URL(node, 5051, "/files/read?offset=0&path="+url.QueryEscape(e.Directory+"/stdout")))
				if err := json.Unmarshal([]byte(a.Body), &page); err != nil {
					t.Fatalf("%v in %s", err, a.Body)
				}
				return page.Data
			}
		}
	}
	return ""
}

// TestCommandTasks is the life of an app without a container: it runs and
// prints, survives the slave's process, moves when a machine loses power, and
// leaves nothing.
func TestCommandTasks(t *testing.T) {
	t.Parallel()
	l := commandLab(t)
	l.Write("loop.json", fmt.Sprintf(loop, 1))
	l.Must("deploy", "loop.json")
	first := tasks(l, "/loop")
	if len(first) != 1 {
		t.Fatalf("tasks %v", first)
	}
	for id, node := range first {
		l.Await("the task to print its id", func(context.Context) error {
			if out := stdout(t, l, id, node); !strings.HasPrefix(out, id+"\n") {
				return fmt.Errorf("it has printed %q", out)
			}
			return nil
		})
	}
	l.Write("loop.json", fmt.Sprintf(loop, 3))
	l.Must("deploy", "loop.json")
	scaled := tasks(l, "/loop")
	for id := range first {
		if scaled[id] == 0 || len(scaled) != 3 {
			t.Errorf("%v became %v", first, scaled)
		}
	}
	survivesItsSlave(t, l, first, scaled)
	losesPower(t, l)

	l.Write("loop.json", fmt.Sprintf(loop, 0))
	l.Must("deploy", "loop.json")
	if left := commands(l); len(left) > 0 {
		t.Errorf("an app without instances has processes: %v", left)
	}
	l.Write("loop.json", fmt.Sprintf(loop, 4))
	l.Must("deploy", "loop.json")
	var ids []proctab.ID
	l.Await("4 instances to have processes", func(context.Context) error {
		if ids = commands(l); len(ids) < 4 {
			return fmt.Errorf("%d", len(ids))
		}
		return nil
	})
	l.Must("destroy")
	l.MustBeGone()
	for _, id := range append(ids, commands(l)...) {
		if s := id.State(); s != proctab.Gone {
			t.Errorf("after destroy process %d is %s", id.PID, s)
		}
	}
}

// survivesItsSlave ends the slave's process with SIGKILL: the next one finds
// the tasks as they are.
func survivesItsSlave(t *testing.T, l *rig.Lab, first, all map[string]int) {
	t.Helper()
	node := 0
	for _, n := range first {
		node = n
	}
	name := fmt.Sprintf("mesos_slave%d", node-1)
	old := l.PIDOf(t.Context(), node, name)
	if old <= 0 {
		t.Fatalf("%s does not run", name)
	}
	before := commands(l, fmt.Sprintf("node%d", node))
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.Await("another process of the slave", func(ctx context.Context) error {
		if pid := l.PIDOf(ctx, node, name); pid == old || pid == 0 {
			return fmt.Errorf("it is %d", pid)
		}
		return nil
	})
	l.AwaitWhole()
	if now := tasks(l, "/loop"); len(now) != len(all) {
		t.Errorf("tasks were %v, are %v", all, now)
	}
	for id := range first {
		if stdout(t, l, id, node) == "" {
			t.Errorf("the slave has lost sight of %s", id)
		}
	}
	shells := 0
	for _, id := range before { // sleeps come and go
		if id.State() == proctab.Running {
			shells++
		}
	}
	if shells == 0 {
		t.Error("no process of a task has outlived the slave's")
	}
}

// losesPower cuts the power of a machine that runs a task.
func losesPower(t *testing.T, l *rig.Lab) {
	t.Helper()
	victim := 0
	before := tasks(l, "/loop")
	for _, n := range before {
		victim = n
	}
	node := fmt.Sprintf("node%d", victim)
	frozen := commands(l, node)
	if len(frozen) == 0 {
		t.Fatalf("no processes on %s, tasks %v", node, before)
	}
	if err := syscall.Kill(l.Machine(node).PID, syscall.SIGUSR1); err != nil { // as lab does
		t.Fatal(err)
	}
	l.Await("the tasks to stand still", func(context.Context) error {
		for _, id := range frozen {
			if s := id.State(); s == proctab.Running {
				return fmt.Errorf("process %d is %s", id.PID, s)
			}
		}
		return nil
	})
	l.Await("Marathon to replace them", func(context.Context) error {
		now := tasks(l, "/loop")
		for id, n := range now {
			if n == victim {
				return fmt.Errorf("%s is still taken for running there", id)
			}
		}
		if len(now) != len(before) {
			return fmt.Errorf("%d of %d run", len(now), len(before))
		}
		return nil
	})
	l.Create("--fast") // gives the power back
	for _, id := range frozen {
		if s := id.State(); s != proctab.Gone {
			t.Errorf("process %d of before the power cut is %s", id.PID, s)
		}
	}
	l.AwaitWhole()
}

// TestStubbornCommandTasks ends trees that ignore SIGTERM and have left their
// session, by Marathon and with a machine's sudden death.
func TestStubbornCommandTasks(t *testing.T) {
	t.Parallel()
	l := commandLab(t)
	const script = `trap '' TERM; (setsid sh -c 'while :; do sleep 1; done' &); (while :; do sleep 1; done) & touch up; wait`
	app := func(instances int) string {
		text, err := json.Marshal(map[string]any{"id": "stubborn", "cmd": script, "cpus": 0.1, "mem": 16, "instances": instances,
			"healthChecks": []any{map[string]any{"protocol": "COMMAND", "command": map[string]string{"value": `test -e "$MESOS_SANDBOX/up" && test "$PORT0" = "$PORT"`},
				"intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 30}}})
		if err != nil {
			t.Fatal(err)
		}
		return l.Write("stubborn.json", string(text))
	}
	l.Must("deploy", app(2)) // returns when the checks have passed
	s := l.AwaitWhole()
	if len(s.Marathon.Apps) != 1 || s.Marathon.Apps[0].Healthy != 2 {
		t.Errorf("apps %+v", s.Marathon.Apps)
	}
	stubborn := commands(l)
	l.Must("deploy", app(0))
	l.Await("every process to go", func(context.Context) error {
		for _, id := range append(commands(l), stubborn...) {
			if id.State() != proctab.Gone {
				return fmt.Errorf("process %d lives", id.PID)
			}
		}
		return nil
	})
	l.Must("deploy", app(2))
	for _, n := range tasks(l, "/stubborn") {
		node := fmt.Sprintf("node%d", n)
		ids := commands(l, node)
		if err := syscall.Kill(l.Machine(node).PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		l.Await("the tasks to die with "+node, func(context.Context) error {
			for _, id := range append(commands(l, node), ids...) {
				if id.State() != proctab.Gone {
					return fmt.Errorf("process %d lives", id.PID)
				}
			}
			return nil
		})
		break // the other may have been on the same machine
	}
	l.Must("destroy")
	l.MustBeGone()
	if left := commands(l); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestCommandTaskBehindTheLoadBalancer binds the port that Marathon gave it.
func TestCommandTaskBehindTheLoadBalancer(t *testing.T) {
	t.Parallel()
	l := commandLab(t)
	text, err := json.Marshal(map[string]any{"id": "web", "args": []string{"/bin/sh", "-c", `exec "$0" mini web --port "$PORT0"`, rig.Binary(t)},
		"cpus": 0.1, "mem": 16, "ports": []int{10001}, "labels": map[string]string{"HAPROXY_GROUP": "external"},
		"healthChecks": []any{map[string]any{"path": "/", "intervalSeconds": 1, "timeoutSeconds": 1, "gracePeriodSeconds": 30}}})
	if err != nil {
		t.Fatal(err)
	}
	r := l.Must("deploy", l.Write("web.json", string(text)))
	if !strings.Contains(r.Stdout, l.URL(1, 10001, "/")) {
		t.Error(r)
	}
	if a := l.Get(l.URL(1, 10001, "/")); a.Status != 200 || !strings.HasPrefix(a.Header.Get("Server"), "lab-web") {
		t.Errorf("%+v", a)
	}
	l.Must("destroy")
	l.MustBeGone()
}

// TestRootNeedsLeaveForCommands: without the key the refusal comes to whoever
// deploys, at once and with the way out; with it the same app runs.
func TestRootNeedsLeaveForCommands(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root is refused")
	}
	l := rig.New(t)
	l.Write("lab.yaml", "app: none\n")
	l.Create("--fast")
	l.Write("loop.json", fmt.Sprintf(loop, 1))
	l.Refuse(1, []string{"root-cmd", "TASK_FAILED", "local.allow_root_cmd", "lab: try: set local: {allow_root_cmd: true} in lab.yaml"}, "deploy", "loop.json")
	if ids := commands(l); len(ids) > 0 {
		t.Errorf("it ran all the same: %v", ids)
	}
	l.Write("lab.yaml", "app: none\nlocal: {allow_root_cmd: true}\n")
	made := l.Create("--fast")
	if len(made.Changed) == 0 {
		t.Error("create has changed nothing")
	}
	l.Must("deploy", "loop.json")
	l.Await("the task to run", func(context.Context) error {
		if len(commands(l)) == 0 {
			return errors.New("no process")
		}
		return nil
	})
	l.Must("destroy")
	l.MustBeGone()
}
